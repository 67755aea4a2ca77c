//! Any bytes as what a collector answers, to a Juju controller and to JEM or JIMM.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::round_trip;
use tollgate_wire::{Response, UserStatusResponse};

fuzz_target!(|document: &[u8]| {
    round_trip::<Response>(document);
    round_trip::<UserStatusResponse>(document);
});

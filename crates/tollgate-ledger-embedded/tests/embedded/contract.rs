//! The contract that every ledger keeps.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::conformance;
use tollgate_ledger_embedded::{EmbeddedLedger, Options};

use crate::common::open;

#[test]
fn the_contract_is_kept_on_a_real_disk() {
    let create = || tempfile::tempdir().expect("a folder");
    conformance::run(create, |parent| {
        EmbeddedLedger::open(parent.path().join("ledger"), Options::default()).expect("open").0
    });
}

#[test]
fn the_contract_is_kept_with_many_small_segments() {
    conformance::run(SimDisk::new, |disk| open(disk).0);
}

#[test]
fn the_contract_is_kept_when_the_process_dies_each_time() {
    conformance::run(SimDisk::new, |disk| {
        disk.kill();
        open(disk).0
    });
}

#[test]
fn the_contract_is_kept_when_the_power_fails_each_time() {
    conformance::run(SimDisk::new, |disk| {
        disk.cut_power(disk.n_changes());
        open(disk).0
    });
}

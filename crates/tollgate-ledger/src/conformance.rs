//! The contract as a suite of checks: every ledger runs it, unchanged, in its own tests.
//!
//! Each check works on an empty ledger of its own, in a place that the caller makes. All that is recorded goes to a
//! [`MemoryLedger`] as well, and both must give the same outcomes and the same answers: during the check, after closing
//! and opening again, and after dropping the ledger unclosed and opening again.
//!
//! ```
//! use tollgate_ledger::{MemoryLedger, conformance};
//!
//! conformance::run(MemoryLedger::default, MemoryLedger::open);
//! ```
//!
//! It does not cut power: what survives a crash between two bytes is for a store's own tests.

mod acts;
mod listing;
mod random;
mod reading;
mod recording;
mod sample;
mod subject;
mod usage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Ledger;
#[cfg(doc)]
use crate::MemoryLedger;
use subject::Subject;

type Check = (&'static str, fn(&mut Subject<'_>));

/// Runs every check on a ledger of its own: `create` makes an empty place, such as a temporary folder, and `open` opens
/// the ledger that is in it. `open` is called several times for one place, each time after the ledger before was closed
/// or dropped.
///
/// # Panics
///
/// When the ledger does not keep the contract. All checks run; the message names those that failed, and what each found
/// was printed before by the panic hook.
pub fn run<P>(create: impl Fn() -> P, open: impl Fn(&P) -> Ledger) {
    let mut failed = Vec::new();
    let suites =
        [recording::CHECKS, acts::CHECKS, reading::CHECKS, usage::CHECKS, listing::CHECKS, random::CHECKS];
    for (name, check) in suites.into_iter().flatten() {
        let place = create();
        let open = || open(&place);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut subject = Subject::open(name, &open);
            check(&mut subject);
            subject.finish();
        }));
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "the ledger does not keep its contract: {}", failed.join(", "));
}

//! The reference keeps the contract itself.

use tollgate_ledger::{MemoryLedger, conformance};

#[test]
fn the_reference_conforms() {
    conformance::run(MemoryLedger::default, MemoryLedger::open);
}

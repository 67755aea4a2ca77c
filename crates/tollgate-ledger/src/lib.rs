//! The contract of a ledger: what it means that a batch is recorded, whatever stores it.
//!
//! - [`Writer`] is the write half. It takes groups of [`Entry`] and gives an [`Outcome`] for each, once it is durable.
//! - [`Act`] is what operators decide; it is recorded in one order with the batches.
//! - [`Reader`] is the read half: counts, models, usage, batches, quarantine, statuses set by hand.
//! - [`Moved`] is what a ledger holds, record by record, on its way into another one.
//! - [`LedgerError`] says with [`Remedy`] what a caller can do when one of them fails.
//! - [`MemoryLedger`] is the contract in its simplest form: the reference that others are compared with, and a ledger
//!   for tests. It forgets everything with the process, so nothing durable is built on it.
//! - `conformance` (a feature of that name) is the contract as a suite of checks that every ledger runs unchanged.
//!
//! No concrete store is here and nothing knows how the answer travels. A ledger does not decide whether a batch can be
//! counted: that was decided before ([`tollgate_rules::judge`]); it decides whether it was seen before.

mod act;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod memory;
mod moved;
mod outcome;
mod read;
mod write;

pub use act::{Act, HandStatus};
pub use error::{BadCursor, BodyDropped, LedgerError, Remedy, chain};
pub use memory::MemoryLedger;
pub use moved::{Mark, Moved, MovedBatch, MovedElement, MovedGroups};
pub use outcome::Outcome;
pub use read::{
    BatchItem, BatchPage, BatchSelect, Counts, MeterTotal, ModelSummary, Ownership, Page, QuarantineItem,
    Reader,
};
pub use write::{Content, Entry, Ledger, NothingToPrepare, Prepared, Preparer, Preparing, Received, Writer};

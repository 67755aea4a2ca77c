//! A ledger in one folder, for one collector.
//!
//! **The journal is the truth, the index a cache.** Each recorded batch and each quarantined element is one record of
//! a [`tollgate_journal::Journal`]; a group of the collector is a group of the journal, with one sync. The index
//! answers whether an id is known and what models used; it is built from the journal and never written to the disk.
//!
//! - [`EmbeddedLedger::open`] gives the two halves of a [`tollgate_ledger::Ledger`].
//! - [`export`] gives every recorded batch once, also while a collector has the ledger open.
//! - [`verify`] proves that a folder holds what was recorded.
//!
//! What is not here: deciding whether a batch can be counted (that was decided before), HTTP, threads, a clock.
//! `docs/ledger-format.md` has the bytes and the argument for their safety.
//!
//! Reading order: `record` (the bytes of a record), `index` (what is derived), `plan` (what becomes of a group, a pure
//! function), `writer` and `reader` (the halves), `open`.

mod error;
mod export;
mod index;
mod open;
mod plan;
mod prepare;
mod reader;
mod record;
mod replay;
mod verify;
mod writer;

pub use export::{Export, export};
pub use index::UpkeepMode;
pub use open::{EmbeddedLedger, OpenReport, Options};
pub use tollgate_journal::Progress;
pub use verify::{VerifyReport, verify, verify_disk};

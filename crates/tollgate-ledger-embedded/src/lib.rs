//! A ledger in one folder, for one collector.
//!
//! **The journal is the truth, the index a cache.** Each recorded batch, each quarantined element and each act is one record of
//! a [`tollgate_journal::Journal`]; a group of the collector is a group of the journal, with one sync. The index
//! answers whether an id is known and what every series used in every hour; it is built from the journal, and made anew when it
//! does not fit.
//!
//! - [`EmbeddedLedger::open`] gives the two halves of a [`tollgate_ledger::Ledger`].
//! - [`export`] gives every recorded batch once, also while a collector has the ledger open.
//! - [`verify`] proves that a folder holds what was recorded.
//! - [`backup`] copies a ledger, also while a collector has it open; [`salvage`] makes a new one of what is intact of a damaged one.
//! - [`Source`] gives everything that a ledger holds, for a move into another one.
//! - [`Retention`] drops of old batches what is not needed for counting.
//!
//! What is not here: deciding whether a batch can be counted (that was decided before), HTTP, a clock.
//! `docs/ledger-format.md` has the bytes and the argument for their safety.
//!
//! Reading order: `record` (the bytes of a record), `index` (what is derived), `plan` (what becomes of a group, a pure
//! function), `writer` and `reader` (the halves), `open`, `retention`, `salvage`, `source`.

mod act;
mod backup;
mod error;
mod export;
mod index;
mod listing;
mod loss;
mod open;
mod plan;
mod prepare;
mod reader;
mod record;
mod reduce;
mod replay;
mod retention;
mod salvage;
mod source;
mod target;
mod verify;
mod writer;

pub use backup::{BackupReport, backup, backup_disk};
pub use error::is_damage;
pub use export::{Export, export};
pub use index::UpkeepMode;
pub use loss::{Loss, SalvageReport, Stretch};
pub use open::{EmbeddedLedger, OpenReport, Options};
pub use retention::Retention;
pub use salvage::{salvage, salvage_disk};
pub use source::{Source, SourceGroups};
pub use tollgate_journal::{Progress, Weakness};
pub use verify::{VerifyReport, verify, verify_disk};

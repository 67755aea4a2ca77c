//! The contract of a ledger.
mod error; mod outcome; mod read; mod write;
pub use error::{LedgerError, Remedy};
pub use outcome::Outcome;
pub use read::{Counts, MeterTotal, ModelSummary, Page, QuarantineItem, Reader};
pub use write::{Entry, Ledger, Received, Writer};

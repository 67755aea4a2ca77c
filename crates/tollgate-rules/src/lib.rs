//! Decisions without I/O.
mod admit; mod decimal;
pub use admit::{Admitted, BatchId, Digest, Quarantined, Reading, Reason, Verdict, admit, refuse};
pub use decimal::{Decimal, Sum, ValueError};

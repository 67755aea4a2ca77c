//! Decisions without I/O.
mod admit; mod decimal; mod spelling; mod sum;
pub use admit::{Admitted, BatchId, Digest, Quarantined, Reading, Reason, Verdict, admit, refuse};
pub use decimal::Decimal; pub use spelling::ValueError; pub use sum::{Sum, SumError};

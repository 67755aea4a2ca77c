//! Tollgate's decisions, as pure functions: whether a batch can be counted, what exactly its values are, and what its
//! sender is told.
//!
//! There is no I/O here, no clock and no async: whoever calls brings what is needed and acts on the answer. Nothing
//! here knows whether a batch was seen before; that is the ledger's to say.
//!
//! In the order of a batch's way:
//!
//! - [`judge`] makes each posted element [`Admitted`] or [`Quarantined`], the latter with a [`Reason`]; [`limits`]
//!   says how much of everything is admitted.
//! - [`Decimal`] is one value, exactly; [`Sum`] is what many of them come to.
//! - [`Posted`] is what the answer needs of an element while the ledger has it.
//! - [`response`] and [`user_responses`] build the answer from them: acknowledgements, and a [`Standing`] for each
//!   model, unit and user.

mod admit;
mod compact;
mod decimal;
mod digest;
pub mod limits;
mod posted;
mod reason;
mod reply;
mod rollup;
mod series;
mod spelling;
mod standing;
mod sum;

pub use admit::{Admitted, BatchId, Quarantined, Reading, RecoverError, Verdict, admit, judge, refuse};
pub use decimal::Decimal;
pub use digest::Digest;
pub use posted::{Posted, comes_from_jimm, owner};
pub use reason::Reason;
pub use reply::{response, user_responses};
pub use rollup::{Point, Rollup, hour_of, hour_start};
pub use series::{Select, Series, Visitor};
pub use spelling::ValueError;
pub use standing::Standing;
pub use sum::{Sum, SumError};

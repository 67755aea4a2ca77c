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
//! - [`Posted`] is what the answer needs of a request's elements while the ledger has them.
//! - [`KeyRing`], [`mint`] and [`authorize`] are about credentials, which are [`Macaroon`]s.
//! - [`response`] and [`user_responses`] build the answer from them: acknowledgements, and a [`Standing`] for each
//!   model, unit and user.

mod admit;
mod allowance;
mod allowances;
mod blake3_lanes;
mod calendar;
mod charm_url;
mod compact;
mod credential;
mod decimal;
mod digest;
mod hex;
pub mod limits;
mod macaroon;
mod meter;
mod policy;
mod posted;
mod reason;
mod reply;
mod rollup;
mod series;
mod spelling;
mod standing;
mod sum;
mod tally;
mod usage;
mod used;
mod users;

pub use admit::{
    Admitted, BatchId, BatchIdRef, Quarantined, Reading, RecoverError, Verdict, admit, judge, judge_each,
    refuse,
};
pub use allowance::{Allowance, AllowanceError, AllowanceSettings};
pub use allowances::{Account, Allowances, LimitedMeter, Subject};
pub use calendar::{Calendar, CalendarError, Span, Window, WindowError};
pub use charm_url::CharmUrl;
pub use credential::{
    Authorization, Claim, CredentialError, CredentialId, KeyRing, KeyRingError, TermError, Terms, authorize,
    authorize_batch, mint, verify,
};
pub use decimal::Decimal;
pub use digest::Digest;
pub use macaroon::{Macaroon, MacaroonError, Secret};
pub use meter::{MeterError, MeterKind, MeterSettings, Meters};
pub use policy::Policy;
pub use posted::{Fate, Posted, PostedElement, comes_from_jimm, owner};
pub use reason::Reason;
pub use reply::{Stands, Unknown, Unlimited, response, user_responses};
pub use rollup::{Point, Rollup, hour_of, hour_start};
pub use series::{Select, Series, Visitor};
pub use spelling::ValueError;
pub use standing::Standing;
pub use sum::{Sum, SumError};
pub use tally::{Due, Missing, ModelStanding, Tally};
pub use usage::{
    Across, AcrossError, Aggregate, AggregateError, Dimension, DimensionError, USAGE_ROWS_MAX, Usage,
    UsageError, UsageQuery, UsageRow,
};
pub use used::{Peaks, SeriesId, Used};
pub use users::{UserError, UserSettings, Users};

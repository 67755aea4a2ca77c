//! The wire format of Juju's metering: the types of the Go package `romulus/wireformat/metrics`, byte for byte as Go's
//! `encoding/json` reads and writes them.
//!
//! - [`MetricBatch`] and [`Metric`]: what a sender posts, an array of batches.
//! - [`Response`]: what a Juju controller gets back: acknowledgements and meter statuses by model, and a grace period.
//! - [`UserStatusResponse`]: what JEM and JIMM get back: the same by user.
//!
//! There are two ways in. [`from_slice`] decodes owned types and accepts exactly the documents that Go accepts, giving the
//! same values; the types also implement serde's traits, for other formats. [`Document`] is a borrowed view for a collector: it
//! decodes a posted array element by element, so that one bad element gives an error of its own and its neighbours decode. The
//! one way out, [`to_vec`], writes the bytes that Go writes.
//!
//! There is no I/O in this crate, no clock and no opinion: a value stays the text that its sender wrote, a status the word that
//! came. `docs/wire.md` tells the rules with their sources.

mod base64;
mod batch;
mod decode;
mod document;
mod encode;
mod escape;
mod fault;
mod fields;
mod number;
mod parser;
mod response;
mod status;
mod swar;
mod through_serde;
mod time;
mod user;
mod view;

pub use batch::{Metric, MetricBatch};
pub use decode::{Decode, from_slice};
pub use encode::{Encode, EncodeError, encode, to_vec};
pub use escape::encode_bytes_as_string;
pub use fault::DecodeError;
pub use number::Nanoseconds;
pub use response::{EnvResponse, EnvironmentResponses, ModelStatus, Response, UnitStatus};
pub use status::{Status, UnknownStatus};
pub use time::{TimeError, Timestamp};
pub use user::{MeterStatus, UserResponse, UserResponses, UserStatusResponse};
pub use view::{Base64Ref, BatchRef, Document, Element, ElementError, Identity, Labels, MetricRef};

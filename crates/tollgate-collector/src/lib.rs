//! The HTTP side of a metering collector: batches come in on one listener, operators look at another.
//!
//! A post's way is the order of the modules: a connection (`server`, `sources`) carries a request to its route (`wire_routes`),
//! which (`post`) reads it within limits (`body`, `budget`, `decompress`), decides on each element (`decode`),
//! has all of them made durable together with those of other requests (`commit`), and only then answers (`reply`).
//! Beside it, senders get the credentials that their batches may have to carry (`credentials`, `credential_routes`).
//! What fails on the way becomes a `problem`: the only place that knows status codes.
//!
//! This crate does not know any concrete ledger: it gets an open one and owns its write half on one thread. It keeps no
//! state of its own that would have to survive. It does not do TLS, HTTP/2 or authentication; both listeners are on
//! loopback unless told otherwise, and the admin listener stays there.

mod act;
mod admin_routes;
mod batch_routes;
mod body;
mod budget;
mod claims;
mod collector;
mod commit;
mod credential_routes;
mod credentials;
mod decode;
mod decompress;
mod error;
mod format;
mod gate;
mod health;
mod host;
mod jimm;
mod metrics;
mod model_routes;
mod observe;
mod owners;
mod post;
mod problem;
mod quarantine_routes;
mod reply;
mod revocation_routes;
mod server;
mod settings;
mod sources;
mod standings;
mod status_routes;
mod terms;
mod timed_writes;
mod totals;
mod usage_routes;
mod wire_routes;

pub use collector::Collector;
pub use credentials::{CredentialSettings, Credentials, Plan};
pub use error::CollectorError;
pub use settings::Settings;
pub use terms::{CurrentTerms, Terms};

//! The sending side: batches are recorded in a durable spool and sent until a collector has acknowledged them, and the local
//! meter status tells how that goes and what the collector says.
//!
//! [`Spool::record`] returns when a batch is durable; from then on its id and bytes are final, it is never dropped on account of age, and it is
//! sent until it is acknowledged. A spool is a journal of `tollgate-journal`, one process has it at a time, and damage in it costs what is damaged and nothing
//! else. [`Sender::round`] sends what waits, once, and says how long to wait before the next round: whoever calls it owns the thread and the
//! clock, so that a simulated week takes milliseconds. [`Spool::meter_status`] is where a unit, a model or everything stands, and
//! [`Spool::run_hook`] tells a command when that changes.
//!
//! What the crate does not do: it has no thread of its own, judges no values, and knows no collector: an acknowledgement is what a
//! [`Transport`] brings back.
//!
//! Reading order: `record` (what is stored) and `state` (what follows from it), [`Spool`] and `core` (recording and forgetting), `open`
//! (after whatever happened), `feeder`, `chunk` and `transport` (what goes out, and what an answer means), [`Sender`], `status`,
//! [`Look`] (from another process). `docs/sending.md` tells it for users.

mod chunk;
mod clock;
mod core;
mod encoding;
mod error;
mod feeder;
mod hook;
mod http;
mod look;
mod open;
mod pace;
mod ranges;
mod reading;
mod record;
mod send;
mod settings;
mod spool;
mod state;
mod status;
mod transport;

pub use clock::{Clock, SystemClock};
pub use encoding::{Compression, Encoding};
pub use error::{ClientError, Remedy, SpoolError};
pub use hook::{Hook, ShellHook};
pub use http::HttpTransport;
pub use look::Look;
pub use reading::{Reading, Source};
pub use record::Release;
pub use send::{Round, Sender};
pub use settings::Settings;
pub use spool::{Opened, Pending, Spool, SpoolOptions, Summary};
pub use state::{Refusal, SetAside};
pub use status::{Link, ModelStanding, Standing, Standings};
pub use transport::{Answer, NoAnswer, Transport};

//! A ledger in PostgreSQL, or in a Citus cluster: any number of collectors share it, and none of them keeps anything.
//!
//! In the order of a batch's way:
//!
//! - `location` reads the URL, `tls` and `session` make a connection of it, `pool` keeps connections.
//! - `schema` makes the tables, under a lock and one migration after the other; `server` looks whether the server keeps
//!   what it acknowledges.
//! - `record` takes a group, splits it into lanes and makes each durable in one transaction (`lane`): the ids that are
//!   new, what their batches come to (`delta`), what is set aside (`quarantine`), what operators decided (`acts`).
//! - `fold` moves deltas into tables that answer quickly, beside the recording.
//! - `target` takes all that another ledger holds.
//! - `reader` answers questions, from both; `export` gives every batch.
//!
//! Distribution, replication and failover are the database's. Nothing here knows files or HTTP, nothing is kept in memory
//! that another collector would have to know, and nothing that decides is read from a replica: every connection is to a
//! server that takes writes.
//!
//! `cluster` (a feature of that name) starts servers of our own, for tests and benchmarks.

mod acts;
#[cfg(feature = "cluster")]
pub mod cluster;
mod delta;
mod error;
mod export;
mod fold;
mod key;
mod lane;
mod ledger;
mod location;
mod pool;
mod quarantine;
mod reader;
mod record;
mod runtime;
mod schema;
mod server;
mod session;
mod target;
mod text;
mod tls;

pub use export::{Export, export};
pub use ledger::{OpenReport, Options, PostgresLedger};
pub use location::{check_url, redacted};
pub use target::{Readings, Standing, Target, Uneven};

//! Shows that an acknowledged batch is never lost and never counted twice.
//!
//! - [`kills`]: `kill -9` of the built program while eight senders post, and while it starts.
//! - [`deliveries`]: `kill -9` of sender and collector, with a [`proxy`] between them that cuts connections and drops answers,
//!   while the sender reads an [`endpoint`].
//! - [`power`]: the power of a real file system ([`loop_disk`]) is cut while they post.
//! - [`faults`]: each system call that changes a ledger's folder fails, or is the last, with [`strace`].
//! - [`moves`]: `kill -9` of a migration from a folder into PostgreSQL.
//! - [`cuts`]: power cuts on a simulated disk, by the million. [`lives`] is what one seed does.
//! - [`flips`]: damage of every byte of a ledger's files.
//!
//! What they share: [`batches`] makes what is sent, [`account`] keeps what became of it and compares, [`traffic`] and
//! [`client`] send, [`collector`] is the program as a process, [`check`] asks it what it holds. [`evidence`]
//! is the table of results.
//!
//! Nothing here is part of Tollgate. Whether batches are decoded and counted rightly is shown elsewhere: this is
//! about what is left after something broke.

pub mod account;
pub mod answers;
pub mod batches;
pub mod check;
pub mod client;
pub mod collector;
pub mod cuts;
pub mod deliveries;
pub mod endpoint;
pub mod evidence;
pub mod faults;
mod files;
pub mod flips;
pub mod kills;
pub mod lives;
pub mod loop_disk;
pub mod moves;
pub mod power;
pub mod proxy;
pub mod strace;
pub mod traffic;

//! An append-only log of byte records in a folder.
//!
//! [`Journal::append`] returns when its records are on stable storage; from then on they are found again after a
//! crash or a power cut, whole, once, and in order, or opening fails and names the file and the offset of the
//! damage. Records are written in groups, one sync each. A group is there whole or not at all.
//!
//! What the crate does not do: it does not know what a record means, never changes or removes one of its own accord
//! ([`Compactor`] and [`Journal::forget`] are told), has no index, no threads and no clock, and retries no failed write or sync.
//!
//! The bytes and the argument for their safety are in `docs/ledger-format.md`. Reading order: `format` and
//! `frame` (bytes, without I/O), [`Records`] and `pack` (what becomes a payload), [`Disk`] (all I/O goes through it),
//! `survey`, `scan` and [`Groups`] (the one way to walk a journal, used by reading, verifying and recovery alike), `locate`
//! (finding a group without a walk), `attest`, `recovery` with [`Visitor`], [`Journal`], [`Compactor`], [`backup()`], [`salvage()`].

mod attest;
mod backup;
mod compact;
mod disk;
mod error;
mod format;
mod frame;
mod group;
mod groups;
mod journal;
mod locate;
mod pack;
mod position;
mod reader;
mod records;
mod recovery;
mod renewal;
mod salvage;
mod scan;
mod segment;
mod survey;
mod take;
mod verify;
mod visitor;

pub use backup::{BackedUp, backup};
pub use compact::{Compactor, Keep, SealedSegment, sealed_segments};
#[cfg(feature = "sim")]
pub use disk::sim;
pub use disk::{Disk, DiskFile, Held, Lock, RealDisk, Room, Weakness};
pub use error::{Fault, JournalError};
pub use format::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Kind};
pub use group::Group;
pub use groups::{Groups, Tail};
pub use journal::{Journal, Options};
pub use pack::{Packed, Packer};
pub use position::{Checkpoint, GroupPosition, RecordPosition};
pub use reader::Reader;
pub use records::Records;
pub use recovery::Recovery;
pub use renewal::Renewal;
pub use salvage::{Damage, Salvaged, salvage};
pub use segment::write_whole;
pub use take::take;
pub use verify::{Verified, verify};
pub use visitor::{Progress, Visitor};

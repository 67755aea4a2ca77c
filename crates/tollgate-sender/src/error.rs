//! How sending fails.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tollgate_journal::JournalError;
use tollgate_wire::EncodeError;

/// Why a call on a spool failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A batch that no collector could acknowledge.
    #[error("record a batch: it names no model; set its model uuid")]
    NoModel,
    /// A batch cannot be written in the wire format.
    #[error("encode batch {uuid}")]
    Encode {
        /// Its id.
        uuid: String,
        /// What the format does not allow.
        source: EncodeError,
    },
    /// A batch is larger than a request may be.
    #[error("record batch {uuid}: it has {bytes} bytes, and a request {bytes_max} at most; divide it")]
    TooLarge {
        /// Its id.
        uuid: String,
        /// Its length.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// A reading is larger than a batch may be.
    #[error(
        "keep reading {index}: a batch of it has {bytes} bytes, and may have {bytes_max}; shorten its names and labels"
    )]
    ReadingTooLarge {
        /// Which of those that were given, from 0.
        index: usize,
        /// The length of a batch of it.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// The spool has reached the size that it may have; nothing was recorded, and nothing older was dropped.
    #[error(
        "record {needed_bytes} bytes in {}: it holds {n_bytes} of {bytes_max} bytes allowed; let the collector take some, or raise the limit",
        path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// What was to be added.
        needed_bytes: u64,
        /// What there is.
        n_bytes: u64,
        /// What may be.
        bytes_max: u64,
    },
    /// The disk has little room left, and what there is is kept for acknowledgements; nothing was recorded.
    #[error(
        "record {needed_bytes} bytes in {}: {free_bytes} bytes are free on the disk, of which {kept_bytes} are kept in reserve; make room",
        path.display()
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// What was to be added.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        kept_bytes: u64,
    },
    /// A later program wrote it, or something else did.
    #[error(
        "read a record of the spool: {}",
        form.map_or("it is empty".to_owned(), |form| format!("it has form {form}, which this program does not know"))
    )]
    UnknownRecord {
        /// Its first byte.
        form: Option<u8>,
    },
    /// The journal of the spool failed.
    #[error("use the spool's journal")]
    Journal(#[from] JournalError),
    /// The folder cannot be used.
    #[error("{step} {}", path.display())]
    Folder {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No such batch waits in the spool.
    #[error("find batch {uuid} among those that wait")]
    Unknown {
        /// Its id.
        uuid: String,
    },
    /// The group that a record was in failed.
    #[error(transparent)]
    Group(Arc<SpoolError>),
}

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing was recorded: try again when there is room, or the other process has ended.
    Retry,
    /// Mend what was given.
    Mend,
    /// End this process and start again: only that can tell what is stored.
    Restart,
}

impl SpoolError {
    /// What can be done.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::NoModel
            | Self::Encode { .. }
            | Self::TooLarge { .. }
            | Self::ReadingTooLarge { .. }
            | Self::Unknown { .. } => Remedy::Mend,
            Self::Full { .. } | Self::NoRoom { .. } => Remedy::Retry,
            Self::Journal(
                JournalError::Full { .. }
                | JournalError::NoRoom { .. }
                | JournalError::FullOfFiles { .. }
                | JournalError::TooManyOpen { .. }
                | JournalError::InUse { .. },
            ) => Remedy::Retry,
            Self::Journal(JournalError::TooLarge { .. } | JournalError::OtherKind { .. }) => Remedy::Mend,
            Self::Journal(_) | Self::UnknownRecord { .. } | Self::Folder { .. } => Remedy::Restart,
            Self::Group(error) => error.remedy(),
        }
    }
}

/// Why a client for a collector cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A file cannot be read.
    #[error("read {what} {}", path.display())]
    File {
        /// What is in it.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("use {what} in {}: {reason}", path.display())]
    Content {
        /// What should be in it.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The collector's address is none.
    #[error("use {url:?} as the collector's address: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no certificate authority to trust.
    #[error("find the system's certificate authorities: {reason}; name a file with `authorities`")]
    Roots {
        /// What was wrong.
        reason: String,
    },
    /// The system refused something.
    #[error("prepare an HTTP client")]
    Client {
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

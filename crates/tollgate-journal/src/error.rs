//! How a journal fails.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::RecordPosition;
use crate::format::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk refused a step.
    #[error("{step} {}", path.display())]
    Disk {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// What is stored is not what was written.
    #[error("read {} at offset {offset}: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        fault: Fault,
    },
    /// There is no journal in the folder.
    #[error("find a journal in {}: it holds no segment", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for a new copy is in use already.
    #[error("copy a journal into {}: it holds {name}; choose an empty folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// A file in it.
        name: String,
    },
    /// Another process writes to the journal.
    #[error("take {}: {} has it", path.display(), pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it, when it can be told.
        pid: Option<u32>,
    },
    /// A later program wrote it.
    #[error("read {}: it has format version {version}, and this program knows versions up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The newest that can be read.
        known: u32,
    },
    /// The journal holds records of another kind.
    #[error("open {}: it is a journal of kind {found:?}, not {expected:?}", path.display())]
    OtherKind {
        /// The folder.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// There is too little room; nothing was written.
    #[error(
        "append {needed_bytes} bytes in {}: {free_bytes} bytes are free, of which {kept_bytes} are kept in reserve",
        path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// What the group takes, or the copy.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        kept_bytes: u64,
    },
    /// The file system or a quota has no room for the group, which only the attempt showed; nothing was appended, and when
    /// there is room again an append succeeds.
    #[error("append {needed_bytes} bytes to {}: the file system or its quota has no room for them", path.display())]
    NoRoom {
        /// The segment.
        path: PathBuf,
        /// What the group takes.
        needed_bytes: u64,
        /// What the disk said.
        source: io::Error,
    },
    /// There is no room for another file; nothing was appended, and when there is room again an append succeeds.
    #[error("make {}: the file system or its quota has no room for another file", path.display())]
    FullOfFiles {
        /// The segment.
        path: PathBuf,
        /// What the disk said; `None` when it was not tried, because the file system has no file left to give.
        source: Option<io::Error>,
    },
    /// Too many files are open, so that there can be no new one just now; nothing was appended, and a later append may
    /// succeed.
    #[error("make {}: this process or the system has too many files open", path.display())]
    TooManyOpen {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The group is over a limit; nothing was written.
    #[error(
        "append a group of {bytes} bytes with {n_records} records: a group has {GROUP_BYTES_MAX} bytes and \
         {GROUP_RECORDS_MAX} records at most"
    )]
    TooLarge {
        /// Its size before it is compressed.
        bytes: u64,
        /// How many records it has.
        n_records: usize,
    },
    /// Compacting ended because its caller wanted so; the segment is what it was.
    #[error("compact {}: it was given up", path.display())]
    Abandoned {
        /// The segment.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("find group {sequence} in {}: the journal ends before it, or it was forgotten", path.display())]
    NoGroup {
        /// The folder.
        path: PathBuf,
        /// The group.
        sequence: u64,
    },
    /// There is no such record.
    #[error("find record {} of group {} in {}: the group has {n_records}", position.index, position.sequence, path.display())]
    NoRecord {
        /// The folder.
        path: PathBuf,
        /// The record.
        position: RecordPosition,
        /// How many its group has.
        n_records: usize,
    },
    /// What was derived from a journal was not derived from this one, or this one was replaced by an earlier state.
    /// Nothing was changed: drop what was derived, and start from the beginning of the journal.
    #[error("go on behind group {sequence} in {}: the journal does not hold what it held then", path.display())]
    UnknownCheckpoint {
        /// The folder.
        path: PathBuf,
        /// The last group before the checkpoint.
        sequence: u64,
    },
    /// Only what is sealed, because a later segment was begun, can be compacted.
    #[error("compact segment {number} in {}: it is not sealed", path.display())]
    NotSealed {
        /// The folder.
        path: PathBuf,
        /// The segment.
        number: u64,
    },
    /// The compression that was asked for cannot be had.
    #[error("prepare compression at level {level}")]
    Compression {
        /// As asked for.
        level: i32,
        /// What the library said.
        source: io::Error,
    },
    /// An earlier write or sync failed; only opening the journal anew can tell what is stored.
    #[error("append to {}: it was closed by an earlier failure", path.display())]
    Closed {
        /// The folder.
        path: PathBuf,
    },
}

/// What is wrong at one place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends inside a frame or header.
    #[error("the file ends inside of it")]
    CutShort,
    /// The bytes are no frame's or header's.
    #[error("nothing that a journal writes begins here")]
    Unknown,
    /// The header's checksum does not match.
    #[error("the checksum of the header does not match")]
    Header,
    /// The frame was written to another file.
    #[error("the group belongs to another segment")]
    OtherSegment,
    /// The payload's checksum does not match.
    #[error("the checksum of the payload does not match")]
    Payload,
    /// The frame or segment says something that this program does not know.
    #[error("it is of a form that this program does not know")]
    Flags,
    /// The payload is not the records that the frame says.
    #[error("the payload does not hold the records that the frame says")]
    Record,
    /// The payload does not unpack, or to another length.
    #[error("the payload does not unpack to what the frame says")]
    Packed,
    /// Another group was expected.
    #[error("expected group {expected}, found group {found}")]
    Sequence {
        /// The group that should be here.
        expected: u64,
        /// The group that is.
        found: u64,
    },
    /// The group is intact in itself, but not the one that was written after the group before it.
    #[error("the group does not continue the hash chain")]
    Chain,
    /// The segment is not the one that its name says.
    #[error("expected segment {expected}, found segment {found}")]
    Segment {
        /// The number in the name.
        expected: u64,
        /// The number in the header.
        found: u64,
    },
    /// The segment does not begin where the one before it ends.
    #[error("the segment does not continue the one before it")]
    Discontinued,
    /// A file is not there.
    #[error("the segment is missing, though later ones or groups in it are known to have been durable")]
    SegmentMissing,
    /// A sealed segment has another length than when it was sealed.
    #[error("the file has {found} bytes, and had {expected} when it was sealed")]
    Length {
        /// As sealed.
        expected: u64,
        /// As found.
        found: u64,
    },
    /// The disk gave an error instead of the bytes.
    #[error("the disk cannot read it")]
    Unreadable,
    /// A second copy of groups that are elsewhere.
    #[error("its groups were found elsewhere")]
    Repeated,
    /// A group is not there.
    #[error("group {sequence} is missing, though it is known to have been durable")]
    GroupMissing {
        /// The group.
        sequence: u64,
    },
}

impl Fault {
    /// Whether a write that a crash cut short can look like this.
    pub(crate) fn may_be_torn(self) -> bool {
        match self {
            Self::CutShort | Self::Unknown | Self::Header | Self::OtherSegment | Self::Payload => true,
            Self::Flags
            | Self::Record
            | Self::Packed
            | Self::Sequence { .. }
            | Self::Chain
            | Self::Segment { .. }
            | Self::Discontinued
            | Self::SegmentMissing
            | Self::Length { .. }
            | Self::Unreadable
            | Self::Repeated
            | Self::GroupMissing { .. } => false,
        }
    }
}

impl JournalError {
    pub(crate) fn disk(step: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { step, path, source }
    }
    /// What a failure to make a segment means: with a lack that passes, the journal can go on as it was.
    pub(crate) fn of_new_segment(self) -> Self {
        match self {
            Self::Disk { path, source, .. } if is_full(&source) => {
                Self::FullOfFiles { path, source: Some(source) }
            }
            Self::Disk { path, source, .. } if is_too_many_open(&source) => {
                Self::TooManyOpen { path, source }
            }
            error => error,
        }
    }
}

/// `ENOSPC`, which also stands for a file system without inodes, and `EDQUOT`.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_too_many_open(error: &io::Error) -> bool {
    let limits = [Errno::MFILE, Errno::NFILE];
    error.raw_os_error().is_some_and(|code| limits.iter().any(|limit| limit.raw_os_error() == code))
}

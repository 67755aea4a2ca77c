//! Making sealed segments smaller.
//!
//! A segment that will never be appended to is written once more, with smaller records in the place of those that its
//! caller no longer needs whole, and the new file takes the place of the old one by a rename: a crash leaves the one or the
//! other. Groups keep their sequence, records their place. The hash chain goes through both, because each changed group
//! carries what the chain needs of the payload that it was written with.

mod rewrite;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::{Kind, NEW_COMPACTED, segment_name};
use crate::scan::SegmentScan;
use crate::segment;
use crate::survey::survey;
use crate::{Claim, Disk, Fault, JournalError, RecordPosition};

use rewrite::rewrite;

/// What becomes of a record when its segment is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It stays as it is.
    Whole,
    /// What was written to the buffer takes its place.
    Replaced,
    /// Nothing comes of it: the segment stays as it is, and [`Compactor::compact`] fails with [`JournalError::Abandoned`].
    Abandon,
}

/// A segment that is complete: nothing is ever appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedSegment {
    /// Counted from 1.
    pub number: u64,
    /// Its first group.
    pub first_sequence: u64,
    /// Its last group.
    pub last_sequence: u64,
    /// The length of its file.
    pub bytes: u64,
    /// What that was when it was sealed.
    pub sealed_bytes: u64,
    /// Whether it was compacted before.
    pub is_compacted: bool,
}

/// The sealed segments of the journal in the folder of `disk`, in their order.
///
/// # Errors
///
/// When the folder or the header of a segment cannot be read, or a length is not what it was.
pub fn sealed_segments(disk: &dyn Disk) -> Result<Vec<SealedSegment>, JournalError> {
    let mut sealed: Vec<SealedSegment> = Vec::new();
    let survey = survey(disk)?;
    for number in survey.first..=survey.last {
        let segment = SegmentScan::open(disk, number)?;
        let first_sequence = segment.header.first_sequence;
        if let Some(previous) = sealed.last_mut() {
            previous.last_sequence = first_sequence - 1;
        }
        let bytes = segment.frames.length()?;
        let sealed_bytes = segment.sealed_bytes(bytes)?;
        let is_compacted = segment.header.compacted.is_some();
        sealed.push(SealedSegment {
            number,
            first_sequence,
            last_sequence: first_sequence,
            bytes,
            sealed_bytes,
            is_compacted,
        });
    }
    // The last one is appended to.
    sealed.pop();
    Ok(sealed)
}

/// What those who write to the folder share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Taken to change which names there are and to make that durable.
    pub(crate) names: Mutex<Names>,
    /// Taken to compact: one segment at a time.
    compacting: Mutex<()>,
    _claim: Claim,
}

/// What became of changed names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Whether a sync of the folder failed: the disk may have forgotten changes, also those of others, and the next sync
    /// succeeds all the same. No new segment may be relied on then.
    pub(crate) may_be_lost: bool,
}

impl Shared {
    pub(crate) fn new(claim: Claim) -> Self {
        Self { names: Mutex::default(), compacting: Mutex::default(), _claim: claim }
    }
}

/// Compacts the sealed segments of a journal: on another thread than the one that appends, if wanted.
#[derive(Debug, Clone)]
pub struct Compactor {
    disk: Arc<dyn Disk>,
    kind: Kind,
    /// Free bytes that the second form of a segment leaves.
    free_bytes_min: u64,
    shared: Arc<Shared>,
}

impl Compactor {
    pub(crate) fn new(disk: Arc<dyn Disk>, kind: Kind, free_bytes_min: u64, shared: Arc<Shared>) -> Self {
        Self { disk, kind, free_bytes_min, shared }
    }

    /// The segments that may be compacted, as [`sealed_segments`] gives them.
    ///
    /// # Errors
    ///
    /// As [`sealed_segments`].
    pub fn segments(&self) -> Result<Vec<SealedSegment>, JournalError> {
        sealed_segments(&*self.disk)
    }

    /// Writes segment `number` once more, in a smaller form, and gives the length of its file.
    ///
    /// `replace` is shown each record, and may write a smaller one into the buffer, which is empty. It must do the same with
    /// what it wrote itself, because a segment may be compacted again. Who reads the old file goes on reading it.
    ///
    /// The segment is checked on the way, with all its checksums and up to the hash chain of the next.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotSealed`]; [`JournalError::Abandoned`] when `replace` wants so; [`JournalError::Full`] when there
    /// is no room for two forms of the segment at the same time; [`JournalError::Damaged`] when it is; or when the disk fails. The segment stays what it was, or is what it
    /// was to become when only making its name durable failed. The journal can be appended to as before, but once making a
    /// name durable failed, no segment is compacted ([`JournalError::Closed`]) or added.
    pub fn compact(
        &self,
        number: u64,
        replace: impl FnMut(RecordPosition, &[u8], &mut Vec<u8>) -> Keep,
    ) -> Result<u64, JournalError> {
        let _turn = self.shared.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = &*self.disk;
        let survey = survey(disk)?;
        if number < survey.first || survey.last <= number {
            return Err(JournalError::NotSealed { path: disk.folder().into(), number });
        }
        let old = SegmentScan::open(disk, number)?;
        let next = SegmentScan::open(disk, number + 1)?.header;
        let length = old.frames.length()?;
        let (expected, found) = (next.previous_bytes, old.sealed_bytes(length)?);
        if expected != found {
            return Err(old.frames.damaged(expected.min(found), Fault::Length { expected, found }));
        }
        if old.header.kind != self.kind {
            let (found, expected) = (old.header.kind.to_string(), self.kind.to_string());
            return Err(JournalError::OtherKind { path: disk.folder().into(), found, expected });
        }
        self.check_room(length)?;
        let written = rewrite(disk, old, &next, replace);
        let published = written.and_then(|bytes| self.publish(number).map(|()| bytes));
        if published.is_err() {
            // If it cannot be removed it is not in the way, and the next start removes it. After the rename it is gone.
            let _: io::Result<()> = disk.remove(NEW_COMPACTED);
        }
        published
    }

    fn check_room(&self, needed_bytes: u64) -> Result<(), JournalError> {
        let folder = self.disk.folder();
        let room =
            self.disk.room().map_err(JournalError::disk("measure the free space of", folder.into()))?;
        let kept_bytes = self.free_bytes_min;
        if room.free_bytes < needed_bytes.saturating_add(kept_bytes) {
            let (path, free_bytes) = (folder.into(), room.free_bytes);
            return Err(JournalError::Full { path, needed_bytes, free_bytes, kept_bytes });
        }
        Ok(())
    }

    /// Puts the new file, which is durable, in the place of segment `number`.
    fn publish(&self, number: u64) -> Result<(), JournalError> {
        // IMPORTANT: while nobody changes names, so the name of the next segment is durable. Without it, a compacted one is
        // known to lack what came after it.
        let mut names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.may_be_lost {
            return Err(JournalError::Closed { path: self.disk.folder().into() });
        }
        let name = segment_name(number);
        let path = self.disk.folder().join(&name);
        self.disk
            .rename(NEW_COMPACTED, &name)
            .map_err(JournalError::disk("put the compacted segment in the place of", path))?;
        segment::sync_names(&*self.disk).inspect_err(|_| names.may_be_lost = true)
    }
}

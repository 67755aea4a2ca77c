//! Making sealed segments smaller.
//!
//! A segment that will never be appended to is written once more, with smaller records in the place of those that its
//! caller no longer needs whole, and the new file takes the place of the old one by a rename: a crash leaves the one or the
//! other. Groups keep their sequence, records their place. The hash chain goes through both, because each changed group
//! carries what the chain needs of the payload that it was written with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Held;
use crate::format::{Compacted, Kind, NEW_COMPACTED, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::frame::{FrameHeader, Link, split_records};
use crate::pack::{Packer, Unpacker};
use crate::scan::{SegmentScan, Stop};
use crate::segment::{self, write_whole};
use crate::survey::survey;
use crate::{Disk, DiskFile, Fault, JournalError, RecordPosition, Records};

/// What is read again seldom and written by nobody's leave may take its time.
const COMPRESSION_LEVEL: i32 = 3;

/// Written at once, at least.
const BUFFER_BYTES: usize = 1 << 20;

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
    for number in 1..=survey(disk)?.last {
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
    _lock: Box<dyn Held>,
}

/// What became of changed names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Whether a sync of the folder failed: the disk may have forgotten changes, also those of others, and the next sync
    /// succeeds all the same. No new segment may be relied on then.
    pub(crate) may_be_lost: bool,
}

impl Shared {
    pub(crate) fn new(lock: Box<dyn Held>) -> Self {
        Self { names: Mutex::default(), compacting: Mutex::default(), _lock: lock }
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
    /// [`JournalError::NotSealed`]; [`JournalError::Abandoned`] when `replace` wants so; [`JournalError::Full`] when there is no room for two forms of the segment at the same
    /// time; [`JournalError::Damaged`] when it is; or when the disk fails. The segment stays what it was, or is what it
    /// was to become when only making its name durable failed. The journal can be appended to as before, but after
    /// such a failure to make the name durable it gets no new segment.
    pub fn compact(
        &self,
        number: u64,
        replace: impl FnMut(RecordPosition, &[u8], &mut Vec<u8>) -> Keep,
    ) -> Result<u64, JournalError> {
        let _turn = self.shared.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = &*self.disk;
        if number == 0 || survey(disk)?.last <= number {
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
        let written = write_compacted(disk, old, &next, replace);
        let published = written.and_then(|bytes| self.publish(number).map(|()| bytes));
        if published.is_err() {
            // If it cannot be removed it is not in the way, and the next start removes it. After the rename it is gone.
            let _: std::io::Result<()> = disk.remove(NEW_COMPACTED);
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
        let mut names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = segment_name(number);
        let path = self.disk.folder().join(&name);
        self.disk
            .rename(NEW_COMPACTED, &name)
            .map_err(JournalError::disk("put the compacted segment in the place of", path))?;
        segment::sync_names(&*self.disk).inspect_err(|_| names.may_be_lost = true)
    }
}

/// Writes `old`, which the segment with the header `next` comes after, into a new file, and makes that durable.
fn write_compacted(
    disk: &dyn Disk,
    mut old: SegmentScan,
    next: &SegmentHeader,
    mut replace: impl FnMut(RecordPosition, &[u8], &mut Vec<u8>) -> Keep,
) -> Result<u64, JournalError> {
    let path = old.frames.path();
    let damaged = |offset, fault| JournalError::Damaged { path: path.clone(), offset, fault };
    let mut rewriter = Rewriter::new()?;
    let mut new = NewFile::create(disk)?;

    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut link = Link { sequence: old.header.first_sequence - 1, chain: old.header.chain };
    loop {
        let (header, stored) = match old.frames.read_frame(offset)? {
            Ok(frame) => frame,
            Err(Stop::End) => break,
            Err(Stop::Fault(fault)) => return Err(damaged(offset, fault)),
        };
        header.check_link(&link, stored).map_err(|fault| damaged(offset, fault))?;
        let n_replaced = rewriter
            .replace_records(&header, stored, &mut replace)
            .map_err(|fault| damaged(offset, fault))?;
        let Some(n_replaced) = n_replaced else {
            return Err(JournalError::Abandoned { path });
        };
        if n_replaced == 0 {
            new.add(&[&header.encode(), stored])?;
        } else {
            let (header, payload) = rewriter.encode(&header, stored)?;
            new.add(&[&header.encode(), payload])?;
        }
        offset += header.frame_bytes();
        link = header.link;
    }
    if (link.sequence + 1, link.chain) != (next.first_sequence, next.chain) {
        return Err(damaged(offset, Fault::Discontinued));
    }
    let compacted = Compacted { sealed_bytes: next.previous_bytes, bytes: new.n_bytes };
    new.finish(&SegmentHeader { compacted: Some(compacted), ..old.header })?;
    Ok(compacted.bytes)
}

/// Makes one group after the other smaller.
struct Rewriter {
    packer: Packer,
    unpacker: Unpacker,
    /// Of the new group.
    records: Records,
    record: Vec<u8>,
    payload: Vec<u8>,
}

impl Rewriter {
    fn new() -> Result<Self, JournalError> {
        let level = COMPRESSION_LEVEL;
        Ok(Self {
            packer: Packer::new(level).map_err(|source| JournalError::Compression { level, source })?,
            unpacker: Unpacker::default(),
            records: Records::default(),
            record: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// Collects the records of the group with `header` as they are to be, and says how many are not what they were; `None` when
    /// nothing is to come of it.
    fn replace_records(
        &mut self,
        header: &FrameHeader,
        stored: &[u8],
        replace: &mut impl FnMut(RecordPosition, &[u8], &mut Vec<u8>) -> Keep,
    ) -> Result<Option<u64>, Fault> {
        let payload = self.unpacker.unpack(header, stored)?;
        let sequence = header.link.sequence;
        self.records.clear();
        let mut n_replaced = 0;
        for (range, index) in split_records(&payload, header.n_records)?.into_iter().zip(0..) {
            let whole = &payload[range];
            self.record.clear();
            match replace(RecordPosition { sequence, index }, whole, &mut self.record) {
                Keep::Whole => self.records.push(whole),
                Keep::Replaced => {
                    n_replaced += 1;
                    self.records.push(&self.record);
                }
                Keep::Abandon => return Ok(None),
            }
        }
        Ok(Some(n_replaced))
    }

    /// The group with `header` and the collected records.
    fn encode(&mut self, header: &FrameHeader, stored: &[u8]) -> Result<(FrameHeader, &[u8]), JournalError> {
        if !self.records.fit() {
            let (bytes, n_records) = (self.records.n_bytes(), self.records.len());
            return Err(JournalError::TooLarge { bytes, n_records });
        }
        let (form, content) = self.packer.pack(self.records.as_bytes());
        self.payload.clear();
        self.payload.extend_from_slice(&header.proof(stored));
        self.payload.extend_from_slice(content);
        Ok((header.compacted(form, &self.payload), &self.payload))
    }
}

/// A segment's file that has no segment's name yet.
struct NewFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Its length with what is still to be written.
    n_bytes: u64,
    unwritten: Vec<u8>,
}

impl NewFile {
    fn create(disk: &dyn Disk) -> Result<Self, JournalError> {
        let path = disk.folder().join(NEW_COMPACTED);
        let file = disk.create(NEW_COMPACTED).map_err(JournalError::disk("create", path.clone()))?;
        Ok(Self { file, path, n_bytes: SEGMENT_HEADER_BYTES as u64, unwritten: Vec::new() })
    }

    fn add(&mut self, parts: &[&[u8]]) -> Result<(), JournalError> {
        for part in parts {
            self.unwritten.extend_from_slice(part);
            self.n_bytes += part.len() as u64;
        }
        if self.unwritten.len() < BUFFER_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), JournalError> {
        let offset = self.n_bytes - self.unwritten.len() as u64;
        write_whole(&*self.file, &[&self.unwritten], offset)
            .map_err(JournalError::disk("write", self.path.clone()))?;
        self.unwritten.clear();
        Ok(())
    }

    /// Writes the header, and makes all of it durable.
    fn finish(mut self, header: &SegmentHeader) -> Result<(), JournalError> {
        self.write()?;
        write_whole(&*self.file, &[&header.encode()], 0)
            .map_err(JournalError::disk("write the header of", self.path.clone()))?;
        // IMPORTANT: durable before the rename, which takes away the only other form.
        self.file.sync_data().map_err(JournalError::disk("sync", self.path))
    }
}

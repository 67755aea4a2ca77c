//! Writing a segment once more, in a smaller form.

use std::path::PathBuf;

use super::Keep;
use crate::format::{Compacted, NEW_COMPACTED, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::frame::{FrameHeader, Link, split_records};
use crate::pack::{Packer, Unpacker};
use crate::scan::{SegmentScan, Stop};
use crate::segment::write_whole;
use crate::{Disk, DiskFile, Fault, JournalError, RecordPosition, Records};

/// Nobody waits for it, and it is kept for long.
const COMPRESSION_LEVEL: i32 = 3;

/// Written at once, at least.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes `old`, which the segment with the header `next` comes after, into a new file, makes that durable, and gives its
/// length.
pub(super) fn rewrite(
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
            Err(stop) => return Err(damaged(offset, stop.fault())),
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

    /// Collects the records of the group with `header` as they are to be, and says how many are not what they were;
    /// `None` when nothing is to come of it.
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

//! Walking a journal group by group: the one way for reading, verifying and recovery.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

use crate::attest::{self, Attested};
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, Link, split_records};
use crate::segment;
use crate::survey::survey;
use crate::{Checkpoint, Disk, DiskFile, Fault, GroupPosition, JournalError};

/// Read from the disk at once, at least: groups may be small, and a call for each would take longer than the rest.
const WINDOW_BYTES: usize = 256 << 10;

/// The groups of a journal in order, each checked: its checksums, its place, the hash chain.
///
/// Needs no lock, and may run while another process appends; then it ends at some group that was complete.
/// It ends with an error where something is damaged that was durable, and does not go on behind it.
#[derive(Debug)]
pub struct Groups {
    disk: Arc<dyn Disk>,
    segment: OpenSegment,
    /// Where the next group begins.
    offset: u64,
    /// The last group given.
    link: Link,
    attested: Option<Attested>,
    is_finished: bool,
    tail: Option<Tail>,
}

/// One group, checked.
#[derive(Debug, Clone)]
pub struct Group {
    position: GroupPosition,
    payload: Vec<u8>,
    records: Vec<Range<usize>>,
}

/// What a crash left behind the last group: a write that was never finished and never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The segment.
    pub segment: u64,
    /// Where it begins in the segment's file.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// Why it is no group.
    pub fault: Fault,
}

impl Group {
    /// Where it is.
    #[must_use]
    pub fn position(&self) -> GroupPosition {
        self.position
    }

    /// Its records in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.records.iter().map(|range| &self.payload[range.clone()])
    }
}

/// Why the walk cannot go on at the present offset.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// The file ends here, between two groups.
    End,
    Fault(Fault),
}

impl Groups {
    /// From the first group of segment `number` on.
    pub(crate) fn from_segment(disk: Arc<dyn Disk>, number: u64) -> Result<Self, JournalError> {
        let segment = OpenSegment::open(&*disk, number)?;
        let header = &segment.header;
        let link = Link { sequence: header.first_sequence.wrapping_sub(1), chain: header.chain };
        if number == 1 && link != Link::genesis(header.kind) {
            let path = disk.folder().join(segment_name(number));
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::Discontinued });
        }
        Self::new(disk, segment, SEGMENT_HEADER_BYTES as u64, link)
    }

    /// From the first group behind `checkpoint` on.
    pub(crate) fn after(disk: Arc<dyn Disk>, checkpoint: &Checkpoint) -> Result<Self, JournalError> {
        let segment = OpenSegment::open(&*disk, checkpoint.segment)?;
        let link = Link { sequence: checkpoint.sequence, chain: checkpoint.chain };
        Self::new(disk, segment, checkpoint.offset, link)
    }

    fn new(disk: Arc<dyn Disk>, segment: OpenSegment, offset: u64, link: Link) -> Result<Self, JournalError> {
        let attested = attest::read(&*disk)?;
        Ok(Self { disk, segment, offset, link, attested, is_finished: false, tail: None })
    }

    /// Behind the last group that was given.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let Link { sequence, chain } = self.link;
        Checkpoint { sequence, segment: self.segment.header.number, offset: self.offset, chain }
    }

    /// What is behind the last group, known once the walk has ended.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The header of the segment that the walk is in.
    pub(crate) fn segment_header(&self) -> &SegmentHeader {
        &self.segment.header
    }

    fn advance(&mut self) -> Result<Option<Group>, JournalError> {
        loop {
            let stop = match self.read_group()? {
                Ok(group) => return Ok(Some(group)),
                Err(stop) => stop,
            };
            // Whoever appends may have gone on since the group was read. What shows that the journal goes on is
            // looked for first and the group read again after: if it is still bad, then it was durable and is not.
            let goes_on = self.goes_on(stop)?;
            self.segment.window.clear();
            match (self.read_group()?, goes_on) {
                (Ok(group), _) => return Ok(Some(group)),
                (Err(Stop::End), GoesOn::NextSegment) => self.enter_next_segment()?,
                (Err(Stop::End), GoesOn::No) => return Ok(None),
                (Err(Stop::End), GoesOn::LaterGroup) => {
                    return Err(self.damaged(Fault::GroupMissing { sequence: self.link.sequence + 1 }));
                }
                (Err(Stop::Fault(fault)), GoesOn::No) if fault.may_be_torn() => {
                    let bytes = self.segment.length(&*self.disk)?.saturating_sub(self.offset);
                    let segment = self.segment.header.number;
                    self.tail = Some(Tail { segment, offset: self.offset, bytes, fault });
                    return Ok(None);
                }
                (Err(Stop::Fault(fault)), _) => return Err(self.damaged(fault)),
            }
        }
    }

    /// Reads the group at the present offset and steps behind it.
    fn read_group(&mut self) -> Result<Result<Group, Stop>, JournalError> {
        let (header, payload) = match self.segment.read_frame(&*self.disk, self.offset)? {
            Ok(frame) => frame,
            Err(stop) => return Ok(Err(stop)),
        };
        let checked = header
            .check_link(&self.link, &payload)
            .and_then(|()| self.check_attested(&header))
            .and_then(|()| split_records(&payload, header.n_records));
        let records = match checked {
            Ok(records) => records,
            Err(fault) => return Ok(Err(Stop::Fault(fault))),
        };
        let segment = self.segment.header.number;
        let position = GroupPosition { sequence: header.link.sequence, segment, offset: self.offset };
        self.offset += header.frame_bytes();
        self.link = header.link;
        Ok(Ok(Group { position, payload, records }))
    }

    fn check_attested(&self, header: &FrameHeader) -> Result<(), Fault> {
        match self.attested {
            Some(attested)
                if attested.link.sequence == header.link.sequence && attested.link != header.link =>
            {
                Err(Fault::Chain)
            }
            _ => Ok(()),
        }
    }

    /// Whether the journal is known to go on behind the present offset.
    fn goes_on(&mut self, stop: Stop) -> Result<GoesOn, JournalError> {
        let number = self.segment.header.number;
        if number < survey(&*self.disk)?.last {
            return Ok(GoesOn::NextSegment);
        }
        self.attested = attest::read(&*self.disk)?;
        if let Some(attested) = self.attested {
            if number < attested.segment {
                // The survey found none behind this one.
                let path = self.disk.folder().join(segment_name(attested.segment));
                return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
            }
            if self.link.sequence < attested.link.sequence {
                return Ok(GoesOn::LaterGroup);
            }
        }
        match stop {
            Stop::End => Ok(GoesOn::No),
            Stop::Fault(_) if self.segment.has_frame_behind(&*self.disk, self.offset, &self.link)? => {
                Ok(GoesOn::LaterGroup)
            }
            Stop::Fault(_) => Ok(GoesOn::No),
        }
    }

    fn enter_next_segment(&mut self) -> Result<(), JournalError> {
        let sealed_bytes = self.segment.length(&*self.disk)?;
        let next = OpenSegment::open(&*self.disk, self.segment.header.number + 1)?;
        let expected = next.header.previous_bytes;
        if expected != sealed_bytes {
            return Err(self.damaged(Fault::Length { expected, found: sealed_bytes }));
        }
        let continues = next.header.kind == self.segment.header.kind
            && next.header.first_sequence == self.link.sequence + 1
            && next.header.chain == self.link.chain;
        self.segment = next;
        self.offset = SEGMENT_HEADER_BYTES as u64;
        if continues { Ok(()) } else { Err(self.damaged(Fault::Discontinued)) }
    }

    fn damaged(&self, fault: Fault) -> JournalError {
        let path = self.disk.folder().join(segment_name(self.segment.header.number));
        JournalError::Damaged { path, offset: self.offset, fault }
    }
}

/// Whether the journal is known to go on behind a place where the walk cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    /// There is a later segment, so this one was sealed.
    NextSegment,
    /// A later group was begun or stated to be durable, so the one here was durable.
    LaterGroup,
    No,
}

impl Iterator for Groups {
    type Item = Result<Group, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        let next = self.advance().transpose();
        self.is_finished = !matches!(next, Some(Ok(_)));
        next
    }
}

/// A segment that is read.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) header: SegmentHeader,
    file: Box<dyn DiskFile>,
    window: Window,
}

impl OpenSegment {
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Self, JournalError> {
        let (file, header) = segment::open_to_read(disk, number)?;
        Ok(Self { header, file, window: Window::default() })
    }

    pub(crate) fn length(&self, disk: &dyn Disk) -> Result<u64, JournalError> {
        self.file.length().map_err(self.failed(disk, "measure"))
    }

    /// Reads the frame at `offset` and checks its checksums; its place in the chain is the caller's to check.
    fn read_frame(
        &mut self,
        disk: &dyn Disk,
        offset: u64,
    ) -> Result<Result<(FrameHeader, Vec<u8>), Stop>, JournalError> {
        let failed = self.failed(disk, "read");
        let bytes = match self.window.read(&*self.file, offset, FRAME_HEADER_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => return Err(failed(error)),
        };
        if bytes.is_empty() {
            return Ok(Err(Stop::End));
        }
        let header = match FrameHeader::decode(bytes, self.header.salt) {
            Ok(header) => header,
            Err(fault) => return Ok(Err(Stop::Fault(fault))),
        };
        let payload_offset = offset + FRAME_HEADER_BYTES as u64;
        let payload = match self.window.read(&*self.file, payload_offset, header.payload_bytes as usize) {
            Ok(bytes) => bytes.to_vec(),
            Err(error) => return Err(failed(error)),
        };
        Ok(match header.check_payload(&payload) {
            Ok(()) => Ok((header, payload)),
            Err(fault) => Err(Stop::Fault(fault)),
        })
    }

    /// As [`OpenSegment::read_frame`], where a frame is known to begin at `offset`.
    pub(crate) fn read_known_frame(
        &mut self,
        disk: &dyn Disk,
        offset: u64,
    ) -> Result<(FrameHeader, Vec<u8>), JournalError> {
        let fault = match self.read_frame(disk, offset)? {
            Ok(frame) => return Ok(frame),
            Err(Stop::End) => Fault::CutShort,
            Err(Stop::Fault(fault)) => fault,
        };
        Err(JournalError::Damaged { path: self.path(disk), offset, fault })
    }

    /// Whether the frame of a group later than the one after `link` begins anywhere behind `offset`.
    ///
    /// Its header is enough: a group is begun only when the one before it is durable.
    fn has_frame_behind(&mut self, disk: &dyn Disk, offset: u64, link: &Link) -> Result<bool, JournalError> {
        let failed = self.failed(disk, "read");
        let finder = memmem::Finder::new(&FRAME_MAGIC);
        let mut start = offset + 1;
        self.window.clear();
        loop {
            let bytes = match self.window.read(&*self.file, start, WINDOW_BYTES) {
                Ok(bytes) => bytes,
                Err(error) => return Err(failed(error)),
            };
            let is_later = |at: usize| {
                FrameHeader::decode(&bytes[at..], self.header.salt)
                    .is_ok_and(|header| link.sequence + 1 < header.link.sequence)
            };
            if finder.find_iter(bytes).any(is_later) {
                return Ok(true);
            }
            if bytes.len() < WINDOW_BYTES {
                return Ok(false);
            }
            // A header may begin in this window and end in the next.
            start += (WINDOW_BYTES - (FRAME_HEADER_BYTES - 1)) as u64;
        }
    }

    fn path(&self, disk: &dyn Disk) -> std::path::PathBuf {
        disk.folder().join(segment_name(self.header.number))
    }

    fn failed(
        &self,
        disk: &dyn Disk,
        step: &'static str,
    ) -> impl FnOnce(std::io::Error) -> JournalError + use<> {
        JournalError::disk(step, self.path(disk))
    }
}

/// A stretch of a file in memory.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The `n_bytes` from `offset`, or fewer where the file ends.
    fn read(&mut self, file: &dyn DiskFile, offset: u64, n_bytes: usize) -> std::io::Result<&[u8]> {
        let holds = |window: &Self| {
            let skip = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            let end = skip.checked_add(n_bytes)?;
            (end <= window.bytes.len()).then_some(skip..end)
        };
        if let Some(range) = holds(self) {
            return Ok(&self.bytes[range]);
        }
        self.bytes.resize(n_bytes.max(WINDOW_BYTES), 0);
        self.start = offset;
        match file.read_at(&mut self.bytes, offset) {
            Ok(n_read) => self.bytes.truncate(n_read),
            Err(error) => {
                self.clear();
                return Err(error);
            }
        }
        Ok(&self.bytes[..n_bytes.min(self.bytes.len())])
    }

    /// Forgets what it holds, which may have changed on the disk.
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

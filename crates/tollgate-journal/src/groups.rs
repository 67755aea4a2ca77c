//! Walking a journal group by group: the one way for reading, verifying and recovery.

use std::sync::Arc;

use crate::attest::{self, Attested};
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::frame::{FrameHeader, Link};
use crate::locate::{Place, locate};
use crate::pack::Unpacker;
use crate::scan::{SegmentScan, Stop};
use crate::survey::survey;
use crate::{Checkpoint, Disk, Fault, Group, JournalError};

/// The groups of a journal in order, each checked: its checksums, its place, the hash chain.
///
/// Needs no lock, and may run while another process appends; then it ends at some group that was complete.
/// It ends with an error where something is damaged that was durable, and does not go on behind it.
#[derive(Debug)]
pub struct Groups {
    disk: Arc<dyn Disk>,
    segment: SegmentScan,
    /// Where the next group begins.
    offset: u64,
    /// Of the segments that the walk has left behind.
    earlier_bytes: u64,
    /// What of the segment that it began in was not walked.
    skipped_bytes: u64,
    /// The highest segment that has been seen.
    last_segment: u64,
    /// The last group given.
    link: Link,
    attested: Option<Attested>,
    unpacker: Unpacker,
    is_finished: bool,
    tail: Option<Tail>,
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

impl Groups {
    /// From the first group of the journal on that was not forgotten.
    pub(crate) fn from_start(disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        let first = survey(&*disk)?.first;
        let segment = SegmentScan::open(&*disk, first)?;
        let header = &segment.header;
        let link = Link { sequence: header.first_sequence.wrapping_sub(1), chain: header.chain };
        // What a later segment goes on from was forgotten: its chain is what was noted of that.
        if first == 1 && link != Link::genesis(header.kind) {
            let path = disk.folder().join(segment_name(1));
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::Discontinued });
        }
        Self::new(disk, segment, SEGMENT_HEADER_BYTES as u64, link)
    }

    /// From the first group behind `checkpoint` on.
    pub(crate) fn after(disk: Arc<dyn Disk>, checkpoint: &Checkpoint) -> Result<Self, JournalError> {
        if checkpoint.sequence == 0 {
            return Self::from_start(disk);
        }
        let unknown =
            || JournalError::UnknownCheckpoint { path: disk.folder().into(), sequence: checkpoint.sequence };
        let next = checkpoint.sequence.checked_add(1).ok_or_else(unknown)?;
        let Place { mut segment, offset, link } = locate(&*disk, next)?.ok_or_else(unknown)?;
        if (link.sequence, link.chain) != (checkpoint.sequence, checkpoint.chain) {
            return Err(unknown());
        }
        segment.frames.set_sparing(false);
        Self::new(disk, segment, offset, link).map(|groups| Self { skipped_bytes: offset, ..groups })
    }

    fn new(disk: Arc<dyn Disk>, segment: SegmentScan, offset: u64, link: Link) -> Result<Self, JournalError> {
        let last_segment = survey(&*disk)?.last;
        let attested = attest::read(&*disk)?;
        Ok(Self {
            disk,
            segment,
            offset,
            earlier_bytes: 0,
            skipped_bytes: 0,
            last_segment,
            link,
            attested,
            unpacker: Unpacker::default(),
            is_finished: false,
            tail: None,
        })
    }

    /// Behind the last group that was given.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let Link { sequence, chain } = self.link;
        Checkpoint { sequence, chain }
    }

    /// How many bytes of files the walk has covered.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.earlier_bytes + self.offset - self.skipped_bytes
    }

    /// What of the segment that the walk began in was not walked, in bytes.
    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Where the next group begins in its segment.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is behind the last group, known once the walk has ended.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The frame of `group`, which was the last that was given, as it is stored.
    pub(crate) fn last_frame(&mut self, group: &Group) -> Result<&[u8], JournalError> {
        self.segment.frames.read_bytes(group.position().offset, self.offset)
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
            self.segment.frames.refresh();
            match (self.read_group()?, goes_on) {
                (Ok(group), _) => return Ok(Some(group)),
                (Err(Stop::End), GoesOn::NextSegment) => self.enter_next_segment()?,
                (Err(Stop::End | Stop::Room(_)), GoesOn::No) => return Ok(None),
                (Err(Stop::End), GoesOn::LaterGroup) => {
                    return Err(self.damaged(Fault::GroupMissing { sequence: self.link.sequence + 1 }));
                }
                (Err(Stop::Fault(fault)), GoesOn::No) if fault.may_be_torn() => {
                    let bytes = self.segment.frames.length()?.saturating_sub(self.offset);
                    let segment = self.segment.header.number;
                    self.tail = Some(Tail { segment, offset: self.offset, bytes, fault });
                    return Ok(None);
                }
                (Err(Stop::Room(fault) | Stop::Fault(fault)), _) => return Err(self.damaged(fault)),
            }
        }
    }

    /// Reads the group at the present offset and steps behind it.
    fn read_group(&mut self) -> Result<Result<Group, Stop>, JournalError> {
        let number = self.segment.header.number;
        let (header, stored) = match self.segment.frames.read_frame(self.offset)? {
            Ok(frame) => frame,
            Err(stop) => return Ok(Err(stop)),
        };
        let checked = header
            .check_link(&self.link, stored)
            .and_then(|()| check_attested(self.attested.as_ref(), &header))
            .and_then(|()| Group::new(&header, stored, &mut self.unpacker, (number, self.offset)));
        let group = match checked {
            Ok(group) => group,
            Err(fault) => return Ok(Err(Stop::Fault(fault))),
        };
        self.offset += header.frame_bytes();
        self.link = header.link;
        Ok(Ok(group))
    }

    /// Whether the journal is known to go on behind the present offset.
    fn goes_on(&mut self, stop: Stop) -> Result<GoesOn, JournalError> {
        let number = self.segment.header.number;
        // Before the survey: a segment is there before a group in it is attested.
        self.attested = attest::read(&*self.disk)?;
        if self.last_segment <= number {
            self.last_segment = survey(&*self.disk)?.last;
        }
        if number < self.last_segment {
            return Ok(GoesOn::NextSegment);
        }
        if let Some(attested) = self.attested {
            if number < attested.segment {
                let path = self.disk.folder().join(segment_name(attested.segment));
                return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
            }
            if self.link.sequence < attested.link.sequence {
                return Ok(GoesOn::LaterGroup);
            }
        }
        if self.segment.header.compacted.is_some() {
            // Only a sealed segment is ever compacted.
            let path = self.disk.folder().join(segment_name(number + 1));
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
        }
        match stop {
            Stop::End | Stop::Room(_) => Ok(GoesOn::No),
            Stop::Fault(_) if self.segment.frames.has_later_frame(self.offset, &self.link)? => {
                Ok(GoesOn::LaterGroup)
            }
            Stop::Fault(_) => Ok(GoesOn::No),
        }
    }

    fn enter_next_segment(&mut self) -> Result<(), JournalError> {
        let next = SegmentScan::open(&*self.disk, self.segment.header.number + 1)?;
        // The chain commits to everything before it: what the records are, each group, and how many there were.
        let continues = next.header.chain == self.link.chain;
        self.earlier_bytes += self.offset;
        self.segment = next;
        self.offset = SEGMENT_HEADER_BYTES as u64;
        if continues { Ok(()) } else { Err(self.damaged(Fault::Discontinued)) }
    }

    fn damaged(&self, fault: Fault) -> JournalError {
        self.segment.frames.damaged(self.offset, fault)
    }
}

fn check_attested(attested: Option<&Attested>, header: &FrameHeader) -> Result<(), Fault> {
    match attested {
        Some(attested) if attested.link.sequence == header.link.sequence && attested.link != header.link => {
            Err(Fault::Chain)
        }
        _ => Ok(()),
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

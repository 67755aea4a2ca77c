//! Finding the intact groups in a file of which anything may be damaged.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::Damage;
use super::patched::{Patched, Unreadable};
use crate::format::{HeaderError, Kind, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION, segment_name};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, Link, split_records};
use crate::pack::Unpacker;
use crate::scan::{FrameScan, Stop};
use crate::{Disk, DiskFile, Fault, JournalError};

/// Intact groups that follow one another in a file.
#[derive(Debug)]
pub(super) struct Run {
    /// Of the file.
    pub(super) number: u64,
    salt: u64,
    pub(super) offsets: Range<u64>,
    pub(super) sequences: RangeInclusive<u64>,
}

impl Run {
    pub(super) fn open(&self, disk: &dyn Disk) -> Result<FrameScan, JournalError> {
        let (file, _) = open(disk, self.number)?;
        Ok(FrameScan::new(disk, file, self.number, Some(self.salt)))
    }
}

/// What was found in the files so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) kind: Option<Kind>,
    pub(super) runs: Vec<Run>,
    pub(super) damage: Vec<Damage>,
    /// A group that is known to have been, and all before it.
    pub(super) last_known: u64,
    /// What the search is behind: the last group that was found, or is known to have been just before; `None` when that cannot
    /// be told.
    before: Option<u64>,
    /// The damage, by its index, that reaches to the end of what was searched; the next segment may tell how many groups it
    /// cost.
    open_end: Option<usize>,
    /// Of the present file.
    unreadable: Unreadable,
    is_last: bool,
    unpacker: Unpacker,
}

impl Search {
    /// Notes that there is no file `first`, nor perhaps some behind it.
    pub(super) fn miss_files(&mut self, disk: &dyn Disk, first: u64) {
        let path = disk.folder().join(segment_name(first));
        // With damage at the end of the file before, it cannot be told how many groups were lost where.
        let before = if first == 1 { Some(0) } else { self.before };
        self.before = before.filter(|_| self.open_end.is_none());
        self.open_end = Some(self.damage.len());
        self.note(Damage {
            path,
            offsets: 0..0,
            fault: Fault::SegmentMissing,
            sequences: None,
            n_records: None,
        });
    }

    /// Searches the file of segment `number`; behind the last one's groups may be room for others.
    pub(super) fn search_file(
        &mut self,
        disk: &dyn Disk,
        number: u64,
        is_last: bool,
    ) -> Result<(), JournalError> {
        self.is_last = is_last;
        let path = disk.folder().join(segment_name(number));
        let (file, unreadable) = open(disk, number)?;
        self.unreadable = unreadable;
        let length = file.length().map_err(JournalError::disk("measure", path.clone()))?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let n_read =
            file.read_at(&mut bytes, 0).map_err(JournalError::disk("read the header of", path.clone()))?;
        match SegmentHeader::decode(&bytes[..n_read]) {
            Ok(header) => {
                self.enter(disk, number, &header);
                let link = Link { sequence: header.first_sequence.saturating_sub(1), chain: header.chain };
                let frames = FrameScan::new(disk, file, number, Some(header.salt));
                self.search_frames(frames, number, SEGMENT_HEADER_BYTES as u64, length, Some(link))
            }
            Err(HeaderError::Newer(version)) => Err(JournalError::Newer { path, version, known: VERSION }),
            Err(HeaderError::Fault(fault)) => {
                if self.open_end.take().is_some() {
                    self.before = None;
                }
                let mut frames = FrameScan::new(disk, file, number, None);
                let salt = vote(&mut frames)?;
                frames.expect_salt(salt);
                let first = frames.find_frame(0, u64::MAX, |_| true)?;
                self.skip(
                    &frames,
                    0..first.as_ref().map_or(length, |(offset, _)| *offset),
                    fault,
                    None,
                    first.map(|(_, header)| header),
                );
                match first {
                    Some((offset, _)) => self.search_frames(frames, number, offset, length, None),
                    None => Ok(()),
                }
            }
        }
    }

    /// Takes note of an intact header.
    fn enter(&mut self, disk: &dyn Disk, number: u64, header: &SegmentHeader) {
        self.kind = self.kind.or(Some(header.kind));
        let last_before = header.first_sequence.saturating_sub(1);
        if header.number != number {
            let path = disk.folder().join(segment_name(number));
            let fault = Fault::Segment { expected: number, found: header.number };
            self.open_end = None;
            let offsets = 0..SEGMENT_HEADER_BYTES as u64;
            self.note(Damage { path, offsets, fault, sequences: None, n_records: None });
        }
        self.know(last_before);
        self.before = Some(last_before);
    }

    /// Takes note that the groups up to `last` were in what was searched.
    pub(super) fn know(&mut self, last: u64) {
        self.last_known = self.last_known.max(last);
        if let (Some(index), Some(before)) = (self.open_end.take(), self.before)
            && before < last
        {
            let sequences = before + 1..=last;
            let damage = &mut self.damage[index];
            if damage.sequences.as_ref() != Some(&sequences) {
                (damage.sequences, damage.n_records) = (Some(sequences), None);
            }
        }
    }

    /// Searches a file from `offset` on; `link` is what its first group should continue.
    fn search_frames(
        &mut self,
        mut frames: FrameScan,
        number: u64,
        mut offset: u64,
        length: u64,
        mut link: Option<Link>,
    ) -> Result<(), JournalError> {
        let mut run: Option<Run> = None;
        loop {
            let read = match frames.read_frame(offset)? {
                Ok((header, stored)) => {
                    let unpacked = self.unpacker.unpack(&header, stored);
                    let split = unpacked.and_then(|payload| split_records(&payload, header.n_records));
                    split.map(|_| (header, link.map(|link| header.check_link(&link, stored))))
                }
                Err(Stop::End) => break,
                Err(Stop::Room(_)) if self.is_last => break,
                Err(stop) => Err(stop.fault()),
            };
            match read {
                Ok((header, continues)) => {
                    let sequence = header.link.sequence;
                    let end = offset + header.frame_bytes();
                    match (&mut run, continues) {
                        (Some(run), Some(Ok(()))) => {
                            run.offsets.end = end;
                            run.sequences = *run.sequences.start()..=sequence;
                        }
                        (_, continues) => {
                            if let Some(Err(Fault::Sequence { expected, found })) = continues
                                && expected < found
                            {
                                let fault = Fault::GroupMissing { sequence: expected };
                                self.skip(&frames, offset..offset, fault, None, Some(header));
                            }
                            let sequences = sequence..=sequence;
                            let new = Run { number, salt: header.salt, offsets: offset..end, sequences };
                            self.runs.extend(run.replace(new));
                        }
                    }
                    self.before = Some(sequence);
                    link = Some(header.link);
                    offset = end;
                }
                Err(fault) => {
                    self.runs.extend(run.take());
                    link = None;
                    let damaged = frames.read_header(offset)?.ok();
                    let from = offset + damaged.map_or(1, |_| FRAME_HEADER_BYTES as u64);
                    let next = frames.find_frame(from, u64::MAX, |_| true)?;
                    let end = next.as_ref().map_or(length, |(next, _)| *next);
                    self.skip(&frames, offset..end, fault, damaged, next.map(|(_, header)| header));
                    match next {
                        Some((next, _)) => offset = next,
                        None => break,
                    }
                }
            }
        }
        self.runs.extend(run);
        Ok(())
    }

    /// Notes a stretch without an intact group: `damaged` is the header of the one that it begins with, if that is intact, and
    /// `next` the header behind it.
    fn skip(
        &mut self,
        frames: &FrameScan,
        offsets: Range<u64>,
        fault: Fault,
        damaged: Option<FrameHeader>,
        next: Option<FrameHeader>,
    ) {
        let known = damaged.map(|header| header.link.sequence);
        let first = known.or(self.before.map(|before| before.saturating_add(1)));
        let last = match &next {
            Some(next) => Some(next.link.sequence.saturating_sub(1)),
            None => known,
        };
        let sequences =
            first.zip(last).filter(|(first, last)| first <= last).map(|(first, last)| first..=last);
        let is_one = sequences.as_ref().is_some_and(|sequences| sequences.start() == sequences.end());
        let n_records = damaged.filter(|_| is_one).map(|header| header.n_records.into());
        let fault = if self.unreadable.is_any(&offsets) { Fault::Unreadable } else { fault };
        self.note(Damage { path: frames.path(), offsets, fault, sequences, n_records });
        if next.is_none() {
            self.open_end = Some(self.damage.len() - 1);
            self.before = known.map(|known| known.saturating_sub(1)).or(self.before);
        }
    }

    fn note(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

/// The salt of most of the frame headers in a file whose own header is gone.
fn vote(frames: &mut FrameScan) -> Result<Option<u64>, JournalError> {
    let mut votes = BTreeMap::<u64, u64>::new();
    let mut offset = 0;
    while let Some((start, header)) = frames.find_frame(offset, u64::MAX, |_| true)? {
        *votes.entry(header.salt).or_default() += 1;
        offset = start + FRAME_HEADER_BYTES as u64;
    }
    Ok(votes.into_iter().max_by_key(|(_, n_votes)| *n_votes).map(|(salt, _)| salt))
}

fn open(disk: &dyn Disk, number: u64) -> Result<(Box<dyn DiskFile>, Unreadable), JournalError> {
    let name = segment_name(number);
    let file = disk.open_to_read(&name).map_err(JournalError::disk("open", disk.folder().join(name)))?;
    let (file, unreadable) = Patched::new(file);
    Ok((Box::new(file), unreadable))
}

//! Writing a journal.

use std::borrow::Borrow;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::attest::Attested;
use crate::compact::{Compactor, Shared};
use crate::error::is_full;
use crate::format::{
    GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Kind, NEW_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name,
};
use crate::frame::{FRAME_HEADER_BYTES, Form, FrameHeader, Link};
use crate::locate;
use crate::pack::{BYTES_KEPT, Packer, QUICK_LEVEL};
use crate::recovery::{OpenEnd, recover};
use crate::segment;
use crate::{
    Checkpoint, Claim, Disk, GroupPosition, JournalError, Packed, Reader, Records, Recovery, Visitor,
};

/// The room behind small groups; `docs/decisions/0009-room-behind-small-groups.md` has the figures.
const ROOM_BYTES: u32 = 64 << 10;

/// How many zeros to write behind a group of `n_bytes` that ends at `end`, beyond the end of the file. None behind a large one, which
/// would fill them at once.
fn room_behind(end: u64, n_bytes: usize, options: &Options) -> usize {
    let room_bytes = u64::from(options.room_bytes);
    if room_bytes < 2 * n_bytes as u64 {
        return 0;
    }
    let room_end = end.next_multiple_of(room_bytes).min(options.segment_bytes_max.max(end));
    (room_end - end) as usize
}

/// How a journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What the records are.
    pub kind: Kind,
    /// A segment that would be longer with the next group is sealed; a longer group gets a segment of its own.
    /// Smaller segments are sooner free to be copied away; each costs an open file and a header to check at start.
    pub segment_bytes_max: u64,
    /// Free bytes that no group may take. Without such a reserve the disk fills in the middle of a write, which
    /// closes the journal; with it a group is refused whole, and later ones succeed when there is room again. Who compacts wants
    /// it larger than a segment: that is what a [`Compactor`] may take of it.
    pub free_bytes_min: u64,
    /// The level of zstd at which groups are compressed; `None` when they are stored as they are. Whatever it is, groups
    /// of both forms can be read.
    pub compression: Option<i32>,
    /// Small groups that go beyond the end of the file make it longer than they are, with zeros, up to the next multiple of this; 0
    /// when none do. As long as a group stays within what the file has, its sync writes that group alone, and otherwise also how
    /// long the file is and where its new blocks are: half of what the disk is asked for.
    pub room_bytes: u32,
}

impl Options {
    /// The usual figures for records of `kind`.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            segment_bytes_max: 256 << 20,
            free_bytes_min: 64 << 20,
            compression: Some(QUICK_LEVEL),
            room_bytes: ROOM_BYTES,
        }
    }

    /// Small figures, so that a test meets every branch.
    #[must_use]
    pub fn for_testing(kind: Kind) -> Self {
        Self { kind, segment_bytes_max: 1 << 10, free_bytes_min: 0, compression: None, room_bytes: 0 }
    }
}

/// A journal open for writing: one in all processes at a time.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    options: Options,
    end: OpenEnd,
    /// Whether something failed, so that what is stored is no longer known.
    is_closed: bool,
    packer: Option<Packer>,
    /// Parts put together to one payload; empty, and kept for its memory.
    joined: Vec<u8>,
    /// To write room with.
    zeros: Vec<u8>,
    /// The lock on the folder, and what a [`Compactor`] must know of.
    shared: Arc<Shared>,
}

impl Journal {
    /// Opens the journal in the folder of `disk`, and makes it when there is none.
    ///
    /// Everything that an earlier [`Journal::append`] returned for is there, and durable. What may also be there
    /// is the last group, whole, that an append began and did not return for.
    ///
    /// # Errors
    ///
    /// [`JournalError::InUse`] while another process has it. [`JournalError::Damaged`] when something anywhere in it is
    /// missing or changed that is known to have been durable; then nothing was changed. Or when the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Self, Recovery), JournalError> {
        Self::open_visiting(disk, options, &mut ())
    }

    /// As [`Journal::open`], and shows `visitor` all of the journal on the way.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`], and when the visitor fails; then nothing was changed.
    pub fn open_visiting<V: Visitor>(
        disk: Arc<dyn Disk>,
        options: Options,
        visitor: &mut V,
    ) -> Result<(Self, Recovery), V::Error> {
        Self::open_visiting_after(disk, options, None, visitor)
    }

    /// As [`Journal::open_visiting`], by who has the folder already.
    ///
    /// # Errors
    ///
    /// As [`Journal::open_visiting`], but never [`JournalError::InUse`].
    pub fn open_claimed<V: Visitor>(
        claim: Claim,
        options: Options,
        visitor: &mut V,
    ) -> Result<(Self, Recovery), V::Error> {
        Self::open_claimed_after(claim, options, None, visitor)
    }

    /// As [`Journal::open_visiting`], and shows `visitor` only what is behind `after`: for whoever kept what it derived up
    /// to there. What is before it was durable then; of that, only headers and lengths of segments are checked.
    ///
    /// # Errors
    ///
    /// [`JournalError::UnknownCheckpoint`] when the journal does not hold what it held at the checkpoint; then nothing was
    /// changed. And as [`Journal::open_visiting`].
    pub fn open_visiting_after<V: Visitor>(
        disk: Arc<dyn Disk>,
        options: Options,
        after: Option<&Checkpoint>,
        visitor: &mut V,
    ) -> Result<(Self, Recovery), V::Error> {
        Self::open_claimed_after(Claim::take(disk)?, options, after, visitor)
    }

    fn open_claimed_after<V: Visitor>(
        claim: Claim,
        options: Options,
        after: Option<&Checkpoint>,
        visitor: &mut V,
    ) -> Result<(Self, Recovery), V::Error> {
        let compression =
            |level| Packer::new(level).map_err(|source| JournalError::Compression { level, source });
        let packer = options.compression.map(compression).transpose()?;
        let disk = claim.disk.clone();
        let (end, recovery) = recover(&disk, options.kind, after, visitor)?;
        let shared = Arc::new(Shared::new(claim));
        let journal = Self {
            disk,
            options,
            end,
            is_closed: false,
            packer,
            joined: Vec::new(),
            zeros: Vec::new(),
            shared,
        };
        Ok((journal, recovery))
    }

    /// Writes `records` as one group, and returns when they are durable with where it is.
    ///
    /// # Errors
    ///
    /// [`JournalError::Full`], [`JournalError::NoRoom`], [`JournalError::FullOfFiles`], [`JournalError::TooManyOpen`]
    /// and [`JournalError::TooLarge`]: nothing was appended, and later appends may succeed. After any other error it is
    /// unknown whether the group is stored, and every further append fails with [`JournalError::Closed`]: only opening
    /// the journal anew can tell.
    pub fn append(&mut self, records: &Records) -> Result<GroupPosition, JournalError> {
        self.check_open()?;
        let n_records = records.len();
        let n_records = match u32::try_from(n_records) {
            Ok(n_records) if records.fit() => n_records,
            _ => return Err(JournalError::TooLarge { bytes: records.n_bytes(), n_records }),
        };
        // Taken out, so that what it holds can be written while the rest of the journal changes.
        let mut packer = self.packer.take();
        let (form, payload) = match &mut packer {
            Some(packer) => packer.pack(records.as_bytes()),
            None => (Form::plain(records.as_bytes()), records.as_bytes()),
        };
        let appended = self.append_payload(n_records, form, payload);
        packer.iter_mut().for_each(Packer::clear);
        self.packer = packer;
        appended
    }

    /// As [`Journal::append`] of the records of all `parts`, which were compressed before.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn append_packed<P: Borrow<Packed>>(&mut self, parts: &[P]) -> Result<GroupPosition, JournalError> {
        self.check_open()?;
        let parts: Vec<&Packed> = parts.iter().map(Borrow::borrow).collect();
        let n_records: usize = parts.iter().map(|part| part.n_records).sum();
        let bytes: u64 = parts.iter().map(|part| part.payload_bytes as u64).sum();
        let packed_bytes: u64 = parts.iter().map(|part| part.bytes.len() as u64).sum();
        let fits = bytes.max(packed_bytes) <= GROUP_BYTES_MAX && n_records <= GROUP_RECORDS_MAX as usize;
        let (Ok(n_records), Ok(unpacked_bytes), true) =
            (u32::try_from(n_records), u32::try_from(bytes), fits)
        else {
            return Err(JournalError::TooLarge { bytes, n_records });
        };
        let form = Form::packed_bytes(unpacked_bytes);
        match &parts[..] {
            // Nothing is not what comes of compressing nothing.
            [] => self.append_payload(n_records, Form::plain(&[]), &[]),
            [part] => self.append_payload(n_records, form, &part.bytes),
            parts => {
                let mut joined = mem::take(&mut self.joined);
                parts.iter().for_each(|part| joined.extend_from_slice(&part.bytes));
                let appended = self.append_payload(n_records, form, &joined);
                joined.clear();
                joined.shrink_to(BYTES_KEPT);
                self.joined = joined;
                appended
            }
        }
    }

    fn check_open(&self) -> Result<(), JournalError> {
        if self.is_closed { Err(JournalError::Closed { path: self.disk.folder().into() }) } else { Ok(()) }
    }

    /// Writes the group with `payload`, which is stored as it is given.
    fn append_payload(
        &mut self,
        n_records: u32,
        form: Form,
        payload: &[u8],
    ) -> Result<GroupPosition, JournalError> {
        let frame_bytes = (FRAME_HEADER_BYTES + payload.len()) as u64;
        let is_empty = self.end.offset == SEGMENT_HEADER_BYTES as u64;
        let needs_segment = !is_empty && self.options.segment_bytes_max < self.end.offset + frame_bytes;
        self.check_room(frame_bytes, needs_segment)?;

        // Until everything has succeeded: an early return or a panic leaves the journal closed.
        self.is_closed = true;
        if needs_segment {
            self.start_segment(self.end.first)?;
        }
        let header = FrameHeader::new(&self.end.link, self.end.header.salt, n_records, form, payload);
        let (link, segment) = (header.link, self.end.header.number);
        let path = self.disk.folder().join(segment_name(segment));
        if let Err(error) = self.write_frame(&header, payload) {
            return Err(self.after_failed_write(path, frame_bytes, error));
        }
        // IMPORTANT: synced before the caller hears of it, and once: after a failed sync the disk has forgotten
        // what it could not write, and another sync would succeed for nothing.
        self.end.file.sync_data().map_err(JournalError::disk("sync", path))?;
        let group = GroupPosition { sequence: link.sequence, segment, offset: self.end.offset };
        self.end.link = link;
        self.end.offset += frame_bytes;
        // The group is durable whatever comes of this; a disk that fails here is trusted with no other.
        self.is_closed = self.end.attest_file.write(&Attested { segment, link }).is_err();
        Ok(group)
    }

    /// Writes a group, and room behind it when the file has none left for it.
    fn write_frame(&mut self, header: &FrameHeader, payload: &[u8]) -> io::Result<()> {
        let OpenEnd { file, offset, length, .. } = &mut self.end;
        let n_bytes = FRAME_HEADER_BYTES + payload.len();
        let end = *offset + n_bytes as u64;
        let n_bytes_room = if *length < end { room_behind(end, n_bytes, &self.options) } else { 0 };
        self.zeros.resize(n_bytes_room.max(self.zeros.len()), 0);
        let parts = [&header.encode()[..], payload, &self.zeros[..n_bytes_room]];
        // What is missing of the room is not missed.
        let n_written = segment::write_at_least(n_bytes, &**file, &parts, *offset)?;
        *length = (*length).max(*offset + n_written as u64);
        Ok(())
    }

    /// The end of the last group: what is derived up to here goes on by [`Reader::groups_after`].
    #[must_use]
    pub fn end(&self) -> Checkpoint {
        let Link { sequence, chain } = self.end.link;
        Checkpoint { sequence, chain }
    }

    /// Forgets groups before group `sequence`: those of whole segments, which are removed. `sequence` may be one more than the
    /// last; then nothing is left but the place where the next group goes on. Gives how many segments were removed.
    ///
    /// What is left begins with the hash chain of what is gone, so whoever noted that can show that it follows. Who walks
    /// the journal meanwhile may find it ending in [`Fault::SegmentMissing`](crate::Fault), and begins again.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`]. Nothing is lost that was not given up: after a failure, more may be left than should be.
    pub fn forget(&mut self, sequence: u64) -> Result<u64, JournalError> {
        self.check_open()?;
        let first = self.segment_to_begin_with(sequence)?;
        if first <= self.end.first {
            return Ok(0);
        }
        self.check_room(0, true)?;
        self.is_closed = true;
        // IMPORTANT: durable before anything is removed. The last segment says where the journal begins: until one does,
        // what is missing before it was taken away by somebody else.
        self.start_segment(first)?;
        self.is_closed = false;
        let old = mem::replace(&mut self.end.first, first);
        self.end.sealed_bytes = self.end.sealed_bytes.split_off(&first);
        for number in old..first {
            // What cannot be removed now, or comes back in a power cut, is removed by the next start.
            let _: io::Result<()> = self.disk.remove(&segment_name(number));
        }
        Ok(first - old)
    }

    /// The segment that holds group `sequence`, or a new one when there is no such group yet.
    fn segment_to_begin_with(&self, sequence: u64) -> Result<u64, JournalError> {
        let header = &self.end.header;
        if self.end.link.sequence < sequence {
            let is_empty = self.end.offset == SEGMENT_HEADER_BYTES as u64;
            return Ok(if is_empty { header.number } else { header.number + 1 });
        }
        locate::segment_of(&*self.disk, sequence)
    }

    /// Ends the present segment, so that the next group is in a new one. One without a group stays.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn seal(&mut self) -> Result<(), JournalError> {
        self.check_open()?;
        if self.end.offset == SEGMENT_HEADER_BYTES as u64 {
            return Ok(());
        }
        self.check_room(0, true)?;
        self.is_closed = true;
        self.start_segment(self.end.first)?;
        self.is_closed = false;
        Ok(())
    }

    /// The length of all segments' files, in bytes, those of sealed ones as they were when they were sealed or opened.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.end.sealed_bytes.values().sum::<u64>() + self.end.length
    }

    /// Makes durable what proves that the last group was.
    ///
    /// # Errors
    ///
    /// When the disk fails; nothing that was appended is at risk.
    pub fn attest(&mut self) -> Result<(), JournalError> {
        let failed = JournalError::disk("sync the attestation in", self.disk.folder().into());
        self.end.attest_file.sync().map_err(failed)
    }

    /// Reads this journal, now and after it was closed.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.disk.clone(), self.options.kind)
    }

    /// Makes sealed segments of this journal smaller, beside it and after it was closed. The folder stays locked as long as
    /// there is one.
    ///
    /// It may take one segment's length of the reserve for a while: on a full disk it is what makes room.
    #[must_use]
    pub fn compactor(&self) -> Compactor {
        let Options { kind, segment_bytes_max, free_bytes_min, .. } = self.options;
        let kept_bytes = free_bytes_min.saturating_sub(segment_bytes_max);
        Compactor::new(self.disk.clone(), kind, kept_bytes, self.shared.clone())
    }

    /// Ends the file with the last group, makes durable what proves that this was, and closes.
    ///
    /// # Errors
    ///
    /// When the disk fails; nothing that was appended is at risk.
    pub fn close(mut self) -> Result<(), JournalError> {
        if self.is_closed {
            return Ok(());
        }
        self.cut_room()?;
        self.attest()
    }

    fn check_room(&mut self, needed_bytes: u64, needs_segment: bool) -> Result<(), JournalError> {
        let folder = self.disk.folder().to_owned();
        let path = || folder.clone();
        let room = self.disk.room().map_err(JournalError::disk("measure the free space of", path()));
        // A disk that cannot say how full it is is trusted with nothing more.
        let room = room.inspect_err(|_| self.is_closed = true)?;
        if needs_segment && room.is_out_of_files {
            let path = path().join(segment_name(self.end.header.number + 1));
            return Err(JournalError::FullOfFiles { path, source: None });
        }
        // A new segment's header may come on top.
        let needed_bytes = needed_bytes + SEGMENT_HEADER_BYTES as u64;
        let kept_bytes = self.options.free_bytes_min;
        if room.free_bytes < needed_bytes.saturating_add(kept_bytes) {
            return Err(JournalError::Full {
                path: path(),
                needed_bytes,
                free_bytes: room.free_bytes,
                kept_bytes,
            });
        }
        Ok(())
    }

    /// Opens the journal again when the disk was full and took nothing of the group: nothing has changed then.
    ///
    /// A quota does not show before a write.
    fn after_failed_write(&mut self, path: PathBuf, needed_bytes: u64, error: io::Error) -> JournalError {
        if is_full(&error) && self.end.file.length().is_ok_and(|length| length == self.end.length) {
            self.is_closed = false;
            return JournalError::NoRoom { path, needed_bytes, source: error };
        }
        JournalError::disk("append to", path)(error)
    }

    /// Seals the segment, whose groups are all durable, and starts the next, which says that the journal begins with segment
    /// `oldest`.
    ///
    /// Opens the journal again when it cannot for a lack that passes: nothing has changed then.
    fn start_segment(&mut self, oldest: u64) -> Result<(), JournalError> {
        self.cut_room()?;
        let header = SegmentHeader {
            kind: self.options.kind,
            number: self.end.header.number + 1,
            first_sequence: self.end.link.sequence + 1,
            chain: self.end.link.chain,
            salt: self.disk.salt(),
            previous_bytes: self.end.offset,
            oldest,
            compacted: None,
        };
        let shared = self.shared.clone();
        let mut names = shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.may_be_lost {
            return Err(JournalError::Closed { path: self.disk.folder().into() });
        }
        let file = segment::create(&*self.disk, &header).map_err(|error| self.stay_open(error))?;
        segment::sync_names(&*self.disk).inspect_err(|_| names.may_be_lost = true)?;
        self.end.sealed_bytes.insert(self.end.header.number, self.end.offset);
        self.end.file = file;
        self.end.header = header;
        self.end.offset = SEGMENT_HEADER_BYTES as u64;
        self.end.length = self.end.offset;
        Ok(())
    }

    /// Makes the segment end with its last group.
    fn cut_room(&mut self) -> Result<(), JournalError> {
        let OpenEnd { file, offset, length, header, .. } = &mut self.end;
        if *offset < *length {
            let failed =
                |step| JournalError::disk(step, self.disk.folder().join(segment_name(header.number)));
            file.truncate(*offset).map_err(failed("cut the end of"))?;
            // IMPORTANT: durable before the next segment is, which states this length.
            file.sync_data().map_err(failed("sync"))?;
            *length = *offset;
        }
        Ok(())
    }

    /// After a new segment could not be made.
    fn stay_open(&mut self, error: JournalError) -> JournalError {
        let error = error.of_new_segment();
        if matches!(error, JournalError::FullOfFiles { .. } | JournalError::TooManyOpen { .. }) {
            // What was begun of it must not be what takes up the last file. If it cannot be removed it is not in the
            // way: the next one is made in its place.
            let _: io::Result<()> = self.disk.remove(NEW_SEGMENT);
            self.is_closed = false;
        }
        error
    }
}

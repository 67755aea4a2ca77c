//! Reading the frames of one segment.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use memchr::memmem;

use crate::format::{Compacted, SegmentHeader, segment_name};
use crate::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, Link};
use crate::segment;
use crate::{Disk, DiskFile, Fault, JournalError};

/// Read from the disk at once: groups may be small, and a call for each would take longer than the rest.
const WINDOW_BYTES: usize = 256 << 10;

/// Looked through at once for a frame that may begin anywhere.
const PROBE_BYTES: usize = 32 << 10;

/// Why there is no frame at an offset.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// The file ends here, between two groups.
    End,
    /// From here to its end the file is zeros. At the end of the journal that is room for the next groups, and elsewhere this fault.
    Room(Fault),
    Fault(Fault),
}

impl Stop {
    /// What is wrong where there has to be a group.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::End => Fault::CutShort,
            Self::Room(fault) | Self::Fault(fault) => fault,
        }
    }
}

/// A segment that is read.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) header: SegmentHeader,
    pub(crate) frames: FrameScan,
}

impl SegmentScan {
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Self, JournalError> {
        let (file, header) = segment::open_to_read(disk, number)?;
        let frames = FrameScan::new(disk, file, number, Some(header.salt));
        Ok(Self { header, frames })
    }

    /// How long the segment was when it was sealed, of its file's `length`; of one that is not sealed, that is its length.
    pub(crate) fn sealed_bytes(&self, length: u64) -> Result<u64, JournalError> {
        match self.header.compacted {
            None => Ok(length),
            Some(Compacted { sealed_bytes, bytes }) if bytes == length => Ok(sealed_bytes),
            Some(Compacted { bytes: expected, .. }) => {
                let fault = Fault::Length { expected, found: length };
                Err(self.frames.damaged(expected.min(length), fault))
            }
        }
    }
}

/// The frames in a segment's file, whether or not its header is intact.
#[derive(Debug)]
pub(crate) struct FrameScan {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Of the frames that belong here; `None` when it is not known.
    salt: Option<u64>,
    window: Window,
}

impl FrameScan {
    pub(crate) fn new(disk: &dyn Disk, file: Box<dyn DiskFile>, number: u64, salt: Option<u64>) -> Self {
        Self { path: disk.folder().join(segment_name(number)), file, salt, window: Window::default() }
    }

    /// Takes only frames with `salt` from now on.
    pub(crate) fn expect_salt(&mut self, salt: Option<u64>) {
        self.salt = salt;
    }

    /// For reading here and there: reads no more ahead than is looked through at once.
    pub(crate) fn set_sparing(&mut self, is_sparing: bool) {
        self.window.ahead_bytes = if is_sparing { PROBE_BYTES } else { WINDOW_BYTES };
    }

    /// Forgets what was read, which somebody who appends may have changed since.
    pub(crate) fn refresh(&mut self) {
        self.window.clear();
    }

    pub(crate) fn length(&self) -> Result<u64, JournalError> {
        self.file.length().map_err(self.failed("measure"))
    }

    /// The bytes from `start` to `end`, or fewer where the file ends.
    pub(crate) fn read_bytes(&mut self, start: u64, end: u64) -> Result<&[u8], JournalError> {
        let failed = self.failed("read");
        let n_bytes = usize::try_from(end - start).unwrap_or(usize::MAX);
        self.window.read(&*self.file, start, n_bytes).map_err(failed)
    }

    /// Reads the frame at `offset` and checks its checksums; its place in the chain is the caller's to check. The payload is
    /// given as it is stored.
    pub(crate) fn read_frame(
        &mut self,
        offset: u64,
    ) -> Result<Result<(FrameHeader, &[u8]), Stop>, JournalError> {
        let failed = self.failed("read");
        let header = match self.read_header(offset)? {
            Ok(header) => header,
            Err(stop) => return Ok(Err(stop)),
        };
        let payload_offset = offset + FRAME_HEADER_BYTES as u64;
        let payload =
            self.window.read(&*self.file, payload_offset, header.payload_bytes as usize).map_err(failed)?;
        Ok(match header.check_payload(payload) {
            Ok(()) => Ok((header, payload)),
            Err(fault) => Err(Stop::Fault(fault)),
        })
    }

    /// Reads the header of the frame at `offset`.
    pub(crate) fn read_header(&mut self, offset: u64) -> Result<Result<FrameHeader, Stop>, JournalError> {
        let failed = self.failed("read");
        let bytes = self.window.read(&*self.file, offset, FRAME_HEADER_BYTES).map_err(failed)?;
        if bytes.is_empty() {
            return Ok(Err(Stop::End));
        }
        Ok(match FrameHeader::decode(bytes, self.salt) {
            Ok(header) => Ok(header),
            Err(fault) if self.is_zero_from(offset)? => Err(Stop::Room(fault)),
            Err(fault) => Err(Stop::Fault(fault)),
        })
    }

    fn is_zero_from(&mut self, offset: u64) -> Result<bool, JournalError> {
        let mut start = offset;
        loop {
            let failed = self.failed("read");
            let bytes = self.window.read(&*self.file, start, PROBE_BYTES).map_err(failed)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if bytes.len() < PROBE_BYTES {
                return Ok(true);
            }
            start += PROBE_BYTES as u64;
        }
    }

    /// Whether the frame of a group later than the one after `link` begins anywhere from `offset` on.
    ///
    /// Its header is enough: a group is begun only when the one before it is durable.
    pub(crate) fn has_later_frame(&mut self, offset: u64, link: &Link) -> Result<bool, JournalError> {
        self.window.clear();
        let is_later = |header: &FrameHeader| link.sequence + 1 < header.link.sequence;
        Ok(self.find_frame(offset, u64::MAX, is_later)?.is_some())
    }

    /// The first intact header that begins in `start..end`, with where it does, that `is_wanted`.
    pub(crate) fn find_frame(
        &mut self,
        start: u64,
        end: u64,
        is_wanted: impl Fn(&FrameHeader) -> bool,
    ) -> Result<Option<(u64, FrameHeader)>, JournalError> {
        let finder = memmem::Finder::new(&FRAME_MAGIC);
        let mut start = start;
        while start < end {
            let failed = self.failed("read");
            let bytes = self.window.read(&*self.file, start, PROBE_BYTES).map_err(failed)?;
            let mut found = finder.find_iter(bytes).filter_map(|at| {
                let header = FrameHeader::decode(&bytes[at..], self.salt).ok()?;
                is_wanted(&header).then_some((start + at as u64, header))
            });
            if let Some((offset, header)) = found.next() {
                return Ok((offset < end).then_some((offset, header)));
            }
            if bytes.len() < PROBE_BYTES {
                break;
            }
            // A header may begin in this probe and end in the next.
            start += (PROBE_BYTES - (FRAME_HEADER_BYTES - 1)) as u64;
        }
        Ok(None)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn damaged(&self, offset: u64, fault: Fault) -> JournalError {
        JournalError::Damaged { path: self.path(), offset, fault }
    }

    fn failed(&self, step: &'static str) -> impl FnOnce(io::Error) -> JournalError + use<> {
        JournalError::disk(step, self.path())
    }
}

/// A stretch of a file in memory.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// How much is read at least.
    ahead_bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { start: 0, bytes: Vec::new(), ahead_bytes: WINDOW_BYTES }
    }
}

impl Window {
    /// The `n_bytes` from `offset`, or fewer where the file ends.
    fn read(&mut self, file: &dyn DiskFile, offset: u64, n_bytes: usize) -> io::Result<&[u8]> {
        if let Some(range) = self.find(offset, n_bytes) {
            return Ok(&self.bytes[range]);
        }
        let left = usize::try_from(file.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n_wanted = n_bytes.max(self.ahead_bytes).min(left);
        self.bytes.resize(n_wanted, 0);
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

    /// Where the window holds the `n_bytes` from `offset`.
    fn find(&self, offset: u64, n_bytes: usize) -> Option<Range<usize>> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let end = start.checked_add(n_bytes)?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    /// Forgets what it holds, which may have changed on the disk.
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

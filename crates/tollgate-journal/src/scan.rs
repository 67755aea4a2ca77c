//! Reading the frames of one segment.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use memchr::memmem;

use crate::format::{SegmentHeader, segment_name};
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
    Fault(Fault),
}

/// A segment that is read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) header: SegmentHeader,
    file: Box<dyn DiskFile>,
    window: Window,
}

impl SegmentScan {
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Self, JournalError> {
        let (file, header) = segment::open_to_read(disk, number)?;
        Ok(Self { header, file, window: Window::default() })
    }

    /// Forgets what was read, which somebody who appends may have changed since.
    pub(crate) fn refresh(&mut self) {
        self.window.clear();
    }

    pub(crate) fn length(&self, disk: &dyn Disk) -> Result<u64, JournalError> {
        self.file.length().map_err(self.failed(disk, "measure"))
    }

    /// Reads the frame at `offset` and checks its checksums; its place in the chain is the caller's to check. The payload is
    /// given as it is stored.
    pub(crate) fn read_frame(
        &mut self,
        disk: &dyn Disk,
        offset: u64,
    ) -> Result<Result<(FrameHeader, &[u8]), Stop>, JournalError> {
        let failed = self.failed(disk, "read");
        let header = match self.read_header(disk, offset)? {
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
    pub(crate) fn read_header(
        &mut self,
        disk: &dyn Disk,
        offset: u64,
    ) -> Result<Result<FrameHeader, Stop>, JournalError> {
        let failed = self.failed(disk, "read");
        let bytes = self.window.read(&*self.file, offset, FRAME_HEADER_BYTES).map_err(failed)?;
        if bytes.is_empty() {
            return Ok(Err(Stop::End));
        }
        Ok(FrameHeader::decode(bytes, self.header.salt).map_err(Stop::Fault))
    }

    /// Whether the frame of a group later than the one after `link` begins anywhere from `offset` on.
    ///
    /// Its header is enough: a group is begun only when the one before it is durable.
    pub(crate) fn has_later_frame(
        &mut self,
        disk: &dyn Disk,
        offset: u64,
        link: &Link,
    ) -> Result<bool, JournalError> {
        self.window.clear();
        let is_later = |header: &FrameHeader| link.sequence + 1 < header.link.sequence;
        Ok(self.find_frame(disk, offset, u64::MAX, is_later)?.is_some())
    }

    /// The first intact header that begins in `start..end`, with where it does, that `is_wanted`.
    pub(crate) fn find_frame(
        &mut self,
        disk: &dyn Disk,
        start: u64,
        end: u64,
        is_wanted: impl Fn(&FrameHeader) -> bool,
    ) -> Result<Option<(u64, FrameHeader)>, JournalError> {
        let finder = memmem::Finder::new(&FRAME_MAGIC);
        let mut start = start;
        while start < end {
            let failed = self.failed(disk, "read");
            let bytes = self.window.read(&*self.file, start, PROBE_BYTES).map_err(failed)?;
            let mut found = finder.find_iter(bytes).filter_map(|at| {
                let header = FrameHeader::decode(&bytes[at..], self.header.salt).ok()?;
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

    fn path(&self, disk: &dyn Disk) -> PathBuf {
        disk.folder().join(segment_name(self.header.number))
    }

    fn failed(&self, disk: &dyn Disk, step: &'static str) -> impl FnOnce(io::Error) -> JournalError + use<> {
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
    fn read(&mut self, file: &dyn DiskFile, offset: u64, n_bytes: usize) -> io::Result<&[u8]> {
        if let Some(range) = self.find(offset, n_bytes) {
            return Ok(&self.bytes[range]);
        }
        let left = usize::try_from(file.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n_wanted = n_bytes.max(WINDOW_BYTES).min(left);
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

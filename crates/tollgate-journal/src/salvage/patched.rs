//! A file of which some parts cannot be read.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::DiskFile;

/// What a disk can usually read or not read as a whole.
const BLOCK_BYTES: usize = 4 << 10;

/// Reads zeros where the disk gives an error, so that what is around it can be read; and notes where that was.
#[derive(Debug)]
pub(super) struct Patched {
    file: Box<dyn DiskFile>,
    unreadable: Unreadable,
}

/// Where a file could not be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreadable(Arc<Mutex<Vec<Range<u64>>>>);

impl Unreadable {
    /// Whether any of the bytes at `offsets` could not be read.
    pub(super) fn is_any(&self, offsets: &Range<u64>) -> bool {
        self.ranges().iter().any(|range| range.start < offsets.end && offsets.start < range.end)
    }

    fn note(&self, range: Range<u64>) {
        let mut ranges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Patched {
    pub(super) fn new(file: Box<dyn DiskFile>) -> (Self, Unreadable) {
        let unreadable = Unreadable::default();
        (Self { file, unreadable: unreadable.clone() }, unreadable)
    }
}

impl DiskFile for Patched {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Ok(n_read) = self.file.read_at(buffer, offset) {
            return Ok(n_read);
        }
        let left = usize::try_from(self.length()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n_wanted = buffer.len().min(left);
        let mut start = 0;
        while start < n_wanted {
            let at = offset + start as u64;
            // Up to the next border between blocks.
            let n_block = BLOCK_BYTES - (at % BLOCK_BYTES as u64) as usize;
            let end = n_wanted.min(start + n_block);
            let block = &mut buffer[start..end];
            if self.file.read_at(block, at).is_err() {
                block.fill(0);
                self.unreadable.note(at..offset + end as u64);
            }
            start = end;
        }
        Ok(n_wanted)
    }

    fn write_at(&self, _: &[&[u8]], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

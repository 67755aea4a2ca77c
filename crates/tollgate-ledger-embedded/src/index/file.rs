//! Files of the index: written from front to back, and their ends read likewise.

use tollgate_journal::{Disk, DiskFile, write_whole};

use super::IndexError;
use super::pace::Pace;

/// Read or written at once.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Synced at once: the disk has to sync groups of the journal meanwhile, and must not be busy with a whole run.
const SYNC_BYTES: u64 = 16 << 20;

/// Written and synced at once while there is time.
const SLOW_BYTES: usize = 256 << 10;

/// The end of a file, read from front to back.
pub(super) struct Tail<'a> {
    file: &'a dyn DiskFile,
    name: &'a str,
    offset: u64,
    /// Of all that was read.
    pub(super) checksum: u32,
}

impl<'a> Tail<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, name: &'a str, offset: u64) -> Self {
        Self { file, name, offset, checksum: 0 }
    }

    pub(super) fn read(&mut self, n_bytes: u64, mut take: impl FnMut(&[u8])) -> Result<(), IndexError> {
        let mut left = n_bytes;
        let mut bytes = Vec::new();
        while 0 < left {
            let n_wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            bytes.resize(n_wanted, 0);
            let read = self.file.read_at(&mut bytes, self.offset);
            let n_read = read.map_err(IndexError::disk("read", self.name))?;
            if n_read != n_wanted {
                return Err(IndexError::Damaged { file: self.name.to_owned(), offset: self.offset });
            }
            self.checksum = crc32c::crc32c_append(self.checksum, &bytes);
            take(&bytes);
            self.offset += n_wanted as u64;
            left -= n_wanted as u64;
        }
        Ok(())
    }
}

/// A file that is written from front to back.
pub(super) struct Output<'p> {
    pace: &'p Pace<'p>,
    file: Box<dyn DiskFile>,
    name: String,
    /// Not written yet.
    pub(super) bytes: Vec<u8>,
    offset: u64,
    /// Up to here.
    synced: u64,
}

impl<'p> Output<'p> {
    pub(super) fn create(disk: &dyn Disk, name: String, pace: &'p Pace<'p>) -> Result<Self, IndexError> {
        let file = disk.create(&name).map_err(IndexError::disk("create", name.as_str()))?;
        Ok(Self { pace, file, name, bytes: Vec::new(), offset: 0, synced: 0 })
    }

    pub(super) fn write_if_long(&mut self) -> Result<(), IndexError> {
        self.pace.may_rest();
        let is_fast = self.pace.is_fast();
        if self.bytes.len() < if is_fast { CHUNK_BYTES } else { SLOW_BYTES } {
            return Ok(());
        }
        self.write()?;
        if is_fast && self.offset - self.synced < SYNC_BYTES { Ok(()) } else { self.sync() }
    }

    fn write(&mut self) -> Result<(), IndexError> {
        let failed = IndexError::disk("write", self.name.as_str());
        write_whole(&*self.file, &[&self.bytes], self.offset).map_err(failed)?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), IndexError> {
        self.synced = self.offset;
        self.file.sync_data().map_err(IndexError::disk("sync", self.name.as_str()))
    }

    /// Makes its contents durable, and gives its name, which is not durable before the folder is synced.
    pub(super) fn end(mut self) -> Result<String, IndexError> {
        self.write()?;
        self.sync()?;
        Ok(self.name)
    }
}

//! What is known to have been durable.
//!
//! Every group but the last proves by the one behind it that it was durable. For the last one there is this small
//! file, written after each sync and itself synced only at a clean close: whatever of it reaches the disk is true.
//! So damage of a group that was acknowledged is told from a group that a crash cut short.

use std::io;

use crate::format::{array_at, u32_at, u64_at};
use crate::frame::Link;
use crate::segment::write_whole;
use crate::{Disk, DiskFile, JournalError};

pub(crate) const NAME: &str = "attested";

const MAGIC: [u8; 8] = *b"\xF5tgattd\n";

/// Two slots, written in turn, so that a torn write leaves the statement before it.
const N_SLOTS: u64 = 2;

/// A disk sector: no power cut can hurt both slots.
const SLOT_BYTES: u64 = 512;

/// What of a slot is used.
const USED_BYTES: usize = 64;

/// The statement that a group is durable, and with it all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attested {
    /// The segment that the group is in.
    pub(crate) segment: u64,
    pub(crate) link: Link,
}

impl Attested {
    fn encode(&self) -> [u8; USED_BYTES] {
        let mut bytes = [0; USED_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.link.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.link.chain);
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let is_intact = bytes[..8] == MAGIC && crc32c::crc32c(&bytes[..60]) == u32_at(bytes, 60);
        is_intact.then(|| Self {
            segment: u64_at(bytes, 16),
            link: Link { sequence: u64_at(bytes, 8), chain: array_at(bytes, 24) },
        })
    }
}

/// The newest statement in the folder. A file that is missing or damaged states nothing.
pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Attested>, JournalError> {
    let failed = |step| JournalError::disk(step, disk.folder().join(NAME));
    let file = match disk.open_to_read(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open")(error)),
    };
    let mut newest: Option<Attested> = None;
    for slot in 0..N_SLOTS {
        let mut bytes = [0; USED_BYTES];
        let n_read = file.read_at(&mut bytes, slot * SLOT_BYTES).map_err(failed("read"))?;
        let attested = if n_read == USED_BYTES { Attested::decode(&bytes) } else { None };
        newest = newest.into_iter().chain(attested).max_by_key(|attested| attested.link.sequence);
    }
    Ok(newest)
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct AttestFile(Box<dyn DiskFile>);

impl AttestFile {
    /// Opens the file; makes it when it is missing.
    pub(crate) fn open(disk: &dyn Disk) -> io::Result<Self> {
        match disk.open(NAME) {
            Ok(file) => Ok(Self(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(NAME)?;
                disk.sync_folder()?;
                Ok(Self(file))
            }
            Err(error) => Err(error),
        }
    }

    /// States that a group is durable; the caller has synced it.
    pub(crate) fn write(&self, attested: &Attested) -> io::Result<()> {
        write_whole(&*self.0, &[&attested.encode()], attested.link.sequence % N_SLOTS * SLOT_BYTES)
    }

    /// Makes the statements themselves durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

//! Beginning a journal anew in its own folder.
//!
//! For whoever got out of a damaged journal what is intact, and goes on with that. The new beginning is a segment behind all
//! others that says that the journal begins with it. Until it has its name the old journal counts, and from then on it alone.

use std::path::PathBuf;
use std::sync::Arc;

use crate::attest;
use crate::disk::Held;
use crate::format::{
    GROUP_RECORDS_MAX, NEW_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number,
};
use crate::frame::{FRAME_HEADER_BYTES, Form, FrameHeader, Link};
use crate::segment::{self, write_whole};
use crate::{Disk, DiskFile, JournalError, Kind, Records, take};

/// A new beginning that nobody sees before [`Renewal::finish`].
#[derive(Debug)]
pub struct Renewal {
    disk: Arc<dyn Disk>,
    number: u64,
    salt: u64,
    link: Link,
    file: Box<dyn DiskFile>,
    offset: u64,
    path: PathBuf,
    _lock: Box<dyn Held>,
}

impl Renewal {
    /// Begins behind everything that is in the folder of `disk`. Groups up to `last_sequence` are known to have been there.
    ///
    /// # Errors
    ///
    /// [`JournalError::InUse`] while somebody has the journal; or when the disk fails.
    pub fn begin(disk: Arc<dyn Disk>, kind: Kind, last_sequence: u64) -> Result<Self, JournalError> {
        let path = || disk.folder().to_owned();
        let lock = take(&*disk)?;
        let names = disk.list().map_err(JournalError::disk("list the files of", path()))?;
        let number = 1 + names.iter().filter_map(|name| segment_number(name)).max().unwrap_or(0);
        let attested = attest::read(&*disk)?.map_or(0, |attested| attested.link.sequence);
        let sequence = last_sequence.max(attested);
        let salt = disk.salt();
        // It continues nothing, and must not be taken for what does.
        let mut hasher = blake3::Hasher::new_derive_key("tollgate journal 1 renewal");
        hasher.update(&salt.to_le_bytes()).update(&number.to_le_bytes());
        let link = Link { sequence, chain: *hasher.finalize().as_bytes() };
        let header = SegmentHeader {
            kind,
            number,
            first_sequence: sequence + 1,
            chain: link.chain,
            salt,
            previous_bytes: 0,
            oldest: number,
            compacted: None,
        };
        let path = path().join(segment_name(number));
        let file = disk.create(NEW_SEGMENT).map_err(JournalError::disk("create", path.clone()))?;
        write_whole(&*file, &[&header.encode()], 0)
            .map_err(JournalError::disk("write the header of", path.clone()))?;
        let offset = SEGMENT_HEADER_BYTES as u64;
        Ok(Self { disk, number, salt, link, file, offset, path, _lock: lock })
    }

    /// Adds `records` as one group.
    ///
    /// # Errors
    ///
    /// [`JournalError::TooLarge`], or when the disk fails.
    pub fn add(&mut self, records: &Records) -> Result<(), JournalError> {
        let n_records = u32::try_from(records.len()).unwrap_or(u32::MAX);
        if !records.fit() || GROUP_RECORDS_MAX < n_records {
            return Err(JournalError::TooLarge { bytes: records.n_bytes(), n_records: records.len() });
        }
        let payload = records.as_bytes();
        let header = FrameHeader::new(&self.link, self.salt, n_records, Form::plain(payload), payload);
        write_whole(&*self.file, &[&header.encode(), payload], self.offset)
            .map_err(JournalError::disk("append to", self.path.clone()))?;
        self.offset += (FRAME_HEADER_BYTES + payload.len()) as u64;
        self.link = header.link;
        Ok(())
    }

    /// Puts it in the place of the old journal, whose files the next [`Journal::open`](crate::Journal::open) removes.
    ///
    /// # Errors
    ///
    /// When the disk fails. Then it is the one journal or the other.
    pub fn finish(self) -> Result<(), JournalError> {
        // IMPORTANT: all of it is durable before the name, which makes it the journal.
        self.file.sync_data().map_err(JournalError::disk("sync", self.path.clone()))?;
        self.disk
            .rename(NEW_SEGMENT, &segment_name(self.number))
            .map_err(JournalError::disk("rename the new", self.path.clone()))?;
        segment::sync_names(&*self.disk)
    }
}

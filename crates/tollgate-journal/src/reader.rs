//! Reading a journal, whoever writes to it.

use std::sync::Arc;

use crate::format::{Kind, segment_name};
use crate::frame::{RECORD_PREFIX_BYTES, record_length, split_record};
use crate::scan::SegmentScan;
use crate::segment;
use crate::survey::survey;
use crate::{Checkpoint, Disk, Fault, Groups, JournalError, RecordPosition};

/// Read at once for a record whose length is not known yet: most are shorter.
const FIRST_READ_BYTES: usize = 4 << 10;

/// Reads a journal. Takes no lock: another process, or this one, may append at the same time.
#[derive(Debug, Clone)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    kind: Kind,
}

impl Reader {
    /// Opens the journal in the folder of `disk`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Missing`] when there is none; or when its first segment cannot be read.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        if survey(&*disk)?.last == 0 {
            return Err(JournalError::Missing { path: disk.folder().into() });
        }
        let kind = SegmentScan::open(&*disk, 1)?.header.kind;
        Ok(Self { disk, kind })
    }

    pub(crate) fn new(disk: Arc<dyn Disk>, kind: Kind) -> Self {
        Self { disk, kind }
    }

    /// What the records are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Fails when the records are of another kind.
    ///
    /// # Errors
    ///
    /// [`JournalError::OtherKind`].
    pub fn expect_kind(self, kind: Kind) -> Result<Self, JournalError> {
        if self.kind == kind {
            return Ok(self);
        }
        let (found, expected) = (self.kind.to_string(), kind.to_string());
        Err(JournalError::OtherKind { path: self.disk.folder().into(), found, expected })
    }

    /// How many bytes the files of the journal have.
    ///
    /// # Errors
    ///
    /// When a segment cannot be read.
    pub fn n_bytes(&self) -> Result<u64, JournalError> {
        let numbers = 1..=survey(&*self.disk)?.last;
        numbers.map(|number| SegmentScan::open(&*self.disk, number)?.length(&*self.disk)).sum()
    }

    /// All groups from the first.
    ///
    /// # Errors
    ///
    /// When the first segment cannot be read.
    pub fn groups(&self) -> Result<Groups, JournalError> {
        Groups::from_start(self.disk.clone())
    }

    /// The groups behind `checkpoint`, which this journal once gave: for whoever follows a writer, or keeps what it derived
    /// together with the checkpoint that it stands for and reads only the rest. Should it not be this journal's, the first
    /// group does not continue the hash chain and is an error.
    ///
    /// # Errors
    ///
    /// When the segment of the checkpoint cannot be read.
    pub fn groups_after(&self, checkpoint: &Checkpoint) -> Result<Groups, JournalError> {
        Groups::after(self.disk.clone(), checkpoint)
    }

    /// One record, its checksum checked.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is damaged, or when no record is there.
    pub fn record(&self, position: RecordPosition) -> Result<Vec<u8>, JournalError> {
        let RecordPosition { segment, offset } = position;
        let (file, _) = segment::open_to_read(&*self.disk, segment)?;
        let path = || self.disk.folder().join(segment_name(segment));
        let damaged = |fault| JournalError::Damaged { path: path(), offset, fault };

        let mut bytes = vec![0; FIRST_READ_BYTES];
        let n_read = file.read_at(&mut bytes, offset).map_err(JournalError::disk("read", path()))?;
        bytes.truncate(n_read);
        let length = record_length(&bytes).ok_or_else(|| damaged(Fault::CutShort))?;
        let n_bytes = RECORD_PREFIX_BYTES + length;
        if bytes.len() < n_bytes {
            // A length that is not a record's must not ask for more memory than the file has bytes.
            let end = file.length().map_err(JournalError::disk("measure", path()))?;
            if end.saturating_sub(offset) < n_bytes as u64 {
                return Err(damaged(Fault::Record));
            }
            bytes.resize(n_bytes, 0);
            let rest = &mut bytes[n_read..];
            let n_rest =
                file.read_at(rest, offset + n_read as u64).map_err(JournalError::disk("read", path()))?;
            bytes.truncate(n_read + n_rest);
        }
        let range = split_record(&bytes).map_err(damaged)?;
        bytes.truncate(range.end);
        bytes.drain(..range.start);
        Ok(bytes)
    }
}

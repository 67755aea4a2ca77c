//! Reading a journal, whoever writes to it.

use std::sync::Arc;

use crate::format::{Kind, segment_name};
use crate::frame::split_records;
use crate::groups::OpenSegment;
use crate::survey::survey;
use crate::{Checkpoint, Disk, Fault, Groups, JournalError, RecordPosition};

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
        let kind = OpenSegment::open(&*disk, 1)?.header.kind;
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

    /// All groups from the first.
    ///
    /// # Errors
    ///
    /// When the first segment cannot be read.
    pub fn groups(&self) -> Result<Groups, JournalError> {
        Groups::from_segment(self.disk.clone(), 1)
    }

    /// The groups behind `checkpoint`, which this journal once gave; should it not be this journal's, the first
    /// group does not continue the hash chain and is an error.
    ///
    /// # Errors
    ///
    /// When the segment of the checkpoint cannot be read.
    pub fn groups_after(&self, checkpoint: &Checkpoint) -> Result<Groups, JournalError> {
        Groups::after(self.disk.clone(), checkpoint)
    }

    /// One record, its group's checksums checked.
    ///
    /// Reads the whole group; what the hash chain says of it is left to [`Reader::groups`].
    ///
    /// # Errors
    ///
    /// When the group cannot be read or is damaged.
    pub fn record(&self, position: RecordPosition) -> Result<Vec<u8>, JournalError> {
        let mut segment = OpenSegment::open(&*self.disk, position.segment)?;
        let (header, payload) = segment.read_known_frame(&*self.disk, position.offset)?;
        let record = split_records(&payload, header.n_records).and_then(|records| {
            let range = records.get(position.record as usize).cloned();
            range.ok_or(Fault::NoSuchRecord { record: position.record })
        });
        match record {
            Ok(range) => Ok(payload[range].to_vec()),
            Err(fault) => {
                let path = self.disk.folder().join(segment_name(position.segment));
                Err(JournalError::Damaged { path, offset: position.offset, fault })
            }
        }
    }
}

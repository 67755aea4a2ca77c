//! Reading a journal, whoever writes to it.

use std::sync::Arc;

use crate::format::Kind;
use crate::locate::{Place, locate};
use crate::pack::Unpacker;
use crate::scan::{SegmentScan, Stop};
use crate::survey::survey;
use crate::{Checkpoint, Disk, Group, Groups, JournalError, RecordPosition};

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
        let survey = survey(&*disk)?;
        if survey.last == 0 {
            return Err(JournalError::Missing { path: disk.folder().into() });
        }
        let kind = SegmentScan::open(&*disk, survey.first)?.header.kind;
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
        let survey = survey(&*self.disk)?;
        let numbers = survey.first..=survey.last;
        numbers.map(|number| SegmentScan::open(&*self.disk, number)?.frames.length()).sum()
    }

    /// All groups from the first that was not forgotten.
    ///
    /// # Errors
    ///
    /// When the first segment cannot be read.
    pub fn groups(&self) -> Result<Groups, JournalError> {
        Groups::from_start(self.disk.clone())
    }

    /// The groups behind `checkpoint`, which this journal once gave: for whoever follows a writer, or keeps what it derived
    /// together with the checkpoint that it stands for and reads only the rest.
    ///
    /// # Errors
    ///
    /// [`JournalError::UnknownCheckpoint`] when it is not this journal's; or when the journal cannot be read there.
    pub fn groups_after(&self, checkpoint: &Checkpoint) -> Result<Groups, JournalError> {
        Groups::after(self.disk.clone(), checkpoint)
    }

    /// Group `sequence`, counted from 1, found without reading the ones before it. Its checksums are checked, and that it
    /// continues the hash chain of the group before it.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoGroup`]; or when it cannot be read or is damaged, which a group that is just being appended
    /// seems to be: ask for those that were acknowledged.
    pub fn group(&self, sequence: u64) -> Result<Group, JournalError> {
        let missing = || JournalError::NoGroup { path: self.disk.folder().into(), sequence };
        if sequence == 0 {
            return Err(missing());
        }
        let Place { mut segment, offset, link } = locate(&*self.disk, sequence)?.ok_or_else(missing)?;
        if sequence <= link.sequence {
            // It was before what is left.
            return Err(missing());
        }
        let number = segment.header.number;
        let read = match segment.frames.read_frame(offset)? {
            Ok((header, stored)) => header
                .check_link(&link, stored)
                .and_then(|()| Group::new(&header, stored, &mut Unpacker::default(), (number, offset))),
            Err(Stop::End) => return Err(missing()),
            Err(Stop::Room(_)) if survey(&*self.disk)?.last <= number => return Err(missing()),
            Err(stop) => Err(stop.fault()),
        };
        read.map_err(|fault| segment.frames.damaged(offset, fault))
    }

    /// One record. It is read with its group: whoever wants several of a group is better served by [`Reader::group`].
    ///
    /// # Errors
    ///
    /// [`JournalError::NoRecord`], and as [`Reader::group`].
    pub fn record(&self, position: RecordPosition) -> Result<Vec<u8>, JournalError> {
        let group = self.group(position.sequence)?;
        let record = group.record(position.index).map(<[u8]>::to_vec);
        record.ok_or_else(|| JournalError::NoRecord {
            path: self.disk.folder().into(),
            position,
            n_records: group.records().len(),
        })
    }
}

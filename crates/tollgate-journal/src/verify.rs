//! Proving that a journal is whole.

use std::sync::Arc;

use crate::attest;
use crate::format::segment_name;
use crate::survey::survey;
use crate::{Checkpoint, Disk, Fault, Group, JournalError, Kind, Reader, Tail};

/// What [`verify`] found, all of it intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What the records are.
    pub kind: Kind,
    /// Files.
    pub n_segments: u64,
    /// Groups.
    pub n_groups: u64,
    /// The first group: those before it were forgotten.
    pub first_sequence: u64,
    /// Records.
    pub n_records: u64,
    /// Bytes of the records.
    pub record_bytes: u64,
    /// The end, with the hash over all groups: whoever noted an earlier one can show that it is still a part.
    pub end: Checkpoint,
    /// What a crash left at the end; opening the journal for writing drops it.
    pub tail: Option<Tail>,
}

/// Checks every frame, checksum and the hash chain of the journal in the folder of `disk`. Changes nothing.
///
/// `visit` is shown each group, with how many bytes of files are covered.
///
/// # Errors
///
/// The first damage, with its file and offset; or when the journal cannot be read.
pub fn verify(disk: &Arc<dyn Disk>, mut visit: impl FnMut(&Group, u64)) -> Result<Verified, JournalError> {
    let reader = match Reader::open(disk.clone()) {
        Err(JournalError::Missing { .. }) if attest::read(&**disk)?.is_some() => {
            let path = disk.folder().join(segment_name(1));
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
        }
        reader => reader?,
    };
    let mut groups = reader.groups()?;
    let first_sequence = groups.checkpoint().sequence + 1;
    let (mut n_groups, mut n_records, mut record_bytes) = (0, 0, 0);
    while let Some(group) = groups.next().transpose()? {
        n_groups += 1;
        for (_, record) in group.records() {
            n_records += 1;
            record_bytes += record.len() as u64;
        }
        visit(&group, groups.n_bytes());
    }
    Ok(Verified {
        kind: reader.kind(),
        n_segments: n_segments(&**disk)?,
        n_groups,
        first_sequence,
        n_records,
        record_bytes,
        end: groups.checkpoint(),
        tail: groups.tail(),
    })
}

fn n_segments(disk: &dyn Disk) -> Result<u64, JournalError> {
    let survey = survey(disk)?;
    Ok(survey.last + 1 - survey.first)
}

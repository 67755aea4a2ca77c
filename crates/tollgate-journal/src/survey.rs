//! Which segments a folder holds.

use crate::format::{NEW_SEGMENT, segment_name, segment_number};
use crate::{Disk, Fault, JournalError};

/// The segments of a journal: those from 1 to `last`, each of them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The highest number; 0 when there is no segment.
    pub(crate) last: u64,
    /// Whether a segment was left under construction.
    pub(crate) has_new_segment: bool,
}

/// Looks which segments there are, by their names alone.
pub(crate) fn survey(disk: &dyn Disk) -> Result<Survey, JournalError> {
    let names = disk.list().map_err(JournalError::disk("list the files of", disk.folder().into()))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    for (&number, expected) in numbers.iter().zip(1..) {
        if number != expected {
            let path = disk.folder().join(segment_name(expected));
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
        }
    }
    let has_new_segment = names.iter().any(|name| name == NEW_SEGMENT);
    Ok(Survey { last: numbers.last().copied().unwrap_or(0), has_new_segment })
}

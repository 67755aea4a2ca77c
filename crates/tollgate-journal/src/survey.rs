//! Which segments a folder holds.

use crate::format::{NEW_COMPACTED, NEW_SEGMENT, segment_number};
use crate::{Disk, JournalError};

/// The segments of a journal, by their names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The highest number; 0 when there is no segment. Those before it are there, or whoever needs them fails.
    pub(crate) last: u64,
    /// What was left under construction.
    pub(crate) leftovers: Vec<&'static str>,
}

/// Looks which segments there are.
pub(crate) fn survey(disk: &dyn Disk) -> Result<Survey, JournalError> {
    let names = disk.list().map_err(JournalError::disk("list the files of", disk.folder().into()))?;
    Ok(Survey {
        last: names.iter().filter_map(|name| segment_number(name)).max().unwrap_or(0),
        leftovers: [NEW_SEGMENT, NEW_COMPACTED]
            .into_iter()
            .filter(|leftover| names.iter().any(|name| name == leftover))
            .collect(),
    })
}

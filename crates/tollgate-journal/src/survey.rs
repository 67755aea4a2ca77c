//! Which segments a folder holds.

use crate::format::{NEW_COMPACTED, NEW_SEGMENT, segment_name, segment_number};
use crate::segment;
use crate::{Disk, JournalError};

/// The segments of a journal, by their names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The highest number; 0 when there is no segment. Those before it are there, or whoever needs them fails.
    pub(crate) last: u64,
    /// The lowest number that belongs to the journal, as the last segment says; 1 when there is none.
    pub(crate) first: u64,
    /// What was left under construction, and segments that were forgotten and not removed.
    pub(crate) leftovers: Vec<String>,
}

/// Looks which segments there are.
pub(crate) fn survey(disk: &dyn Disk) -> Result<Survey, JournalError> {
    let names = disk.list().map_err(JournalError::disk("list the files of", disk.folder().into()))?;
    let numbers = || names.iter().filter_map(|name| segment_number(name));
    let last = numbers().max().unwrap_or(0);
    let first = match last {
        0 | 1 => 1,
        last => segment::open_to_read(disk, last)?.1.oldest,
    };
    let mut forgotten: Vec<u64> = numbers().filter(|&number| number < first).collect();
    forgotten.sort_unstable();
    let unfinished = [NEW_SEGMENT, NEW_COMPACTED].into_iter();
    let unfinished = unfinished.filter(|unfinished| names.iter().any(|name| name == unfinished));
    let leftovers = unfinished.map(str::to_owned).chain(forgotten.into_iter().map(segment_name)).collect();
    Ok(Survey { last, first, leftovers })
}

//! Making one run of several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_journal::Disk;

use super::IndexError;
use super::block::Entry;
use super::run::{Entries, Run, RunWriter, run_name};

/// So many runs of one level become one of the next: more of them are slower to look through, fewer are written more
/// often.
pub(super) const RUNS_PER_LEVEL: usize = 8;

/// The runs that are to be merged next: those of the lowest level that has enough of them, the oldest.
pub(super) fn due(runs: &[Arc<Run>]) -> Option<Vec<Arc<Run>>> {
    let highest = runs.iter().map(|run| run.stated.level).max()?;
    (0..=highest).find_map(|level| {
        let of_level: Vec<_> = runs.iter().filter(|run| run.stated.level == level).take(RUNS_PER_LEVEL).collect();
        (of_level.len() == RUNS_PER_LEVEL).then(|| of_level.into_iter().cloned().collect())
    })
}

/// Merges `inputs`, which have no key in common, into run `number`; `None` when told to stop.
pub(super) fn merge(
    disk: &dyn Disk,
    number: u64,
    inputs: &[Arc<Run>],
    stop: &AtomicBool,
) -> Result<Option<Run>, IndexError> {
    let level = inputs.iter().map(|run| run.stated.level).max().unwrap_or(0).saturating_add(1);
    let n_entries = inputs.iter().map(|run| run.stated.n_entries).sum();
    let mut output = RunWriter::new(disk, number, level, n_entries)?;
    let mut heads = Vec::with_capacity(inputs.len());
    for run in inputs {
        heads.extend(Head::new(run.entries(), run.stated.number)?);
    }
    let mut last = None;
    while let Some(least) = (0..heads.len()).min_by_key(|&head| heads[head].entry.0) {
        let entry = heads[least].entry;
        if last == Some(entry.0) {
            return Err(IndexError::Damaged { file: run_name(heads[least].number), offset: 0 });
        }
        last = Some(entry.0);
        output.push(entry)?;
        if !heads[least].advance()? {
            heads.swap_remove(least);
            // Often enough, and far too seldom to cost anything.
        } else if entry.0.0 & 0xFFF == 0 && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    output.finish().map(Some)
}

/// The next entry of a run.
struct Head {
    entry: Entry,
    rest: Entries,
    number: u64,
}

impl Head {
    fn new(mut entries: Entries, number: u64) -> Result<Option<Self>, IndexError> {
        Ok(entries.next().transpose()?.map(|entry| Self { entry, rest: entries, number }))
    }

    /// `false` at the end of the run.
    fn advance(&mut self) -> Result<bool, IndexError> {
        let Some(entry) = self.rest.next().transpose()? else { return Ok(false) };
        self.entry = entry;
        Ok(true)
    }
}

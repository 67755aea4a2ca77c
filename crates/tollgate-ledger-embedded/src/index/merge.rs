//! Making one run of several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec;

use tollgate_journal::Disk;

use super::IndexError;
use super::block::Entry;
use super::pace::Pace;
use super::rollup_run::RollupRun;
use super::run::{Entries, Run, RunWriter};
use super::shelf::Runs;

/// So many runs of one level become one of the next: more of them are slower to look through, fewer are written more
/// often.
const RUNS_PER_LEVEL: usize = 8;

/// With so many of one level, those that are being merged among them, merging does not keep up.
const BEHIND_FROM: usize = RUNS_PER_LEVEL + RUNS_PER_LEVEL / 2;

/// What is to be merged next.
#[derive(Debug)]
pub(super) enum Due {
    Ids(Vec<Arc<Run>>),
    Rollups(Vec<Arc<RollupRun>>),
}

impl Due {
    /// Of all their files.
    pub(super) fn n_bytes(&self) -> u64 {
        match self {
            Self::Ids(runs) => runs.iter().map(|run| run.n_bytes()).sum(),
            Self::Rollups(runs) => runs.iter().map(|run| run.n_bytes()).sum(),
        }
    }
}

/// The runs that are to be merged next: those of the lowest level that has enough of them, the oldest.
pub(super) fn due(runs: &Runs) -> Option<Due> {
    let ids = of_one_level(&runs.ids, RUNS_PER_LEVEL, |run| run.stated.level).map(Due::Ids);
    ids.or_else(|| of_one_level(&runs.rollups, RUNS_PER_LEVEL, |run| run.stated.level).map(Due::Rollups))
}

/// Whether merging is slower than what comes.
pub(super) fn is_behind(runs: &Runs) -> bool {
    of_one_level(&runs.ids, BEHIND_FROM, |run| run.stated.level).is_some()
        || of_one_level(&runs.rollups, BEHIND_FROM, |run| run.stated.level).is_some()
}

/// The first `n_runs` of the lowest level that has as many.
fn of_one_level<R>(runs: &[Arc<R>], n_runs: usize, level_of: impl Fn(&R) -> u8) -> Option<Vec<Arc<R>>> {
    let highest = runs.iter().map(|run| level_of(run)).max()?;
    (0..=highest).find_map(|level| {
        let of_level = runs.iter().filter(|run| level_of(run) == level).take(n_runs);
        let of_level: Vec<_> = of_level.cloned().collect();
        (of_level.len() == n_runs).then_some(of_level)
    })
}

/// Merges `inputs` into run `number`; `None` when told to stop.
pub(super) fn merge(
    disk: &dyn Disk,
    number: u64,
    inputs: &[Arc<Run>],
    stop: &AtomicBool,
    pace: &Pace<'_>,
) -> Result<Option<Run>, IndexError> {
    let level = inputs.iter().map(|run| run.stated.level).max().unwrap_or(0).saturating_add(1);
    let n_entries = inputs.iter().map(|run| run.stated.n_entries).sum();
    let mut output = RunWriter::new(disk, number, level, n_entries, pace)?;
    for (n_merged, entry) in Merged::new(inputs, Vec::new())?.enumerate() {
        output.push(entry?)?;
        if n_merged % 4096 == 0 && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    output.finish().map(Some)
}

/// The entries of several sources in the order of their keys. A key that comes twice is an error.
pub(super) struct Merged {
    heads: Vec<Head>,
    last: Option<Entry>,
}

/// The next entry of a source, and what follows.
struct Head {
    entry: Entry,
    rest: Source,
}

enum Source {
    Run(Entries),
    Memory(vec::IntoIter<Entry>),
}

impl Source {
    fn next(&mut self) -> Option<Result<Entry, IndexError>> {
        match self {
            Self::Run(entries) => entries.next(),
            Self::Memory(entries) => entries.next().map(Ok),
        }
    }
}

impl Merged {
    pub(super) fn new(runs: &[Arc<Run>], memory: Vec<Vec<Entry>>) -> Result<Self, IndexError> {
        let runs = runs.iter().map(|run| Source::Run(run.entries()));
        let memory = memory.into_iter().map(|entries| Source::Memory(entries.into_iter()));
        let heads = runs.chain(memory).filter_map(|mut rest| {
            let entry = rest.next()?;
            Some(entry.map(|entry| Head { entry, rest }))
        });
        Ok(Self { heads: heads.collect::<Result<_, _>>()?, last: None })
    }

    fn advance(&mut self) -> Result<Option<Entry>, IndexError> {
        let Some(least) = (0..self.heads.len()).min_by_key(|&head| self.heads[head].entry.0) else {
            return Ok(None);
        };
        let head = &mut self.heads[least];
        let entry = head.entry;
        match head.rest.next().transpose()? {
            Some(next) => head.entry = next,
            None => drop(self.heads.swap_remove(least)),
        }
        match self.last.replace(entry) {
            Some((last, _)) if entry.0 <= last => {
                Err(IndexError::Damaged { file: "the runs".to_owned(), offset: 0 })
            }
            _ => Ok(Some(entry)),
        }
    }
}

impl Iterator for Merged {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_level_with_as_many_runs_is_taken_and_its_first() {
        let runs: Vec<Arc<(u8, u32)>> =
            [(1, 0), (0, 1), (1, 2), (2, 3), (1, 4), (0, 5)].map(Arc::new).into_iter().collect();
        for (n_runs, expected) in
            [(1, Some(vec![1])), (2, Some(vec![1, 5])), (3, Some(vec![0, 2, 4])), (4, None)]
        {
            let taken = of_one_level(&runs, n_runs, |run| run.0);
            let numbers = taken.map(|taken| taken.iter().map(|run| run.1).collect::<Vec<_>>());
            assert_eq!(numbers, expected, "{n_runs}");
        }
        assert!(of_one_level(&runs[..0], 1, |run| run.0).is_none());
    }
}

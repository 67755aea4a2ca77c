//! Making one run of rollups of several.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec;

use tollgate_journal::Disk;
use tollgate_rules::Rollup;

use super::IndexError;
use super::cell::Cell;
use super::pace::Pace;
use super::rollup_block::decode;
use super::rollup_run::{RollupEntries, RollupRun, RollupWriter};

/// Merges `inputs` into run `number`; `None` when told to stop.
pub(super) fn merge_rollups(
    disk: &dyn Disk,
    number: u64,
    inputs: &[Arc<RollupRun>],
    stop: &AtomicBool,
    pace: &Pace<'_>,
) -> Result<Option<RollupRun>, IndexError> {
    let level = inputs.iter().map(|run| run.stated.level).max().unwrap_or(0).saturating_add(1);
    let mut output = RollupWriter::new(disk, number, level, pace)?;
    let mut merged = MergedRollups::new(inputs, Vec::new())?;
    for n_merged in 0_u64.. {
        let Some((cell, rollup)) = merged.next()? else { break };
        output.push_encoded(cell, rollup)?;
        if n_merged % 4096 == 0 && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    output.finish().map(Some)
}

/// The rollups of several sources in the order of their cells, those of one cell as one.
pub(super) struct MergedRollups {
    heads: Vec<Head>,
    /// As it is encoded, the one that was given last.
    rollup: Vec<u8>,
}

/// The next rollup of a source, and what follows.
struct Head {
    cell: Cell,
    rollup: Vec<u8>,
    rest: Source,
}

enum Source {
    Run(RollupEntries),
    Memory(vec::IntoIter<(Cell, Rollup)>),
}

impl Source {
    fn next(&mut self, rollup: &mut Vec<u8>) -> Result<Option<Cell>, IndexError> {
        match self {
            Self::Run(entries) => entries.next(rollup),
            Self::Memory(rollups) => Ok(rollups.next().map(|(cell, next)| {
                rollup.clear();
                next.encode(rollup);
                cell
            })),
        }
    }
}

impl MergedRollups {
    pub(super) fn new(runs: &[Arc<RollupRun>], memory: Vec<Vec<(Cell, Rollup)>>) -> Result<Self, IndexError> {
        let runs = runs.iter().map(|run| Source::Run(RollupEntries::new(run.clone())));
        let memory = memory.into_iter().map(|rollups| Source::Memory(rollups.into_iter()));
        let mut heads = Vec::new();
        for mut rest in runs.chain(memory) {
            let mut rollup = Vec::new();
            if let Some(cell) = rest.next(&mut rollup)? {
                heads.push(Head { cell, rollup, rest });
            }
        }
        Ok(Self { heads, rollup: Vec::new() })
    }

    /// The next one, as it is encoded.
    pub(super) fn next(&mut self) -> Result<Option<(Cell, &[u8])>, IndexError> {
        let Some(cell) = self.heads.iter().map(|head| head.cell).min() else { return Ok(None) };
        let mut several: Option<Rollup> = None;
        let mut n_found = 0;
        let mut at = 0;
        while at < self.heads.len() {
            let head = &mut self.heads[at];
            if head.cell != cell {
                at += 1;
                continue;
            }
            n_found += 1;
            if 1 < n_found {
                let damaged = || IndexError::Damaged { file: "the rollups".to_owned(), offset: 0 };
                let before = several.map_or_else(|| decode(cell, &self.rollup), Some);
                let mut sum = before.ok_or_else(damaged)?;
                sum.merge(&decode(cell, &head.rollup).ok_or_else(damaged)?);
                several = Some(sum);
            } else {
                mem::swap(&mut self.rollup, &mut head.rollup);
            }
            match head.rest.next(&mut head.rollup)? {
                Some(next) if cell < next => {
                    head.cell = next;
                    at += 1;
                }
                Some(_) => return Err(IndexError::Damaged { file: "the rollups".to_owned(), offset: 0 }),
                None => drop(self.heads.swap_remove(at)),
            }
        }
        if let Some(sum) = several {
            self.rollup.clear();
            sum.encode(&mut self.rollup);
        }
        Ok(Some((cell, &self.rollup)))
    }
}

//! The folder of the index: its runs, and the checkpoint that says which they are.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tollgate_journal::{Checkpoint, Disk};
use tracing::warn;

use super::block::Known;
use super::checkpoint::{self, Stored};
use super::merge::{Due, due, merge};
use super::pace::Pace;
use super::recent::Recent;
use super::rollup_merge::merge_rollups;
use super::rollup_run::{RollupRun, RollupWriter, rollup_run_name};
use super::rollups::Rollups;
use super::run::{Run, RunWriter, run_name};
use super::{IndexError, Key, KeyMaker};

/// What is on the disk. All of it can be thrown away.
#[derive(Debug)]
pub(super) struct Shelf {
    disk: Arc<dyn Disk>,
    runs: RwLock<Arc<Runs>>,
    /// As the checkpoint file has it; locked while it is written.
    stored: Mutex<Stored>,
    next_run: AtomicU64,
    /// Whether the next start is to build it anew.
    is_given_up: AtomicBool,
}

/// What can be looked into.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    pub(super) ids: Vec<Arc<Run>>,
    pub(super) rollups: Vec<Arc<RollupRun>>,
    /// The group up to which they cover the journal, all of them together.
    pub(super) sequence: u64,
}

/// What is written together with a run: how far the journal is covered, and what else was derived from it up to there.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) journal: Checkpoint,
    pub(super) facts: Vec<u8>,
}

impl Shelf {
    /// Opens what is stored, without changing it; `None` when there is nothing.
    pub(super) fn open(disk: Arc<dyn Disk>) -> Result<Option<(Self, Stored)>, IndexError> {
        let Some(stored) = checkpoint::read(&*disk)? else { return Ok(None) };
        let ids = stored.runs.iter().map(|&stated| Run::open(&*disk, stated).map(Arc::new));
        let rollups = stored.rollups.iter().map(|&stated| RollupRun::open(&*disk, stated).map(Arc::new));
        let runs = Runs {
            ids: ids.collect::<Result<_, _>>()?,
            rollups: rollups.collect::<Result<_, _>>()?,
            sequence: stored.sequence,
        };
        let shelf = Self {
            disk,
            runs: RwLock::new(Arc::new(runs)),
            next_run: AtomicU64::new(stored.next_run),
            stored: Mutex::new(stored.clone()),
            is_given_up: AtomicBool::new(false),
        };
        Ok(Some((shelf, stored)))
    }

    /// Begins anew: whatever is stored is gone first.
    pub(super) fn create(disk: Arc<dyn Disk>, keys: KeyMaker) -> Result<Self, IndexError> {
        checkpoint::remove(&*disk)?;
        Ok(Self {
            disk,
            runs: RwLock::default(),
            stored: Mutex::new(Stored::new(keys)),
            next_run: AtomicU64::new(1),
            is_given_up: AtomicBool::new(false),
        })
    }

    /// Removes the files that no checkpoint states: what a crash left, or an index that was given up.
    pub(super) fn tidy(&self) -> Result<(), IndexError> {
        let stored = self.stored();
        let ids = stored.runs.iter().map(|run| run_name(run.number));
        let rollups = stored.rollups.iter().map(|run| rollup_run_name(run.number));
        let stated: HashSet<String> = ids.chain(rollups).collect();
        drop(stored);
        let names = self.disk.list().map_err(IndexError::disk("list", "the folder"))?;
        let is_run = |name: &str| name.ends_with(".run") || name.ends_with(".rollups");
        let is_left_over =
            |name: &&String| (is_run(name) && !stated.contains(*name)) || name.starts_with("new-");
        for name in names.iter().filter(is_left_over) {
            self.remove(name);
        }
        Ok(())
    }

    pub(super) fn runs(&self) -> Arc<Runs> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_run(&self) -> u64 {
        self.next_run.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes entries and rollups as a run of each, and that they are there.
    pub(super) fn put(
        &self,
        entries: &Recent,
        rollups: &Rollups,
        snapshot: &Snapshot,
        pace: &Pace<'_>,
    ) -> Result<(), IndexError> {
        let Checkpoint { sequence, chain } = snapshot.journal;
        let (mut ids, mut of_rollups) = (None, None);
        if 0 < entries.len() {
            ids = Some(self.write_ids(entries, pace)?);
        }
        if 0 < rollups.len() {
            let written = self.write_rollups(rollups, pace);
            of_rollups = Some(written.inspect_err(|_| ids.iter().for_each(|run| self.discard(run)))?);
        }
        let names = ids.iter().map(|run| run_name(run.stated.number));
        let names: Vec<_> =
            names.chain(of_rollups.iter().map(|run| rollup_run_name(run.stated.number))).collect();
        self.change(&names, |runs, stored| {
            runs.ids.splice(0..0, ids.map(Arc::new));
            runs.rollups.splice(0..0, of_rollups.map(Arc::new));
            stored.sequence = sequence;
            stored.chain = chain;
            stored.facts.clone_from(&snapshot.facts);
        })
    }

    fn write_ids(&self, entries: &Recent, pace: &Pace<'_>) -> Result<Run, IndexError> {
        let number = self.next_run();
        let write = || {
            let mut writer = RunWriter::new(&*self.disk, number, 0, entries.len() as u64, pace)?;
            entries.sorted(pace).try_for_each(|entry| writer.push(entry))?;
            writer.finish()
        };
        write().inspect_err(|_| self.remove(&run_name(number)))
    }

    fn write_rollups(&self, rollups: &Rollups, pace: &Pace<'_>) -> Result<RollupRun, IndexError> {
        let number = self.next_run();
        let write = || {
            let mut writer = RollupWriter::new(&*self.disk, number, 0, pace)?;
            rollups.sorted().into_iter().try_for_each(|(cell, rollup)| writer.push(cell, rollup))?;
            writer.finish()
        };
        write().inspect_err(|_| self.remove(&rollup_run_name(number)))
    }

    fn discard(&self, run: &Run) {
        self.remove(&run_name(run.stated.number));
    }

    /// Merges as long as there is something to merge, and room for both forms of it beside `free_bytes_min`.
    pub(super) fn merge_all(
        &self,
        stop: &AtomicBool,
        free_bytes_min: u64,
        pace: &Pace<'_>,
    ) -> Result<(), IndexError> {
        while let Some(due) = due(&self.runs()) {
            let room = self.disk.room().map_err(IndexError::disk("look for room", "for runs"))?;
            let needed = due.n_bytes();
            if room.free_bytes < free_bytes_min.saturating_add(needed) {
                return Err(IndexError::no_room(needed));
            }
            let is_done = match due {
                Due::Ids(inputs) => self.merge_ids(&inputs, stop, pace)?,
                Due::Rollups(inputs) => self.merge_rollups(&inputs, stop, pace)?,
            };
            if !is_done {
                break;
            }
        }
        Ok(())
    }

    /// `false` when told to stop.
    fn merge_ids(&self, inputs: &[Arc<Run>], stop: &AtomicBool, pace: &Pace<'_>) -> Result<bool, IndexError> {
        let number = self.next_run();
        let merged = merge(&*self.disk, number, inputs, stop, pace);
        let name = run_name(number);
        let Some(output) = merged.inspect_err(|_| self.remove(&name))? else {
            self.remove(&name);
            return Ok(false);
        };
        self.change(&[name], |runs, _| replace(&mut runs.ids, inputs, output))?;
        inputs.iter().for_each(|run| self.remove(&run_name(run.stated.number)));
        Ok(true)
    }

    /// As [`Shelf::merge_ids`].
    fn merge_rollups(
        &self,
        inputs: &[Arc<RollupRun>],
        stop: &AtomicBool,
        pace: &Pace<'_>,
    ) -> Result<bool, IndexError> {
        let number = self.next_run();
        let merged = merge_rollups(&*self.disk, number, inputs, stop, pace);
        let name = rollup_run_name(number);
        let Some(output) = merged.inspect_err(|_| self.remove(&name))? else {
            self.remove(&name);
            return Ok(false);
        };
        self.change(&[name], |runs, _| replace(&mut runs.rollups, inputs, output))?;
        inputs.iter().for_each(|run| self.remove(&rollup_run_name(run.stated.number)));
        Ok(true)
    }

    /// Writes a checkpoint with what is changed, then lets lookups see the runs that it states. The files `added` are of no use
    /// when it cannot be written.
    fn change(
        &self,
        added: &[String],
        change: impl FnOnce(&mut Runs, &mut Stored),
    ) -> Result<(), IndexError> {
        let mut stored = self.stored();
        let (mut runs, mut changed) = (Runs::clone(&self.runs()), stored.clone());
        change(&mut runs, &mut changed);
        runs.sequence = changed.sequence;
        changed.runs = runs.ids.iter().map(|run| run.stated).collect();
        changed.rollups = runs.rollups.iter().map(|run| run.stated).collect();
        changed.next_run = self.next_run.load(Ordering::SeqCst);
        if self.is_given_up.load(Ordering::SeqCst) {
            return Err(IndexError::GivenUp);
        }
        // What a full disk has of it must not be what keeps it full.
        let written = checkpoint::write(&*self.disk, &changed);
        written.inspect_err(|_| added.iter().for_each(|name| self.remove(name)))?;
        checkpoint::publish(&*self.disk)?;
        *stored = changed;
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(runs);
        Ok(())
    }

    /// The next start is to build the index anew.
    pub(super) fn give_up(&self) {
        // Not while a checkpoint is being written, and none after this.
        let _stored = self.stored();
        self.is_given_up.store(true, Ordering::SeqCst);
        if let Err(error) = checkpoint::remove(&*self.disk) {
            warn!(%error, "a damaged index could not be removed: remove its folder before the next start");
        }
    }

    fn remove(&self, name: &str) {
        // Another time will do: it is removed at the next start.
        if let Err(error) = self.disk.remove(name) {
            warn!(name, %error, "a file of the index that is of no more use could not be removed");
        }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts `output` in the place of `inputs`.
fn replace<R>(runs: &mut Vec<Arc<R>>, inputs: &[Arc<R>], output: R) {
    runs.retain(|run| !inputs.iter().any(|input| Arc::ptr_eq(input, run)));
    runs.insert(0, Arc::new(output));
}

/// Looks for a key in runs.
pub(super) fn find(runs: &Runs, key: Key) -> Result<Option<Known>, IndexError> {
    let mut found = [None];
    find_missing(runs, &[key], &mut found)?;
    let [found] = found;
    Ok(found)
}

/// Looks for the keys for which nothing is found yet.
pub(super) fn find_missing(runs: &Runs, keys: &[Key], found: &mut [Option<Known>]) -> Result<(), IndexError> {
    let mut missing: Vec<usize> = (0..keys.len()).filter(|&place| found[place].is_none()).collect();
    let mut hits = Vec::new();
    for run in &runs.ids {
        hits.clear();
        run.may_have(keys, &missing, &mut hits);
        for &place in &hits {
            found[place] = run.find(keys[place])?;
        }
        if hits.iter().any(|&place| found[place].is_some()) {
            missing.retain(|&place| found[place].is_none());
        }
    }
    Ok(())
}

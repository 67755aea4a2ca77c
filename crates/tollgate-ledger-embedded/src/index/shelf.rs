//! The folder of the index: its runs, and the checkpoint that says which they are.

use std::collections::HashSet;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tollgate_journal::{Checkpoint, Disk};
use tracing::warn;

use super::block::{Entry, Known};
use super::checkpoint::{self, Stored};
use super::filter::Probe;
use super::merge::{due, merge};
use super::run::{Run, RunWriter, run_name};
use super::{IndexError, Key, KeyMaker};

/// What is on the disk. All of it can be thrown away.
#[derive(Debug)]
pub(super) struct Shelf {
    disk: Arc<dyn Disk>,
    runs: RwLock<Runs>,
    /// As the checkpoint file has it; locked while it is written.
    stored: Mutex<Stored>,
    next_run: AtomicU64,
    /// Whether the next start is to build it anew.
    is_given_up: AtomicBool,
}

pub(super) type Runs = Arc<Vec<Arc<Run>>>;

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
        let runs: Result<Vec<_>, _> =
            stored.runs.iter().map(|&stated| Run::open(&*disk, stated).map(Arc::new)).collect();
        let shelf = Self {
            disk,
            runs: RwLock::new(Arc::new(runs?)),
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
        let stated: HashSet<String> = self.stored().runs.iter().map(|run| run_name(run.number)).collect();
        let names = self.disk.list().map_err(IndexError::disk("list", "the folder"))?;
        let is_left_over =
            |name: &&String| (name.ends_with(".run") && !stated.contains(*name)) || name.starts_with("new-");
        for name in names.iter().filter(is_left_over) {
            self.remove(name);
        }
        Ok(())
    }

    pub(super) fn runs(&self) -> Runs {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_run(&self) -> u64 {
        self.next_run.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes entries as a run, and that it is there.
    pub(super) fn put(&self, entries: &[Entry], snapshot: &Snapshot) -> Result<(), IndexError> {
        let number = self.next_run();
        let write = || {
            let mut writer = RunWriter::new(&*self.disk, number, 0, entries.len() as u64)?;
            entries.iter().try_for_each(|&entry| writer.push(entry))?;
            writer.finish()
        };
        let added = write().inspect_err(|_| self.remove(&run_name(number)))?;
        let Checkpoint { sequence, chain } = snapshot.journal;
        self.change(Arc::new(added), &[], |stored| {
            stored.sequence = sequence;
            stored.chain = chain;
            stored.facts.clone_from(&snapshot.facts);
        })
    }

    /// Merges as long as there is something to merge, and room for both forms of it beside `free_bytes_min`.
    pub(super) fn merge_all(&self, stop: &AtomicBool, free_bytes_min: u64) -> Result<(), IndexError> {
        while let Some(inputs) = due(&self.runs()) {
            let room = self.disk.room().map_err(IndexError::disk("look for room", "for runs"))?;
            let needed = inputs.iter().map(|run| run.n_bytes()).sum::<u64>();
            if room.free_bytes < free_bytes_min.saturating_add(needed) {
                return Err(IndexError::no_room(needed));
            }
            let number = self.next_run();
            let output = match merge(&*self.disk, number, &inputs, stop) {
                Ok(Some(output)) => output,
                unfinished => {
                    self.remove(&run_name(number));
                    return unfinished.map(drop);
                }
            };
            self.change(Arc::new(output), &inputs, |_| {})?;
            for run in &inputs {
                self.remove(&run_name(run.stated.number));
            }
        }
        Ok(())
    }

    /// Writes a checkpoint with `added` and without `removed`, then lets lookups see the runs that it states.
    fn change(
        &self,
        added: Arc<Run>,
        removed: &[Arc<Run>],
        change: impl FnOnce(&mut Stored),
    ) -> Result<(), IndexError> {
        let mut stored = self.stored();
        let is_kept = |run: &&Arc<Run>| !removed.iter().any(|removed| Arc::ptr_eq(removed, run));
        let kept: Vec<_> = self.runs().iter().filter(is_kept).cloned().collect();
        let name = run_name(added.stated.number);
        let runs: Vec<_> = iter::once(added).chain(kept).collect();
        let mut changed = stored.clone();
        change(&mut changed);
        changed.runs = runs.iter().map(|run| run.stated).collect();
        changed.next_run = self.next_run.load(Ordering::SeqCst);
        if self.is_given_up.load(Ordering::SeqCst) {
            return Err(IndexError::GivenUp);
        }
        // What a full disk has of it must not be what keeps it full.
        checkpoint::write(&*self.disk, &changed).inspect_err(|_| self.remove(&name))?;
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

/// Looks for a key in runs.
pub(super) fn find(runs: &Runs, key: Key) -> Result<Option<Known>, IndexError> {
    let mut found = [None];
    find_missing(runs, &[key], &mut found)?;
    let [found] = found;
    Ok(found)
}

/// Looks for the keys for which nothing is found yet.
///
/// Run by run, and not key by key: a filter is larger than the processor's cache, and so the next look into it does
/// not wait for the one before.
pub(super) fn find_missing(runs: &Runs, keys: &[Key], found: &mut [Option<Known>]) -> Result<(), IndexError> {
    let missing = found.iter().enumerate().filter(|(_, known)| known.is_none());
    let mut probes: Vec<(usize, Probe)> = missing.map(|(at, _)| (at, Probe::new(keys[at]))).collect();
    let mut hits = Vec::new();
    for run in runs.iter() {
        hits.clear();
        hits.extend(probes.iter().filter(|(_, probe)| run.may_have(probe)).map(|(at, _)| *at));
        for &at in &hits {
            found[at] = run.find(keys[at])?;
        }
        if hits.iter().any(|&at| found[at].is_some()) {
            probes.retain(|(at, _)| found[*at].is_none());
        }
    }
    Ok(())
}

//! The folder of the index: its runs, and the checkpoint that says which they are.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tollgate_journal::{Checkpoint, Disk};
use tracing::warn;

use super::block::{Entry, Known};
use super::checkpoint::{self, Stored};
use super::run::{Run, RunWriter, run_name};
use super::{IndexError, Key, KeyMaker};

/// What is on the disk. All of it can be thrown away.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) disk: Arc<dyn Disk>,
    runs: RwLock<Runs>,
    /// As the checkpoint file has it; locked while it is written.
    stored: Mutex<Stored>,
    next_run: AtomicU64,
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

    pub(super) fn next_run(&self) -> u64 {
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
        // What a full disk has left of it must not be what keeps it full.
        let added = write().inspect_err(|_| self.remove(&run_name(number)))?;
        let mut stored = self.stored();
        let runs: Vec<_> = self.runs().iter().cloned().chain([Arc::new(added)]).collect();
        let Checkpoint { sequence, chain } = snapshot.journal;
        let changed = Stored { sequence, chain, facts: snapshot.facts.clone(), ..stored.clone() };
        self.state(&mut stored, changed, runs)
    }

    /// Puts `output` in the place of the runs that it was merged from.
    pub(super) fn replace(&self, inputs: &[Arc<Run>], output: Run) -> Result<(), IndexError> {
        let is_input = |run: &Arc<Run>| inputs.iter().any(|input| Arc::ptr_eq(input, run));
        let mut stored = self.stored();
        let kept = self.runs().iter().filter(|run| !is_input(run)).cloned().collect::<Vec<_>>();
        let runs = std::iter::once(Arc::new(output)).chain(kept).collect();
        let changed = stored.clone();
        self.state(&mut stored, changed, runs)?;
        drop(stored);
        for run in inputs {
            self.remove(&run_name(run.stated.number));
        }
        Ok(())
    }

    /// Writes the checkpoint, then lets lookups see the runs that it states.
    fn state(&self, stored: &mut Stored, mut changed: Stored, runs: Vec<Arc<Run>>) -> Result<(), IndexError> {
        changed.runs = runs.iter().map(|run| run.stated).collect();
        changed.next_run = self.next_run.load(Ordering::SeqCst);
        checkpoint::write(&*self.disk, &changed)?;
        *stored = changed;
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(runs);
        Ok(())
    }

    /// The next start is to build the index anew.
    pub(super) fn give_up(&self) {
        if let Err(error) = checkpoint::remove(&*self.disk) {
            warn!(%error, "a damaged index could not be removed: remove its folder before the next start");
        }
    }

    pub(super) fn remove(&self, name: &str) {
        // Another time will do: it is removed at the next start.
        if let Err(error) = self.disk.remove(name) {
            warn!(name, %error, "a file of the index that is of no more use could not be removed");
        }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for keys in runs.
pub(super) fn find(runs: &Runs, key: Key) -> Result<Option<Known>, IndexError> {
    for run in runs.iter().filter(|run| run.may_have(key)) {
        if let Some(known) = run.find(key)? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// Looks for the keys for which nothing is found yet.
///
/// Run by run, and not key by key: a filter is larger than the processor's cache, and so the next look into it does
/// not wait for the one before.
pub(super) fn find_missing(runs: &Runs, keys: &[Key], found: &mut [Option<Known>]) -> Result<(), IndexError> {
    let mut hits = Vec::new();
    for run in runs.iter() {
        hits.clear();
        hits.extend((0..keys.len()).filter(|&at| found[at].is_none() && run.may_have(keys[at])));
        for &at in &hits {
            found[at] = run.find(keys[at])?;
        }
    }
    Ok(())
}

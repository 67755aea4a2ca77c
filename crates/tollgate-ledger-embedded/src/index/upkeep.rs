//! Keeps the index small in memory, beside the recording.
//!
//! One thread writes runs, another merges them, so that a long merge never keeps what is new in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tollgate_journal::Checkpoint;
use tollgate_ledger::chain;
use tracing::warn;

use super::merge::{due, is_behind};
use super::pace::Pace;
use super::{Index, IndexError};

/// How long it waits before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Who writes the index to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpkeepMode {
    /// Threads of its own.
    Threads,
    /// Whoever records: everything happens in one order, the same in each run.
    Inline,
}

/// Sees to it that an index has a bounded number of entries in memory.
#[derive(Debug)]
pub(crate) struct Upkeep {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    mode: UpkeepMode,
}

#[derive(Debug)]
struct Shared {
    index: Arc<Index>,
    free_bytes_min: u64,
    /// Entries that make a run. Twice as many may be in memory besides those that are being written.
    run_entries: usize,
    /// Guards nothing but the waiting: whoever changes what is waited for holds it meanwhile.
    turn: Mutex<()>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Upkeep {
    /// `free_bytes_min` is what merging leaves free on the disk; runs themselves are small, and may take of it.
    pub(crate) fn start(
        index: Arc<Index>,
        mode: UpkeepMode,
        run_entries: usize,
        free_bytes_min: u64,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            index,
            free_bytes_min,
            run_entries,
            turn: Mutex::default(),
            changed: Condvar::new(),
            stop: false.into(),
        });
        let mut upkeep = Self { shared, threads: Vec::new(), mode };
        if mode == UpkeepMode::Threads {
            upkeep.spawn("index-writer", Shared::write_runs)?;
            upkeep.spawn("index-merger", Shared::merge_runs)?;
        }
        Ok(upkeep)
    }

    fn spawn(&mut self, name: &str, work: fn(&Shared)) -> std::io::Result<()> {
        let shared = self.shared.clone();
        let work = move || {
            let watch = Watch(&shared);
            work(watch.0);
        };
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// Before a group is recorded: there is room in memory for what it adds.
    pub(crate) fn make_room(&self) -> Result<(), IndexError> {
        let Shared { index, run_entries, .. } = &*self.shared;
        match self.mode {
            UpkeepMode::Inline if index.is_crowded(*run_entries) => index.write_run(&Pace::fastest())?,
            UpkeepMode::Inline => {}
            UpkeepMode::Threads => {
                let mut turn = self.shared.turn();
                while index.is_crowded(*run_entries) && index.trouble().is_none() {
                    turn = self.shared.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        match index.trouble() {
            // Nothing can be written just now, but there is room in memory.
            Some(error) if error.may_pass() && !index.is_crowded(*run_entries) => Ok(()),
            trouble => trouble.map_or(Ok(()), Err),
        }
    }

    /// After a group was added to the index, which covers the journal up to `journal` now.
    ///
    /// What goes wrong here is said by the next [`Upkeep::make_room`]: the group is durable.
    pub(crate) fn look_after(&self, journal: Checkpoint) {
        if !self.shared.index.freeze(journal, self.shared.run_entries) {
            return;
        }
        match self.mode {
            UpkeepMode::Threads => self.shared.notify(),
            UpkeepMode::Inline => {
                // Each notes what fails.
                let Shared { index, stop, free_bytes_min, .. } = &*self.shared;
                let pace = Pace::fastest();
                let _: Result<(), IndexError> =
                    index.write_run(&pace).and_then(|()| index.merge_all(stop, *free_bytes_min, &pace));
            }
        }
    }

    /// Writes what is in memory, so that the next start need not read the journal for it, and ends.
    pub(crate) fn close(mut self, journal: Checkpoint) -> Result<(), IndexError> {
        self.end_threads();
        let index = &self.shared.index;
        if let Some(trouble) = index.trouble().filter(|trouble| !trouble.may_pass()) {
            return Err(trouble);
        }
        index.write_run(&Pace::fastest())?;
        index.freeze_all(journal);
        index.write_run(&Pace::fastest())
    }

    fn end_threads(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.notify();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            thread.join().ok();
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.end_threads();
    }
}

/// Says so when its thread panics: recording would wait for it for ever.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.index.give_up();
            self.0.notify();
        }
    }
}

impl Shared {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        drop(self.turn());
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Waits until there is `something` to do; `false` when told to stop.
    fn wait_for(&self, something: impl Fn(&Index) -> bool) -> bool {
        let mut turn = self.turn();
        while !self.is_stopped() && !something(&self.index) {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        !self.is_stopped()
    }

    fn write_runs(&self) {
        let mut is_waiting = false;
        let is_late = || self.is_stopped() || self.index.is_filling(self.run_entries);
        while self.wait_for(|index| index.live().frozen.is_some()) {
            let written = self.index.write_run(&Pace::new(&is_late));
            self.notify();
            match written {
                Ok(()) => is_waiting = false,
                Err(error) if error.may_pass() => self.wait(&error, &mut is_waiting),
                Err(_) => return,
            }
        }
    }

    fn merge_runs(&self) {
        let mut is_waiting = false;
        let is_late = || self.is_stopped() || is_behind(&self.index.shelf.runs());
        while self.wait_for(|index| due(&index.shelf.runs()).is_some()) {
            match self.index.merge_all(&self.stop, self.free_bytes_min, &Pace::new(&is_late)) {
                Ok(()) => is_waiting = false,
                Err(error) if error.is_damage() => {
                    self.notify();
                    return;
                }
                // Without merging lookups are slower, and nothing else.
                Err(error) => self.wait(&error, &mut is_waiting),
            }
        }
    }

    fn wait(&self, error: &IndexError, is_waiting: &mut bool) {
        if !std::mem::replace(is_waiting, true) {
            warn!(error = %chain(error), "the index cannot be written just now, and it is tried again");
        }
        let turn = self.turn();
        if !self.is_stopped() {
            drop(self.changed.wait_timeout(turn, PAUSE));
        }
    }
}

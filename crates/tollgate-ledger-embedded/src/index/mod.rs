//! What is derived from the journal, and can be thrown away.
//!
//! Ids are insert-only: a batch, once recorded, is known for ever. The newest are in memory (`recent`); whenever there are
//! enough of them they are written as one sorted run (`run`, made of `block`s, with a `filter` that stays in memory),
//! and runs of one size are merged into one of the next (`merge`). What readings come to by series and hour is kept in the same
//! way: in memory (`rollups`), in runs (`rollup_run`, made of `rollup_block`s) and merged (`rollup_merge`), where those of one
//! `cell`, which is a series and an hour, become one. Models, series and their totals (`catalogue`) and what operators decided
//! (`acts`) are in memory. What a request adds to all of it is worked out before it has an order (`usage`).
//!
//! The `checkpoint` says which runs there are and up to where in the journal they reach; `shelf` is the folder with all of that, and
//! `upkeep` does the writing beside the recording.

mod acts;
mod block;
mod catalogue;
mod cell;
mod checkpoint;
mod error;
mod file;
mod filter;
mod key;
mod merge;
mod pace;
mod recent;
mod rollup_block;
mod rollup_merge;
mod rollup_run;
mod rollups;
mod run;
mod shelf;
mod upkeep;
mod usage;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tollgate_journal::{Checkpoint, Disk, RecordPosition};
use tollgate_ledger::{Counts, Ownership};
use tollgate_rules::{Digest, Rollup, Select, Visitor};

use crate::act::StoredAct;
pub(crate) use acts::Acts;
pub(crate) use block::{Known, pack, unpack};
use catalogue::{Catalogue, NamedSeries};
pub(crate) use error::IndexError;
pub(crate) use key::{Key, KeyMaker};
use merge::Merged;
use pace::Pace;
pub(crate) use recent::Already;
use recent::Recent;
use rollup_merge::MergedRollups;
use rollups::Rollups;
use shelf::{Runs, Shelf, Snapshot};
pub(crate) use upkeep::Upkeep;
pub use upkeep::UpkeepMode;
pub(crate) use usage::{Adder, Usage};

/// How often a look at an index that somebody else writes to is begun again.
const OPEN_TRIES: u32 = 20;

/// Series that are looked for in memory at once: recording waits for that.
const SERIES_AT_ONCE: usize = 64;

/// Everything that is derived from the journal up to some group.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) keys: KeyMaker,
    live: RwLock<Live>,
    shelf: Shelf,
    /// Why nothing more can be added: for good, or until it passes.
    trouble: Mutex<Option<IndexError>>,
}

/// What is in memory.
#[derive(Debug)]
struct Live {
    recent: Recent,
    rollups: Rollups,
    /// Acts that are in no checkpoint yet.
    n_acts: usize,
    /// No longer added to, and not yet a run.
    frozen: Option<Arc<Frozen>>,
    facts: Facts,
    /// The last group that was added.
    sequence: u64,
}

#[derive(Debug)]
struct Frozen {
    recent: Recent,
    rollups: Rollups,
    snapshot: Snapshot,
}

/// What is known of all batches together.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Facts {
    pub(crate) catalogue: Catalogue,
    pub(crate) n_quarantined: u64,
    pub(crate) acts: Acts,
}

impl Facts {
    fn from_bytes(keys: &KeyMaker, bytes: &[u8]) -> Option<Self> {
        let mut facts: Self = postcard::from_bytes(bytes).ok()?;
        facts.catalogue.complete(keys)?;
        Some(facts)
    }

    fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data can be written")
    }

    /// What says whose a model is.
    pub(crate) fn ownership(&self, model_uuid: &str) -> Ownership {
        Ownership {
            model_name: self.catalogue.name(model_uuid).map(Into::into),
            declared_user: self.acts.user(model_uuid).map(Into::into),
        }
    }

    /// The quarantine's id of the next element.
    pub(crate) fn next_quarantine_id(&self) -> u64 {
        self.n_quarantined + 1
    }

    /// Whether an element has this id in the quarantine, and was not released.
    fn is_quarantined(&self, id: u64) -> bool {
        (1..=self.n_quarantined).contains(&id) && !self.acts.is_released(id)
    }
}

/// Something that a durable group adds.
#[derive(Debug)]
pub(crate) enum Added {
    /// A batch; what it counts comes with the next [`Added::Usage`].
    Id { key: Key, digest: Digest },
    /// Batches that follow each other, likewise.
    Ids(Vec<(Key, Digest)>),
    /// What batches add up to that came before; no record of its own.
    Usage(Usage),
    /// An element, under its key and under its id.
    Quarantined { key: Key, id: u64, digest: Digest },
    /// An act.
    Act(StoredAct),
}

/// A record that cannot follow those before it, so the journal was not written by a ledger that keeps its promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("add a batch or element: it was recorded before")]
    RecordedTwice,
    #[error("add quarantined element {id}: the next one should be {expected}")]
    QuarantineId { id: u64, expected: u64 },
    #[error("release quarantined element {id}: it is not in quarantine")]
    NotQuarantined { id: u64 },
}

impl Index {
    /// Opens the index in the folder of `disk`; `None` when there is none.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Option<(Self, Checkpoint)>, IndexError> {
        let opened = Self::open_untidied(disk)?;
        if let Some((index, _)) = &opened {
            index.shelf.tidy()?;
        }
        Ok(opened)
    }

    fn open_untidied(disk: Arc<dyn Disk>) -> Result<Option<(Self, Checkpoint)>, IndexError> {
        let Some((shelf, stored)) = Shelf::open(disk)? else { return Ok(None) };
        let Some(facts) = Facts::from_bytes(&stored.keys, &stored.facts) else {
            return Err(IndexError::Damaged { file: "checkpoint".to_owned(), offset: 0 });
        };
        Ok(Some((Self::new(stored.keys, shelf, facts, stored.sequence), stored.journal())))
    }

    /// Opens the index in the folder of `disk` for looking alone, whoever writes to it; `None` when there is none.
    pub(crate) fn open_to_read(disk: &Arc<dyn Disk>) -> Result<Option<(Self, Checkpoint)>, IndexError> {
        // A run that a checkpoint states may have been merged into another one, and be gone, before it is opened.
        for _ in 0..OPEN_TRIES {
            match Self::open_untidied(disk.clone()) {
                Err(error) if error.is_missing() => {}
                opened => return opened,
            }
        }
        Self::open_untidied(disk.clone())
    }

    /// Begins an index that covers nothing, in the place of whatever is in the folder.
    pub(crate) fn create(disk: Arc<dyn Disk>) -> Result<Self, IndexError> {
        let keys = KeyMaker::new(&*disk);
        Self::create_with_keys(disk, keys)
    }

    /// As [`Index::create`], with the keys of another index, to be compared with it.
    pub(crate) fn create_with_keys(disk: Arc<dyn Disk>, keys: KeyMaker) -> Result<Self, IndexError> {
        let shelf = Shelf::create(disk, keys)?;
        shelf.tidy()?;
        Ok(Self::new(keys, shelf, Facts::default(), 0))
    }

    fn new(keys: KeyMaker, shelf: Shelf, facts: Facts, sequence: u64) -> Self {
        let (recent, rollups) = (Recent::default(), Rollups::default());
        let live = Live { recent, rollups, n_acts: 0, frozen: None, facts, sequence };
        Self { keys, live: RwLock::new(live), shelf, trouble: Mutex::default() }
    }

    /// What is known under a key.
    pub(crate) fn find(&self, key: Key) -> Result<Option<Known>, IndexError> {
        let found = self.live().find(key);
        // Not under the lock, which recording waits for: what left the memory since is in a run.
        if found.is_some() { Ok(found) } else { self.noted(shelf::find(&self.shelf.runs(), key)) }
    }

    /// What is known under each of the keys.
    pub(crate) fn find_all(&self, keys: &[Key]) -> Result<Vec<Option<Known>>, IndexError> {
        let live = self.live();
        let mut found: Vec<_> = keys.iter().map(|&key| live.find(key)).collect();
        drop(live);
        self.noted(shelf::find_missing(&self.shelf.runs(), keys, &mut found))?;
        Ok(found)
    }

    /// Adds what the durable group `sequence` added, in the order of its records. An error names the record.
    pub(crate) fn add(
        &self,
        sequence: u64,
        added: impl Iterator<Item = Added>,
    ) -> Result<(), (RecordPosition, Contradiction)> {
        let mut live = self.live_mut();
        let mut position = RecordPosition { sequence, index: 0 };
        for added in added {
            live.add(&self.keys, &mut position, added).map_err(|contradiction| (position, contradiction))?;
        }
        live.sequence = sequence;
        Ok(())
    }

    /// The last group that was added: whatever is up to there is durable.
    pub(crate) fn sequence(&self) -> u64 {
        self.live().sequence
    }

    /// Shows what the readings of the series asked for come to. Nobody waits for the disk or the visitor.
    pub(crate) fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), IndexError> {
        let hours = select.from_hour..select.to_hour;
        let wanted = self.live().facts.catalogue.select(select);
        let mut bytes = Vec::new();
        for numbers in wanted.chunks(SERIES_AT_ONCE) {
            let Look { series, frozen, runs } = self.look(numbers, select);
            for (series, recent) in series {
                if !visitor.series(&series.series()) {
                    continue;
                }
                for run in &runs.rollups {
                    let show = |hour, rollup: &Rollup| visitor.rollup(hour, rollup);
                    self.noted(run.read(series.number, &hours, &mut bytes, show))?;
                }
                let frozen = frozen.iter().flat_map(|frozen| frozen.rollups.of_series(series.number));
                for (hour, rollup) in frozen.filter(|(hour, _)| select.has_hour(*hour)) {
                    visitor.rollup(hour, rollup);
                }
                recent.iter().for_each(|(hour, rollup)| visitor.rollup(*hour, rollup));
            }
        }
        Ok(())
    }

    fn look(&self, numbers: &[u32], select: &Select<'_>) -> Look {
        let live = self.live();
        let series = numbers.iter().map(|&number| {
            let recent = live.rollups.of_series(number).filter(|(hour, _)| select.has_hour(*hour));
            let recent = recent.map(|(hour, rollup)| (hour, *rollup)).collect();
            (live.facts.catalogue.named(number), recent)
        });
        let series = series.collect();
        let runs = self.shelf.runs();
        // A run can be looked into before what it was made of is gone from memory.
        let is_no_run = |frozen: &&Arc<Frozen>| runs.sequence < frozen.snapshot.journal.sequence;
        let frozen = live.frozen.as_ref().filter(is_no_run).cloned();
        Look { series, frozen, runs }
    }

    /// Whether both hold exactly the same. Nobody may be writing to either.
    pub(crate) fn is_equal(&self, other: &Self) -> Result<bool, IndexError> {
        if self.live().facts.to_bytes() != other.live().facts.to_bytes() {
            return Ok(false);
        }
        let (mut ours, mut others) = (self.entries()?, other.entries()?);
        loop {
            match (ours.next().transpose()?, others.next().transpose()?) {
                (None, None) => break,
                (our, other) if our == other => {}
                _ => return Ok(false),
            }
        }
        let (mut ours, mut others) = (self.rollups()?, other.rollups()?);
        loop {
            match (ours.next()?, others.next()?) {
                (None, None) => return Ok(true),
                (our, other) if our == other => {}
                _ => return Ok(false),
            }
        }
    }

    /// All rollups in the order of their cells.
    fn rollups(&self) -> Result<MergedRollups, IndexError> {
        let live = self.live();
        let tables = live.frozen.iter().map(|frozen| &frozen.rollups).chain([&live.rollups]);
        let sorted =
            |table: &Rollups| table.sorted().into_iter().map(|(cell, rollup)| (cell, *rollup)).collect();
        MergedRollups::new(&self.shelf.runs().rollups, tables.map(sorted).collect())
    }

    /// All entries in the order of their keys.
    fn entries(&self) -> Result<Merged, IndexError> {
        let live = self.live();
        let tables = live.frozen.iter().map(|frozen| &frozen.recent).chain([&live.recent]);
        let sorted = |table: &Recent| table.sorted(&Pace::fastest()).collect();
        Merged::new(&self.shelf.runs().ids, tables.map(sorted).collect())
    }

    pub(crate) fn counts(&self) -> Counts {
        let live = self.live();
        let Facts { catalogue, n_quarantined, .. } = &live.facts;
        Counts {
            n_batches: catalogue.n_batches(),
            n_metrics: catalogue.n_metrics(),
            n_models: catalogue.n_models(),
            n_quarantined: *n_quarantined,
        }
    }

    /// Looks at what is known of all batches together.
    pub(crate) fn with_facts<T>(&self, look: impl FnOnce(&Facts) -> T) -> T {
        look(&self.live().facts)
    }

    /// Whether what is in memory has to become a run before more is added.
    fn is_crowded(&self, run_entries: usize) -> bool {
        let live = self.live();
        live.frozen.is_some() && 2 * live.run_entries(run_entries) <= live.n_entries()
    }

    /// Whether recording may soon have to wait for a run to be written.
    fn is_filling(&self, run_entries: usize) -> bool {
        let live = self.live();
        live.run_entries(run_entries) / 2 <= live.n_entries()
    }

    /// Ends adding to what is in memory, when it is enough for a run and the one before it is written. The index
    /// covers the journal up to `journal` now.
    fn freeze(&self, journal: Checkpoint, run_entries: usize) -> bool {
        let mut live = self.live_mut();
        let run_entries = live.run_entries(run_entries);
        let is_due = live.frozen.is_none() && run_entries <= live.n_entries();
        if is_due {
            live.freeze(journal, run_entries);
        }
        is_due
    }

    /// As [`Index::freeze`], however little it is.
    fn freeze_all(&self, journal: Checkpoint) {
        let mut live = self.live_mut();
        if live.frozen.is_none() && 0 < live.n_entries() {
            live.freeze(journal, 0);
        }
    }

    /// Writes what is frozen as runs.
    fn write_run(&self, pace: &Pace<'_>) -> Result<(), IndexError> {
        let Some(frozen) = self.live().frozen.clone() else { return Ok(()) };
        self.noted(self.shelf.put(&frozen.recent, &frozen.rollups, &frozen.snapshot, pace))?;
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take_if(|trouble| trouble.may_pass());
        // Only now: until the run could be looked into, this was where its entries were found.
        self.live_mut().frozen = None;
        Ok(())
    }

    /// Merges as long as there is something to merge, and room for both forms of it. Of what fails only damage is noted: nothing
    /// else is in anybody's way.
    fn merge_all(&self, stop: &AtomicBool, free_bytes_min: u64, pace: &Pace<'_>) -> Result<(), IndexError> {
        let merged = self.shelf.merge_all(stop, free_bytes_min, pace);
        match merged {
            Err(error) if error.is_damage() => self.noted(Err(error)),
            merged => merged,
        }
    }

    /// Notes an error. Damage is not to be met again at the next start.
    fn noted<T>(&self, result: Result<T, IndexError>) -> Result<T, IndexError> {
        result.inspect_err(|error| {
            if error.is_damage() {
                self.shelf.give_up();
            }
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            if trouble.as_ref().is_none_or(IndexError::may_pass) {
                *trouble = Some(error.clone());
            }
        })
    }

    /// Nothing more can be added: whoever writes to the disk has ended for a reason that nobody foresaw.
    fn give_up(&self) {
        let _: Result<(), IndexError> = self.noted(Err(IndexError::Bug));
    }

    /// Why it cannot be used any longer; or what may pass.
    fn trouble(&self) -> Option<IndexError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the rollups of some series are.
struct Look {
    /// Each with those that are still added to.
    series: Vec<(NamedSeries, Vec<(i64, Rollup)>)>,
    frozen: Option<Arc<Frozen>>,
    runs: Arc<Runs>,
}

impl Live {
    /// Ids, rollups and acts that no checkpoint covers yet.
    fn n_entries(&self) -> usize {
        self.recent.len() + self.rollups.len() + self.n_acts
    }

    /// Entries that make a run, at least `least`: with each run all facts are written as well, and if they are many they
    /// are not to be what is written most.
    fn run_entries(&self, least: usize) -> usize {
        least.max(self.facts.catalogue.n_rows())
    }

    fn freeze(&mut self, journal: Checkpoint, run_entries: usize) {
        let recent = std::mem::replace(&mut self.recent, Recent::with_capacity(run_entries));
        let rollups = std::mem::take(&mut self.rollups);
        let snapshot = Snapshot { journal, facts: self.facts.to_bytes() };
        self.n_acts = 0;
        self.frozen = Some(Arc::new(Frozen { recent, rollups, snapshot }));
    }

    fn find(&self, key: Key) -> Option<Known> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.recent.find(key));
        self.recent.find(key).or_else(frozen)
    }

    /// `position` is that of its first record, and then of what follows; after an error, of the record that cannot be added.
    fn add(
        &mut self,
        keys: &KeyMaker,
        position: &mut RecordPosition,
        added: Added,
    ) -> Result<(), Contradiction> {
        match added {
            Added::Id { key, digest } => self.add_id(key, digest, position)?,
            // Each is read from where it has been for long. Read from a copy made just before, it would come only when that has reached
            // the cache, and so behind what was inserted before it, which waits for its place in a table larger than the cache.
            Added::Ids(ids) => {
                for (key, digest) in ids {
                    self.add_id(key, digest, position)?;
                }
            }
            Added::Usage(usage) => self.facts.catalogue.merge(usage, &mut self.rollups),
            Added::Act(act) => {
                if let StoredAct::Release { quarantine_id: id } = act
                    && !self.facts.is_quarantined(id)
                {
                    return Err(Contradiction::NotQuarantined { id });
                }
                self.facts.acts.add(act);
                self.n_acts += 1;
                position.index += 1;
            }
            Added::Quarantined { key, id, digest } => {
                let expected = self.facts.next_quarantine_id();
                if id != expected {
                    return Err(Contradiction::QuarantineId { id, expected });
                }
                let by_id = Known { digest, value: pack(*position) };
                if !self.recent.insert(key, Known { digest, value: id })
                    || !self.recent.insert(keys.quarantine(id), by_id)
                {
                    return Err(Contradiction::RecordedTwice);
                }
                self.facts.n_quarantined += 1;
                position.index += 1;
            }
        }
        Ok(())
    }

    fn add_id(
        &mut self,
        key: Key,
        digest: Digest,
        position: &mut RecordPosition,
    ) -> Result<(), Contradiction> {
        if !self.recent.insert(key, Known { digest, value: pack(*position) }) {
            return Err(Contradiction::RecordedTwice);
        }
        position.index += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_journal::sim::SimDisk;

    fn index(keys: KeyMaker, added: impl IntoIterator<Item = Added>) -> Index {
        let index = Index::create_with_keys(SimDisk::new().shared(), keys).expect("create");
        index.add(1, added.into_iter()).expect("nothing is there twice");
        index
    }

    fn ids(digests: &[u8]) -> Vec<Added> {
        let id = |(number, &digest)| Added::Id { key: Key(number), digest: Digest([digest; 16]) };
        (0..).zip(digests).map(id).collect()
    }

    #[test]
    fn indexes_are_equal_when_nothing_differs() {
        let keys = KeyMaker::new(&*SimDisk::new().shared());
        let one = index(keys, ids(&[1, 2, 3]));
        one.freeze_all(Checkpoint { sequence: 1, chain: [0; 32] });
        one.write_run(&Pace::fastest()).expect("write");
        let quarantined = Added::Quarantined { key: Key(9), id: 1, digest: Digest([9; 16]) };
        for (added, is_equal) in [
            (ids(&[1, 2, 3]), true),
            (ids(&[1, 2]), false),
            (ids(&[1, 2, 3, 4]), false),
            (ids(&[1, 2, 4]), false),
            (ids(&[1, 2, 3]).into_iter().chain([quarantined]).collect(), false),
        ] {
            let other = index(keys, added);
            assert_eq!(one.is_equal(&other).expect("readable"), is_equal);
            assert_eq!(other.is_equal(&one).expect("readable"), is_equal);
        }
    }

    #[test]
    fn what_is_there_is_not_added_again() {
        let keys = KeyMaker::new(&*SimDisk::new().shared());
        let one = index(keys, ids(&[1, 2]));
        let (position, contradiction) = one.add(2, ids(&[1]).into_iter()).expect_err("it is there");
        assert_eq!((position.sequence, position.index), (2, 0));
        assert_eq!(contradiction, Contradiction::RecordedTwice);
    }
}

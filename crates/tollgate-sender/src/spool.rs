//! Batches on their way: kept until they are acknowledged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tollgate_journal::{Disk, Journal, Kind, RealDisk, Records};
use tollgate_wire::{MetricBatch, Timestamp};

use crate::clock::{Clock, milliseconds};
use crate::core::Core;
use crate::feeder::Feeder;
use crate::open;
use crate::ranges::Ranges;
use crate::record::{Body, Event, Release};
use crate::state::{Refusal, SetAside};
use crate::status::{self, Link, Standing, Standings};
use crate::{Reading, SpoolError, reading};

/// What a spool's journal holds.
pub(crate) const KIND: Kind = Kind::new("spool");

/// How a spool is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolOptions {
    /// What the folder may take, at most; more is refused, and nothing older dropped.
    pub bytes_max: u64,
    /// Free bytes that recording leaves on the disk. Acknowledgements may take of them.
    pub free_bytes_min: u64,
    /// A file of the journal that would be longer is ended. What is acknowledged goes a whole file at a time.
    pub segment_bytes_max: u64,
    /// One batch, at most: it has to fit a request.
    pub batch_bytes_max: usize,
    /// Readings of one batch that is made of them, at most: with more, a collector would set it aside.
    pub batch_readings_max: usize,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            // A year of one unit with ten meters every five minutes.
            bytes_max: 1 << 30,
            free_bytes_min: 64 << 20,
            segment_bytes_max: 16 << 20,
            batch_bytes_max: 4 << 20,
            batch_readings_max: 10_000,
        }
    }
}

impl SpoolOptions {
    /// Small figures, so that a test meets every branch.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            bytes_max: 4 << 20,
            free_bytes_min: 0,
            segment_bytes_max: 2 << 10,
            batch_bytes_max: 16 << 10,
            batch_readings_max: 100,
        }
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Batches that wait to be acknowledged.
    pub n_pending: u64,
    /// What damage cost, found just now; it is out of the way, and the rest goes on.
    pub damaged: Option<SetAside>,
    /// Bytes of a write that was never finished, which were dropped; nobody was told that it was recorded.
    pub dropped_bytes: u64,
}

/// Where a spool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Batches that wait to be acknowledged.
    pub n_pending: u64,
    /// Of those, the ones that the collector has been sent and did not acknowledge.
    pub n_refused: u64,
    /// Batches ever recorded here.
    pub n_recorded: u64,
    /// Batches that somebody gave up.
    pub n_given_up: u64,
    /// Readings that are durable and not in a batch yet.
    pub n_readings: u64,
    /// Bytes of its files.
    pub n_bytes: u64,
    /// What damage has cost since the spool was made.
    pub set_aside: SetAside,
    /// How sending goes.
    pub link: Link,
}

/// Batches on their way. Clones are the same spool; one process has it at a time.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: SpoolOptions,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    core: Mutex<Core>,
}

/// The group that is being filled while another one is written.
#[derive(Debug, Default)]
struct Waiting {
    records: Records,
    n_batches: u64,
    group: Arc<Group>,
    /// Whether somebody writes just now.
    is_writing: bool,
    /// Empty, and kept for its memory.
    spare: Records,
}

/// What those wait for whose records are in one group.
#[derive(Debug, Default)]
struct Group {
    /// What became of it.
    outcome: OnceLock<Result<(), Arc<SpoolError>>>,
    /// To all of them when it has an outcome; to one of them when it is to write. Others' groups wake nobody here.
    changed: Condvar,
}

impl Spool {
    /// Opens the spool in `folder`, and makes it when there is none.
    ///
    /// # Errors
    ///
    /// When another process has it, the folder holds something else, or the disk fails. Damage is no error: what is damaged is set
    /// aside in a folder beside it and counted in [`Opened`].
    pub fn open(
        folder: &Path,
        options: SpoolOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Opened), SpoolError> {
        let disk = RealDisk::open_or_create(folder).map_err(|source| SpoolError::Folder {
            step: "open the folder",
            path: folder.to_owned(),
            source,
        })?;
        Self::open_on(Arc::new(disk), options, clock)
    }

    /// As [`Spool::open`], on a disk of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Spool::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        options: SpoolOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Opened), SpoolError> {
        let (core, opened) = open::open(disk, options)?;
        let shared = Shared { options, clock, waiting: Mutex::default(), core: Mutex::new(core) };
        Ok((Self { shared: Arc::new(shared) }, opened))
    }

    /// Records a batch, and returns when it is durable. Gives its id, which is made when it has none; id and bytes are final.
    ///
    /// Many threads may record at the same time: those that wait become durable together.
    ///
    /// # Errors
    ///
    /// Then it was not recorded, or, when the disk failed while it was written, that is unknown until the spool is opened again:
    /// [`SpoolError::remedy`] tells what to do.
    pub fn record(&self, batch: MetricBatch) -> Result<String, SpoolError> {
        let mut ids = self.record_all(vec![batch])?;
        Ok(ids.pop().expect("one batch has one id"))
    }

    /// As [`Spool::record`], of all `batches` or none.
    ///
    /// # Errors
    ///
    /// As [`Spool::record`].
    pub fn record_all(&self, mut batches: Vec<MetricBatch>) -> Result<Vec<String>, SpoolError> {
        let mut bodies = Vec::with_capacity(batches.len());
        for batch in &mut batches {
            bodies.push(self.body(batch)?);
        }
        self.commit(&bodies)?;
        Ok(batches.into_iter().map(|batch| batch.uuid).collect())
    }

    /// The final bytes of a batch.
    fn body(&self, batch: &mut MetricBatch) -> Result<Vec<u8>, SpoolError> {
        if batch.model_uuid.is_empty() {
            return Err(SpoolError::NoModel);
        }
        if batch.uuid.is_empty() {
            batch.uuid = uuid::Uuid::new_v4().to_string();
        }
        let json = encode(batch)?;
        let bytes_max = self.shared.options.batch_bytes_max;
        if bytes_max < json.len() {
            return Err(SpoolError::TooLarge { uuid: batch.uuid.clone(), bytes: json.len(), bytes_max });
        }
        Ok(json)
    }

    /// Makes `bodies` durable, together with what others have waiting.
    fn commit(&self, bodies: &[Vec<u8>]) -> Result<(), SpoolError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let shared = &*self.shared;
        let recorded_ms = self.now_ms();
        let mut waiting = lock(&shared.waiting);
        for json in bodies {
            waiting.records.push_with(|buffer| Body { recorded_ms, json }.encode(buffer));
        }
        waiting.n_batches += bodies.len() as u64;
        let group = waiting.group.clone();
        loop {
            if let Some(outcome) = group.outcome.get() {
                return outcome.clone().map_err(SpoolError::Group);
            }
            if waiting.is_writing {
                waiting = group.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Nobody writes, so this thread does, for all that wait.
            waiting.is_writing = true;
            let spare = std::mem::take(&mut waiting.spare);
            let mut records = std::mem::replace(&mut waiting.records, spare);
            let n_batches = std::mem::take(&mut waiting.n_batches);
            let written_group = std::mem::take(&mut waiting.group);
            drop(waiting);
            let written = lock(&shared.core).append_batches(&mut records, n_batches);
            records.clear();
            // IMPORTANT: told after the sync, and whatever came of it: nobody waits for ever.
            let _: Result<(), _> = written_group.outcome.set(written.map_err(Arc::new));
            waiting = lock(&shared.waiting);
            waiting.is_writing = false;
            waiting.spare = records;
            written_group.changed.notify_all();
            waiting.group.changed.notify_one();
        }
    }

    /// Keeps readings until they are put in a batch, durably; `notes` are kept with them, all or none.
    ///
    /// A note is never older than the readings that count: one that damage has made so is forgotten.
    ///
    /// # Errors
    ///
    /// As [`Spool::record`].
    pub fn add_readings(
        &self,
        readings: Vec<Reading>,
        notes: Vec<(String, String)>,
    ) -> Result<(), SpoolError> {
        let bytes_max = self.shared.options.batch_bytes_max;
        for (index, reading) in readings.iter().enumerate() {
            if reading.source.model.is_empty() {
                return Err(SpoolError::NoModel);
            }
            let bytes = self.batch_bytes(reading)?;
            if bytes_max < bytes {
                return Err(SpoolError::ReadingTooLarge { index, bytes, bytes_max });
            }
        }
        let mut events: Vec<Event> =
            notes.into_iter().map(|(key, value)| Event::Note { key, value: Some(value) }).collect();
        let mut core = lock(&self.shared.core);
        if !readings.is_empty() {
            events.push(Event::Readings { first: core.state.next_reading, readings });
        }
        core.append_new_events(events)
    }

    /// What was kept under a name.
    #[must_use]
    pub fn note(&self, key: &str) -> Option<String> {
        lock(&self.shared.core).state.notes.get(key).cloned()
    }

    /// Forgets what was kept under the names that `are_meant`.
    ///
    /// # Errors
    ///
    /// When the spool fails.
    pub fn forget_notes(&self, are_meant: impl Fn(&str) -> bool) -> Result<(), SpoolError> {
        let mut core = lock(&self.shared.core);
        let keys = core.state.notes.keys().filter(|key| are_meant(key)).cloned();
        let events: Vec<Event> = keys.map(|key| Event::Note { key, value: None }).collect();
        if events.is_empty() { Ok(()) } else { core.append_events(events) }
    }

    /// The length of a batch of this reading alone.
    fn batch_bytes(&self, reading: &Reading) -> Result<usize, SpoolError> {
        let created = Timestamp::from_system_time(self.shared.clock.now());
        let batch = reading.source.batch(vec![reading.metric.clone()], created);
        Ok(encode(&batch)?.len())
    }

    /// Puts the readings in batches, one for each source unless that is too large, when there are `n_readings` or the oldest has waited for `age_ms`. Gives how
    /// many batches that made.
    ///
    /// # Errors
    ///
    /// As [`Spool::record`]; then they go on waiting.
    pub fn batch_readings(&self, n_readings: usize, age_ms: i64) -> Result<u64, SpoolError> {
        let now_ms = self.now_ms();
        let mut core = lock(&self.shared.core);
        let readings = &core.state.readings;
        let Some((_, oldest)) = readings.first_key_value() else { return Ok(0) };
        if readings.len() < n_readings && now_ms < oldest.recorded_ms.saturating_add(age_ms) {
            return Ok(0);
        }
        let created = Timestamp::from_system_time(self.shared.clock.now());
        let mut n_made = 0;
        while !core.state.readings.is_empty() {
            let (readings, last) = self.oldest(&core.state.readings)?;
            let mut records = Records::default();
            let batches = reading::batches(&readings, created);
            let n_batches = batches.len() as u64;
            for batch in batches {
                let json = encode(&batch)?;
                records.push_with(|buffer| Body { recorded_ms: now_ms, json: &json }.encode(buffer));
            }
            // In one group, which is there whole or not at all: no reading is in two batches or in none.
            core.append(&mut records, n_batches, vec![Event::Batched { last }])?;
            n_made += n_batches;
        }
        Ok(n_made)
    }

    /// As many of the oldest readings as fit one batch, if they had the same source, and the number of the last; one at least.
    fn oldest<'a>(
        &self,
        readings: &'a BTreeMap<u64, Reading>,
    ) -> Result<(Vec<&'a Reading>, u64), SpoolError> {
        let SpoolOptions { batch_bytes_max, batch_readings_max, .. } = self.shared.options;
        let (mut taken, mut last, mut n_bytes) = (Vec::new(), 0, 0);
        for (&number, reading) in readings.iter().take(batch_readings_max.max(1)) {
            n_bytes += self.batch_bytes(reading)?;
            if batch_bytes_max < n_bytes && !taken.is_empty() {
                break;
            }
            taken.push(reading);
            last = number;
        }
        Ok((taken, last))
    }

    /// Where it stands.
    #[must_use]
    pub fn summary(&self) -> Summary {
        lock(&self.shared.core).summary()
    }

    /// Where unit `unit` of `model` stands; of all its units together when no unit is given, and of everything when no model is.
    #[must_use]
    pub fn meter_status(&self, model: Option<&str>, unit: Option<&str>) -> Standing {
        let core = lock(&self.shared.core);
        standing(&core.state.link, &core.state.standings, self.now_ms(), model, unit)
    }

    /// Decides about batches that the collector does not acknowledge: all that were refused, or the ones with these ids, refused or not.
    /// Gives how many there were.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unknown`] when one with such an id does not wait; then nothing was decided.
    pub fn release(&self, ids: Option<&[String]>, release: Release) -> Result<u64, SpoolError> {
        let numbers = match ids {
            None => self.with_core(|core| core.state.refused.keys().copied().collect::<Ranges>()),
            Some(ids) => {
                let pending = self.with_core(|core| core.pending())?;
                let number = |id: &String| {
                    let found = pending.iter().filter(|pending| pending.uuid == *id);
                    let found: Vec<u64> = found.map(|pending| pending.number).collect();
                    if found.is_empty() { Err(SpoolError::Unknown { uuid: id.clone() }) } else { Ok(found) }
                };
                let numbers: Result<Vec<Vec<u64>>, SpoolError> = ids.iter().map(number).collect();
                numbers?.into_iter().flatten().collect()
            }
        };
        let n_batches = numbers.iter().map(|(first, last)| last - first + 1).sum();
        if !numbers.is_empty() {
            let mut core = lock(&self.shared.core);
            core.append_events(vec![Event::Released { numbers, release }])?;
            core.tidy()?;
        }
        Ok(n_batches)
    }

    /// Makes room of what is not needed any more, and what proves that the last record is durable durable itself.
    ///
    /// # Errors
    ///
    /// When the disk fails; nothing that was recorded is at risk.
    pub fn close(&self) -> Result<(), SpoolError> {
        lock(&self.shared.core).attest()
    }

    /// Whether the spool takes nothing more because a write failed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.core).is_failed
    }

    pub(crate) fn now_ms(&self) -> i64 {
        milliseconds(self.shared.clock.now())
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn feeder(&self) -> Feeder {
        Feeder::new(self.with_core(|core| core.reader()))
    }

    /// Lends what one thread has at a time.
    pub(crate) fn with_core<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        act(&mut lock(&self.shared.core))
    }
}

fn encode(batch: &MetricBatch) -> Result<Vec<u8>, SpoolError> {
    tollgate_wire::to_vec(batch).map_err(|source| SpoolError::Encode { uuid: batch.uuid.clone(), source })
}

/// Nothing is left half done when a thread panics: what was written is told by the journal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn standing(
    link: &Link,
    standings: &Standings,
    now_ms: i64,
    model: Option<&str>,
    unit: Option<&str>,
) -> Standing {
    let link = link.standing(now_ms);
    match (model, unit) {
        (None, _) => status::of_all(&link, standings),
        (Some(model), None) => status::of_model(&link, standings.0.get(model)),
        (Some(model), Some(unit)) => status::of_unit(&link, standings.0.get(model), unit),
    }
}

/// A batch that waits to be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Counted from 1 in the order of recording, over everything ever recorded here.
    pub number: u64,
    /// When it was recorded, in milliseconds since 1970.
    pub recorded_ms: i64,
    /// The batch's id.
    pub uuid: String,
    /// The model's.
    pub model_uuid: String,
    /// The unit.
    pub unit_name: String,
    /// How many metrics it has.
    pub n_metrics: usize,
    /// Its bytes, as they go out.
    pub json: Vec<u8>,
    /// What the collector made of it, when it was sent and not acknowledged.
    pub refusal: Option<Refusal>,
}

/// Why the journal of `core` may be written to.
pub(crate) fn journal_options(options: &SpoolOptions) -> tollgate_journal::Options {
    tollgate_journal::Options {
        segment_bytes_max: options.segment_bytes_max,
        // What recording leaves is there for acknowledgements; they leave a little.
        free_bytes_min: options.free_bytes_min / 16,
        ..tollgate_journal::Options::new(KIND)
    }
}

/// Opened as a journal of the right kind.
pub(crate) type Open = (Journal, tollgate_journal::Recovery);

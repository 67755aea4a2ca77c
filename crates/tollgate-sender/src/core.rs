//! The one owner of a spool's journal and of what is derived from it.

use std::sync::Arc;

use tollgate_journal::{Disk, Journal, JournalError, Reader, Records};
use tollgate_wire::Document;
use tracing::warn;

use crate::record::{Body, Event, Record, encode_numbers};
use crate::spool::{Pending, SpoolOptions, Summary};
use crate::state::{Fold, Places, State, first_number};
use crate::{Remedy, SpoolError};

/// A spool whose batches are all done with shrinks to nothing when it is larger than this.
const IDLE_BYTES_MAX: u64 = 1 << 20;

/// Sealed segments, at least, before batches are carried on to free the oldest one.
const CARRY_SEGMENTS_MIN: usize = 3;

/// A segment is freed by carrying on what waits in it when that is this part of it at most: then more is freed than written.
const CARRY_PART_MAX: u64 = 4;

/// A segment with fewer batches counts as one with so many: a few that wait are not worth a whole file.
const CARRY_BATCHES_MIN: u64 = 16;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: Journal,
    pub(crate) options: SpoolOptions,
    pub(crate) state: State,
    pub(crate) places: Places,
    /// What was left when it last had nothing to send: a large snapshot is not written again and again.
    pub(crate) idle_bytes: u64,
    /// The last change for which the hook ran to its end in this process.
    pub(crate) hooked: u64,
    /// Whether a write failed, so that nothing more is taken.
    pub(crate) is_failed: bool,
}

impl Core {
    /// Appends new batches, if there is room for them.
    pub(crate) fn append_batches(&mut self, records: &mut Records, n_batches: u64) -> Result<(), SpoolError> {
        self.check_room(records.n_bytes())?;
        self.append(records, n_batches, Vec::new())
    }

    /// Appends events that bring something new, if there is room for them.
    pub(crate) fn append_new_events(&mut self, events: Vec<Event>) -> Result<(), SpoolError> {
        let mut records = Records::default();
        events.iter().for_each(|event| records.push_with(|buffer| event.encode(buffer)));
        self.check_room(records.n_bytes())?;
        self.append_events(events)
    }

    /// Appends events that are owed to what there is.
    pub(crate) fn append_events(&mut self, events: Vec<Event>) -> Result<(), SpoolError> {
        self.append(&mut Records::default(), 0, events)
    }

    /// Appends what is in `records`, of which `n_batches` are new batches, and `events`, as one group.
    pub(crate) fn append(
        &mut self,
        records: &mut Records,
        n_batches: u64,
        events: Vec<Event>,
    ) -> Result<(), SpoolError> {
        for event in &events {
            records.push_with(|buffer| event.encode(buffer));
        }
        let first = self.state.next_number;
        if 0 < n_batches {
            records.push_with(|buffer| encode_numbers(first, buffer));
        }
        let appended = self.journal.append(records);
        let position = self.noted(appended)?;
        self.places.enter(position.segment, position.sequence);
        if 0 < n_batches {
            self.places.add(first, first + n_batches - 1);
            self.state.next_number = first + n_batches;
        }
        events.into_iter().for_each(|event| self.state.apply(event));
        Ok(())
    }

    /// What a full disk refused may succeed later; after anything else the journal takes nothing more, which is noted.
    fn noted<T>(&mut self, outcome: Result<T, JournalError>) -> Result<T, SpoolError> {
        let outcome = outcome.map_err(SpoolError::from);
        self.is_failed |= outcome.as_ref().is_err_and(|error| error.remedy() == Remedy::Restart);
        outcome
    }

    fn check_room(&self, needed_bytes: u64) -> Result<(), SpoolError> {
        let path = || self.disk.folder().to_owned();
        let n_bytes = self.journal.n_bytes();
        let bytes_max = self.options.bytes_max;
        if bytes_max < n_bytes.saturating_add(needed_bytes) {
            return Err(SpoolError::Full { path: path(), needed_bytes, n_bytes, bytes_max });
        }
        let room = self.disk.room();
        let step = "measure the free space of";
        let free_bytes = room.map_err(|source| SpoolError::Folder { step, path: path(), source })?.free_bytes;
        let kept_bytes = self.options.free_bytes_min;
        if free_bytes < needed_bytes.saturating_add(kept_bytes) {
            return Err(SpoolError::NoRoom { path: path(), needed_bytes, free_bytes, kept_bytes });
        }
        Ok(())
    }

    /// Forgets what is done with, as far as whole segments are.
    ///
    /// What a full disk leaves undone is done the next time: nobody waits for it.
    pub(crate) fn tidy(&mut self) -> Result<(), SpoolError> {
        match self.try_to_tidy() {
            Err(error) if error.remedy() == Remedy::Retry => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "could not give room back just now");
                Ok(())
            }
            tidied => tidied,
        }
    }

    fn try_to_tidy(&mut self) -> Result<(), SpoolError> {
        if self.state.n_pending() == 0 {
            return self.tidy_idle();
        }
        let sealed: Vec<u64> = self.places.sealed().collect();
        let n_pending = |segment| self.places.n_pending(segment, &self.state.done);
        let n_free = sealed.iter().take_while(|&&segment| n_pending(segment) == 0).count();
        let mut carried = Records::default();
        let mut n_gone = n_free;
        if CARRY_SEGMENTS_MIN <= sealed.len() - n_free {
            let oldest = sealed[n_free];
            let n_batches = self.places.n_batches(oldest).max(CARRY_BATCHES_MIN);
            let n_pending = n_pending(oldest);
            // What was not refused is on its way, and is sent in its order.
            if n_pending * CARRY_PART_MAX <= n_batches
                && n_pending <= self.state.refused.len() as u64
                && let Some(refused) = self.refused_in(oldest)?
            {
                carried = refused;
                n_gone += 1;
            }
        }
        if n_gone == 0 {
            return Ok(());
        }
        let next = sealed.get(n_gone).copied();
        let snapshot_sequence = self.journal.end().sequence + 1;
        let sequence = next.and_then(|next| self.places.first_sequence(next));
        // The last segment holds the rest, from its first group on.
        let sequence = sequence.or_else(|| self.places.last_first_sequence()).unwrap_or(snapshot_sequence);
        self.snapshot(&mut carried)?;
        self.forget(sequence)
    }

    /// With nothing left to send, everything before a snapshot can go.
    fn tidy_idle(&mut self) -> Result<(), SpoolError> {
        let bytes_max = IDLE_BYTES_MAX.min(self.options.segment_bytes_max) + 2 * self.idle_bytes;
        if self.journal.n_bytes() <= bytes_max {
            return Ok(());
        }
        // In a segment of its own, so that what is before it is in whole ones.
        let sealed = self.journal.seal();
        self.noted(sealed)?;
        let sequence = self.journal.end().sequence + 1;
        self.snapshot(&mut Records::default())?;
        self.forget(sequence)?;
        self.idle_bytes = self.journal.n_bytes();
        Ok(())
    }

    /// Writes down all that is known, with `carried` batches.
    fn snapshot(&mut self, carried: &mut Records) -> Result<(), SpoolError> {
        let numbers: Vec<u64> = carried
            .iter()
            .filter_map(|record| match Record::decode(record) {
                Ok(Record::Carried { number, .. }) => Some(number),
                _ => None,
            })
            .collect();
        // IMPORTANT: durable before anything that it is made of is forgotten.
        self.append(carried, 0, vec![Event::Snapshot(Box::new(self.state.clone()))])?;
        numbers.into_iter().for_each(|number| self.places.carry(number));
        Ok(())
    }

    fn forget(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let forgotten = self.journal.forget(sequence);
        self.noted(forgotten)?;
        self.places.forget(sequence, &self.state.done);
        Ok(())
    }

    /// What waits in `segment`, the oldest one with anything that does, to be written once more; `None` unless all of it was refused.
    fn refused_in(&self, segment: u64) -> Result<Option<Records>, SpoolError> {
        let mut carried = Records::default();
        let mut all_refused = true;
        for group in self.journal.reader().groups()? {
            let group = group?;
            if segment < group.position().segment {
                break;
            }
            self.each_pending(&group, |_, number, body| {
                all_refused &= self.state.refused.contains_key(&number);
                carried.push_with(|buffer| body.encode_carried(number, buffer));
            })?;
        }
        Ok(Some(carried).filter(|_| all_refused))
    }

    /// Shows `visit` each batch of `group` that waits to be acknowledged, with its place in the group and its number.
    pub(crate) fn each_pending(
        &self,
        group: &tollgate_journal::Group,
        mut visit: impl FnMut(usize, u64, Body<'_>),
    ) -> Result<(), SpoolError> {
        let fold = (&self.state, &self.places);
        each_pending(fold, group, &mut visit)
    }

    /// All that waits to be acknowledged, oldest first.
    pub(crate) fn pending(&self) -> Result<Vec<Pending>, SpoolError> {
        let mut all = Vec::new();
        for group in self.journal.reader().groups()? {
            let group = group?;
            self.each_pending(&group, |_, number, body| all.push(pending(number, body, &self.state)))?;
        }
        all.sort_by_key(|pending| pending.number);
        Ok(all)
    }

    pub(crate) fn summary(&self) -> Summary {
        summary(&self.state, self.journal.n_bytes())
    }

    pub(crate) fn reader(&self) -> Reader {
        self.journal.reader()
    }

    pub(crate) fn attest(&mut self) -> Result<(), SpoolError> {
        if self.is_failed {
            return Ok(());
        }
        self.tidy()?;
        let attested = self.journal.attest();
        self.noted(attested)
    }
}

pub(crate) fn summary(state: &State, n_bytes: u64) -> Summary {
    Summary {
        n_pending: state.n_pending(),
        n_refused: state.refused.len() as u64,
        n_recorded: state.next_number - 1,
        n_given_up: state.n_given_up,
        n_readings: state.readings.len() as u64,
        n_bytes,
        set_aside: state.set_aside,
        link: state.link.clone(),
    }
}

/// As [`Core::each_pending`], by what is known of all of the journal.
pub(crate) fn each_pending(
    (state, places): (&State, &Places),
    group: &tollgate_journal::Group,
    visit: &mut impl FnMut(usize, u64, Body<'_>),
) -> Result<(), SpoolError> {
    let segment = group.position().segment;
    let mut next = first_number(group)?;
    for (index, (_, record)) in group.records().enumerate() {
        let (number, body, is_carried) = match Record::decode(record)? {
            Record::Batch(body) => {
                // A group with batches ends with their numbers.
                let Some(number) = next else { continue };
                next = Some(number + 1);
                (number, body, false)
            }
            Record::Carried { number, body } => (number, body, true),
            Record::Event(_) | Record::Numbers { .. } => continue,
        };
        if !state.done.contains(number) && places.counts(number, segment, is_carried) {
            visit(index, number, body);
        }
    }
    Ok(())
}

pub(crate) fn pending(number: u64, body: Body<'_>, state: &State) -> Pending {
    let array = [b"[", body.json, b"]"].concat();
    let document = Document::new(&array);
    let elements = document.batches().unwrap_or_default();
    let batch = elements.first().and_then(|element| element.batch.as_ref().ok());
    Pending {
        number,
        recorded_ms: body.recorded_ms,
        uuid: batch.map_or_else(String::new, |batch| batch.uuid.to_string()),
        model_uuid: batch.map_or_else(String::new, |batch| batch.model_uuid.to_string()),
        unit_name: batch.map_or_else(String::new, |batch| batch.unit_name.to_string()),
        n_metrics: batch.and_then(|batch| batch.metrics.as_ref()).map_or(0, Vec::len),
        json: body.json.to_vec(),
        refusal: state.refused.get(&number).cloned(),
    }
}

/// What is derived from a journal, as it was walked.
impl From<Fold> for (State, Places) {
    fn from(fold: Fold) -> Self {
        (fold.state, fold.places)
    }
}

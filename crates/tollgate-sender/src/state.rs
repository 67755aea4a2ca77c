//! What a spool's journal says, without its batches: derived by going over its records in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_journal::Group;

use crate::ranges::Ranges;
use crate::record::{Event, Record, Release};
use crate::status::{Link, Standing, Standings};
use crate::{Reading, SpoolError};

/// Everything that a spool remembers besides the batches themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Of the next batch; the first is 1.
    pub(crate) next_number: u64,
    /// Acknowledged or given up.
    pub(crate) done: Ranges,
    pub(crate) n_given_up: u64,
    /// What the collector was sent and did not acknowledge.
    pub(crate) refused: BTreeMap<u64, Refusal>,
    pub(crate) link: Link,
    pub(crate) standings: Standings,
    pub(crate) hook: Hook,
    pub(crate) set_aside: SetAside,
    /// What waits for its batch, by its number; the first is 1.
    pub(crate) readings: BTreeMap<u64, Reading>,
    pub(crate) next_reading: u64,
    /// Readings up to this one are in batches.
    pub(crate) last_batched: u64,
    pub(crate) notes: BTreeMap<String, String>,
}

/// How often and why a batch was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Answers that did not have it.
    pub n_times: u32,
    /// The last of them, in milliseconds since 1970.
    pub last_ms: i64,
    /// What the collector said, if anything.
    pub why: Option<String>,
}

/// What the hook was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) told: Option<Standing>,
    /// How many changes there were.
    pub(crate) change: u64,
    /// Whether it began and is not known to have ended.
    pub(crate) is_running: bool,
}

/// What damage has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Records that could not be read any more, as far as they can be counted.
    pub n_records: u64,
    /// Places in files where that was.
    pub n_stretches: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next_number: 1,
            done: Ranges::default(),
            n_given_up: 0,
            refused: BTreeMap::new(),
            link: Link::default(),
            standings: Standings::default(),
            hook: Hook::default(),
            set_aside: SetAside::default(),
            readings: BTreeMap::new(),
            next_reading: 1,
            last_batched: 0,
            notes: BTreeMap::new(),
        }
    }
}

impl State {
    /// How many batches wait to be acknowledged.
    pub(crate) fn n_pending(&self) -> u64 {
        let last = self.next_number - 1;
        last - self.done.count_in(1, last)
    }

    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Answered { acknowledged, refused, why, at_ms, last_batched } => {
                self.finish(&acknowledged);
                self.batched(last_batched);
                self.know(refused.last());
                for number in refused.iter().flat_map(|(first, last)| first..=last) {
                    // It was given up while its request was under way.
                    if self.done.contains(number) {
                        continue;
                    }
                    let refusal =
                        self.refused.entry(number).or_insert(Refusal { n_times: 0, last_ms: 0, why: None });
                    refusal.n_times = refusal.n_times.saturating_add(1);
                    refusal.last_ms = at_ms;
                    refusal.why.clone_from(&why);
                }
            }
            Event::Link(link) => self.link = link,
            Event::Standings(standings) => self.standings = standings,
            Event::Released { numbers, release: Release::SendAgain } => {
                self.refused.retain(|&number, _| !numbers.contains(number));
            }
            Event::Released { numbers, release: Release::GiveUp } => {
                self.n_given_up += numbers.iter().map(|(first, last)| last - first + 1).sum::<u64>();
                self.finish(&numbers);
            }
            Event::HookBegins { standing, change } => {
                self.hook = Hook { told: Some(standing), change, is_running: true };
            }
            Event::HookEnded { change } if change == self.hook.change => self.hook.is_running = false,
            Event::HookEnded { .. } => {}
            Event::Readings { first, readings } => {
                self.next_reading = self.next_reading.max(first + readings.len() as u64);
                self.readings.extend((first..).zip(readings));
            }
            Event::Batched { last } => self.batched(last),
            Event::Note { key, value: Some(value) } => {
                self.notes.insert(key, value);
            }
            Event::Note { key, value: None } => {
                self.notes.remove(&key);
            }
            Event::SetAside(SetAside { n_records, n_stretches }) => {
                self.set_aside.n_records += n_records;
                self.set_aside.n_stretches += n_stretches;
            }
            Event::Snapshot(state) => *self = *state,
        }
    }

    /// Readings up to `last` wait no longer.
    fn batched(&mut self, last: u64) {
        self.last_batched = self.last_batched.max(last);
        self.next_reading = self.next_reading.max(self.last_batched + 1);
        if self.readings.first_key_value().is_some_and(|(&first, _)| first <= last) {
            self.readings = self.readings.split_off(&(last + 1));
        }
    }

    /// Takes note that there was a batch of this number, also when it cannot be read any more: the next one gets another.
    fn know(&mut self, number: Option<u64>) {
        self.next_number = self.next_number.max(number.map_or(1, |number| number.saturating_add(1)));
    }

    pub(crate) fn finish(&mut self, numbers: &Ranges) {
        self.know(numbers.last());
        numbers.iter().for_each(|(first, last)| self.done.add(first, last));
        if !self.refused.is_empty() {
            self.refused.retain(|&number, _| !numbers.contains(number));
        }
    }
}

/// Where batches are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// By the number of the journal's segment.
    segments: BTreeMap<u64, Segment>,
    /// The segment that has a batch's last copy, of batches that were written more than once.
    carried: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone)]
struct Segment {
    first_sequence: u64,
    /// The first and last batch that was first written here.
    numbers: Option<(u64, u64)>,
}

impl Places {
    /// Takes note of a group in a segment.
    pub(crate) fn enter(&mut self, segment: u64, sequence: u64) {
        self.segments.entry(segment).or_insert(Segment { first_sequence: sequence, numbers: None });
    }

    /// Takes note of new batches in the group that was entered last.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        if let Some(mut segment) = self.segments.last_entry() {
            let numbers = &mut segment.get_mut().numbers;
            *numbers = Some((numbers.map_or(first, |(first, _)| first), last));
        }
    }

    /// Takes note of a batch's copy in the group that was entered last.
    pub(crate) fn carry(&mut self, number: u64) {
        if let Some((&segment, _)) = self.segments.last_key_value() {
            self.carried.insert(number, segment);
        }
    }

    /// Whether the copy of a batch in `segment` is the one that counts; `is_carried` tells whether it is a later one.
    pub(crate) fn counts(&self, number: u64, segment: u64, is_carried: bool) -> bool {
        self.carried.get(&number).map_or(!is_carried, |&last| is_carried && last == segment)
    }

    /// The segments in order, but the last, which is written to.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = u64> {
        self.segments.keys().copied().take(self.segments.len().saturating_sub(1))
    }

    /// The first group of the last segment.
    pub(crate) fn last_first_sequence(&self) -> Option<u64> {
        Some(self.segments.last_key_value()?.1.first_sequence)
    }

    pub(crate) fn first_sequence(&self, segment: u64) -> Option<u64> {
        Some(self.segments.get(&segment)?.first_sequence)
    }

    /// How many batches of `segment` wait to be acknowledged.
    pub(crate) fn n_pending(&self, segment: u64, done: &Ranges) -> u64 {
        let own = self.segments.get(&segment).and_then(|segment| segment.numbers);
        let waits = |number: &u64| !done.contains(*number);
        let n_own = own.map_or(0, |(first, last)| {
            let n_moved = self.carried.range(first..=last).filter(|(number, _)| waits(number)).count() as u64;
            last - first + 1 - done.count_in(first, last) - n_moved
        });
        let here = self.carried.iter().filter(|(number, last)| **last == segment && waits(number));
        n_own + here.count() as u64
    }

    /// How many batches were first written to `segment`.
    pub(crate) fn n_batches(&self, segment: u64) -> u64 {
        let own = self.segments.get(&segment).and_then(|segment| segment.numbers);
        own.map_or(0, |(first, last)| last - first + 1)
    }

    /// Drops the segments before the one that `sequence` is in, which were forgotten.
    pub(crate) fn forget(&mut self, sequence: u64, done: &Ranges) {
        let first = self.segments.iter().rev().find(|(_, segment)| segment.first_sequence <= sequence);
        let first = first.map_or(0, |(&number, _)| number);
        self.segments.retain(|&number, _| first <= number);
        self.carried.retain(|&number, &mut segment| first <= segment && !done.contains(number));
    }
}

/// Goes over groups and keeps what they say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    pub(crate) state: State,
    pub(crate) places: Places,
}

impl Fold {
    /// Takes in the next group, and shows `visit` each batch with its number and whether it is a later copy.
    pub(crate) fn take_in(
        &mut self,
        group: &Group,
        mut visit: impl FnMut(u64, bool, &crate::record::Body<'_>),
    ) -> Result<(), SpoolError> {
        let position = group.position();
        self.places.enter(position.segment, position.sequence);
        let mut number = first_number(group)?.unwrap_or(self.state.next_number);
        let first = number;
        for (_, record) in group.records() {
            match Record::decode(record)? {
                Record::Batch(body) => {
                    visit(number, false, &body);
                    number += 1;
                }
                Record::Carried { number, body } => {
                    self.state.know(Some(number));
                    self.places.carry(number);
                    visit(number, true, &body);
                }
                Record::Event(event) => self.state.apply(event),
                Record::Numbers { .. } => {}
            }
        }
        if first < number {
            self.places.add(first, number - 1);
            self.state.know(Some(number - 1));
        }
        Ok(())
    }
}

/// The number of the first batch in a group, which is in its last record; `None` when it has none.
pub(crate) fn first_number(group: &Group) -> Result<Option<u64>, SpoolError> {
    let n_records = u32::try_from(group.records().len()).unwrap_or(u32::MAX);
    let Some(record) = n_records.checked_sub(1).and_then(|last| group.record(last)) else { return Ok(None) };
    Ok(match Record::decode(record)? {
        Record::Numbers { first } => Some(first),
        Record::Batch(_) | Record::Carried { .. } | Record::Event(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(numbers: impl IntoIterator<Item = u64>) -> Ranges {
        numbers.into_iter().collect()
    }

    fn answered(acknowledged: &[u64], refused: &[u64], why: Option<&str>) -> Event {
        Event::Answered {
            acknowledged: ranges(acknowledged.iter().copied()),
            refused: ranges(refused.iter().copied()),
            why: why.map(str::to_owned),
            at_ms: 7,
            last_batched: 0,
        }
    }

    #[test]
    fn a_refused_batch_stays_until_it_is_acknowledged_or_released() {
        let mut state = State { next_number: 7, ..State::default() };
        assert_eq!(state.n_pending(), 6);
        state.apply(answered(&[1, 2], &[3, 4, 5], None));
        state.apply(answered(&[4], &[3, 5], Some("no")));
        assert_eq!(state.n_pending(), 3);
        let refusal = Refusal { n_times: 2, last_ms: 7, why: Some("no".to_owned()) };
        assert_eq!(state.refused, BTreeMap::from([(3, refusal.clone()), (5, refusal)]));
        state.apply(Event::Released { numbers: ranges([3]), release: Release::SendAgain });
        state.apply(Event::Released { numbers: ranges([5]), release: Release::GiveUp });
        assert_eq!((state.n_pending(), state.refused.len(), state.n_given_up), (2, 0, 1));
        // The answer to a request that was under way meanwhile.
        state.apply(answered(&[], &[2, 3, 5], None));
        assert_eq!(state.refused.into_keys().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn readings_wait_until_they_are_in_a_batch_whatever_of_it_was_lost() {
        let readings = |first, n| Event::Readings { first, readings: vec![Reading::default(); n] };
        let waiting = |events: &[Event]| {
            let mut state = State::default();
            events.iter().for_each(|event| state.apply(event.clone()));
            (state.readings.into_keys().collect::<Vec<_>>(), state.next_reading)
        };
        let batched = Event::Batched { last: 3 };
        assert_eq!(waiting(&[readings(1, 3), readings(4, 2)]), (vec![1, 2, 3, 4, 5], 6));
        assert_eq!(waiting(&[readings(1, 3), batched.clone(), readings(4, 2)]), (vec![4, 5], 6));
        // The first readings cannot be read any more: others are not taken in their place.
        assert_eq!(waiting(&[readings(3, 1), readings(4, 2), batched.clone()]), (vec![4, 5], 6));
        assert_eq!(waiting(&[batched]), (vec![], 4));
        // Nor that they were batched: an answer tells.
        let mut answer = answered(&[1], &[], None);
        let Event::Answered { last_batched, .. } = &mut answer else { unreachable!("it is one") };
        *last_batched = 3;
        assert_eq!(waiting(&[readings(1, 3), readings(4, 2), answer]), (vec![4, 5], 6));
    }

    #[test]
    fn only_the_hook_that_runs_ends() {
        let mut state = State::default();
        let standing = Standing::new("RED", "");
        state.apply(Event::HookBegins { standing, change: 2 });
        state.apply(Event::HookEnded { change: 1 });
        assert!(state.hook.is_running);
        state.apply(Event::HookEnded { change: 2 });
        assert!(!state.hook.is_running);
    }

    #[test]
    fn a_snapshot_takes_the_place_of_everything() {
        let mut state = State { next_number: 9, ..State::default() };
        state.apply(answered(&[1], &[2], None));
        let before = state.clone();
        let mut other = State::default();
        other.apply(answered(&[5], &[], None));
        other.apply(Event::Snapshot(Box::new(before.clone())));
        assert_eq!(other, before);
    }

    #[test]
    fn a_batch_waits_where_its_last_copy_is() {
        let mut places = Places::default();
        places.enter(1, 1);
        places.add(1, 10);
        places.enter(2, 5);
        places.add(11, 20);
        places.enter(3, 9);
        places.carry(4);
        let done = ranges((1..=9).filter(|&number| number != 4));
        let pending = |places: &Places| [1, 2, 3].map(|segment| places.n_pending(segment, &done));
        assert_eq!(pending(&places), [1, 10, 1]);
        assert!(!places.counts(4, 1, false) && places.counts(4, 3, true) && places.counts(10, 1, false));
        assert_eq!(places.sealed().collect::<Vec<_>>(), [1, 2]);
        places.forget(6, &done);
        assert_eq!(pending(&places), [0, 10, 1]);
        assert_eq!((places.first_sequence(1), places.first_sequence(2)), (None, Some(5)));
    }
}

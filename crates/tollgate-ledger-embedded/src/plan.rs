//! What becomes of each element of a group, decided before anything is written.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use tollgate_journal::Packed;
use tollgate_ledger::{Entry, Outcome, Prepared, Received};
use tollgate_rules::{Admitted, Digest, Quarantined};

use crate::index::{Already, Catalogue, Index, IndexError, Key, Known};
use crate::prepare::{Whole, Work};

/// A group's outcomes, true once its additions are durable.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) parts: Vec<Part>,
}

/// What one request adds.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) received: Received,
    pub(crate) additions: Vec<Addition>,
    /// The records of all of them, when they were compressed before.
    pub(crate) packed: Option<Packed>,
    /// What they add up to, when that was worked out before.
    pub(crate) usage: Option<Catalogue>,
}

/// Something new.
#[derive(Debug)]
pub(crate) enum Addition {
    Batch { key: Key, batch: Admitted },
    Quarantined { key: Key, id: u64, element: Quarantined },
}

/// Decides on the elements of the requests in order, each as if the ones before it were in the index.
pub(crate) fn plan(index: &Index, requests: Vec<Prepared>) -> Result<Plan, IndexError> {
    let (requests, works): (Vec<_>, Vec<_>) = requests.into_iter().map(|request| open(index, request)).unzip();
    let keys: Vec<Key> = works.iter().flat_map(|work| &work.keys).copied().collect();
    let mut known = index.find_all(&keys)?.into_iter();
    let mut planner = Planner {
        index,
        next_id: index.with_facts(|facts| facts.next_quarantine_id()),
        batches: Pending::with_capacity_and_hasher(keys.len(), BuildHasherDefault::default()),
        quarantined: Pending::default(),
    };
    let mut outcomes = Vec::with_capacity(keys.len());
    let mut parts = Vec::with_capacity(requests.len());
    for ((entries, received), Work { keys, whole }) in requests.into_iter().zip(works) {
        let n_entries = entries.len();
        let mut additions = Vec::with_capacity(n_entries);
        let mut n_recorded = 0;
        for ((entry, key), known) in entries.into_iter().zip(keys).zip(&mut known) {
            let (outcome, addition) = planner.decide(entry, key, known)?;
            n_recorded += usize::from(outcome == Outcome::Recorded);
            outcomes.push(outcome);
            additions.extend(addition);
        }
        let whole = whole.filter(|_| n_recorded == n_entries);
        let (packed, usage) = whole.map(|Whole { records, usage }| (records, usage)).unzip();
        parts.push(Part { received, additions, packed, usage });
    }
    Ok(Plan { outcomes, parts })
}

/// A request's entries, and what was or is now worked out of them.
fn open(index: &Index, request: Prepared) -> ((Vec<Entry>, Received), Work) {
    let Prepared { entries, received, work } = request;
    let work = work.and_then(|work| work.downcast::<Work>().ok()).filter(|work| work.keys.len() == entries.len());
    let work = work.map_or_else(
        || Work { keys: entries.iter().map(|entry| index.keys.entry(entry)).collect(), whole: None },
        |work| *work,
    );
    ((entries, received), work)
}

/// New in this group.
type Pending<T> = HashMap<Key, T, BuildHasherDefault<Already>>;

struct Planner<'a> {
    index: &'a Index,
    next_id: u64,
    batches: Pending<Digest>,
    quarantined: Pending<u64>,
}

impl Planner<'_> {
    /// What becomes of an entry, and what it adds; `known` is what the index has under its key.
    fn decide(
        &mut self,
        entry: Entry,
        key: Key,
        known: Option<Known>,
    ) -> Result<(Outcome, Option<Addition>), IndexError> {
        match entry {
            Entry::Batch(batch) => self.record(batch, key, known.map(|known| known.digest)),
            Entry::Quarantine(element) => {
                let (quarantine_id, addition) = self.set_aside(element, key, known.map(|known| known.value));
                Ok((Outcome::Quarantined { quarantine_id }, addition))
            }
        }
    }

    /// `recorded` is the content that is recorded under the batch's id.
    fn record(
        &mut self,
        batch: Admitted,
        key: Key,
        recorded: Option<Digest>,
    ) -> Result<(Outcome, Option<Addition>), IndexError> {
        let Some(recorded) = recorded.or_else(|| self.batches.get(&key).copied()) else {
            self.batches.insert(key, batch.digest());
            return Ok((Outcome::Recorded, Some(Addition::Batch { key, batch })));
        };
        if recorded == batch.digest() {
            return Ok((Outcome::Duplicate, None));
        }
        let element = Quarantined::conflict(batch, recorded);
        let key = self.index.keys.element(&element);
        let known = self.index.find(key)?.map(|known| known.value);
        let (quarantine_id, addition) = self.set_aside(element, key, known);
        Ok((Outcome::Conflict { quarantine_id, recorded }, addition))
    }

    /// The quarantine's id of an element, and the element when it is new.
    fn set_aside(&mut self, element: Quarantined, key: Key, known: Option<u64>) -> (u64, Option<Addition>) {
        if let Some(id) = known.or_else(|| self.quarantined.get(&key).copied()) {
            return (id, None);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.quarantined.insert(key, id);
        (id, Some(Addition::Quarantined { key, id, element }))
    }
}

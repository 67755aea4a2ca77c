//! What becomes of each element of a group, decided before anything is written.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use tollgate_ledger::{Entry, Outcome};
use tollgate_rules::{Admitted, Digest, Quarantined};

use crate::index::{Already, Index, IndexError, Key};

/// A group's outcomes, true once its additions are durable.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) additions: Vec<Addition>,
}

/// Something new.
#[derive(Debug)]
pub(crate) enum Addition {
    Batch { key: Key, batch: Admitted },
    Quarantined { key: Key, id: u64, element: Quarantined },
}

/// Decides on the elements in order, each as if the ones before it were in the index.
pub(crate) fn plan(index: &Index, group: Vec<Entry>) -> Result<Plan, IndexError> {
    let keys: Vec<Key> = group.iter().map(|entry| own_key(index, entry)).collect();
    let known = index.find_all(&keys)?;
    let mut planner = Planner {
        index,
        next_id: index.with_facts(|facts| facts.next_quarantine_id()),
        batches: Pending::with_capacity_and_hasher(group.len(), BuildHasherDefault::default()),
        quarantined: Pending::default(),
    };
    let mut plan = Plan { outcomes: Vec::with_capacity(group.len()), additions: Vec::with_capacity(group.len()) };
    for ((entry, key), known) in group.into_iter().zip(keys).zip(known) {
        let (outcome, addition) = match entry {
            Entry::Batch(batch) => planner.record(batch, key, known.map(|known| known.digest))?,
            Entry::Quarantine(element) => {
                let (quarantine_id, addition) = planner.set_aside(element, key, known.map(|known| known.value));
                (Outcome::Quarantined { quarantine_id }, addition)
            }
        };
        plan.outcomes.push(outcome);
        plan.additions.extend(addition);
    }
    Ok(plan)
}

fn own_key(index: &Index, entry: &Entry) -> Key {
    match entry {
        Entry::Batch(batch) => index.keys.batch(batch.id()),
        Entry::Quarantine(element) => element_key(index, element),
    }
}

fn element_key(index: &Index, element: &Quarantined) -> Key {
    index.keys.element(&element.id.model_uuid, &element.id.batch_uuid, element.digest)
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
        let key = element_key(self.index, &element);
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

//! What becomes of each element of a group, decided before anything is written.

use std::collections::HashMap;

use tollgate_ledger::{Entry, Outcome};
use tollgate_rules::{Admitted, BatchId, Digest, Quarantined};

use crate::index::{ElementKey, Index};

/// A group's outcomes, true once its additions are durable.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) additions: Vec<Addition>,
}

/// Something new.
#[derive(Debug)]
pub(crate) enum Addition {
    Batch(Admitted),
    Quarantined { id: u64, element: Quarantined },
}

/// Decides on the elements in order, each as if the ones before it were in the index.
pub(crate) fn plan(index: &Index, group: Vec<Entry>) -> Plan {
    let mut planner =
        Planner { index, batches: HashMap::with_capacity(group.len()), quarantined: HashMap::new() };
    let decisions: Vec<Decision> = group.iter().map(|entry| planner.decide(entry)).collect();
    let outcomes = decisions.iter().map(|decision| decision.outcome).collect();
    let additions = group.into_iter().zip(decisions).filter_map(|(entry, decision)| decision.addition(entry));
    Plan { outcomes, additions: additions.collect() }
}

/// What becomes of one element.
#[derive(Debug, Clone, Copy)]
struct Decision {
    outcome: Outcome,
    /// Whether there is nothing equal yet.
    is_new: bool,
}

impl Decision {
    fn addition(self, entry: Entry) -> Option<Addition> {
        if !self.is_new {
            return None;
        }
        Some(match (entry, self.outcome) {
            (Entry::Batch(batch), Outcome::Recorded) => Addition::Batch(batch),
            (Entry::Batch(batch), Outcome::Conflict { quarantine_id: id, recorded }) => {
                Addition::Quarantined { id, element: Quarantined::conflict(batch, recorded) }
            }
            (Entry::Quarantine(element), Outcome::Quarantined { quarantine_id: id }) => {
                Addition::Quarantined { id, element }
            }
            (Entry::Batch(_) | Entry::Quarantine(_), outcome) => {
                unreachable!("nothing that is new becomes {outcome:?}")
            }
        })
    }
}

struct Planner<'a> {
    index: &'a Index,
    /// New in this group.
    batches: HashMap<&'a BatchId, Digest>,
    quarantined: HashMap<ElementKey, u64>,
}

impl<'a> Planner<'a> {
    fn decide(&mut self, entry: &'a Entry) -> Decision {
        let batch = match entry {
            Entry::Batch(batch) => batch,
            Entry::Quarantine(element) => {
                let (quarantine_id, is_new) = self.set_aside(&element.id, element.digest);
                return Decision { outcome: Outcome::Quarantined { quarantine_id }, is_new };
            }
        };
        let known = self.index.ids.find(batch.id()).map(|recorded| recorded.digest);
        match known.or_else(|| self.batches.get(batch.id()).copied()) {
            None => {
                self.batches.insert(batch.id(), batch.digest());
                Decision { outcome: Outcome::Recorded, is_new: true }
            }
            Some(recorded) if recorded == batch.digest() => {
                Decision { outcome: Outcome::Duplicate, is_new: false }
            }
            Some(recorded) => {
                let (quarantine_id, is_new) = self.set_aside(batch.id(), batch.digest());
                Decision { outcome: Outcome::Conflict { quarantine_id, recorded }, is_new }
            }
        }
    }

    /// The quarantine's id of an element, and whether it is new.
    fn set_aside(&mut self, id: &BatchId, digest: Digest) -> (u64, bool) {
        let key = ElementKey::new(&id.model_uuid, &id.batch_uuid, digest);
        if let Some(id) = self.index.quarantine.find(key).or_else(|| self.quarantined.get(&key).copied()) {
            return (id, false);
        }
        let new_id = self.index.quarantine.next_id() + self.quarantined.len() as u64;
        self.quarantined.insert(key, new_id);
        (new_id, true)
    }
}

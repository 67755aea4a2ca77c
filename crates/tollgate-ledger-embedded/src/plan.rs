//! What becomes of each element of a group, decided before anything is written.

use std::collections::HashMap;

use tollgate_ledger::{Entry, Outcome};
use tollgate_rules::{Admitted, BatchId, Digest, Quarantined};

use crate::index::Index;

/// A group's outcomes, true once its additions are durable.
#[derive(Debug, Default)]
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
    let mut planner = Planner {
        index,
        batches: HashMap::with_capacity(group.len()),
        quarantined: HashMap::new(),
        plan: Plan { outcomes: Vec::with_capacity(group.len()), additions: Vec::with_capacity(group.len()) },
    };
    for entry in group {
        let outcome = match entry {
            Entry::Batch(batch) => planner.plan_batch(batch),
            Entry::Quarantine(element) => Outcome::Quarantined { quarantine_id: planner.set_aside(element) },
        };
        planner.plan.outcomes.push(outcome);
    }
    planner.plan
}

struct Planner<'a> {
    index: &'a Index,
    /// New in this group.
    batches: HashMap<BatchId, Digest>,
    quarantined: HashMap<(BatchId, Digest), u64>,
    plan: Plan,
}

impl Planner<'_> {
    fn plan_batch(&mut self, batch: Admitted) -> Outcome {
        let known = self.index.ids.find(batch.id()).map(|recorded| recorded.digest);
        match known.or_else(|| self.batches.get(batch.id()).copied()) {
            None => {
                self.batches.insert(batch.id().clone(), batch.digest());
                self.plan.additions.push(Addition::Batch(batch));
                Outcome::Recorded
            }
            Some(recorded) if recorded == batch.digest() => Outcome::Duplicate,
            Some(recorded) => {
                let quarantine_id = self.set_aside(Quarantined::conflict(batch, recorded));
                Outcome::Conflict { quarantine_id, recorded }
            }
        }
    }

    fn set_aside(&mut self, element: Quarantined) -> u64 {
        let key = (element.id.clone(), element.digest);
        if let Some(id) = self.index.quarantine.find(&key).or_else(|| self.quarantined.get(&key).copied()) {
            return id;
        }
        let id = self.index.quarantine.next_id() + self.quarantined.len() as u64;
        self.quarantined.insert(key, id);
        self.plan.additions.push(Addition::Quarantined { id, element });
        id
    }
}

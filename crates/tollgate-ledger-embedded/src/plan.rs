//! What becomes of each element of a group, decided before anything is written.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use tollgate_ledger::{Act, Entry, LedgerError, Outcome, Prepared, Received, Remedy};
use tollgate_rules::{Admitted, Digest, Quarantined, Reason};

use crate::act::{StoredAct, Topic};
use crate::error::of_index;
use crate::index::{Already, Facts, Index, Key, Known};
use crate::prepare::{PackedBatches, Piece};

/// A group's outcomes, true once its additions are durable.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) parts: Vec<Part>,
}

/// What one piece of a request adds.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) received: Received,
    pub(crate) additions: Additions,
}

/// What is new of it.
#[derive(Debug)]
pub(crate) enum Additions {
    /// All of it.
    Packed(PackedBatches),
    Some(Vec<Addition>),
}

/// Something new.
#[derive(Debug)]
pub(crate) enum Addition {
    Batch {
        key: Key,
        batch: Admitted,
    },
    Quarantined {
        key: Key,
        id: u64,
        element: Quarantined,
    },
    /// An act; of a release, with the batch if that is new.
    Act {
        act: StoredAct,
        batch: Option<(Key, Admitted)>,
    },
}

/// Decides on the elements of the requests in order, each as if the ones before it were in the index.
pub(crate) fn plan(index: &Index, requests: Vec<Prepared>) -> Result<Plan, LedgerError> {
    let n_entries = requests.iter().map(|request| request.n_entries).sum();
    let mut pieces = Vec::with_capacity(requests.len());
    for Prepared { received, content, .. } in requests {
        pieces.extend(Piece::of(&index.keys, content)?.into_iter().map(|piece| (piece, received)));
    }
    let keys: Vec<Key> = pieces.iter().flat_map(|(piece, _)| piece.keys()).collect();
    let failed = |error| of_index(format!("look for {n_entries} elements"))(error);
    let known = index.find_all(&keys).map_err(failed)?;
    let mut planner = Planner {
        index,
        next_id: index.with_facts(Facts::next_quarantine_id),
        batches: Pending::default(),
        quarantined: Pending::default(),
        acts: HashMap::new(),
    };
    let mut plan = Plan { outcomes: Vec::with_capacity(n_entries), parts: Vec::with_capacity(pieces.len()) };
    let (mut rest, mut n_left) = (&known[..], pieces.len());
    for (piece, received) in pieces {
        let (known, later) = rest.split_at(piece.keys().count());
        (rest, n_left) = (later, n_left - 1);
        let additions = match piece {
            Piece::Packed(batches) if planner.are_new(&batches, known) => {
                plan.outcomes.extend(known.iter().map(|_| Outcome::Recorded));
                // Nobody looks there any more after the last piece.
                if 0 < n_left {
                    planner.batches.reserve(n_entries - plan.outcomes.len() + batches.ids.len());
                    planner.batches.extend(batches.ids.iter().copied());
                }
                Additions::Packed(batches)
            }
            Piece::Packed(batches) if are_recorded(&batches, known) => {
                plan.outcomes.extend(known.iter().map(|_| Outcome::Duplicate));
                Additions::Some(Vec::new())
            }
            Piece::Packed(batches) => planner.each(batches.unpack()?, known, &mut plan.outcomes)?,
            piece @ Piece::Entries { .. } => planner.each(piece, known, &mut plan.outcomes)?,
        };
        plan.parts.push(Part { received, additions });
    }
    Ok(plan)
}

/// Whether all of the batches are in the index with the same content: what a sender sends again that missed its answer.
fn are_recorded(batches: &PackedBatches, known: &[Option<Known>]) -> bool {
    let mut pairs = batches.ids.iter().zip(known);
    pairs.all(|((_, digest), known)| known.is_some_and(|known| known.digest == *digest))
}

/// New in this group.
type Pending<T> = HashMap<Key, T, BuildHasherDefault<Already>>;

struct Planner<'a> {
    index: &'a Index,
    next_id: u64,
    batches: Pending<Digest>,
    quarantined: Pending<u64>,
    /// The last one on each topic.
    acts: HashMap<Topic, StoredAct>,
}

impl Planner<'_> {
    /// Whether none of the batches is known.
    fn are_new(&self, batches: &PackedBatches, known: &[Option<Known>]) -> bool {
        known.iter().all(Option::is_none)
            && (self.batches.is_empty() || !batches.ids.iter().any(|(key, _)| self.batches.contains_key(key)))
    }

    /// Decides on each entry.
    fn each(
        &mut self,
        piece: Piece,
        known: &[Option<Known>],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Additions, LedgerError> {
        let Piece::Entries { entries, keys } = piece else { return Ok(Additions::Some(Vec::new())) };
        let mut additions = Vec::with_capacity(entries.len());
        for ((entry, key), known) in entries.into_iter().zip(keys).zip(known) {
            let (outcome, addition) = self.decide(entry, key, *known)?;
            outcomes.push(outcome);
            additions.extend(addition);
        }
        Ok(Additions::Some(additions))
    }

    /// What becomes of an entry, and what it adds; `known` is what the index has under its key.
    fn decide(
        &mut self,
        entry: Entry,
        key: Key,
        known: Option<Known>,
    ) -> Result<(Outcome, Option<Addition>), LedgerError> {
        let recorded = || known.map(|known| known.digest);
        match entry {
            Entry::Batch(batch) => self.record(batch, key, recorded()),
            Entry::Refused(batch, reason) => self.refuse(batch, reason, key, recorded()),
            Entry::Quarantine(element) => {
                let (quarantine_id, addition) = self.set_aside(element, key, known.map(|known| known.value));
                Ok((Outcome::Quarantined { quarantine_id }, addition))
            }
            Entry::Act(act) => self.act(act, key, recorded()),
        }
    }

    /// The content that is recorded under a batch's id, when the index has `recorded` there.
    fn recorded(&self, key: Key, recorded: Option<Digest>) -> Option<Digest> {
        recorded.or_else(|| self.batches.get(&key).copied())
    }

    /// `recorded` is the content that is recorded under the batch's id.
    fn record(
        &mut self,
        batch: Admitted,
        key: Key,
        recorded: Option<Digest>,
    ) -> Result<(Outcome, Option<Addition>), LedgerError> {
        let Some(recorded) = self.recorded(key, recorded) else {
            self.batches.insert(key, batch.digest());
            return Ok((Outcome::Recorded, Some(Addition::Batch { key, batch })));
        };
        if recorded == batch.digest() {
            return Ok((Outcome::Duplicate, None));
        }
        let (quarantine_id, addition) = self.find_and_set_aside(Quarantined::conflict(batch, recorded))?;
        Ok((Outcome::Conflict { quarantine_id, recorded }, addition))
    }

    fn refuse(
        &mut self,
        batch: Admitted,
        reason: Reason,
        key: Key,
        recorded: Option<Digest>,
    ) -> Result<(Outcome, Option<Addition>), LedgerError> {
        if self.recorded(key, recorded).is_some() {
            return self.record(batch, key, recorded);
        }
        let (quarantine_id, addition) = self.find_and_set_aside(Quarantined::refused(batch, reason))?;
        Ok((Outcome::Quarantined { quarantine_id }, addition))
    }

    /// `recorded` is the content that is recorded under the id of the batch of a release.
    fn act(
        &mut self,
        act: Act,
        key: Key,
        recorded: Option<Digest>,
    ) -> Result<(Outcome, Option<Addition>), LedgerError> {
        let (act, batch) = match act {
            Act::SetStatus(status) => (StoredAct::SetStatus(status), None),
            Act::ClearStatus { model_uuid, unit_name } => {
                (StoredAct::ClearStatus { model_uuid, unit_name }, None)
            }
            Act::Revoke { credential_id } => (StoredAct::Revoke { credential_id }, None),
            Act::Declare { model_uuid, user } => (StoredAct::Declare { model_uuid, user }, None),
            Act::Release { quarantine_id, batch } => (StoredAct::Release { quarantine_id }, batch),
        };
        if let StoredAct::Release { quarantine_id } = act
            && !(1..self.next_id).contains(&quarantine_id)
        {
            let step = format!("release element {quarantine_id} of the quarantine");
            return Err(LedgerError::new(Remedy::Repair, step).because("there is none with that id"));
        }
        let topic = act.topic();
        let is_change = match self.acts.get(&topic) {
            Some(last) => *last != act,
            None => self.index.with_facts(|facts| facts.acts.are_changed_by(&act)),
        };
        if !is_change {
            return Ok((Outcome::Duplicate, None));
        }
        let mut new = None;
        if let (Some(batch), StoredAct::Release { quarantine_id }) = (batch, &act) {
            match self.recorded(key, recorded) {
                Some(recorded) if recorded != batch.digest() => {
                    return Ok((Outcome::Conflict { quarantine_id: *quarantine_id, recorded }, None));
                }
                Some(_) => {}
                None => {
                    self.batches.insert(key, batch.digest());
                    new = Some((key, batch));
                }
            }
        }
        self.acts.insert(topic, act.clone());
        Ok((Outcome::Recorded, Some(Addition::Act { act, batch: new })))
    }

    /// As [`Planner::set_aside`], of what was not looked for yet.
    fn find_and_set_aside(&mut self, element: Quarantined) -> Result<(u64, Option<Addition>), LedgerError> {
        let key = self.index.keys.element(&element);
        let known = self.index.find(key).map_err(of_index("look for a quarantined element"))?;
        Ok(self.set_aside(element, key, known.map(|known| known.value)))
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

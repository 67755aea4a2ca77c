//! A ledger in memory, to be compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tollgate_rules::{
    Admitted, BatchId, BatchIdRef, Digest, Point, Quarantined, Reason, Rollup, Select, Series, Sum, Visitor,
};

use crate::{
    Act, BadCursor, BatchItem, BatchPage, BatchSelect, Counts, Entry, HandStatus, Ledger, LedgerError,
    MeterTotal, ModelSummary, NothingToPrepare, Outcome, Ownership, Page, QuarantineItem, Reader, Received,
    Remedy, Writer,
};

/// A ledger that lasts as long as its value. It keeps every batch and works each answer out from all of them, so that
/// it is easy to see that the answers are right.
///
/// ```
/// use tollgate_ledger::{MemoryLedger, Outcome, Reader, Writer};
/// use tollgate_rules::judge;
/// use tollgate_wire::{Document, Timestamp};
///
/// let mut ledger = MemoryLedger::default().open();
/// let posted = Document::new(br#"[{"uuid":"b","env-uuid":"m","metrics":[{"key":"pings","value":"5"}]}]"#);
/// let group = || posted.batches().unwrap().iter().map(|element| judge(element).into()).collect();
/// assert_eq!(ledger.writer.record(group(), Timestamp::default())?, [Outcome::Recorded]);
/// assert_eq!(ledger.writer.record(group(), Timestamp::default())?, [Outcome::Duplicate]);
/// assert_eq!(ledger.reader.model("m")?.unwrap().meters[0].sum, "5");
/// # Ok::<(), tollgate_ledger::LedgerError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// In the order of recording, each with when it came.
    batches: Vec<(Admitted, Received)>,
    /// Where each is in `batches`.
    places: HashMap<BatchId, usize>,
    quarantine: Vec<QuarantineItem>,
    quarantine_ids: HashMap<(BatchId, Digest), u64>,
    /// By model and unit, which is empty for the model itself.
    statuses: BTreeMap<(Box<str>, Box<str>), HandStatus>,
    revoked: BTreeSet<Box<str>>,
    declared: BTreeMap<Box<str>, Box<str>>,
}

impl MemoryLedger {
    /// The two halves, which share what this value holds. Opening it once more finds all of it.
    #[must_use]
    pub fn open(&self) -> Ledger {
        Ledger {
            preparer: Arc::new(NothingToPrepare),
            writer: Box::new(self.clone()),
            reader: Arc::new(self.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the state")
    }
}

impl Writer for MemoryLedger {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        let mut state = self.state();
        let outcomes = group.into_iter().map(|entry| match entry {
            Entry::Batch(batch) => state.record_batch(batch, received),
            Entry::Refused(batch, reason) => state.refuse(batch, reason, received),
            Entry::Act(act) => state.act(act, received),
            Entry::Quarantine(element) => {
                Outcome::Quarantined { quarantine_id: state.set_aside(element, received) }
            }
        });
        Ok(outcomes.collect())
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl State {
    fn recorded(&self, id: BatchIdRef<'_>) -> Option<Digest> {
        self.places.get(&id.owned()).map(|&place| self.batches[place].0.digest())
    }

    fn record_batch(&mut self, batch: Admitted, received: Received) -> Outcome {
        let Some(recorded) = self.recorded(batch.id()) else {
            self.places.insert(batch.id().owned(), self.batches.len());
            self.batches.push((batch, received));
            return Outcome::Recorded;
        };
        if recorded == batch.digest() {
            return Outcome::Duplicate;
        }
        let quarantine_id = self.set_aside(Quarantined::conflict(batch, recorded), received);
        Outcome::Conflict { quarantine_id, recorded }
    }

    fn refuse(&mut self, batch: Admitted, reason: Reason, received: Received) -> Outcome {
        if self.recorded(batch.id()).is_some() {
            return self.record_batch(batch, received);
        }
        Outcome::Quarantined { quarantine_id: self.set_aside(Quarantined::refused(batch, reason), received) }
    }

    fn act(&mut self, act: Act, received: Received) -> Outcome {
        let changes = match act {
            Act::SetStatus(status) => {
                let place = (status.model_uuid.clone(), status.unit_name.clone());
                self.statuses.insert(place, status.clone()) != Some(status)
            }
            Act::ClearStatus { model_uuid, unit_name } => {
                self.statuses.remove(&(model_uuid, unit_name)).is_some()
            }
            Act::Revoke { credential_id } => self.revoked.insert(credential_id),
            Act::Declare { model_uuid, user } => self.declared.insert(model_uuid, user.clone()) != Some(user),
            Act::Release { quarantine_id, batch } => return self.release(quarantine_id, batch, received),
        };
        if changes { Outcome::Recorded } else { Outcome::Duplicate }
    }

    fn release(&mut self, quarantine_id: u64, batch: Option<Admitted>, received: Received) -> Outcome {
        let place = usize::try_from(quarantine_id - 1).expect("an id that an outcome gave");
        if self.quarantine[place].is_released {
            return Outcome::Duplicate;
        }
        if let Some(batch) = batch {
            match self.recorded(batch.id()) {
                Some(recorded) if recorded != batch.digest() => {
                    return Outcome::Conflict { quarantine_id, recorded };
                }
                _ => self.record_batch(batch, received),
            };
        }
        self.quarantine[place].is_released = true;
        Outcome::Recorded
    }

    fn set_aside(&mut self, element: Quarantined, received: Received) -> u64 {
        let next_id = self.quarantine.len() as u64 + 1;
        let id = *self.quarantine_ids.entry((element.id.clone(), element.digest)).or_insert(next_id);
        if id == next_id {
            self.quarantine.push(QuarantineItem {
                id,
                model_uuid: element.id.model_uuid.into(),
                batch_uuid: element.id.batch_uuid.into(),
                unit_name: element.unit_name.into(),
                code: element.reason.code().to_owned(),
                reason: element.reason.to_string(),
                received: received.to_string(),
                is_released: false,
                body: String::from_utf8_lossy(&element.body).into_owned(),
            });
        }
        id
    }

    fn model_uuids(&self) -> BTreeSet<&str> {
        self.batches.iter().map(|(batch, _)| batch.id().model_uuid).collect()
    }

    fn model_uuids_after(&self, page: &Page) -> impl Iterator<Item = &str> {
        let is_after = |uuid: &&str| page.cursor.as_deref().is_none_or(|cursor| cursor < *uuid);
        self.model_uuids().into_iter().filter(is_after).take(page.limit)
    }

    fn ownership(&self, model_uuid: &str) -> Ownership {
        Ownership {
            model_name: self.model(model_uuid).map(|model| model.model_name.into()),
            declared_user: self.declared.get(model_uuid).cloned(),
        }
    }

    fn model(&self, model_uuid: &str) -> Option<ModelSummary> {
        let batches = self.batches.iter().map(|(batch, _)| batch);
        let batches: Vec<&Admitted> = batches.filter(|batch| batch.id().model_uuid == model_uuid).collect();
        // Of several that are equally new, `max_by_key` takes the last.
        let newest = batches.iter().max_by_key(|batch| batch.created())?;
        let units: BTreeSet<&str> = batches.iter().map(|batch| batch.unit_name()).collect();
        let mut meters = BTreeMap::<&str, (u64, Sum)>::new();
        for reading in batches.iter().flat_map(|batch| batch.readings()) {
            let (n_metrics, sum) = meters.entry(reading.key).or_default();
            *n_metrics += 1;
            sum.add(reading.amount);
        }
        Some(ModelSummary {
            model_uuid: model_uuid.to_owned(),
            model_name: newest.model_name().to_owned(),
            units: units.into_iter().filter(|unit| !unit.is_empty()).map(str::to_owned).collect(),
            n_batches: batches.len() as u64,
            last_created: newest.created().to_string(),
            meters: meters
                .into_iter()
                .map(|(key, (n_metrics, sum))| MeterTotal {
                    key: key.to_owned(),
                    n_metrics,
                    sum: sum.to_string(),
                })
                .collect(),
        })
    }
}

impl Reader for MemoryLedger {
    fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            n_batches: state.batches.len() as u64,
            n_metrics: state.batches.iter().map(|(batch, _)| batch.readings().len() as u64).sum(),
            n_models: state.model_uuids().len() as u64,
            n_quarantined: state.quarantine.len() as u64,
        }
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        let state = self.state();
        Ok(state.model_uuids_after(page).filter_map(|uuid| state.model(uuid)).collect())
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        Ok(self.state().model(model_uuid))
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        let state = self.state();
        Ok(state.places.get(id).map(|&place| state.batches[place].0.body().to_vec()))
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        let state = self.state();
        let is_after = |item: &&QuarantineItem| page.after_id() < item.id;
        Ok(state.quarantine.iter().filter(is_after).take(page.limit).cloned().collect())
    }
    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError> {
        let bad = |_| LedgerError::new(Remedy::Repair, "list the batches").because(BadCursor);
        let start: usize = page.cursor.as_deref().unwrap_or("0").parse().map_err(bad)?;
        let state = self.state();
        let asked_for = state.batches.iter().enumerate().skip(start);
        let mut asked_for =
            asked_for.filter(|(_, (batch, _))| select.has(batch.id().model_uuid, batch.unit_name()));
        let taken: Vec<_> = asked_for.by_ref().take(page.limit).collect();
        let end = taken.last().map_or(start, |(place, _)| place + 1);
        let next_cursor = asked_for.next().map(|_| end.to_string());
        Ok(BatchPage {
            batches: taken.iter().map(|(_, (batch, received))| BatchItem::new(batch, *received)).collect(),
            next_cursor,
        })
    }

    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        // The visitor may ask other questions meanwhile.
        let batches = self.state().batches.clone();
        let mut series = BTreeMap::<Series<'_>, BTreeMap<i64, Rollup>>::new();
        for (batch, _) in &batches {
            for reading in batch.readings() {
                let its = Series {
                    model_uuid: batch.id().model_uuid,
                    unit_name: batch.unit_name(),
                    charm_url: batch.charm_url(),
                    meter: reading.key,
                    labels: reading.labels,
                };
                let point = Point::of(&reading);
                if select.has(&its) && select.has_hour(point.hour()) {
                    let rollups = series.entry(its).or_default();
                    rollups
                        .entry(point.hour())
                        .and_modify(|rollup| rollup.add(point))
                        .or_insert(Rollup::of(point));
                }
            }
        }
        for (series, rollups) in &series {
            if visitor.series(series) {
                rollups.iter().for_each(|(hour, rollup)| visitor.rollup(*hour, rollup));
            }
        }
        Ok(())
    }

    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError> {
        Ok(self.state().statuses.get(&(model_uuid.into(), unit_name.into())).cloned())
    }

    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError> {
        let state = self.state();
        let is_its = |status: &&HandStatus| model_uuid.is_none_or(|uuid| *status.model_uuid == *uuid);
        Ok(state.statuses.values().filter(is_its).cloned().collect())
    }

    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError> {
        Ok(self.state().revoked.contains(credential_id))
    }

    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError> {
        Ok(self.state().declared.get(model_uuid).cloned())
    }

    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        let state = self.state();
        Ok(model_uuids.iter().map(|uuid| state.ownership(uuid)).collect())
    }

    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        let state = self.state();
        let uuids = state.model_uuids_after(page);
        Ok(uuids.map(|uuid| (uuid.into(), state.ownership(uuid))).collect())
    }
}

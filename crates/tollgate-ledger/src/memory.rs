//! A ledger in memory, to be compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tollgate_rules::{Admitted, BatchId, Digest, Quarantined, Sum};

use crate::{
    Counts, Entry, Ledger, LedgerError, MeterTotal, ModelSummary, NothingToPrepare, Outcome, Page,
    QuarantineItem, Reader, Received, Writer,
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
    /// In the order of recording.
    batches: Vec<Admitted>,
    /// Where each is in `batches`.
    places: HashMap<BatchId, usize>,
    quarantine: Vec<QuarantineItem>,
    quarantine_ids: HashMap<(BatchId, Digest), u64>,
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
    fn record_batch(&mut self, batch: Admitted, received: Received) -> Outcome {
        let Some(&place) = self.places.get(batch.id()) else {
            self.places.insert(batch.id().clone(), self.batches.len());
            self.batches.push(batch);
            return Outcome::Recorded;
        };
        let recorded = self.batches[place].digest();
        if recorded == batch.digest() {
            return Outcome::Duplicate;
        }
        let quarantine_id = self.set_aside(Quarantined::conflict(batch, recorded), received);
        Outcome::Conflict { quarantine_id, recorded }
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
                body: String::from_utf8_lossy(&element.body).into_owned(),
            });
        }
        id
    }

    fn model_uuids(&self) -> BTreeSet<&str> {
        self.batches.iter().map(|batch| &*batch.id().model_uuid).collect()
    }

    fn model(&self, model_uuid: &str) -> Option<ModelSummary> {
        let batches: Vec<&Admitted> =
            self.batches.iter().filter(|batch| &*batch.id().model_uuid == model_uuid).collect();
        // Of several that are equally new, `max_by_key` takes the last.
        let newest = batches.iter().max_by_key(|batch| batch.created())?;
        let units: BTreeSet<&str> = batches.iter().map(|batch| batch.unit_name()).collect();
        let mut meters = BTreeMap::<&str, (u64, Sum)>::new();
        for reading in batches.iter().flat_map(|batch| batch.readings()) {
            let (n_metrics, sum) = meters.entry(&reading.key).or_default();
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
            n_metrics: state.batches.iter().map(|batch| batch.readings().len() as u64).sum(),
            n_models: state.model_uuids().len() as u64,
            n_quarantined: state.quarantine.len() as u64,
        }
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        let state = self.state();
        let is_after = |uuid: &&str| page.cursor.as_deref().is_none_or(|cursor| cursor < *uuid);
        let uuids = state.model_uuids().into_iter().filter(is_after).take(page.limit);
        Ok(uuids.filter_map(|uuid| state.model(uuid)).collect())
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        Ok(self.state().model(model_uuid))
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        let state = self.state();
        Ok(state.places.get(id).map(|&place| state.batches[place].body().to_vec()))
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        let state = self.state();
        let is_after = |item: &&QuarantineItem| page.after_id() < item.id;
        Ok(state.quarantine.iter().filter(is_after).take(page.limit).cloned().collect())
    }
}

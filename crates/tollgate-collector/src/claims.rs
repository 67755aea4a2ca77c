//! What a request brings to the allowances, worked out before it waits for its turn.

use std::collections::HashMap;
use std::sync::Arc;

use tollgate_ledger::{Act, Entry};
use tollgate_rules::{Admitted, Due, MeterKind, Policy, Series, SeriesId, hour_of};
use tollgate_wire::Timestamp;

/// What a request brings to the allowances.
pub(crate) struct Claim {
    /// What it was worked out under.
    pub(crate) policy: Arc<Policy>,
    /// When the request came.
    pub(crate) received: Timestamp,
    /// The models of its entries, each once. None when nothing was limited.
    pub(crate) models: Vec<Named>,
    /// What counts for some allowance: the entry that it is of, the model's place in `models`, and the reading.
    pub(crate) dues: Vec<(usize, usize, Due)>,
    /// Entries that make an element in quarantine count, if it does not already, and the places of their models.
    pub(crate) releases: Vec<(usize, usize)>,
}

/// A model of a request.
pub(crate) struct Named {
    pub(crate) model_uuid: Box<str>,
    /// Whether a batch of it is among what is to be recorded, so that it has a recorded batch when the request is recorded.
    pub(crate) has_batch: bool,
}

/// A claim that is being worked out, one entry of the request after the other.
pub(crate) struct Claiming {
    claim: Claim,
    n_entries: usize,
    /// Where in the claim each model is.
    places: HashMap<Box<str>, usize>,
}

impl Claiming {
    /// Of a request that came at this time.
    pub(crate) fn new(policy: Arc<Policy>, received: Timestamp) -> Self {
        let (models, dues, releases) = (Vec::new(), Vec::new(), Vec::new());
        let claim = Claim { policy, received, models, dues, releases };
        Self { claim, n_entries: 0, places: HashMap::new() }
    }

    /// Adds the next entry.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let index = self.n_entries;
        self.n_entries += 1;
        if self.claim.policy.allowances.is_empty() {
            return;
        }
        let Some(model_uuid) = model_of(entry) else { return };
        let place = match self.places.get(model_uuid) {
            Some(place) => *place,
            None => self.begin(model_uuid),
        };
        match entry {
            Entry::Batch(batch) => {
                self.claim.models[place].has_batch = true;
                self.claim.add(index, place, batch);
            }
            Entry::Act(Act::Release { .. }) => self.claim.releases.push((index, place)),
            Entry::Refused(..) | Entry::Quarantine(_) | Entry::Act(_) => {}
        }
    }

    fn begin(&mut self, model_uuid: &str) -> usize {
        let place = self.claim.models.len();
        self.claim.models.push(Named { model_uuid: model_uuid.into(), has_batch: false });
        self.places.insert(model_uuid.into(), place);
        place
    }

    /// After the last entry.
    pub(crate) fn finish(self) -> Claim {
        self.claim
    }
}

impl Claim {
    /// Of a request whose entries are all there.
    pub(crate) fn new(policy: Arc<Policy>, entries: &[Entry], received: Timestamp) -> Self {
        let mut claiming = Claiming::new(policy, received);
        entries.iter().for_each(|entry| claiming.add(entry));
        claiming.finish()
    }

    /// What it takes in memory, about.
    pub(crate) fn n_bytes(&self) -> usize {
        let models: usize = self.models.iter().map(|named| named.model_uuid.len()).sum();
        size_of_val(&self.dues[..]) + size_of_val(&self.models[..]) + models
    }

    fn add(&mut self, entry: usize, model: usize, batch: &Admitted) {
        for reading in batch.readings() {
            let Some(meter) = self.policy.allowances.limited(reading.key) else { continue };
            let is_gauge = self.policy.meters.kind(reading.key) == MeterKind::Gauge;
            let series = Series {
                model_uuid: batch.id().model_uuid,
                unit_name: batch.unit_name(),
                charm_url: batch.charm_url(),
                meter: reading.key,
                labels: reading.labels,
            };
            let due = Due {
                meter,
                hour: hour_of(reading.time),
                amount: reading.amount,
                series: is_gauge.then(|| SeriesId::of(&series)),
            };
            self.dues.push((entry, model, due));
        }
    }
}

/// The model that an entry has to do with.
fn model_of(entry: &Entry) -> Option<&str> {
    let model_uuid = match entry {
        Entry::Batch(batch) | Entry::Refused(batch, _) => batch.id().model_uuid,
        Entry::Quarantine(element) => &element.id.model_uuid,
        Entry::Act(Act::Declare { model_uuid, .. }) => model_uuid,
        Entry::Act(Act::Release { batch, .. }) => batch.as_ref()?.id().model_uuid,
        Entry::Act(Act::SetStatus(_) | Act::ClearStatus { .. } | Act::Revoke { .. }) => return None,
    };
    (!model_uuid.is_empty()).then_some(model_uuid)
}

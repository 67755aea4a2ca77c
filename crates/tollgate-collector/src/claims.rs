//! What a request brings to the allowances, worked out before it waits for its turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_ledger::{Entry, Reader};
use tollgate_rules::{Admitted, Due, MeterKind, Policy, Series, SeriesId, hour_of};
use tollgate_wire::Timestamp;

use crate::standings::Claim;

impl Claim {
    /// Of a request's entries.
    pub(crate) fn new(
        policy: Arc<Policy>,
        reader: &dyn Reader,
        entries: &[Entry],
        received: Timestamp,
    ) -> Self {
        let has_acts = entries.iter().any(|entry| matches!(entry, Entry::Act(_)));
        let mut claim = Self { policy, received, models: Vec::new(), dues: Vec::new(), has_acts };
        if claim.policy.allowances.is_empty() {
            return claim;
        }
        let mut models = BTreeMap::<&str, Named<'_>>::new();
        for entry in entries {
            let (model_uuid, model_name) = match entry {
                Entry::Batch(batch) | Entry::Refused(batch, _) => {
                    (&*batch.id().model_uuid, batch.model_name())
                }
                Entry::Quarantine(element) => (&*element.id.model_uuid, ""),
                Entry::Act(_) => continue,
            };
            if model_uuid.is_empty() {
                continue;
            }
            let place = models.len();
            let named = models.entry(model_uuid).or_insert(Named { place, model_name });
            if !model_name.is_empty() {
                named.model_name = model_name;
            }
        }
        for (index, entry) in entries.iter().enumerate() {
            if let Some(batch) = entry.batch() {
                claim.add(index, models[&*batch.id().model_uuid].place, batch);
            }
        }
        let mut owned: Vec<_> = models.into_iter().collect();
        owned.sort_unstable_by_key(|(_, named)| named.place);
        let owned = owned.into_iter().map(|(model_uuid, named)| {
            (model_uuid.into(), user_of(&claim.policy, reader, model_uuid, named.model_name))
        });
        claim.models = owned.collect();
        claim
    }

    fn add(&mut self, entry: usize, model: usize, batch: &Admitted) {
        for reading in batch.readings() {
            if !self.policy.allowances.limits(&reading.key) {
                continue;
            }
            let is_gauge = self.policy.meters.kind(&reading.key) == MeterKind::Gauge;
            let series = Series {
                model_uuid: &batch.id().model_uuid,
                unit_name: batch.unit_name(),
                charm_url: batch.charm_url(),
                meter: &reading.key,
                labels: &reading.labels,
            };
            let due = Due {
                meter: reading.key.clone(),
                hour: hour_of(reading.time),
                amount: reading.amount,
                series: is_gauge.then(|| SeriesId::of(&series)),
            };
            self.dues.push((entry, model, due));
        }
    }
}

struct Named<'a> {
    place: usize,
    model_name: &'a str,
}

/// Whose a model is, where that makes a difference.
fn user_of(policy: &Policy, reader: &dyn Reader, model_uuid: &str, model_name: &str) -> Option<Box<str>> {
    if !policy.allowances.ask_for_users() {
        return None;
    }
    // Who cannot be read of is as good as not declared: the answer must not fail for it.
    let declared = reader.declared_user(model_uuid).ok().flatten();
    policy.users.user_of(model_uuid, declared.as_deref(), model_name).map(Into::into)
}

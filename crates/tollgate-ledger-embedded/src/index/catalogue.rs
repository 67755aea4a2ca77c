//! Which models there are, and what each used.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tollgate_ledger::{MeterTotal, ModelSummary};
use tollgate_rules::{Admitted, Sum};
use tollgate_wire::Timestamp;

/// All models that have a recorded batch.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Catalogue {
    models: BTreeMap<Box<str>, Model>,
    n_batches: u64,
    n_metrics: u64,
    /// Models, units and meters.
    n_rows: usize,
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Model {
    /// In the newest batch.
    name: Box<str>,
    /// Of the newest batch; `None` before the first.
    #[serde(with = "time")]
    created: Option<Timestamp>,
    units: BTreeSet<Box<str>>,
    n_batches: u64,
    meters: BTreeMap<Box<str>, Meter>,
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Meter {
    n_metrics: u64,
    #[serde(with = "exact")]
    sum: Sum,
}

impl Catalogue {
    pub(crate) fn add(&mut self, batch: &Admitted) {
        let uuid = &batch.id().model_uuid;
        let n_rows = match self.models.get_mut(uuid) {
            Some(model) => model.add(batch),
            None => 1 + self.models.entry(uuid.clone()).or_default().add(batch),
        };
        self.n_rows += n_rows;
        self.n_batches += 1;
        self.n_metrics += batch.readings().len() as u64;
    }

    /// Adds what was added up elsewhere, of batches that came after all that were added here.
    pub(crate) fn merge(&mut self, later: Self) {
        for (uuid, model) in later.models {
            self.n_rows += match self.models.get_mut(&uuid) {
                Some(known) => known.merge(model),
                None => 1 + self.models.entry(uuid).or_default().merge(model),
            };
        }
        self.n_batches += later.n_batches;
        self.n_metrics += later.n_metrics;
    }

    pub(crate) fn find(&self, model_uuid: &str) -> Option<ModelSummary> {
        self.models.get(model_uuid).map(|model| model.summary(model_uuid))
    }

    /// Up to `limit` models in the order of their uuids, from after `cursor`.
    pub(crate) fn list(&self, cursor: Option<&str>, limit: usize) -> Vec<ModelSummary> {
        let start = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let models = self.models.range::<str, _>((start, Bound::Unbounded));
        models.take(limit).map(|(uuid, model)| model.summary(uuid)).collect()
    }

    pub(crate) fn n_models(&self) -> u64 {
        self.models.len() as u64
    }

    pub(crate) fn n_batches(&self) -> u64 {
        self.n_batches
    }

    pub(crate) fn n_metrics(&self) -> u64 {
        self.n_metrics
    }

    /// How large it is: models, units and meters.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }
}

impl Model {
    /// Adds a batch, and says how many units and meters are new with it.
    fn add(&mut self, batch: &Admitted) -> usize {
        let mut n_new = 0;
        self.n_batches += 1;
        let is_newest = self.created.is_none_or(|newest| newest <= batch.created());
        if is_newest {
            self.created = Some(batch.created());
            if *self.name != *batch.model_name() {
                self.name = batch.model_name().into();
            }
        }
        if !batch.unit_name().is_empty() && !self.units.contains(batch.unit_name()) {
            self.units.insert(batch.unit_name().into());
            n_new += 1;
        }
        for reading in batch.readings() {
            match self.meters.get_mut(&reading.key) {
                Some(meter) => meter.add(reading.amount),
                None => {
                    self.meters.entry(reading.key.clone()).or_default().add(reading.amount);
                    n_new += 1;
                }
            }
        }
        n_new
    }

    /// Adds what was added up elsewhere, and says how many units and meters are new with it.
    fn merge(&mut self, later: Self) -> usize {
        let mut n_new = 0;
        self.n_batches += later.n_batches;
        if self.created <= later.created {
            self.created = later.created;
            self.name = later.name;
        }
        for unit in later.units {
            n_new += usize::from(self.units.insert(unit));
        }
        for (key, later) in later.meters {
            match self.meters.get_mut(&key) {
                Some(meter) => meter.merge(&later),
                None => {
                    self.meters.insert(key, later);
                    n_new += 1;
                }
            }
        }
        n_new
    }

    fn summary(&self, model_uuid: &str) -> ModelSummary {
        let meters = self.meters.iter().map(|(key, meter)| MeterTotal {
            key: key.to_string(),
            n_metrics: meter.n_metrics,
            sum: meter.sum.to_string(),
        });
        ModelSummary {
            model_uuid: model_uuid.to_owned(),
            model_name: self.name.to_string(),
            units: self.units.iter().map(ToString::to_string).collect(),
            n_batches: self.n_batches,
            last_created: self.created.unwrap_or_default().to_string(),
            meters: meters.collect(),
        }
    }
}

impl Meter {
    fn add(&mut self, amount: tollgate_rules::Decimal) {
        self.n_metrics += 1;
        self.sum.add(amount);
    }

    fn merge(&mut self, later: &Self) {
        self.n_metrics += later.n_metrics;
        self.sum.merge(&later.sum);
    }
}

/// A time as its sender wrote it.
mod time {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use tollgate_wire::Timestamp;

    #[expect(clippy::ref_option, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| Timestamp::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

/// A sum without a digit lost.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tollgate_rules::Sum;

    pub(super) fn serialize<S: Serializer>(sum: &Sum, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&sum.to_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sum, D::Error> {
        let bytes = <&[u8]>::deserialize(from)?.try_into().map_err(D::Error::custom)?;
        Sum::from_bytes(bytes).map_err(D::Error::custom)
    }
}

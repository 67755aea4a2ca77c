//! Which models and which series there are, and what each used in all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::Bound;
use std::sync::Arc;

use tollgate_ledger::{MeterTotal, ModelSummary};
use tollgate_rules::{Admitted, Select, Series, Sum};
use tollgate_wire::Timestamp;

use super::cell::Cell;
use super::recent::Already;
use super::rollups::Rollups;
use super::usage::Usage;
use super::{Key, KeyMaker};

/// All models that have a recorded batch, and all series that have a reading.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Catalogue {
    models: BTreeMap<Box<str>, Model>,
    n_batches: u64,
    n_metrics: u64,
    n_units: usize,
    /// By their numbers, which they get in the order in which they come.
    series: Vec<Total>,
    texts: Texts,
    #[serde(skip)]
    numbers: HashMap<Key, u32, BuildHasherDefault<Already>>,
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Model {
    /// In the newest batch.
    name: Box<str>,
    /// Of the newest batch; `None` before the first.
    #[serde(with = "time")]
    created: Option<Timestamp>,
    units: BTreeSet<Box<str>>,
    n_batches: u64,
    /// Their numbers.
    #[serde(skip)]
    series: Vec<u32>,
}

/// A series, its names by their numbers, and what it comes to.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Total {
    model: u32,
    unit: u32,
    charm: u32,
    meter: u32,
    labels: u32,
    n_metrics: u64,
    #[serde(with = "exact")]
    sum: Sum,
}

/// Names of series, each once.
#[derive(Debug, Default)]
struct Texts {
    all: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// A series with names of its own.
#[derive(Debug, Clone)]
pub(super) struct NamedSeries {
    pub(super) number: u32,
    names: [Arc<str>; 5],
}

impl NamedSeries {
    pub(super) fn series(&self) -> Series<'_> {
        let [model_uuid, unit_name, charm_url, meter, labels] = self.names.each_ref().map(|name| &**name);
        Series { model_uuid, unit_name, charm_url, meter, labels }
    }
}

impl Catalogue {
    /// Adds what batches come to that came after all that were added before, and to `rollups` what their series do.
    pub(super) fn merge(&mut self, mut usage: Usage, rollups: &mut Rollups) {
        self.n_batches += usage.n_batches;
        self.n_metrics += usage.n_metrics;
        for (uuid, model) in usage.take_models() {
            self.n_units += match self.models.get_mut(&uuid) {
                Some(known) => known.merge(model),
                None => self.models.entry(uuid).or_default().merge(model),
            };
        }
        let numbers: Vec<u32> = usage.series().map(|(key, series)| self.number(key, &series)).collect();
        for (cell, rollup) in usage.rollups() {
            let number = numbers[cell.series() as usize];
            let total = &mut self.series[number as usize];
            total.n_metrics += rollup.count;
            total.sum.merge(&rollup.sum);
            rollups.merge(Cell::new(number, cell.hour()), rollup);
        }
    }

    /// The number of a series of a known model.
    fn number(&mut self, key: Key, series: &Series<'_>) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.series.len()).expect("there is no memory for so many series");
        let Series { model_uuid, unit_name, charm_url, meter, labels } = *series;
        let [model, unit, charm, meter, labels] =
            [model_uuid, unit_name, charm_url, meter, labels].map(|name| self.texts.number(name));
        self.series.push(Total { model, unit, charm, meter, labels, n_metrics: 0, sum: Sum::default() });
        self.numbers.insert(key, number);
        if let Some(model) = self.models.get_mut(model_uuid) {
            model.series.push(number);
        }
        number
    }

    /// Makes what is not stored, because it follows from the rest.
    pub(super) fn complete(&mut self, keys: &KeyMaker) -> Option<()> {
        for (number, total) in (0..).zip(&self.series) {
            let series = self.texts.of(total)?;
            let NamedSeries { names: [model_uuid, unit_name, charm_url, meter, labels], .. } = &series;
            let key = keys.series_of(model_uuid, unit_name, charm_url).key(meter, labels);
            self.models.get_mut(&**model_uuid)?.series.push(number);
            self.numbers.insert(key, number);
        }
        Some(())
    }

    /// The numbers of the series that are asked for.
    pub(super) fn select(&self, select: &Select<'_>) -> Vec<u32> {
        let meter = match select.meter.map(|meter| self.texts.numbers.get(meter)) {
            None => None,
            Some(Some(meter)) => Some(*meter),
            Some(None) => return Vec::new(),
        };
        let is_wanted = |number: &u32| meter.is_none_or(|meter| self.series[*number as usize].meter == meter);
        match select.model_uuid {
            None => (0..self.series.len() as u32).filter(is_wanted).collect(),
            Some(model_uuid) => {
                let model = self.models.get(model_uuid);
                model.into_iter().flat_map(|model| &model.series).copied().filter(is_wanted).collect()
            }
        }
    }

    /// The series with this number, which must be there.
    pub(super) fn named(&self, number: u32) -> NamedSeries {
        let named = self.texts.of(&self.series[number as usize]).expect("a series has names");
        NamedSeries { number, ..named }
    }

    pub(crate) fn find(&self, model_uuid: &str) -> Option<ModelSummary> {
        self.models.get(model_uuid).map(|model| self.summary(model_uuid, model))
    }

    /// Up to `limit` models in the order of their uuids, from after `cursor`.
    pub(crate) fn list(&self, cursor: Option<&str>, limit: usize) -> Vec<ModelSummary> {
        self.after(cursor).take(limit).map(|(uuid, model)| self.summary(uuid, model)).collect()
    }

    /// The uuids of models in their order, from after `cursor`.
    pub(crate) fn uuids(&self, cursor: Option<&str>) -> impl Iterator<Item = &str> {
        self.after(cursor).map(|(uuid, _)| &**uuid)
    }

    fn after(&self, cursor: Option<&str>) -> impl Iterator<Item = (&Box<str>, &Model)> {
        let start = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.models.range::<str, _>((start, Bound::Unbounded))
    }

    /// The name of a model in its newest batch.
    pub(crate) fn name(&self, model_uuid: &str) -> Option<&str> {
        self.models.get(model_uuid).map(|model| &*model.name)
    }

    fn summary(&self, model_uuid: &str, model: &Model) -> ModelSummary {
        let mut meters = BTreeMap::<&str, (u64, Sum)>::new();
        for number in &model.series {
            let total = &self.series[*number as usize];
            let (n_metrics, sum) = meters.entry(&self.texts.all[total.meter as usize]).or_default();
            *n_metrics += total.n_metrics;
            sum.merge(&total.sum);
        }
        let meters = meters.into_iter().map(|(key, (n_metrics, sum))| MeterTotal {
            key: key.to_owned(),
            n_metrics,
            sum: sum.to_string(),
        });
        ModelSummary {
            model_uuid: model_uuid.to_owned(),
            model_name: model.name.to_string(),
            units: model.units.iter().map(ToString::to_string).collect(),
            n_batches: model.n_batches,
            last_created: model.created.unwrap_or_default().to_string(),
            meters: meters.collect(),
        }
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

    /// How large it is: models, units and series.
    pub(super) fn n_rows(&self) -> usize {
        self.models.len() + self.n_units + self.series.len()
    }
}

impl Model {
    /// Adds a batch, but for its unit.
    pub(super) fn add(&mut self, batch: &Admitted) {
        self.n_batches += 1;
        let is_newest = self.created.is_none_or(|newest| newest <= batch.created());
        if is_newest {
            self.created = Some(batch.created());
            if *self.name != *batch.model_name() {
                self.name = batch.model_name().into();
            }
        }
    }

    /// Adds the unit of a batch; a batch of the model itself has none.
    pub(super) fn add_unit(&mut self, unit_name: &str) {
        if !unit_name.is_empty() && !self.units.contains(unit_name) {
            self.units.insert(unit_name.into());
        }
    }

    /// Adds what was added up elsewhere, and says how many units are new with it.
    fn merge(&mut self, later: Self) -> usize {
        let n_before = self.units.len();
        self.n_batches += later.n_batches;
        if self.created <= later.created {
            self.created = later.created;
            self.name = later.name;
        }
        for unit in later.units {
            if !self.units.contains(&unit) {
                self.units.insert(unit);
            }
        }
        self.units.len() - n_before
    }
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).expect("there is no memory for so many names");
        let text: Arc<str> = text.into();
        self.all.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn of(&self, total: &Total) -> Option<NamedSeries> {
        let Total { model, unit, charm, meter, labels, .. } = *total;
        let name = |number: u32| self.all.get(number as usize).cloned();
        let names = [name(model)?, name(unit)?, name(charm)?, name(meter)?, name(labels)?];
        Some(NamedSeries { number: 0, names })
    }
}

impl serde::Serialize for Texts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.all.iter().map(|text| &**text))
    }
}

impl<'de> serde::Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut texts = Self::default();
        for text in Vec::<Box<str>>::deserialize(from)? {
            texts.number(&text);
        }
        Ok(texts)
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

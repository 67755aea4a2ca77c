//! What batches add up to, worked out before they have an order.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::mem;

use tollgate_rules::{Admitted, Point, Reading, Rollup, Series};

use super::catalogue::Model;
use super::cell::Cell;
use super::recent::Already;
use super::rollups::Rollups;
use super::{Key, KeyMaker};

/// What some batches add up to, by model and by series. The series are numbered in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    models: BTreeMap<Box<str>, Model>,
    pub(super) n_batches: u64,
    pub(super) n_metrics: u64,
    series: Box<[Named]>,
    /// The names of the series, one after the other.
    names: Box<str>,
    rollups: Box<[(Cell, Rollup)]>,
}

/// A series, and where its names begin: those of its unit, and its own.
#[derive(Debug)]
struct Named {
    key: Key,
    unit_start: usize,
    start: usize,
    /// How long each is.
    lengths: [u32; 5],
}

/// Adds up batches.
#[derive(Debug, Default)]
pub(crate) struct Adder {
    models: BTreeMap<Box<str>, Model>,
    n_batches: u64,
    n_metrics: u64,
    series: Vec<Named>,
    numbers: HashMap<Key, u32, BuildHasherDefault<Already>>,
    names: String,
    rollups: Rollups,
}

impl Adder {
    /// Adds a batch.
    pub(crate) fn add(&mut self, keys: &KeyMaker, batch: &Admitted) {
        let uuid = &batch.id().model_uuid;
        match self.models.get_mut(uuid) {
            Some(model) => model.add(batch),
            None => self.models.entry(uuid.clone()).or_default().add(batch),
        }
        self.n_batches += 1;
        self.n_metrics += batch.readings().len() as u64;
        let keys = keys.series_of(uuid, batch.unit_name(), batch.charm_url());
        let mut unit_start = None;
        for reading in batch.readings() {
            let key = keys.key(&reading.key, &reading.labels);
            let number = match self.numbers.get(&key) {
                Some(number) => *number,
                None => self.begin(key, batch, reading, &mut unit_start),
            };
            self.rollups.add(number, Point::of(reading));
        }
    }

    /// Begins a series. The names of its unit are written with the first one of a batch.
    fn begin(
        &mut self,
        key: Key,
        batch: &Admitted,
        reading: &Reading,
        unit_start: &mut Option<usize>,
    ) -> u32 {
        let of_unit = [&*batch.id().model_uuid, batch.unit_name(), batch.charm_url()];
        let own = [&*reading.key, &*reading.labels];
        let number = u32::try_from(self.series.len()).expect("there is no memory for so many series");
        let unit_start = *unit_start.get_or_insert_with(|| {
            let start = self.names.len();
            of_unit.iter().for_each(|name| self.names.push_str(name));
            start
        });
        let start = self.names.len();
        own.iter().for_each(|name| self.names.push_str(name));
        let length = |name: &str| u32::try_from(name.len()).expect("a name is admitted with its length");
        let [model, unit, charm] = of_unit.map(length);
        let [meter, labels] = own.map(length);
        self.series.push(Named { key, unit_start, start, lengths: [model, unit, charm, meter, labels] });
        self.numbers.insert(key, number);
        number
    }

    /// What they add up to, in as little memory as that takes.
    pub(crate) fn finish(self) -> Usage {
        let Self { models, n_batches, n_metrics, series, names, rollups, .. } = self;
        let (series, names) = (series.into(), names.into());
        Usage { models, n_batches, n_metrics, series, names, rollups: rollups.into_rows() }
    }
}

impl Usage {
    /// Its series, each with its key, in the order of their numbers.
    pub(super) fn series(&self) -> impl Iterator<Item = (Key, Series<'_>)> {
        self.series.iter().map(|&Named { key, unit_start, start, lengths }| {
            let [model, unit, charm, meter, labels] = lengths.map(|length| length as usize);
            let (model_uuid, rest) = self.names[unit_start..].split_at(model);
            let (unit_name, rest) = rest.split_at(unit);
            let charm_url = &rest[..charm];
            let (meter, rest) = self.names[start..].split_at(meter);
            (key, Series { model_uuid, unit_name, charm_url, meter, labels: &rest[..labels] })
        })
    }

    /// Its rollups, with the series by their numbers.
    pub(super) fn rollups(&self) -> &[(Cell, Rollup)] {
        &self.rollups
    }

    pub(super) fn take_models(&mut self) -> BTreeMap<Box<str>, Model> {
        mem::take(&mut self.models)
    }
}

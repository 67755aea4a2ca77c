//! What batches add up to, worked out before they have an order.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::mem;

use tollgate_rules::{Admitted, Point, Rollup, Series};

use super::catalogue::Model;
use super::cell::Cell;
use super::recent::Already;
use super::rollups::Rollups;
use super::{Key, KeyMaker};

/// What some batches add up to, by model and by series. The series are numbered in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(super) models: BTreeMap<Box<str>, Model>,
    pub(super) n_batches: u64,
    pub(super) n_metrics: u64,
    series: Vec<Named>,
    numbers: HashMap<Key, u32, BuildHasherDefault<Already>>,
    /// The names of the series, one after the other.
    names: String,
    rollups: Rollups,
}

#[derive(Debug)]
struct Named {
    key: Key,
    /// Where in the names its own begin.
    start: usize,
    /// How long each is.
    lengths: [usize; 5],
}

impl Usage {
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
        for reading in batch.readings() {
            let key = keys.key(&reading.key, &reading.labels);
            let number = match self.numbers.get(&key) {
                Some(number) => *number,
                None => self.begin(key, batch, &reading.key, &reading.labels),
            };
            self.rollups.add(number, Point::of(reading));
        }
    }

    fn begin(&mut self, key: Key, batch: &Admitted, meter: &str, labels: &str) -> u32 {
        let names = [&*batch.id().model_uuid, batch.unit_name(), batch.charm_url(), meter, labels];
        let number = u32::try_from(self.series.len()).expect("there is no memory for so many series");
        let start = self.names.len();
        names.iter().for_each(|name| self.names.push_str(name));
        self.series.push(Named { key, start, lengths: names.map(str::len) });
        self.numbers.insert(key, number);
        number
    }

    /// Its series, each with its key, in the order of their numbers.
    pub(super) fn series(&self) -> impl Iterator<Item = (Key, Series<'_>)> {
        self.series.iter().map(|&Named { key, start, lengths }| {
            let mut rest = &self.names[start..];
            let [model_uuid, unit_name, charm_url, meter, labels] = lengths.map(|length| {
                let (name, later) = rest.split_at(length);
                rest = later;
                name
            });
            (key, Series { model_uuid, unit_name, charm_url, meter, labels })
        })
    }

    /// Its rollups, with the series by their numbers.
    pub(super) fn rollups(&self) -> impl Iterator<Item = (Cell, &Rollup)> {
        self.rollups.iter()
    }

    pub(super) fn take_models(&mut self) -> BTreeMap<Box<str>, Model> {
        mem::take(&mut self.models)
    }
}

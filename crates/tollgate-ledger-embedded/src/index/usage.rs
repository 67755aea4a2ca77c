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
    /// Of some units, the series of their last batches.
    familiar: Vec<Familiar>,
}

/// The series of a unit under one charm that its batches had last, in the order of their readings. Mostly the next batch has the
/// same, and to compare names takes less than to make keys of them.
#[derive(Debug, Default, Clone)]
struct Familiar(Vec<u32>);

/// Units that are familiar at a time, at most.
const N_FAMILIAR: usize = 256;

impl Adder {
    /// Adds a batch.
    pub(crate) fn add(&mut self, keys: &KeyMaker, batch: &Admitted) {
        let of_unit = [batch.id().model_uuid, batch.unit_name(), batch.charm_url()];
        self.n_batches += 1;
        self.n_metrics += batch.readings().len() as u64;
        if self.n_batches == 2 {
            // Not for a batch alone, as a request of one is: nothing comes again there.
            self.familiar.resize(N_FAMILIAR, Familiar::default());
        }
        let place = Familiar::place(of_unit);
        let mut familiar = self.familiar.get_mut(place).map(mem::take).unwrap_or_default();
        let is_familiar = familiar.0.first().is_some_and(|&number| self.is_of_unit(number, of_unit));
        if !is_familiar {
            familiar.0.clear();
        }
        self.add_to_model(batch, is_familiar);
        let (mut keys_of_unit, mut unit_start) = (None, None);
        for (place, reading) in batch.readings().enumerate() {
            let same = familiar.0.get(place).copied().filter(|&number| self.is_of_reading(number, &reading));
            let number = same.unwrap_or_else(|| {
                let [model_uuid, unit_name, charm_url] = of_unit;
                let keys_of_unit =
                    keys_of_unit.get_or_insert_with(|| keys.series_of(model_uuid, unit_name, charm_url));
                let key = keys_of_unit.key(reading.key, reading.labels);
                let number = match self.numbers.get(&key) {
                    Some(number) => *number,
                    None => self.begin(key, of_unit, &reading, &mut unit_start),
                };
                familiar.set(place, number);
                number
            });
            self.rollups.add(number, Point::of(&reading));
        }
        if let Some(place) = self.familiar.get_mut(place) {
            *place = familiar;
        }
    }

    fn add_to_model(&mut self, batch: &Admitted, has_unit: bool) {
        let uuid = batch.id().model_uuid;
        if !self.models.contains_key(uuid) {
            self.models.insert(uuid.into(), Model::default());
        }
        let model = self.models.get_mut(uuid).expect("it was inserted if it was not there");
        model.add(batch);
        if !has_unit {
            model.add_unit(batch.unit_name());
        }
    }

    fn is_of_unit(&self, number: u32, of_unit: [&str; 3]) -> bool {
        let Named { unit_start, lengths: [model, unit, charm, ..], .. } = self.series[number as usize];
        are(&self.names[unit_start..], [model, unit, charm], of_unit)
    }

    fn is_of_reading(&self, number: u32, reading: &Reading<'_>) -> bool {
        let Named { start, lengths: [.., meter, labels], .. } = self.series[number as usize];
        are(&self.names[start..], [meter, labels], [reading.key, reading.labels])
    }

    /// Begins a series. The names of its unit are written with the first one of a batch.
    fn begin(
        &mut self,
        key: Key,
        of_unit: [&str; 3],
        reading: &Reading<'_>,
        unit_start: &mut Option<usize>,
    ) -> u32 {
        let own = [reading.key, reading.labels];
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

impl Familiar {
    /// Where it is kept: units of one model differ most in the end of their names, models in theirs.
    fn place([model_uuid, unit_name, _]: [&str; 3]) -> usize {
        let end = |name: &str| {
            let mut end = [0; 8];
            let n_bytes = name.len().min(end.len());
            end[..n_bytes].copy_from_slice(&name.as_bytes()[name.len() - n_bytes..]);
            u64::from_le_bytes(end)
        };
        // Spreads the bits; two units in one place only take turns there.
        let mixed = (end(model_uuid) ^ end(unit_name).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed as usize >> (usize::BITS - N_FAMILIAR.trailing_zeros())
    }

    /// Places are set in order.
    fn set(&mut self, place: usize, number: u32) {
        match self.0.get_mut(place) {
            Some(known) => *known = number,
            None => self.0.push(number),
        }
    }
}

/// Whether `names`, one after the other, begin with these.
fn are<const N: usize>(names: &str, lengths: [u32; N], expected: [&str; N]) -> bool {
    let mut rest = names.as_bytes();
    lengths.iter().zip(expected).all(|(length, expected)| {
        let (name, later) = rest.split_at(*length as usize);
        rest = later;
        name == expected.as_bytes()
    })
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

#[cfg(test)]
mod tests {
    use tollgate_journal::sim::SimDisk;
    use tollgate_rules::{Decimal, Verdict, judge};
    use tollgate_wire::Document;

    use super::*;

    fn batch(model: u32, unit: u32, meters: &[(u32, u32)], amount: u32) -> Admitted {
        let metric = |(meter, label): &(u32, u32)| {
            format!(r#"{{"key":"m{meter}","value":"{amount}","labels":{{"l":"{label}"}}}}"#)
        };
        let metrics: Vec<String> = meters.iter().map(metric).collect();
        let body = format!(
            r#"[{{"uuid":"u","env-uuid":"model-{model}","unit-name":"unit/{unit}","metrics":[{}]}}]"#,
            metrics.join(",")
        );
        let document = Document::new(body.as_bytes());
        match judge(&document.batches().expect("JSON")[0]) {
            Verdict::Admitted(batch) => batch,
            Verdict::Quarantined(element) => panic!("{element:?}"),
        }
    }

    /// Units share places, come and go, and have other meters, more and fewer, in another order.
    #[test]
    fn whatever_is_familiar_every_reading_counts_for_its_own_series() {
        let keys = KeyMaker::new(&*SimDisk::new().shared());
        let mut random = fastrand::Rng::with_seed(1);
        let mut adder = Adder::default();
        let mut expected = BTreeMap::<[String; 4], u128>::new();
        for _ in 0..5_000 {
            let (model, unit) = (random.u32(0..3), random.u32(0..400));
            let mut meters: Vec<(u32, u32)> = (0..random.u32(0..5)).map(|meter| (meter, meter % 2)).collect();
            if random.u32(0..3) == 0 {
                random.shuffle(&mut meters);
                meters.push((random.u32(0..9), random.u32(0..2)));
            }
            let amount = random.u32(1..100);
            adder.add(&keys, &batch(model, unit, &meters, amount));
            for (meter, label) in meters {
                let names = [
                    format!("model-{model}"),
                    format!("unit/{unit}"),
                    format!("m{meter}"),
                    format!(r#"{{"l":"{label}"}}"#),
                ];
                *expected.entry(names).or_default() += u128::from(amount);
            }
        }
        let usage = adder.finish();
        let names: Vec<[String; 4]> = usage
            .series()
            .map(|(_, series)| {
                [series.model_uuid, series.unit_name, series.meter, series.labels].map(str::to_owned)
            })
            .collect();
        let mut found = BTreeMap::new();
        for (cell, rollup) in usage.rollups() {
            let names = names[cell.series() as usize].clone();
            assert_eq!(found.insert(names, rollup.sum), None, "all readings are of one hour");
        }
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(names, sum)| (names, Decimal::parse(&sum.to_string()).expect("a number").into()))
            .collect();
        assert_eq!(found, expected);
    }
}

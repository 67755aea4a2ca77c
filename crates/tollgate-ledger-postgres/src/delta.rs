//! What the new batches of one model in one transaction come to.
//!
//! A delta is a row that is only ever added: collectors that record readings of the same series do not wait for each
//! other. `fold` adds deltas up later; until then whoever reads adds them up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use tollgate_ledger::LedgerError;
use tollgate_rules::{Admitted, Point, Rollup, Series};
use tollgate_wire::Timestamp;

use crate::error::damaged;
use crate::key;

/// The batches of one model, in the making.
pub(crate) struct Delta<'a> {
    pub(crate) model_uuid: &'a str,
    /// Of its first batch: the delta's own place too.
    pub(crate) place: i64,
    pub(crate) n_batches: i64,
    pub(crate) n_metrics: i64,
    newest: (Timestamp, i64, &'a str),
    units: BTreeSet<&'a str>,
    rollups: HashMap<Series<'a>, BTreeMap<i64, Rollup>>,
}

/// Sums batches up by model. The places go up.
pub(crate) fn deltas<'a>(batches: impl Iterator<Item = (&'a Admitted, i64)>) -> Vec<Delta<'a>> {
    let mut by_model = BTreeMap::<&str, Delta<'a>>::new();
    for (batch, place) in batches {
        let model_uuid = batch.id().model_uuid;
        by_model.entry(model_uuid).or_insert_with(|| Delta::new(model_uuid, batch, place)).add(batch, place);
    }
    by_model.into_values().collect()
}

impl<'a> Delta<'a> {
    fn new(model_uuid: &'a str, first: &'a Admitted, place: i64) -> Self {
        let newest = (first.created(), place, first.model_name());
        let (units, rollups) = (BTreeSet::new(), HashMap::new());
        Self { model_uuid, place, n_batches: 0, n_metrics: 0, newest, units, rollups }
    }

    fn add(&mut self, batch: &'a Admitted, place: i64) {
        self.n_batches += 1;
        self.n_metrics += batch.readings().len() as i64;
        if self.newest.0 <= batch.created() {
            self.newest = (batch.created(), place, batch.model_name());
        }
        if !batch.unit_name().is_empty() {
            self.units.insert(batch.unit_name());
        }
        for reading in batch.readings() {
            let series = Series {
                model_uuid: self.model_uuid,
                unit_name: batch.unit_name(),
                charm_url: batch.charm_url(),
                meter: reading.key,
                labels: reading.labels,
            };
            let point = Point::of(&reading);
            self.rollups
                .entry(series)
                .or_default()
                .entry(point.hour())
                .and_modify(|rollup| rollup.add(point))
                .or_insert_with(|| Rollup::of(point));
        }
    }

    /// As it is stored.
    pub(crate) fn content(&self) -> Vec<u8> {
        let (created, place, model_name) = &self.newest;
        let series = |(series, rollups): (&Series<'a>, &BTreeMap<i64, Rollup>)| StoredSeries {
            unit_name: series.unit_name.to_owned(),
            charm_url: series.charm_url.to_owned(),
            meter: series.meter.to_owned(),
            labels: series.labels.to_owned(),
            rollups: encode(rollups.iter().map(|(hour, rollup)| (*hour, rollup))),
        };
        seal(&Content {
            created: created.to_string(),
            place: *place,
            model_name: (*model_name).to_owned(),
            units: self.units.iter().map(|&unit| unit.to_owned()).collect(),
            series: self.rollups.iter().map(series).collect(),
        })
    }
}

/// What a delta says besides its counts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Content {
    /// Of the newest batch, as its sender wrote it.
    pub(crate) created: String,
    /// Of the newest batch.
    pub(crate) place: i64,
    /// In the newest batch.
    pub(crate) model_name: String,
    pub(crate) units: Vec<String>,
    pub(crate) series: Vec<StoredSeries>,
}

/// One series of a delta.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSeries {
    pub(crate) unit_name: String,
    pub(crate) charm_url: String,
    pub(crate) meter: String,
    pub(crate) labels: String,
    rollups: Vec<u8>,
}

impl Content {
    /// Reads what was stored.
    pub(crate) fn read(stored: &[u8]) -> Result<Self, LedgerError> {
        open(stored)
    }

    /// When the newest batch was created.
    pub(crate) fn created(&self) -> Result<Timestamp, LedgerError> {
        Timestamp::parse(&self.created)
            .map_err(|error| damaged("read when a batch was created").because(error))
    }
}

impl StoredSeries {
    /// As a series of that model.
    pub(crate) fn of<'a>(&'a self, model_uuid: &'a str) -> Series<'a> {
        let Self { unit_name, charm_url, meter, labels, .. } = self;
        Series { model_uuid, unit_name, charm_url, meter, labels }
    }

    /// Its rollups by hour.
    pub(crate) fn rollups(&self) -> Result<Vec<(i64, Rollup)>, LedgerError> {
        decode(&self.rollups)
    }
}

/// What tells a series from others of its model: half of a BLAKE3.
pub(crate) fn series_key(series: &Series<'_>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in [series.unit_name, series.charm_url, series.meter, series.labels] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

/// The rollups of one series on one day, as they are stored.
pub(crate) fn seal_hours(rollups: &BTreeMap<i64, Rollup>) -> Vec<u8> {
    seal(&encode(rollups.iter().map(|(hour, rollup)| (*hour, rollup))))
}

/// Reads what [`seal_hours`] made.
pub(crate) fn open_hours(stored: &[u8]) -> Result<Vec<(i64, Rollup)>, LedgerError> {
    decode(&open::<Vec<u8>>(stored)?)
}

fn encode<'a>(rollups: impl Iterator<Item = (i64, &'a Rollup)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (hour, rollup) in rollups {
        bytes.extend_from_slice(&hour.to_le_bytes());
        rollup.encode(&mut bytes);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Vec<(i64, Rollup)>, LedgerError> {
    let mut rollups = Vec::new();
    while let Some((hour, rest)) = bytes.split_first_chunk() {
        bytes = rest;
        let hour = i64::from_le_bytes(*hour);
        let rollup = Rollup::decode(hour, &mut bytes).ok_or_else(|| damaged("read what readings come to"))?;
        rollups.push((hour, rollup));
    }
    if bytes.is_empty() { Ok(rollups) } else { Err(damaged("read what readings come to")) }
}

/// Of what is sealed, in the first byte.
const FORM: u8 = 1;

/// Bytes with a form before and a checksum behind them.
fn seal(content: &impl Serialize) -> Vec<u8> {
    let mut bytes = postcard::to_extend(content, vec![FORM]).expect("strings and numbers always serialize");
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn open<'a, T: Deserialize<'a>>(sealed: &'a [u8]) -> Result<T, LedgerError> {
    const STEP: &str = "read what batches come to";
    let (content, checksum) = sealed.split_last_chunk().ok_or_else(|| damaged(STEP))?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
        return Err(damaged(format!("{STEP}: its checksum does not match")));
    }
    let (form, content) = content.split_first().ok_or_else(|| damaged(STEP))?;
    if *form != FORM {
        return Err(damaged(format!("{STEP}: a newer collector wrote it; start one of its version")));
    }
    postcard::from_bytes(content).map_err(|error| damaged(STEP).because(error))
}

/// The model's id as it is stored.
pub(crate) fn model_key(delta: &Delta<'_>) -> Vec<u8> {
    key::pack(delta.model_uuid)
}

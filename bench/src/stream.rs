//! Batches without end, each with an id of its own, ready to be recorded.

use tollgate_ledger::Entry;
use tollgate_rules::judge;
use tollgate_wire::Document;

/// A controller's chunk.
pub const GROUP_BATCHES: usize = 1000;

const N_MODELS: usize = 50;
const N_UNITS: usize = 500;

/// Makes groups of 1,000 batches of some 825 bytes: 50 models with 10 units each, every unit with credentials of its
/// own, times that go on, amounts that vary.
#[derive(Debug)]
pub struct Stream {
    random: fastrand::Rng,
    credentials: Vec<String>,
    n_batches: u64,
    n_bytes: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// The same batches in every run.
    #[must_use]
    pub fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(20_261_122);
        let credentials = (0..N_UNITS).map(|_| (0..240).map(|_| random.alphanumeric()).collect()).collect();
        Self { random, credentials, n_batches: 0, n_bytes: 0 }
    }

    /// The next group, decoded and judged; and its batches' canonical JSON, one after the other.
    ///
    /// # Panics
    ///
    /// When what it makes is not JSON of batches that count.
    #[must_use]
    pub fn group(&mut self) -> (Vec<Entry>, Vec<u8>) {
        let mut json = Vec::with_capacity(GROUP_BATCHES * 850);
        json.push(b'[');
        for index in 0..GROUP_BATCHES {
            if 0 < index {
                json.push(b',');
            }
            self.write(&mut json);
        }
        json.push(b']');
        let document = Document::new(&json);
        let entries: Vec<Entry> =
            document.elements().map(|element| judge(&element.expect("JSON")).into()).collect();
        let mut bodies = Vec::with_capacity(json.len());
        for entry in &entries {
            let batch = entry.batch().expect("every batch can be counted");
            bodies.extend_from_slice(batch.body());
        }
        self.n_bytes += bodies.len() as u64;
        (entries, bodies)
    }

    /// Bytes of a batch's JSON, on average.
    #[must_use]
    pub fn mean_bytes(&self) -> f64 {
        self.n_bytes as f64 / self.n_batches as f64
    }

    fn write(&mut self, json: &mut Vec<u8>) {
        use std::io::Write as _;
        let (high, low) = (self.random.u64(..), self.random.u64(..));
        let unit = self.random.usize(..N_UNITS);
        let model = unit % N_MODELS;
        let second = self.n_batches / 100;
        let (day, hour, minute, second) =
            (1 + second / 86_400 % 28, second / 3600 % 24, second / 60 % 60, second % 60);
        let (requests, gigabytes) = (self.random.u32(..100_000), self.random.u32(..1000));
        self.n_batches += 1;
        write!(
            json,
            r#"{{"uuid":"{:08x}-{:04x}-{:04x}-{:04x}-{:012x}","env-uuid":"deadbeef-0bad-400d-8000-{model:012x}","model-name":"finance-production-{model}","unit-name":"metered-postgresql-cluster/{unit}","charm-url":"ch:amd64/jammy/metered-postgresql-cluster-42","created":"2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.123Z","metrics":[{{"key":"requests","value":"{requests}","time":"2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z","labels":{{"az":"eu-west-1a","tier":"gold"}}}},{{"key":"stored-gibibyte-hours","value":"{gigabytes}.125","time":"2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z"}},{{"key":"juju-units","value":"1","time":"2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z"}}],"credentials":"{}","reseller-credentials":null,"sla-credentials":null}}"#,
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF,
            self.credentials[unit],
        )
        .expect("memory can be written to");
    }
}

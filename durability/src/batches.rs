//! What is sent: batches that follow from a seed and an index, so that none has to be kept to be sent again or to be
//! compared at the end.

use fastrand::Rng;

/// How many models take part: few enough that each grows, more than one so that requests mix them.
const N_MODELS: u64 = 5;

/// Meters of a batch, each with one reading.
const METERS: [&str; 3] = ["requests", "stored-gib", "juju-units"];

/// Of so many batches one cannot be counted and belongs in quarantine.
const HOPELESS_EVERY: usize = 13;

/// A source of batches.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    /// Batches of two seeds differ in everything but their shape.
    pub seed: u64,
}

/// One batch, or an element that can never count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Unique within a seed.
    pub uuid: String,
    /// The model that it is acknowledged under.
    pub model: String,
    /// Its canonical JSON.
    pub body: String,
    /// Meter and value in thousandths of each reading; none when it cannot be counted.
    pub readings: Vec<(&'static str, u64)>,
    /// Whether it belongs in quarantine.
    pub is_hopeless: bool,
}

impl Batches {
    /// The batch of an index below 2^48.
    #[must_use]
    pub fn at(self, index: usize) -> Batch {
        let mut random = Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index as u64);
        let prefix = random.u32(..);
        let uuid = format!("{prefix:08x}-{:04x}-4000-8000-{index:012x}", self.seed & 0xffff);
        let model = format!("00000000-0000-4000-9000-{:012x}", random.u64(..N_MODELS));
        let is_hopeless = index % HOPELESS_EVERY == HOPELESS_EVERY - 1;
        let second = random.u32(..60);
        // Some are longer than a page, so that a torn write has more to tear.
        let credentials = "cGFk".repeat(if random.u32(..20) == 0 { random.usize(1..1_500) } else { 1 });
        let mut readings = Vec::new();
        let metrics: Vec<String> = (0..random.usize(1..=METERS.len()))
            .map(|number| {
                let thousandths = random.u64(..100_000_000);
                let value = match is_hopeless && number == 0 {
                    true => "NaN".to_owned(),
                    false => format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000),
                };
                readings.push((METERS[number], thousandths));
                let key = METERS[number];
                format!(r#"{{"key":"{key}","value":"{value}","time":"2026-01-02T03:04:{second:02}Z"}}"#)
            })
            .collect();
        let body = format!(
            r#"{{"uuid":"{uuid}","env-uuid":"{model}","model-name":"bob/production","unit-name":"api/{}","charm-url":"local:api","created":"2026-01-02T03:04:{second:02}Z","metrics":[{}],"credentials":"{credentials}","reseller-credentials":null,"sla-credentials":null}}"#,
            random.u32(..4),
            metrics.join(",")
        );
        if is_hopeless {
            readings.clear();
        }
        Batch { uuid, model, body, readings, is_hopeless }
    }

    /// The index of the batch that `text` is the canonical JSON of, as far as its uuid can tell.
    #[must_use]
    pub fn index_in(self, text: &str) -> Option<usize> {
        let uuid = text.strip_prefix(r#"{"uuid":""#)?.get(..36)?;
        self.index_of(uuid)
    }

    /// The index of the batch with this uuid, when it may be one of ours.
    #[must_use]
    pub fn index_of(self, uuid: &str) -> Option<usize> {
        usize::from_str_radix(uuid.rsplit_once('-')?.1, 16).ok()
    }

    /// The document that a sender posts.
    #[must_use]
    pub fn document(self, indexes: &[usize]) -> String {
        let bodies: Vec<String> = indexes.iter().map(|&index| self.at(index).body).collect();
        format!("[{}]", bodies.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_follows_from_seed_and_index() {
        let batches = Batches { seed: 7 };
        for index in [0, 1, 12, 99_999] {
            let batch = batches.at(index);
            assert_eq!(batch, batches.at(index));
            assert_eq!(batches.index_in(&batch.body), Some(index));
            assert_ne!(batch.body, Batches { seed: 8 }.at(index).body);
        }
        assert!(batches.at(12).is_hopeless && batches.at(12).body.contains(r#""value":"NaN""#));
    }
}

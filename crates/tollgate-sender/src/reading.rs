//! One reading of a meter, before it is in a batch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_wire::{Metric, MetricBatch, Timestamp};

/// What was measured, where, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Whose it is.
    pub source: Source,
    /// The meter, the number as it was written, when it was measured, labels.
    pub metric: Metric,
    /// When it was recorded, in milliseconds since 1970.
    pub recorded_ms: i64,
}

/// What a batch is about. Readings with the same source go into one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The model's uuid.
    pub model: String,
    /// The model's name, for people; may be empty.
    pub model_name: String,
    /// The unit, such as `web/0`; may be empty.
    pub unit: String,
    /// The charm or product; may be empty.
    pub charm: String,
    /// What shows that this may be sent; may be empty.
    pub credentials: String,
}

impl Source {
    /// A batch of `metrics` with a new id.
    #[must_use]
    pub fn batch(&self, metrics: Vec<Metric>, created: Timestamp) -> MetricBatch {
        MetricBatch {
            uuid: uuid::Uuid::new_v4().to_string(),
            model_uuid: self.model.clone(),
            model_name: self.model_name.clone(),
            unit_name: self.unit.clone(),
            charm_url: self.charm.clone(),
            created,
            metrics: Some(metrics),
            credentials: Some(self.credentials.clone().into_bytes()),
            ..MetricBatch::default()
        }
    }
}

/// The batches of `readings`, one for each source, each metric in the order of the readings.
pub(crate) fn batches(readings: &[&Reading], created: Timestamp) -> Vec<MetricBatch> {
    let mut by_source: BTreeMap<&Source, Vec<Metric>> = BTreeMap::new();
    for reading in readings {
        by_source.entry(&reading.source).or_default().push(reading.metric.clone());
    }
    by_source.into_iter().map(|(source, metrics)| source.batch(metrics, created)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_one_source_share_a_batch() {
        let reading = |unit: &str, value: &str| Reading {
            source: Source { model: "m".to_owned(), unit: unit.to_owned(), ..Source::default() },
            metric: Metric { key: "k".to_owned(), value: value.to_owned(), ..Metric::default() },
            recorded_ms: 0,
        };
        let readings = [reading("a/0", "1"), reading("b/0", "2"), reading("a/0", "3")];
        let batches = batches(&readings.each_ref(), Timestamp::default());
        let contents = batches.iter().map(|batch| {
            let values =
                batch.metrics.iter().flatten().map(|metric| metric.value.as_str()).collect::<Vec<_>>();
            (batch.unit_name.as_str(), values)
        });
        assert_eq!(contents.collect::<Vec<_>>(), [("a/0", vec!["1", "3"]), ("b/0", vec!["2"])]);
        assert_ne!(batches[0].uuid, batches[1].uuid);
        assert!(readings.iter().all(|reading| reading.source.model == "m"));
    }
}

//! The document of the benchmarks: a chunk as a Juju controller posts it.

use std::collections::BTreeMap;

use tollgate_wire::{Metric, MetricBatch, Timestamp};

/// So many batches a document: what a controller sends at most.
pub const N_BATCHES: usize = 1000;

/// 1,000 batches of about 825 bytes: three metrics, labels on one of them, 180 characters of credentials.
#[must_use]
pub fn batches() -> Vec<MetricBatch> {
    (0..N_BATCHES).map(batch).collect()
}

fn batch(index: usize) -> MetricBatch {
    // Spread over all sixteen bytes, as random ids are, but the same in every run.
    let id = (index as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let unit = index % 50;
    let created = time(1_521_713_730 + index as i64, 123_000_000);
    MetricBatch {
        uuid: uuid(id),
        model_uuid: "deadbeef-0bad-400d-8000-4b1d0d06f00d".to_owned(),
        model_name: "finance-production-eu-west-1".to_owned(),
        unit_name: format!("metered-postgresql-cluster/{unit}"),
        charm_url: "ch:amd64/jammy/metered-postgresql-cluster-42".to_owned(),
        created,
        metrics: Some(vec![
            metric("requests", &(index * 37).to_string(), created, &[("az", "eu-west-1a"), ("tier", "gold")]),
            metric("stored-gibibyte-hours", &format!("{index}.125"), created, &[]),
            metric("juju-units", "1", created, &[]),
        ]),
        credentials: Some((0..135).map(|place| (place * 31 + index * 7) as u8).collect()),
        reseller_credentials: None,
        sla_credentials: None,
    }
}

fn metric(key: &str, value: &str, time: Timestamp, labels: &[(&str, &str)]) -> Metric {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Metric { key: key.to_owned(), value: value.to_owned(), time, labels }
}

fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp::from_unix(seconds, nanoseconds).expect("a time of this century can be written")
}

fn uuid(id: u128) -> String {
    let digits = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

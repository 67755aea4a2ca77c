//! Elements to record.

use tollgate_rules::{Admitted, BatchId, judge};
use tollgate_wire::{Document, Metric, MetricBatch, Status, Timestamp, to_vec};

use crate::{Entry, HandStatus};

/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200;

/// An instant that many seconds after the start of 2024.
pub(super) fn seconds(n: i64) -> Timestamp {
    Timestamp::from_unix(START + n, 0).expect("a time in this century")
}

/// A batch of one unit with one metric.
pub(super) fn batch(model_uuid: &str, uuid: &str, value: &str) -> MetricBatch {
    MetricBatch {
        uuid: uuid.to_owned(),
        model_uuid: model_uuid.to_owned(),
        model_name: "controller".to_owned(),
        unit_name: "metered/0".to_owned(),
        charm_url: "ch:quantal/metered-1".to_owned(),
        created: seconds(0),
        metrics: Some(vec![metric("pings", value)]),
        ..MetricBatch::default()
    }
}

pub(super) fn metric(key: &str, value: &str) -> Metric {
    Metric { key: key.to_owned(), value: value.to_owned(), time: seconds(0), ..Metric::default() }
}

pub(super) fn id(model_uuid: &str, uuid: &str) -> BatchId {
    BatchId { model_uuid: model_uuid.into(), batch_uuid: uuid.into() }
}

/// What a collector would hand over for a posted batch.
pub(super) fn entry(batch: &MetricBatch) -> Entry {
    posted(&canonical(batch))
}

/// A batch that counts.
pub(super) fn admitted(batch: &MetricBatch) -> Admitted {
    match entry(batch) {
        Entry::Batch(batch) => batch,
        other => unreachable!("a sample counts: {other:?}"),
    }
}

/// What a collector would hand over for a posted element.
pub(super) fn posted(element: &str) -> Entry {
    let body = format!("[{element}]");
    let document = Document::new(body.as_bytes());
    let elements = document.batches().expect("a sample is JSON");
    judge(&elements[0]).into()
}

pub(super) fn canonical(batch: &MetricBatch) -> String {
    let json = to_vec(batch).expect("a sample's times can be written");
    String::from_utf8(json).expect("JSON is UTF-8")
}

/// A status set by hand.
pub(super) fn status(model_uuid: &str, unit_name: &str, status: Status) -> HandStatus {
    HandStatus {
        model_uuid: model_uuid.into(),
        unit_name: unit_name.into(),
        status,
        info: "by hand \u{e9}".into(),
        set: seconds(7),
        expires: None,
    }
}

//! What a sender posts: batches of metrics.

use std::collections::BTreeMap;

use crate::Timestamp;

/// One reading of one meter. Go: `metrics.Metric`.
///
/// The value stays the text that the sender wrote: nothing here reads it as a number.
///
/// ```json
#[doc = include_str!("../golden/examples/metric.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metric {
    /// The meter's name. JSON `key`.
    pub key: String,
    /// The amount, as the sender's text. JSON `value`.
    pub value: String,
    /// When it was measured. JSON `time`.
    pub time: Timestamp,
    /// What distinguishes this series of the meter from the others; absent from the JSON when empty. JSON `labels`.
    pub labels: BTreeMap<String, String>,
}

/// A batch of metrics of one unit, the thing that is acknowledged. Go: `metrics.MetricBatch`.
///
/// ```json
#[doc = include_str!("../golden/examples/metric-batch.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricBatch {
    /// The batch's own id, made by its sender once and for ever. JSON `uuid`.
    pub uuid: String,
    /// The model (once "environment") that the batch belongs to. JSON `env-uuid`.
    pub model_uuid: String,
    /// The model's name; JEM and JIMM write `owner/name`. JSON `model-name`.
    pub model_name: String,
    /// The unit that was measured; empty for a batch of the model itself. JSON `unit-name`.
    pub unit_name: String,
    /// The charm that the unit runs. JSON `charm-url`.
    pub charm_url: String,
    /// When the batch was made. JSON `created`.
    pub created: Timestamp,
    /// The readings; `None` is JSON `null`. JSON `metrics`.
    pub metrics: Option<Vec<Metric>>,
    /// The JSON text of the unit's macaroons; `None` is JSON `null`. Base64 in JSON, `credentials`.
    pub credentials: Option<Vec<u8>>,
    /// Never set by any known sender. Base64 in JSON, `reseller-credentials`.
    pub reseller_credentials: Option<Vec<u8>>,
    /// The JSON text of the model's SLA macaroons. Base64 in JSON, `sla-credentials`.
    pub sla_credentials: Option<Vec<u8>>,
}

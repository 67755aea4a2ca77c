//! A borrowed view of posted batches, decoded element by element.

use std::borrow::Cow;

use crate::Timestamp;

/// A [`crate::MetricBatch`] that borrows from the posted document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchRef<'a> {
    /// JSON `uuid`.
    pub uuid: Cow<'a, str>,
    /// JSON `env-uuid`.
    pub model_uuid: Cow<'a, str>,
    /// JSON `model-name`.
    pub model_name: Cow<'a, str>,
    /// JSON `unit-name`.
    pub unit_name: Cow<'a, str>,
    /// JSON `charm-url`.
    pub charm_url: Cow<'a, str>,
    /// JSON `created`.
    pub created: Timestamp,
    /// JSON `metrics`; `None` is `null`.
    pub metrics: Option<Vec<MetricRef<'a>>>,
    /// JSON `credentials`.
    pub credentials: Base64Ref<'a>,
    /// JSON `reseller-credentials`.
    pub reseller_credentials: Base64Ref<'a>,
    /// JSON `sla-credentials`.
    pub sla_credentials: Base64Ref<'a>,
}

/// A [`crate::Metric`] that borrows from the posted document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricRef<'a> {
    /// JSON `key`.
    pub key: Cow<'a, str>,
    /// JSON `value`.
    pub value: Cow<'a, str>,
    /// JSON `time`.
    pub time: Timestamp,
    /// JSON `labels`.
    pub labels: Labels<'a>,
}

/// Labels in the order of their names, each name once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// The names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// Bytes that may still be in base64.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Base64Ref<'a> {
    /// JSON `null`.
    #[default]
    Null,
    /// Canonical base64, not yet decoded.
    Encoded(&'a str),
    /// Bytes that came in another spelling.
    Decoded(Vec<u8>),
}

//! How an agent takes readings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The section `[agent]` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The Unix socket on which applications post readings. Empty for none.
    pub(crate) socket: PathBuf,
    /// A loopback address on which they do so too, such as 127.0.0.1:8482; port 0 takes a free one. Empty for none.
    pub(crate) listen: String,
    /// What a reading is about that does not say so itself.
    pub(crate) model: String,
    /// The model's name, for people.
    pub(crate) model_name: String,
    /// The unit.
    pub(crate) unit: String,
    /// The charm or product.
    pub(crate) charm: String,
    /// So many readings become batches at once.
    pub(crate) batch_readings: usize,
    /// Or as many as there are, when the oldest has waited so long.
    pub(crate) batch_age_ms: u64,
    /// A meter that is 1 as long as the agent runs, such as juju-units. Empty for none.
    pub(crate) heartbeat: String,
    /// How often it is read.
    pub(crate) heartbeat_seconds: u64,
    /// Prometheus endpoints that are read into meters.
    pub(crate) scrape: Vec<Scrape>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: "tollgate-agent.sock".into(),
            listen: String::new(),
            model: String::new(),
            model_name: String::new(),
            unit: String::new(),
            charm: String::new(),
            batch_readings: 1_000,
            batch_age_ms: 10_000,
            heartbeat: String::new(),
            heartbeat_seconds: 300,
            scrape: Vec::new(),
        }
    }
}

/// A Prometheus endpoint, and what of it is metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scrape {
    /// The endpoint, such as http://127.0.0.1:9090/metrics.
    pub(crate) url: String,
    /// How often it is read.
    #[serde(default = "every_minute")]
    pub(crate) every_seconds: u64,
    /// The unit that it measures, when that is not the agent's.
    #[serde(default)]
    pub(crate) unit: String,
    /// What becomes of which metric.
    pub(crate) meters: Vec<Mapping>,
}

impl Scrape {
    /// The unit that it measures; `of_agent` when it has none of its own.
    pub(crate) fn unit<'a>(&'a self, of_agent: &'a str) -> &'a str {
        if self.unit.is_empty() { of_agent } else { &self.unit }
    }
}

fn every_minute() -> u64 {
    60
}

/// What becomes of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// The metric's name at the endpoint.
    pub(crate) metric: String,
    /// The meter that it becomes.
    pub(crate) meter: String,
    /// What it counts.
    pub(crate) kind: MetricKind,
    /// Only series with these labels.
    #[serde(default, rename = "match")]
    pub(crate) matching: BTreeMap<String, String>,
    /// The labels that readings keep; series that differ in others are added up.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MetricKind {
    /// Grows until its process starts again: what it grew by is read.
    Counter,
    /// Goes up and down: it is read as it is.
    Gauge,
}

//! What is metered, and how its readings add up.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// How the readings of a meter add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeterKind {
    /// Each reading is an amount since the one before: they are summed. Juju's type `absolute`.
    #[default]
    Absolute,
    /// Each reading is a state at a point in time: the largest counts. Juju's type `gauge`.
    Gauge,
}

/// One `[[meter]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterSettings {
    /// The key that senders report it under.
    pub key: String,
    /// How its readings add up.
    #[serde(default)]
    pub kind: MeterKind,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What is counted: `requests`, `GiB`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// Two meters of one key, or one without any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use a meter: its key {key:?} is {why}")]
pub struct MeterError {
    key: String,
    why: &'static str,
}

/// All meters that are declared. Whatever is not is [`MeterKind::Absolute`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meters(HashMap<Box<str>, MeterSettings>);

impl Meters {
    /// Reads what the configuration says.
    ///
    /// # Errors
    ///
    /// When a key is empty or declared twice.
    pub fn new(settings: &[MeterSettings]) -> Result<Self, MeterError> {
        let mut meters = HashMap::with_capacity(settings.len());
        for meter in settings {
            let refuse = |why| Err(MeterError { key: meter.key.clone(), why });
            if meter.key.is_empty() {
                return refuse("empty");
            }
            if meters.insert(meter.key.as_str().into(), meter.clone()).is_some() {
                return refuse("that of another meter, too");
            }
        }
        Ok(Self(meters))
    }

    /// How the readings of a meter add up.
    #[must_use]
    pub fn kind(&self, key: &str) -> MeterKind {
        self.find(key).map(|meter| meter.kind).unwrap_or_default()
    }

    /// What is declared of a meter.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&MeterSettings> {
        self.0.get(key)
    }
}

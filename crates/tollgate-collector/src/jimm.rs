//! What JIMM posted from 2018 to 2020: batches of another form, which are translated.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// What all batches of JEM and JIMM name as their unit and charm.
const UNIT: &str = "jimm/0";
const CHARM: &str = "cs:~canonical/jimm-0";

/// The tags that say whose a metric is; all others are labels.
const MODEL: &str = "model";
const MODEL_NAME: &str = "model-name";

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(default, deserialize_with = "or_default")]
    uuid: String,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    metrics: Vec<Metric<'a>>,
    #[serde(borrow, default)]
    credentials: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Translated<'a> {
    uuid: &'a str,
    #[serde(rename = "env-uuid")]
    model_uuid: &'a str,
    #[serde(rename = "model-name")]
    model_name: &'a str,
    #[serde(rename = "unit-name")]
    unit_name: &'a str,
    #[serde(rename = "charm-url")]
    charm_url: &'a str,
    created: Option<&'a RawValue>,
    metrics: Vec<TranslatedMetric<'a>>,
    credentials: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct TranslatedMetric<'a> {
    key: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A posted array in the form of all others: each batch becomes one for each model that its metrics are tagged with. What is no batch
/// stays as it is, to be set aside like anything else that is none.
///
/// # Errors
///
/// When it is no JSON array.
pub(crate) fn translate(document: &[u8]) -> serde_json::Result<Vec<u8>> {
    let elements: Option<Vec<&RawValue>> = serde_json::from_slice(document)?;
    let mut translated = Vec::with_capacity(document.len() + document.len() / 2);
    translated.push(b'[');
    for element in elements.unwrap_or_default() {
        match serde_json::from_str::<Batch<'_>>(element.get()) {
            Ok(batch) => write_each(&mut translated, &batch)?,
            Err(_) => write(&mut translated, |to| {
                to.extend_from_slice(element.get().as_bytes());
                Ok(())
            })?,
        }
    }
    translated.push(b']');
    Ok(translated)
}

fn write_each(to: &mut Vec<u8>, batch: &Batch<'_>) -> serde_json::Result<()> {
    let mut models = BTreeMap::<&str, Vec<&Metric<'_>>>::new();
    for metric in &batch.metrics {
        models.entry(metric.tag(MODEL)).or_default().push(metric);
    }
    if models.is_empty() {
        models.insert("", Vec::new());
    }
    for (model_uuid, metrics) in models {
        let translated = Translated {
            uuid: &batch.uuid,
            model_uuid,
            model_name: metrics.iter().map(|metric| metric.tag(MODEL_NAME)).max().unwrap_or_default(),
            unit_name: UNIT,
            charm_url: CHARM,
            created: batch.created,
            metrics: metrics.into_iter().map(Metric::translated).collect(),
            credentials: batch.credentials,
        };
        write(to, |to| serde_json::to_writer(to, &translated))?;
    }
    Ok(())
}

fn write(
    to: &mut Vec<u8>,
    element: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    if 1 < to.len() {
        to.push(b',');
    }
    element(to)
}

impl Metric<'_> {
    fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    fn translated(&self) -> TranslatedMetric<'_> {
        let is_label = |(name, _): &(&str, &str)| ![MODEL, MODEL_NAME].contains(name);
        let tags = self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        TranslatedMetric {
            key: self.key,
            value: self.value,
            time: self.time,
            labels: tags.filter(is_label).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(posted: &str, expected: &str) {
        let translated = translate(posted.as_bytes()).expect("an array");
        assert_eq!(String::from_utf8(translated).expect("UTF-8"), expected);
    }

    #[test]
    fn a_batch_is_translated_by_its_tags() {
        check("null", "[]");
        check("[]", "[]");
        let metric = |model: &str, tags: &str| {
            format!(
                r#"{{"key":"juju-model-units","value":"17","time":"2018-03-22T10:15:30.5Z","tags":{{"model":"{model}","model-name":"bob/{model}"{tags}}}}}"#
            )
        };
        let batch = |metrics: &[String]| {
            format!(
                r#"{{"uuid":"5","created":"2018-03-22T10:15:30.5Z","metrics":[{}],"credentials":"c2Vj"}}"#,
                metrics.join(",")
            )
        };
        let expected = |model: &str, labels: &str| {
            format!(
                r#"{{"uuid":"5","env-uuid":"{model}","model-name":"bob/{model}","unit-name":"jimm/0","charm-url":"cs:~canonical/jimm-0","created":"2018-03-22T10:15:30.5Z","metrics":[{{"key":"juju-model-units","value":"17","time":"2018-03-22T10:15:30.5Z"{labels}}}],"credentials":"c2Vj"}}"#
            )
        };
        let one = batch(&[metric("m", "")]);
        check(&format!("[{one}]"), &format!("[{}]", expected("m", "")));
        let two = batch(&[metric("n", r#","az":"1""#), metric("m", "")]);
        check(
            &format!("[{two},{one}]"),
            &format!(
                "[{},{},{}]",
                expected("m", ""),
                expected("n", r#","labels":{"az":"1"}"#),
                expected("m", "")
            ),
        );
    }

    #[test]
    fn what_is_no_batch_stays_to_be_set_aside() {
        check("[1, {\"metrics\":7}]", "[1,{\"metrics\":7}]");
        check("[null]", "[null]");
        assert!(translate(b"{}").is_err());
        assert!(translate(b"[").is_err());
    }
}

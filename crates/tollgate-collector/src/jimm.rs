//! What JIMM posted from 2018 to 2020: batches of another form, which are translated.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::budget::Reservation;
use crate::problem::Problem;

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

/// What an object or an array takes in memory beside its text, at most: it may begin a batch, a metric, or its tags, of which the
/// first one makes room for ten.
const OPENED_BYTES: usize = 640;

/// What a text takes beside its bytes, at most, in the places that there is no room for yet.
const TEXT_BYTES: usize = 96;

/// What a translated batch takes beside the texts that are copied from the posted one, and likewise a metric of it.
const BATCH_BYTES: usize = 256;
const METRIC_BYTES: usize = 128;

/// Translates one after the other, within what may be held.
struct Translation<'r> {
    translated: Vec<u8>,
    n_batches: usize,
    batches_max: usize,
    /// What the posted document takes.
    document_bytes: usize,
    reservation: &'r mut Reservation,
}

/// A posted array in the form of all others: each batch becomes one for each model that its metrics are tagged with. What is no batch
/// stays as it is, to be set aside like anything else that is none.
///
/// A batch of many models is copied for each of them, so `reservation` grows before anything is written.
///
/// # Errors
///
/// When it is no JSON array, becomes more than `batches_max` batches, or more than may be held.
pub(crate) fn translate(
    document: &[u8],
    batches_max: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Problem> {
    let bad = |error: serde_json::Error| Problem::BadJson {
        reason: format!("Failed to read an array of batches: {error}. Nothing of it was recorded."),
        offset: offset_of(document, &error),
    };
    let n_elements_max = document.iter().filter(|byte| **byte == b',').count() + 1;
    // A list of that many may have made room for twice as many, and is copied when it grows.
    let document_bytes = document.len() + 3 * n_elements_max * size_of::<&RawValue>();
    reservation.grow_to(document_bytes)?;
    let elements: Option<Vec<&RawValue>> = serde_json::from_slice(document).map_err(bad)?;
    let mut translation =
        Translation { translated: vec![b'['], n_batches: 0, batches_max, document_bytes, reservation };
    for element in elements.unwrap_or_default() {
        translation.add(element.get())?;
    }
    translation.translated.push(b']');
    Ok(translation.translated)
}

/// Where in a document an error is.
fn offset_of(document: &[u8], error: &serde_json::Error) -> usize {
    let lines = document.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(document.len())
}

impl Translation<'_> {
    fn add(&mut self, element: &str) -> Result<(), Problem> {
        let count = |wanted: &[u8]| element.bytes().filter(|byte| wanted.contains(byte)).count();
        let parsed_bytes = count(b"{[") * OPENED_BYTES + count(b"\"") / 2 * TEXT_BYTES + element.len();
        self.hold(parsed_bytes)?;
        let Ok(batch) = serde_json::from_str::<Batch<'_>>(element) else {
            return self.write(parsed_bytes, element.len(), |to| to.extend_from_slice(element.as_bytes()));
        };
        let mut models = BTreeMap::<&str, Vec<&Metric<'_>>>::new();
        for metric in &batch.metrics {
            models.entry(metric.tag(MODEL)).or_default().push(metric);
        }
        if models.is_empty() {
            models.insert("", Vec::new());
        }
        let of_each_bytes =
            BATCH_BYTES + batch.uuid.len() + raw_bytes(batch.created) + raw_bytes(batch.credentials);
        for (model_uuid, metrics) in models {
            // A text may take six times its length when it is escaped.
            let metrics_bytes: usize =
                metrics.iter().map(|metric| METRIC_BYTES + 6 * metric.text_bytes()).sum();
            let n_bytes = 6 * of_each_bytes + metrics_bytes;
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
            self.write(parsed_bytes, n_bytes, |to| {
                serde_json::to_writer(to, &translated).expect("texts and JSON can be written");
            })?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        parsed_bytes: usize,
        n_bytes: usize,
        element: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Problem> {
        if self.n_batches == self.batches_max {
            return Err(Problem::TooManyBatches { batches_max: self.batches_max });
        }
        self.n_batches += 1;
        self.hold(parsed_bytes + n_bytes)?;
        if 1 < self.translated.len() {
            self.translated.push(b',');
        }
        element(&mut self.translated);
        Ok(())
    }

    /// Reserves so much beside what there is already. What is written may have made room for twice as much, and is copied when it
    /// grows.
    fn hold(&mut self, n_bytes: usize) -> Result<(), Problem> {
        Ok(self.reservation.grow_to(self.document_bytes + 3 * self.translated.len() + n_bytes)?)
    }
}

fn raw_bytes(raw: Option<&RawValue>) -> usize {
    raw.map_or(0, |raw| raw.get().len())
}

impl Metric<'_> {
    fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    /// Of all that is copied.
    fn text_bytes(&self) -> usize {
        let raw = [self.key, self.value, self.time].map(raw_bytes).iter().sum::<usize>();
        // A place in the map, quotes and separators.
        raw + self.tags.iter().map(|(name, value)| name.len() + value.len() + TEXT_BYTES).sum::<usize>()
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
    use crate::budget::Budget;

    fn translate(posted: &str) -> Result<Vec<u8>, Problem> {
        super::translate(posted.as_bytes(), 10, &mut Budget::new(1 << 20).reservation())
    }

    #[track_caller]
    fn check(posted: &str, expected: &str) {
        let translated = translate(posted).expect("an array");
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
        assert!(matches!(translate("{}"), Err(Problem::BadJson { .. })));
        assert!(matches!(translate("[{},"), Err(Problem::BadJson { offset: 3 | 4, .. })));
    }

    /// One batch of so many models, with credentials of so many bytes.
    fn of_many_models(n_models: usize, credentials_bytes: usize) -> String {
        let metrics: Vec<String> =
            (0..n_models).map(|model| format!(r#"{{"tags":{{"model":"m{model}"}}}}"#)).collect();
        let credentials = "x".repeat(credentials_bytes);
        format!(r#"[{{"uuid":"u","metrics":[{}],"credentials":"{credentials}"}}]"#, metrics.join(","))
    }

    #[test]
    fn what_one_batch_becomes_is_limited() {
        assert!(translate(&of_many_models(10, 100)).is_ok());
        let too_many = translate(&of_many_models(11, 100));
        assert!(matches!(too_many, Err(Problem::TooManyBatches { batches_max: 10 })), "{too_many:?}");
        // 100 bytes for each of a thousand models are copied; 100,000 are not.
        let budget = Budget::new(8 << 20);
        let mut reservation = budget.reservation();
        let small = of_many_models(1_000, 100);
        assert!(super::translate(small.as_bytes(), 1_000, &mut reservation).is_ok());
        assert!(small.len() < budget.held_bytes(), "what is held is reserved");
        drop(reservation);
        let large = of_many_models(1_000, 100_000);
        let refused = super::translate(large.as_bytes(), 1_000, &mut budget.reservation());
        assert!(matches!(refused, Err(Problem::TooManyMetrics { .. })), "{refused:?}");
        assert_eq!(budget.held_bytes(), 0);
    }
}

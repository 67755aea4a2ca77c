//! Whether a batch can be counted, and if not, why not.

use tollgate_wire::{BatchRef, Document, Element, ElementError, Labels, MetricRef, Timestamp};

use crate::reason::excerpt;
use crate::{Decimal, Digest, Reason, limits};

/// The identity of a batch: the exact strings that its sender wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BatchId {
    /// The model that the batch belongs to. JSON `env-uuid`.
    pub model_uuid: Box<str>,
    /// The batch's own id. JSON `uuid`.
    pub batch_uuid: Box<str>,
}

/// A batch that passed every check needing no I/O. [`admit`], [`judge`] and [`judge_each`] are the only ways to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    id: BatchId,
    digest: Digest,
    names: Names,
    created: Timestamp,
    readings: Box<[Reading]>,
    body: Box<[u8]>,
}

/// The model's name, the unit's and the charm's, in one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    texts: Box<str>,
    /// Where the first two end.
    ends: [u16; 2],
}

impl Names {
    /// None of them is over [`limits::NAME_BYTES_MAX`].
    fn new(model: &str, unit: &str, charm: &str) -> Self {
        let ends = [model.len(), model.len() + unit.len()];
        let ends = ends.map(|end| u16::try_from(end).expect("the limit of names is far below 64 KiB"));
        Self { texts: [model, unit, charm].concat().into(), ends }
    }

    fn model(&self) -> &str {
        &self.texts[..usize::from(self.ends[0])]
    }

    fn unit(&self) -> &str {
        &self.texts[usize::from(self.ends[0])..usize::from(self.ends[1])]
    }

    fn charm(&self) -> &str {
        &self.texts[usize::from(self.ends[1])..]
    }
}

/// One metric of an admitted batch, its value read exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The meter.
    pub key: Box<str>,
    /// The labels as canonical JSON; empty when there are none.
    pub labels: Box<str>,
    /// How much.
    pub amount: Decimal,
    /// When.
    pub time: Timestamp,
}

impl Admitted {
    /// Whose batch it is and which; neither string is empty.
    #[must_use]
    pub fn id(&self) -> &BatchId {
        &self.id
    }

    /// Of the canonical JSON: equal exactly when the content is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The model's name; JEM and JIMM write `owner/name`.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.names.model()
    }

    /// The unit that was measured; empty for a batch of the model itself.
    #[must_use]
    pub fn unit_name(&self) -> &str {
        self.names.unit()
    }

    /// The charm that the unit runs; empty for a batch of the model itself.
    #[must_use]
    pub fn charm_url(&self) -> &str {
        self.names.charm()
    }

    /// When the batch was made, by its sender's clock.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The metrics, in the batch's order. There may be none.
    #[must_use]
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The canonical JSON: what Go's `json.Marshal` gives for the batch.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The canonical JSON, for who keeps nothing else.
    #[must_use]
    pub fn into_body(self) -> Box<[u8]> {
        self.body
    }

    /// Reads a recorded batch back, as a ledger does when it recovers.
    ///
    /// # Errors
    ///
    /// When these bytes are not what [`Admitted::body`] gave: they were changed since.
    pub fn from_canonical(body: &[u8]) -> Result<Self, RecoverError> {
        // Elements are decoded within an array.
        let mut array = Vec::with_capacity(body.len() + 2);
        array.push(b'[');
        array.extend_from_slice(body);
        array.push(b']');
        let document = Document::new(&array);
        let elements = document.batches()?;
        let [element] = &elements[..] else { return Err(RecoverError::NotCanonical) };
        match judge(element) {
            Verdict::Admitted(admitted) if *admitted.body == *body => Ok(admitted),
            Verdict::Admitted(_) => Err(RecoverError::NotCanonical),
            Verdict::Quarantined(quarantined) => Err(RecoverError::NotAdmitted(quarantined.reason)),
        }
    }
}

/// Why bytes are no recorded batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// They are not JSON.
    #[error("read a recorded batch: it is not JSON")]
    NotJson(#[from] tollgate_wire::DecodeError),
    /// They are JSON, but no batch that was ever admitted.
    #[error("read a recorded batch: it cannot be counted")]
    NotAdmitted(#[source] Reason),
    /// They are a batch, but not in the bytes that are recorded.
    #[error("read a recorded batch: it is not canonical JSON")]
    NotCanonical,
}

/// A batch, or what came in its place, that can never be counted as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Both strings may be empty, when the batch did not say, or said what is too long to be an id.
    pub id: BatchId,
    /// The unit, when the batch said so; its status turns AMBER.
    pub unit_name: Box<str>,
    /// Why.
    pub reason: Reason,
    /// The element of the posted array as it came; its start, when it is over [`limits::QUARANTINED_BODY_BYTES_MAX`].
    pub body: Box<[u8]>,
    /// Of the whole element: with the id, what tells whether it is in quarantine already.
    pub digest: Digest,
}

impl Quarantined {
    /// A recorded batch's id with other content: `newcomer` is set aside, as its canonical JSON.
    #[must_use]
    pub fn conflict(newcomer: Admitted, recorded: Digest) -> Self {
        Self::refused(newcomer, Reason::Conflict { recorded })
    }

    /// A batch that could be counted is set aside for a reason outside of it, as its canonical JSON.
    #[must_use]
    pub fn refused(batch: Admitted, reason: Reason) -> Self {
        Self {
            id: batch.id,
            unit_name: batch.names.unit().into(),
            reason,
            body: batch.body,
            digest: batch.digest,
        }
    }
}

/// What becomes of one posted element, as far as that needs no I/O.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, once it is recorded.
    Admitted(Admitted),
    /// It is set aside.
    Quarantined(Quarantined),
}

/// Decides on one element of a posted document.
#[must_use]
pub fn judge(element: &Element<'_>) -> Verdict {
    examine(element, &mut Vec::new()).conclude(Digest::of)
}

/// As [`judge`] of each of `elements`, in less time: sixteen or more digests at once are less work than one after the other.
#[must_use]
pub fn judge_each(elements: &[Element<'_>]) -> Vec<Verdict> {
    let mut scratch = Vec::new();
    let examined: Vec<Examined> = elements.iter().map(|element| examine(element, &mut scratch)).collect();
    let bodies: Vec<&[u8]> = examined.iter().filter_map(Examined::body).collect();
    let mut digests = Digest::of_each(&bodies).into_iter();
    let mut next_digest = |_: &[u8]| digests.next().expect("each body has a digest");
    examined.into_iter().map(|examined| examined.conclude(&mut next_digest)).collect()
}

/// Decides on a decoded batch; `raw` is the JSON that it came as.
///
/// The checks have a fixed order, so that the same bytes always get the same reason: ids, lengths, each metric's key,
/// labels and value, times. A batch without metrics is admitted; it counts nothing.
#[must_use]
pub fn admit(batch: &BatchRef<'_>, raw: &str) -> Verdict {
    examine_batch(batch, raw, &mut Vec::new()).conclude(Digest::of)
}

/// A verdict, but for the digest of what is admitted.
enum Examined {
    Admissible(Admissible),
    Quarantined(Quarantined),
}

/// What [`Admitted`] has, but for the digest.
struct Admissible {
    id: BatchId,
    names: Names,
    created: Timestamp,
    readings: Box<[Reading]>,
    body: Box<[u8]>,
}

impl Examined {
    /// What the digest is of, where one is missing.
    fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Admissible(admissible) => Some(&admissible.body),
            Self::Quarantined(_) => None,
        }
    }

    /// The verdict, with what `digest` gives for the body.
    fn conclude(self, digest: impl FnOnce(&[u8]) -> Digest) -> Verdict {
        match self {
            Self::Admissible(admissible) => {
                let digest = digest(&admissible.body);
                let Admissible { id, names, created, readings, body } = admissible;
                Verdict::Admitted(Admitted { id, digest, names, created, readings, body })
            }
            Self::Quarantined(quarantined) => Verdict::Quarantined(quarantined),
        }
    }
}

/// `scratch` is room for labels, whatever is in it.
fn examine(element: &Element<'_>, scratch: &mut Vec<u8>) -> Examined {
    match &element.batch {
        Ok(batch) => examine_batch(batch, element.raw, scratch),
        Err(error) => Examined::Quarantined(refuse(error, element.raw)),
    }
}

fn examine_batch(batch: &BatchRef<'_>, raw: &str, scratch: &mut Vec<u8>) -> Examined {
    match check(batch, raw.len(), scratch) {
        Ok(admissible) => Examined::Admissible(admissible),
        Err(reason) => {
            let names = [&*batch.model_uuid, &*batch.uuid, &*batch.unit_name];
            Examined::Quarantined(set_aside(names, reason, raw))
        }
    }
}

/// Sets an element aside that could not be decoded; `raw` is its JSON. It is filed under what could be read of its ids.
#[must_use]
pub fn refuse(error: &ElementError, raw: &str) -> Quarantined {
    let identity = &error.identity;
    let names = [&*identity.model_uuid, &*identity.uuid, &*identity.unit_name];
    set_aside(names, Reason::Undecodable { message: error.message.clone() }, raw)
}

fn set_aside([model_uuid, batch_uuid, unit_name]: [&str; 3], reason: Reason, raw: &str) -> Quarantined {
    Quarantined {
        id: BatchId {
            model_uuid: limits::within_or_none(limits::ID_BYTES_MAX, model_uuid).into(),
            batch_uuid: limits::within_or_none(limits::ID_BYTES_MAX, batch_uuid).into(),
        },
        unit_name: limits::within_or_none(limits::NAME_BYTES_MAX, unit_name).into(),
        reason,
        body: kept_of(raw),
        digest: Digest::of(raw.as_bytes()),
    }
}

/// The element's JSON, cut where it is longer than is kept, with a word that it was.
fn kept_of(raw: &str) -> Box<[u8]> {
    if raw.len() <= limits::QUARANTINED_BODY_BYTES_MAX {
        return raw.as_bytes().into();
    }
    let end =
        (0..=limits::QUARANTINED_BODY_BYTES_MAX).rev().find(|&end| raw.is_char_boundary(end)).unwrap_or(0);
    format!("{}… [cut: {} of {} bytes]", &raw[..end], end, raw.len()).into_bytes().into()
}

fn check(batch: &BatchRef<'_>, n_bytes: usize, scratch: &mut Vec<u8>) -> Result<Admissible, Reason> {
    if batch.uuid.is_empty() {
        return Err(Reason::MissingUuid);
    }
    if batch.model_uuid.is_empty() {
        return Err(Reason::MissingModelUuid);
    }
    let metrics = batch.metrics.as_deref().unwrap_or_default();
    if limits::METRICS_PER_BATCH_MAX < metrics.len() {
        return Err(Reason::TooManyMetrics { n_metrics: metrics.len() });
    }
    let id = BatchId {
        batch_uuid: within(limits::ID_BYTES_MAX, &batch.uuid, || "uuid".to_owned())?.into(),
        model_uuid: within(limits::ID_BYTES_MAX, &batch.model_uuid, || "env-uuid".to_owned())?.into(),
    };
    let model_name = within(limits::NAME_BYTES_MAX, &batch.model_name, || "model-name".to_owned())?;
    let unit_name = within(limits::NAME_BYTES_MAX, &batch.unit_name, || "unit-name".to_owned())?;
    let charm_url = within(limits::NAME_BYTES_MAX, &batch.charm_url, || "charm-url".to_owned())?;
    let names = Names::new(model_name, unit_name, charm_url);
    let readings = metrics.iter().enumerate().map(|(index, metric)| read(index, metric, scratch));
    let readings = readings.collect::<Result<_, _>>()?;
    let body = canonical_json(batch, metrics, n_bytes)?;
    Ok(Admissible { id, names, created: batch.created, readings, body })
}

fn read(index: usize, metric: &MetricRef<'_>, scratch: &mut Vec<u8>) -> Result<Reading, Reason> {
    let key = within(limits::NAME_BYTES_MAX, &metric.key, || format!("metrics[{index}].key"))?.into();
    let labels = labels_json(index, &metric.labels, scratch)?;
    let amount = Decimal::parse(&metric.value).map_err(|refusal| Reason::Value {
        index,
        key: excerpt(&metric.key),
        value: excerpt(&metric.value),
        refusal,
    })?;
    Ok(Reading { key, labels, amount, time: metric.time })
}

fn labels_json(index: usize, labels: &Labels<'_>, scratch: &mut Vec<u8>) -> Result<Box<str>, Reason> {
    if labels.is_empty() {
        return Ok(Box::default());
    }
    scratch.clear();
    tollgate_wire::encode(labels, scratch).expect("only times can fail to encode, and labels hold none");
    let json = std::str::from_utf8(scratch).expect("JSON made of strings is UTF-8");
    within(limits::LABELS_BYTES_MAX, json, || format!("metrics[{index}].labels")).map(Into::into)
}

fn within(n_bytes_max: usize, text: &str, field: impl FnOnce() -> String) -> Result<&str, Reason> {
    let n_bytes = text.len();
    if n_bytes_max < n_bytes {
        return Err(Reason::TooLong { field: field(), n_bytes, n_bytes_max });
    }
    Ok(text)
}

/// Nearly every batch comes as canonical JSON, so `n_bytes`, its length as it came, is the length to make room for.
fn canonical_json(
    batch: &BatchRef<'_>,
    metrics: &[MetricRef<'_>],
    n_bytes: usize,
) -> Result<Box<[u8]>, Reason> {
    let mut json = Vec::with_capacity(n_bytes);
    match tollgate_wire::encode(batch, &mut json) {
        Ok(()) => Ok(json.into_boxed_slice()),
        Err(error) => {
            let is_it = |metric: &MetricRef<'_>| metric.time == error.time();
            let field = match metrics.iter().position(is_it) {
                Some(index) if batch.created != error.time() => format!("metrics[{index}].time"),
                _ => "created".to_owned(),
            };
            Err(Reason::Time { field, time: error.time() })
        }
    }
}

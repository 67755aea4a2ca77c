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

/// Who a batch is, without owning the strings: what [`BatchId`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchIdRef<'a> {
    /// The model that the batch belongs to.
    pub model_uuid: &'a str,
    /// The batch's own id.
    pub batch_uuid: &'a str,
}

impl BatchId {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> BatchIdRef<'_> {
        BatchIdRef { model_uuid: &self.model_uuid, batch_uuid: &self.batch_uuid }
    }
}

impl BatchIdRef<'_> {
    /// The same, with strings of its own.
    #[must_use]
    pub fn owned(self) -> BatchId {
        BatchId { model_uuid: self.model_uuid.into(), batch_uuid: self.batch_uuid.into() }
    }
}

/// A batch that passed every check needing no I/O. [`admit`], [`judge`] and [`judge_each`] are the only ways to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    digest: Digest,
    content: Content,
}

/// What [`Admitted`] has, but for the digest. Every batch of a request is one, so its texts are one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    /// The ids, the names, then the meter and the labels of each reading, one after the other.
    texts: Box<str>,
    /// Where the first five of them end.
    ends: [u16; 5],
    created: Timestamp,
    readings: Box<[StoredReading]>,
    body: Box<[u8]>,
}

/// A [`Reading`], its texts in those of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StoredReading {
    /// Where the meter and the labels end; the meter begins where the reading before ends.
    ends: [u32; 2],
    amount: Decimal,
    time: Timestamp,
}

/// One metric of an admitted batch, its value read exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The meter.
    pub key: &'a str,
    /// The labels as canonical JSON; empty when there are none.
    pub labels: &'a str,
    /// How much.
    pub amount: Decimal,
    /// When.
    pub time: Timestamp,
}

impl Content {
    /// One of the first five texts.
    fn name(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.texts[usize::from(start)..usize::from(self.ends[index])]
    }
}

impl Admitted {
    /// Whose batch it is and which; neither string is empty.
    #[must_use]
    pub fn id(&self) -> BatchIdRef<'_> {
        BatchIdRef { model_uuid: self.content.name(0), batch_uuid: self.content.name(1) }
    }

    /// Of the canonical JSON: equal exactly when the content is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The model's name; JEM and JIMM write `owner/name`.
    #[must_use]
    pub fn model_name(&self) -> &str {
        self.content.name(2)
    }

    /// The unit that was measured; empty for a batch of the model itself.
    #[must_use]
    pub fn unit_name(&self) -> &str {
        self.content.name(3)
    }

    /// The charm that the unit runs; empty for a batch of the model itself.
    #[must_use]
    pub fn charm_url(&self) -> &str {
        self.content.name(4)
    }

    /// When the batch was made, by its sender's clock.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.content.created
    }

    /// The metrics, in the batch's order. There may be none.
    pub fn readings(&self) -> impl ExactSizeIterator<Item = Reading<'_>> {
        let texts = &*self.content.texts;
        let mut start = usize::from(self.content.ends[4]);
        self.content.readings.iter().map(move |&StoredReading { ends, amount, time }| {
            let [key_end, end] = ends.map(|end| end as usize);
            let (key, labels) = (&texts[start..key_end], &texts[key_end..end]);
            start = end;
            Reading { key, labels, amount, time }
        })
    }

    /// How many bytes it takes in memory, about.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let Content { texts, readings, body, .. } = &self.content;
        size_of::<Self>() + texts.len() + size_of_val(&**readings) + body.len()
    }

    /// The canonical JSON: what Go's `json.Marshal` gives for the batch.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.content.body
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
            Verdict::Admitted(admitted) if admitted.body() == body => Ok(admitted),
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
            id: batch.id().owned(),
            unit_name: batch.unit_name().into(),
            reason,
            digest: batch.digest,
            body: batch.content.body,
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
pub fn judge_each(elements: &[Element<'_>]) -> impl Iterator<Item = Verdict> {
    let mut scratch = Vec::with_capacity(TEXTS_BYTES);
    let examined: Vec<Examined> = elements.iter().map(|element| examine(element, &mut scratch)).collect();
    let bodies: Vec<&[u8]> = examined.iter().filter_map(Examined::body).collect();
    let mut digests = Digest::of_each(&bodies);
    let mut next_digest = move |_: &[u8]| digests.next().expect("each body has a digest");
    examined.into_iter().map(move |examined| examined.conclude(&mut next_digest))
}

/// The texts of most batches have fewer bytes.
const TEXTS_BYTES: usize = 1 << 10;

/// Decides on a decoded batch; `raw` is the JSON that it came as.
///
/// The checks have a fixed order, so that the same bytes always get the same reason: ids, lengths, each metric's key,
/// labels and value, times. A batch without metrics is admitted; it counts nothing.
#[must_use]
pub fn admit(batch: &BatchRef<'_>, raw: &str) -> Verdict {
    examine_batch(batch, raw, false, &mut Vec::new()).conclude(Digest::of)
}

/// A verdict, but for the digest of what is admitted.
enum Examined {
    Admissible(Content),
    Quarantined(Quarantined),
}

impl Examined {
    /// What the digest is of, where one is missing.
    fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Admissible(content) => Some(&content.body),
            Self::Quarantined(_) => None,
        }
    }

    /// The verdict, with what `digest` gives for the body.
    fn conclude(self, digest: impl FnOnce(&[u8]) -> Digest) -> Verdict {
        match self {
            Self::Admissible(content) => {
                Verdict::Admitted(Admitted { digest: digest(&content.body), content })
            }
            Self::Quarantined(quarantined) => Verdict::Quarantined(quarantined),
        }
    }
}

/// `scratch` is room for texts, whatever is in it.
fn examine(element: &Element<'_>, scratch: &mut Vec<u8>) -> Examined {
    match &element.batch {
        Ok(batch) => examine_batch(batch, element.raw, element.is_canonical, scratch),
        Err(error) => Examined::Quarantined(refuse(error, element.raw)),
    }
}

fn examine_batch(batch: &BatchRef<'_>, raw: &str, is_canonical: bool, scratch: &mut Vec<u8>) -> Examined {
    match check(batch, raw, is_canonical, scratch) {
        Ok(content) => Examined::Admissible(content),
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

fn check(
    batch: &BatchRef<'_>,
    raw: &str,
    is_canonical: bool,
    texts: &mut Vec<u8>,
) -> Result<Content, Reason> {
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
    // Checked before the model's, behind which it stands.
    let batch_uuid = within(limits::ID_BYTES_MAX, &batch.uuid, || "uuid".to_owned())?;
    let names = [
        within(limits::ID_BYTES_MAX, &batch.model_uuid, || "env-uuid".to_owned())?,
        batch_uuid,
        within(limits::NAME_BYTES_MAX, &batch.model_name, || "model-name".to_owned())?,
        within(limits::NAME_BYTES_MAX, &batch.unit_name, || "unit-name".to_owned())?,
        within(limits::NAME_BYTES_MAX, &batch.charm_url, || "charm-url".to_owned())?,
    ];
    texts.clear();
    let ends = names.map(|name| {
        texts.extend_from_slice(name.as_bytes());
        u16::try_from(texts.len()).expect("the limits of ids and names are far below 64 KiB")
    });
    let readings = metrics.iter().enumerate().map(|(index, metric)| read(index, metric, texts));
    let readings = readings.collect::<Result<_, _>>()?;
    let body = canonical_json(batch, metrics, raw, is_canonical)?;
    let texts = std::str::from_utf8(texts).expect("strings, and JSON made of strings, are UTF-8");
    Ok(Content { texts: texts.into(), ends, created: batch.created, readings, body })
}

/// Appends its texts to those of its batch.
fn read(index: usize, metric: &MetricRef<'_>, texts: &mut Vec<u8>) -> Result<StoredReading, Reason> {
    let end = |texts: &Vec<u8>| u32::try_from(texts.len()).expect("a batch is far below 4 GiB");
    let key = within(limits::NAME_BYTES_MAX, &metric.key, || format!("metrics[{index}].key"))?;
    texts.extend_from_slice(key.as_bytes());
    let key_end = end(texts);
    append_labels(index, &metric.labels, texts)?;
    let amount = Decimal::parse(&metric.value).map_err(|refusal| Reason::Value {
        index,
        key: excerpt(&metric.key),
        value: excerpt(&metric.value),
        refusal,
    })?;
    Ok(StoredReading { ends: [key_end, end(texts)], amount, time: metric.time })
}

/// As canonical JSON.
fn append_labels(index: usize, labels: &Labels<'_>, texts: &mut Vec<u8>) -> Result<(), Reason> {
    if labels.is_empty() {
        return Ok(());
    }
    let start = texts.len();
    tollgate_wire::encode(labels, texts).expect("only times can fail to encode, and labels hold none");
    check_length(limits::LABELS_BYTES_MAX, texts.len() - start, || format!("metrics[{index}].labels"))
}

fn within(n_bytes_max: usize, text: &str, field: impl FnOnce() -> String) -> Result<&str, Reason> {
    check_length(n_bytes_max, text.len(), field).map(|()| text)
}

fn check_length(n_bytes_max: usize, n_bytes: usize, field: impl FnOnce() -> String) -> Result<(), Reason> {
    if n_bytes_max < n_bytes {
        return Err(Reason::TooLong { field: field(), n_bytes, n_bytes_max });
    }
    Ok(())
}

/// Nearly every batch comes as canonical JSON, and the others are about as long.
fn canonical_json(
    batch: &BatchRef<'_>,
    metrics: &[MetricRef<'_>],
    raw: &str,
    is_canonical: bool,
) -> Result<Box<[u8]>, Reason> {
    if is_canonical {
        debug_assert_eq!(tollgate_wire::to_vec(batch).as_deref(), Ok(raw.as_bytes()));
        return Ok(raw.as_bytes().into());
    }
    let mut json = Vec::with_capacity(raw.len());
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

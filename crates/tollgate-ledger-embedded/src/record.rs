//! The bytes of a ledger's records.

use tollgate_rules::{Admitted, Digest, Quarantined};
use tollgate_wire::Timestamp;

/// The first byte of a record: what it is, and in which form. A form is never changed, only followed by another one.
const BATCH: u8 = 1;
const QUARANTINED: u8 = 2;
const REDUCED: u8 = 3;

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A batch that counts, as its canonical JSON: the ids, the digest and the readings are read from there, so that
    /// they cannot differ from it.
    Batch {
        /// When it came, in UTC.
        received: Timestamp,
        body: &'a [u8],
    },
    /// An element that was set aside.
    Quarantined(SetAside<'a>),
    /// A batch that counts, of which retention dropped what is not needed for counting.
    Reduced {
        received: Timestamp,
        /// Of the canonical JSON as it was recorded, which is not there any more.
        digest: Digest,
        /// The canonical JSON without the credentials.
        body: &'a [u8],
    },
}

/// A quarantined element as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetAside<'a> {
    /// The quarantine's id of it.
    pub(crate) id: u64,
    pub(crate) received: Timestamp,
    pub(crate) digest: Digest,
    pub(crate) model_uuid: &'a str,
    pub(crate) batch_uuid: &'a str,
    pub(crate) unit_name: &'a str,
    pub(crate) code: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) body: &'a [u8],
}

/// Why bytes are no record. Their checksum matches, so a program wrote them that this one does not know, or a bug did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("decode a record: it has kind {kind}, which this program does not know")]
    UnknownKind { kind: u8 },
    #[error("decode a record: it ends too early")]
    CutShort,
    #[error("decode a record: its time is none")]
    Time,
    #[error("decode a record: a text in it is not UTF-8")]
    Text,
}

/// Appends the record of a batch that counts.
pub(crate) fn encode_batch(bytes: &mut Vec<u8>, batch: &Admitted, received: Timestamp) {
    bytes.push(BATCH);
    put_time(bytes, received);
    bytes.extend_from_slice(batch.body());
}

/// Appends the record of an element that is set aside under `id`.
pub(crate) fn encode_quarantined(bytes: &mut Vec<u8>, id: u64, element: &Quarantined, received: Timestamp) {
    let set_aside = SetAside {
        id,
        received,
        digest: element.digest,
        model_uuid: &element.id.model_uuid,
        batch_uuid: &element.id.batch_uuid,
        unit_name: &element.unit_name,
        code: element.reason.code(),
        reason: &element.reason.to_string(),
        body: &element.body,
    };
    set_aside.encode(bytes);
}

/// Appends the record of a batch with this `digest`, of which `body` is left.
pub(crate) fn encode_reduced(bytes: &mut Vec<u8>, received: Timestamp, digest: Digest, body: &[u8]) {
    bytes.push(REDUCED);
    put_time(bytes, received);
    bytes.extend_from_slice(&digest.0);
    bytes.extend_from_slice(body);
}

impl SetAside<'_> {
    /// Appends the record.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(QUARANTINED);
        put_time(bytes, self.received);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.digest.0);
        for text in [self.model_uuid, self.batch_uuid, self.unit_name, self.code, self.reason] {
            let length =
                u32::try_from(text.len()).expect("a text comes from a document, which is far below 4 GiB");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(self.body);
    }
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    bytes.extend_from_slice(&time.unix_seconds().to_le_bytes());
    bytes.extend_from_slice(&time.nanoseconds().to_le_bytes());
}

impl<'a> Record<'a> {
    /// Reads a record.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut rest = bytes;
        match u8::from_le_bytes(take(&mut rest)?) {
            BATCH => Ok(Self::Batch { received: take_time(&mut rest)?, body: rest }),
            QUARANTINED => Ok(Self::Quarantined(SetAside {
                received: take_time(&mut rest)?,
                id: u64::from_le_bytes(take(&mut rest)?),
                digest: Digest(take(&mut rest)?),
                model_uuid: take_text(&mut rest)?,
                batch_uuid: take_text(&mut rest)?,
                unit_name: take_text(&mut rest)?,
                code: take_text(&mut rest)?,
                reason: take_text(&mut rest)?,
                body: rest,
            })),
            REDUCED => Ok(Self::Reduced {
                received: take_time(&mut rest)?,
                digest: Digest(take(&mut rest)?),
                body: rest,
            }),
            kind => Err(RecordError::UnknownKind { kind }),
        }
    }

    /// When it came.
    pub(crate) fn received(&self) -> Timestamp {
        match self {
            Self::Batch { received, .. } | Self::Reduced { received, .. } => *received,
            Self::Quarantined(element) => element.received,
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (taken, left) = rest.split_first_chunk().ok_or(RecordError::CutShort)?;
    *rest = left;
    Ok(*taken)
}

fn take_time(rest: &mut &[u8]) -> Result<Timestamp, RecordError> {
    let seconds = i64::from_le_bytes(take(rest)?);
    let nanoseconds = u32::from_le_bytes(take(rest)?);
    Timestamp::from_unix(seconds, nanoseconds).ok_or(RecordError::Time)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, RecordError> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (text, left) = rest.split_at_checked(length).ok_or(RecordError::CutShort)?;
    *rest = left;
    str::from_utf8(text).map_err(|_| RecordError::Text)
}

//! The bytes of a ledger's records.

use tollgate_rules::{Admitted, Digest, Quarantined};
use tollgate_wire::Timestamp;

use crate::act::StoredAct;

/// The first byte of a record: what it is, and in which form. A form is never changed, only followed by another one.
const BATCH: u8 = 1;
const QUARANTINED: u8 = 2;
const REDUCED: u8 = 3;
const ACT: u8 = 4;

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
    /// What an operator decided, or a credential said.
    Act { received: Timestamp, act: StoredAct },
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("decode a record: it has kind {kind}, which this program does not know")]
    UnknownKind { kind: u8 },
    #[error("decode a record: it ends too early")]
    CutShort,
    #[error("decode a record: its time is none")]
    Time,
    #[error("decode a record: a text in it is not UTF-8")]
    Text,
    #[error("decode a record: it is an act that this program does not know: {why}")]
    UnknownAct { why: String },
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

/// Appends the record of an act.
pub(crate) fn encode_act(bytes: &mut Vec<u8>, act: &StoredAct, received: Timestamp) {
    bytes.push(ACT);
    put_time(bytes, received);
    serde_json::to_writer(bytes, act).expect("an act is plain data, and memory can be written to");
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
            ACT => Ok(Self::Act {
                received: take_time(&mut rest)?,
                act: serde_json::from_slice(rest)
                    .map_err(|error| RecordError::UnknownAct { why: error.to_string() })?,
            }),
            kind => Err(RecordError::UnknownKind { kind }),
        }
    }

    /// When it came.
    pub(crate) fn received(&self) -> Timestamp {
        match self {
            Self::Batch { received, .. } | Self::Reduced { received, .. } | Self::Act { received, .. } => {
                *received
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_ledger::HandStatus;
    use tollgate_wire::Status;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 5).expect("a time")
    }

    #[test]
    fn acts_are_kept_in_these_words() {
        let status = HandStatus {
            model_uuid: "m".into(),
            unit_name: "".into(),
            status: Status::Red,
            info: "say \"please\"".into(),
            set: time(1_767_323_045),
            expires: Some(time(1_767_323_046)),
        };
        let name = |name: &str| -> Box<str> { name.into() };
        for (act, json) in [
            (
                StoredAct::SetStatus(status),
                r#"{"act":"set-status","model_uuid":"m","unit_name":"","status":"RED","info":"say \"please\"","set":"2026-01-02T03:04:05.000000005Z","expires":"2026-01-02T03:04:06.000000005Z"}"#,
            ),
            (
                StoredAct::ClearStatus { model_uuid: name("m"), unit_name: name("u/0") },
                r#"{"act":"clear-status","model_uuid":"m","unit_name":"u/0"}"#,
            ),
            (StoredAct::Revoke { credential_id: name("c") }, r#"{"act":"revoke","credential_id":"c"}"#),
            (
                StoredAct::Declare { model_uuid: name("m"), user: name("eve") },
                r#"{"act":"declare","model_uuid":"m","user":"eve"}"#,
            ),
            (StoredAct::Release { quarantine_id: 7 }, r#"{"act":"release","quarantine_id":7}"#),
        ] {
            let mut bytes = Vec::new();
            encode_act(&mut bytes, &act, time(-1));
            assert_eq!(str::from_utf8(&bytes[13..]), Ok(json));
            assert_eq!(Record::decode(&bytes), Ok(Record::Act { received: time(-1), act }));
        }
    }

    #[test]
    fn what_is_no_known_act_is_refused() {
        for json in [
            "",
            "{}",
            r#"{"act":"forgive","model_uuid":"m"}"#,
            r#"{"act":"revoke","credential_id":"c","why":"x"}"#,
            r#"{"act":"release","quarantine_id":-1}"#,
            r#"{"act":"release","quarantine_id":1} "x""#,
        ] {
            let mut bytes = vec![ACT];
            put_time(&mut bytes, time(0));
            bytes.extend_from_slice(json.as_bytes());
            let decoded = Record::decode(&bytes);
            assert!(matches!(decoded, Err(RecordError::UnknownAct { .. })), "{json}: {decoded:?}");
        }
    }
}

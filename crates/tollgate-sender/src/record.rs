//! The records of a spool's journal. The first byte says what one is and in which form.

use serde::{Deserialize, Serialize};

use crate::ranges::Ranges;
use crate::state::{SetAside, State};
use crate::status::{Link, Standing, Standings};
use crate::{Reading, SpoolError};

/// A batch as it was recorded: when, and the bytes that go out.
const BATCH: u8 = 1;
/// A batch that was written once more, before its first place was forgotten: its number comes first.
const CARRIED: u8 = 2;
/// Something else that happened, as JSON.
const EVENT: u8 = 3;
/// The number of the first batch in this group; the last record of a group with batches.
const NUMBERS: u8 = 4;

/// One record.
#[derive(Debug, PartialEq)]
pub(crate) enum Record<'a> {
    Batch(Body<'a>),
    Carried { number: u64, body: Body<'a> },
    Event(Event),
    Numbers { first: u64 },
}

/// A batch's final bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    /// When it was recorded, in milliseconds since 1970.
    pub(crate) recorded_ms: i64,
    pub(crate) json: &'a [u8],
}

/// What else a spool keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// An answer came, or something in its place. Readings up to `last_batched` were in batches by then: when those cannot be read any more,
    /// they may have been acknowledged all the same.
    Answered { acknowledged: Ranges, refused: Ranges, why: Option<String>, at_ms: i64, last_batched: u64 },
    /// How sending goes.
    Link(Link),
    /// What the collector said of models and units.
    Standings(Standings),
    /// Somebody decided about refused batches.
    Released { numbers: Ranges, release: Release },
    /// The hook is about to run for a status.
    HookBegins { standing: Standing, change: u64 },
    /// It has.
    HookEnded { change: u64 },
    /// Readings that wait for their batch, numbered from `first` on.
    Readings { first: u64, readings: Vec<Reading> },
    /// Readings up to number `last` are in batches, in this group or before it.
    Batched { last: u64 },
    /// What somebody keeps under a name; `None` when that is nothing any more.
    Note { key: String, value: Option<String> },
    /// Damage was found and set aside.
    SetAside(SetAside),
    /// All of it, in the place of what was forgotten.
    Snapshot(Box<State>),
}

/// What becomes of batches that the collector does not acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// They are sent as if they were new.
    SendAgain,
    /// They are given up, for ever.
    GiveUp,
}

impl<'a> Record<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, SpoolError> {
        Self::decode_known(bytes).ok_or_else(|| SpoolError::UnknownRecord { form: bytes.first().copied() })
    }

    fn decode_known(bytes: &'a [u8]) -> Option<Self> {
        let (&form, rest) = bytes.split_first()?;
        Some(match form {
            BATCH => Self::Batch(Body::decode(rest)?),
            CARRIED => {
                let (number, rest) = rest.split_first_chunk()?;
                Self::Carried { number: u64::from_le_bytes(*number), body: Body::decode(rest)? }
            }
            EVENT => Self::Event(serde_json::from_slice(rest).ok()?),
            NUMBERS => Self::Numbers { first: u64::from_le_bytes(rest.try_into().ok()?) },
            _ => return None,
        })
    }
}

impl<'a> Body<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (recorded_ms, json) = bytes.split_first_chunk()?;
        Some(Self { recorded_ms: i64::from_le_bytes(*recorded_ms), json })
    }

    pub(crate) fn encode(self, buffer: &mut Vec<u8>) {
        buffer.push(BATCH);
        self.encode_rest(buffer);
    }

    pub(crate) fn encode_carried(self, number: u64, buffer: &mut Vec<u8>) {
        buffer.push(CARRIED);
        buffer.extend_from_slice(&number.to_le_bytes());
        self.encode_rest(buffer);
    }

    fn encode_rest(self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.recorded_ms.to_le_bytes());
        buffer.extend_from_slice(self.json);
    }
}

impl Event {
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.push(EVENT);
        serde_json::to_writer(buffer, self).expect("texts and numbers can be written as JSON to memory");
    }
}

pub(crate) fn encode_numbers(first: u64, buffer: &mut Vec<u8>) {
    buffer.push(NUMBERS);
    buffer.extend_from_slice(&first.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &Record<'_>) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        assert_eq!(&Record::decode(&bytes).expect("known"), expected);
        assert!(Record::decode(&bytes[..1]).is_err() || bytes.len() == 1);
    }

    #[test]
    fn records_come_back() {
        let body = Body { recorded_ms: -5, json: b"{}" };
        check(|bytes| body.encode(bytes), &Record::Batch(body));
        check(|bytes| body.encode_carried(7, bytes), &Record::Carried { number: 7, body });
        check(|bytes| encode_numbers(u64::MAX, bytes), &Record::Numbers { first: u64::MAX });
        let ranges: Ranges = [1, 2, 9].into_iter().collect();
        let refused = [3].into_iter().collect();
        let standing = Standing::new("AMBER", "nearly \u{7f}");
        for event in [
            Event::Answered {
                acknowledged: ranges.clone(),
                refused,
                why: Some("no".to_owned()),
                at_ms: 1,
                last_batched: 4,
            },
            Event::Link(Link::default()),
            Event::Standings(Standings::default()),
            Event::Released { numbers: ranges, release: Release::GiveUp },
            Event::HookBegins { standing, change: 2 },
            Event::HookEnded { change: 2 },
            Event::Readings { first: 1, readings: vec![Reading::default()] },
            Event::Batched { last: 3 },
            Event::Note { key: "a".to_owned(), value: Some("b".to_owned()) },
            Event::Note { key: "a".to_owned(), value: None },
            Event::SetAside(SetAside { n_records: 1, n_stretches: 2 }),
            Event::Snapshot(Box::default()),
        ] {
            check(|bytes| event.encode(bytes), &Record::Event(event.clone()));
        }
    }

    #[test]
    fn another_form_is_refused() {
        for (bytes, expected) in [
            (&b""[..], "read a record of the spool: it is empty"),
            (b"\x09abc", "read a record of the spool: it has form 9, which this program does not know"),
            (
                b"\x03{\"moved\":1}",
                "read a record of the spool: it has form 3, which this program does not know",
            ),
        ] {
            assert_eq!(Record::decode(bytes).expect_err("unknown").to_string(), expected);
        }
    }
}

//! Whether a batch can be counted, and if not, why not.

use tollgate_wire::{BatchRef, Timestamp};

use crate::{Decimal, ValueError};

/// The identity of a batch: the exact strings that its sender wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BatchId {
    /// The model that the batch belongs to.
    pub model_uuid: Box<str>,
    /// The batch's own id.
    pub batch_uuid: Box<str>,
}

/// BLAKE3 of a batch's canonical JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// A batch that passed every check needing no I/O. [`admit`] is the only way to get one.
#[derive(Debug, Clone)]
pub struct Admitted {
    id: BatchId,
    digest: Digest,
    model_name: Box<str>,
    unit_name: Box<str>,
    charm_url: Box<str>,
    created: Timestamp,
    readings: Box<[Reading]>,
    body: Box<[u8]>,
}

/// One metric of an admitted batch, its value read exactly.
#[derive(Debug, Clone, PartialEq)]
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

/// A batch, or what came in its place, that can never be counted as it is.
#[derive(Debug, Clone)]
pub struct Quarantined {
    /// Both strings may be empty, when the batch did not say.
    pub id: BatchId,
    /// The unit, when the batch said so; its status turns AMBER.
    pub unit_name: Box<str>,
    /// Why.
    pub reason: Reason,
    /// The element of the posted array as it came.
    pub body: Box<[u8]>,
}

/// Why something is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// placeholder
    #[error("metric {index} ({key:?}): {source}")]
    Value { index: usize, key: String, source: ValueError },
}

/// What became of one posted element.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It counts, once it is recorded.
    Admitted(Admitted),
    /// It is set aside.
    Quarantined(Quarantined),
}

/// Decides on a decoded batch.
pub fn admit(_batch: &BatchRef<'_>, _raw: &str) -> Verdict { todo!() }

/// Sets an element aside that could not be decoded.
pub fn refuse() -> Quarantined { todo!() }

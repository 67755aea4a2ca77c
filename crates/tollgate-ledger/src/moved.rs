//! What a ledger holds, record by record, on its way into another ledger.

use tollgate_rules::{Admitted, BatchId, Digest};

use crate::{Act, Received};

/// A place between two groups of the ledger that is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The last group before it; 0 when there is none.
    pub sequence: u64,
    /// The hash over all groups before it, so that no other ledger has the same mark.
    pub chain: [u8; 32],
}

/// Some whole groups of the ledger that is moved.
#[derive(Debug)]
pub struct MovedGroups {
    /// Their records, in order.
    pub records: Vec<Moved>,
    /// Behind the last of them.
    pub end: Mark,
}

/// One record.
#[derive(Debug)]
pub enum Moved {
    /// A batch that counts.
    Batch(MovedBatch),
    /// An element that was set aside.
    Quarantined(MovedElement),
    /// What was decided. A release has no batch: if there is one, it has a record of its own before it.
    Act(Act),
}

/// A batch that counts.
#[derive(Debug)]
pub struct MovedBatch {
    /// The batch, or what retention left of it.
    pub batch: Admitted,
    /// Of the batch as it was recorded: what a later copy of it is compared with.
    pub digest: Digest,
    /// Whether retention dropped of the body what counting does not need.
    pub is_reduced: bool,
    /// When it was received.
    pub received: Received,
}

/// An element in quarantine, or released from it later.
#[derive(Debug)]
pub struct MovedElement {
    /// The quarantine's id of it.
    pub quarantine_id: u64,
    /// Its ids, as far as it has them.
    pub id: BatchId,
    /// What tells it from others with the same ids.
    pub digest: Digest,
    /// The unit, empty when it did not say.
    pub unit_name: Box<str>,
    /// The reason's code.
    pub code: Box<str>,
    /// The reason as a sentence.
    pub reason: Box<str>,
    /// When it was received.
    pub received: Received,
    /// The element as it came; of a batch that could have counted, its canonical JSON.
    pub body: Box<[u8]>,
}

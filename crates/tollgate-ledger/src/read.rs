//! The read half.

use serde::{Deserialize, Serialize};
use tollgate_rules::BatchId;

use crate::LedgerError;

/// A stretch of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Where the last page ended: the `next_cursor` that it gave. `None` starts at the beginning.
    pub cursor: Option<String>,
    /// At most this many rows.
    pub limit: usize,
}

/// Questions that a ledger answers. Every answer includes all that was acknowledged before the question.
pub trait Reader: Send + Sync {
    /// What the ledger holds, in figures.
    fn counts(&self) -> Counts;

    /// Models in the order of their uuids, from after `page.cursor` (a model uuid).
    ///
    /// # Errors
    /// When the store cannot be read.
    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError>;

    /// One model.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError>;

    /// The canonical JSON of one recorded batch.
    ///
    /// # Errors
    /// When the store cannot be read, or what is stored does not match its checksum.
    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Quarantined elements in the order of their ids, from after `page.cursor` (an id in decimal).
    ///
    /// # Errors
    /// When the store cannot be read.
    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError>;
}

/// What a ledger holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Batches that count.
    pub n_batches: u64,
    /// Metrics in them.
    pub n_metrics: u64,
    /// Models that have at least one batch.
    pub n_models: u64,
    /// Elements set aside, conflicts included.
    pub n_quarantined: u64,
}

/// One model and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The model's uuid.
    pub model_uuid: String,
    /// The name in the newest batch (by its `created`).
    pub model_name: String,
    /// Units seen, sorted.
    pub units: Vec<String>,
    /// Recorded batches.
    pub n_batches: u64,
    /// Newest `created` among the batches, RFC 3339.
    pub last_created: String,
    /// By meter, sorted by key.
    pub meters: Vec<MeterTotal>,
}

/// All readings of one meter in one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterTotal {
    /// The meter.
    pub key: String,
    /// How many readings.
    pub n_metrics: u64,
    /// Their exact sum, a decimal string.
    pub sum: String,
}

/// One element in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineItem {
    /// The quarantine's own id of it, growing from 1.
    pub id: u64,
    /// The model, empty when it did not say.
    pub model_uuid: String,
    /// The batch, empty when it did not say.
    pub batch_uuid: String,
    /// The unit, empty when it did not say.
    pub unit_name: String,
    /// A stable code of the reason: `value`, `conflict`, `missing-uuid`, …
    pub code: String,
    /// The reason as a sentence.
    pub reason: String,
    /// When the collector took it in, RFC 3339.
    pub received: String,
    /// The element as it came (bytes that are not UTF-8 replaced).
    pub body: String,
}

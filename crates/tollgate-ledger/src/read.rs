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

impl Page {
    /// The quarantine id that the page starts after. A cursor that is no id stands behind all of them: check one that
    /// comes from outside before.
    #[must_use]
    pub fn after_id(&self) -> u64 {
        match &self.cursor {
            None => 0,
            Some(cursor) => cursor.parse().unwrap_or(u64::MAX),
        }
    }
}

/// Questions that a ledger answers. Every answer includes all that was acknowledged before the question.
pub trait Reader: Send + Sync {
    /// What the ledger holds, in figures.
    fn counts(&self) -> Counts;

    /// Models in the order of the bytes of their uuids, from after `page.cursor` (a model uuid, there or not).
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError>;

    /// One model; `None` when it has no recorded batch.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError>;

    /// The canonical JSON of one recorded batch: the bytes of [`tollgate_rules::Admitted::body`].
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or what is stored does not match its checksum. With [`crate::BodyDropped`] as its source
    /// when the batch is recorded and its body is kept no longer.
    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Quarantined elements in the order of their ids, from after `page.cursor` (an id in decimal).
    ///
    /// A page may end before its limit, so that long bodies are not all held at once; it has at least one element as
    /// long as there is one. Only an empty page is the end.
    ///
    /// # Errors
    ///
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
    /// Elements set aside, conflicts included; each once, however often it came.
    pub n_quarantined: u64,
}

/// One model and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The model's uuid.
    pub model_uuid: String,
    /// The name in the newest batch: the one `created` last; of several, the one recorded last.
    pub model_name: String,
    /// Units seen, in the order of their bytes. A batch of the model itself names none and adds none.
    pub units: Vec<String>,
    /// Recorded batches.
    pub n_batches: u64,
    /// `created` of the newest batch as its sender wrote it, RFC 3339.
    pub last_created: String,
    /// By meter, whatever the unit and the labels; in the order of the bytes of the keys.
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
    /// The quarantine's own id of it: the first has 1, later ones have larger ids, perhaps with gaps.
    pub id: u64,
    /// The model, empty when it did not say.
    pub model_uuid: String,
    /// The batch, empty when it did not say.
    pub batch_uuid: String,
    /// The unit, empty when it did not say.
    pub unit_name: String,
    /// The reason's code ([`tollgate_rules::Reason::code`]): `value`, `conflict`, `missing-uuid`, …
    pub code: String,
    /// The reason as a sentence.
    pub reason: String,
    /// When the collector first took it in, RFC 3339.
    pub received: String,
    /// The element as it came; of a conflict, the newcomer's canonical JSON.
    pub body: String,
}

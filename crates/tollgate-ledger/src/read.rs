//! The read half.

use serde::{Deserialize, Serialize};
use tollgate_rules::{Admitted, BatchId, Select, Visitor};

use crate::{HandStatus, LedgerError, Received};

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
    /// Whether the store answers just now: for who asks if batches may be sent here.
    ///
    /// # Errors
    ///
    /// Why it does not.
    fn reachable(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Whether others may record into the store as well, so that what was read of it is true for a moment only.
    fn is_shared(&self) -> bool {
        false
    }

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

    /// Recorded batches in the order of recording, from after `page.cursor` (opaque, but for `None`: a [`BatchPage::next_cursor`]).
    ///
    /// A page may end before its limit, even empty, when finding more would take long: it is the last one when it has no
    /// `next_cursor`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the cursor is not one that this ledger gave ([`crate::Remedy::Repair`] with
    /// [`crate::BadCursor`] as its source).
    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError>;

    /// Shows `visitor` what the readings of the series asked for come to, hour by hour. The visitor may ask other questions meanwhile.
    ///
    /// # Errors
    ///
    /// When the store cannot be read. What was shown by then is of no use.
    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError>;

    /// The status that was set by hand for a unit, or for the model itself when `unit_name` is empty; perhaps expired.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError>;

    /// All statuses set by hand of a model, its own first, then by unit; or of all models. Perhaps expired ones among them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError>;

    /// Whether a credential was revoked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError>;

    /// Who owns a model by the credential that was declared last, whether or not the model has a batch.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError>;

    /// Of each of these models, in this order, what says whose it is.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError>;

    /// The same of all models with a recorded batch, in the order of the bytes of their uuids, from after `page.cursor` (a model
    /// uuid, there or not).
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError>;
}

/// What a ledger knows of whose a model is. [`tollgate_rules::Users::user_of`] decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The name in the model's newest batch; `None` when it has no recorded batch.
    pub model_name: Option<Box<str>>,
    /// Whom a credential declared last.
    pub declared_user: Option<Box<str>>,
}

/// Which batches are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchSelect {
    /// Of this model alone.
    pub model_uuid: Option<Box<str>>,
    /// Of this unit alone.
    pub unit_name: Option<Box<str>>,
}

impl BatchSelect {
    /// Whether a batch of this model and unit is asked for.
    #[must_use]
    pub fn has(&self, model_uuid: &str, unit_name: &str) -> bool {
        self.model_uuid.as_deref().is_none_or(|wanted| wanted == model_uuid)
            && self.unit_name.as_deref().is_none_or(|wanted| wanted == unit_name)
    }
}

/// A stretch of the recorded batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchPage {
    /// In the order of recording.
    pub batches: Vec<BatchItem>,
    /// What the next page starts after; `None` at the end.
    pub next_cursor: Option<String>,
}

/// One recorded batch in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItem {
    /// The model.
    pub model_uuid: String,
    /// The batch.
    pub batch_uuid: String,
    /// The model's name, as the batch says.
    pub model_name: String,
    /// The unit; empty for a batch of the model itself.
    pub unit_name: String,
    /// The charm; empty for a batch of the model itself.
    pub charm_url: String,
    /// By its sender's clock, RFC 3339.
    pub created: String,
    /// When the collector took it in, RFC 3339.
    pub received: String,
    /// How many metrics it has.
    pub n_metrics: u64,
}

impl BatchItem {
    /// Of a batch that was taken in then.
    #[must_use]
    pub fn new(batch: &Admitted, received: Received) -> Self {
        Self {
            model_uuid: batch.id().model_uuid.to_string(),
            batch_uuid: batch.id().batch_uuid.to_string(),
            model_name: batch.model_name().to_owned(),
            unit_name: batch.unit_name().to_owned(),
            charm_url: batch.charm_url().to_owned(),
            created: batch.created().to_string(),
            received: received.to_string(),
            n_metrics: batch.readings().len() as u64,
        }
    }
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
    /// Whether it left the quarantine: an operator released it.
    #[serde(default)]
    pub is_released: bool,
    /// The element as it came; of a batch that could have counted, its canonical JSON.
    pub body: String,
}

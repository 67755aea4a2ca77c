//! What is remembered of a posted element until its answer is written.

use tollgate_wire::{BatchRef, Element};

use crate::{BatchId, Reason, Verdict};

/// What an answer needs to know of one element of a request, kept while the ledger has the element itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Whose batch it is and which, as it said; both strings may be empty.
    pub id: BatchId,
    /// The model's name, as it said.
    pub model_name: Box<str>,
    /// The unit, as it said; empty for a batch of the model itself.
    pub unit_name: Box<str>,
    /// Whether JEM or JIMM posted it, which want an answer by user.
    pub from_jimm: bool,
    /// Why it went to quarantine, when it did. A conflict becomes known only from the ledger: set it then.
    pub quarantined: Option<Reason>,
}

impl Posted {
    /// What to remember of `element`, on which `verdict` was given.
    #[must_use]
    pub fn new(element: &Element<'_>, verdict: &Verdict) -> Self {
        let quarantined = match verdict {
            Verdict::Admitted(_) => None,
            Verdict::Quarantined(quarantined) => Some(quarantined.reason.clone()),
        };
        match &element.batch {
            Ok(batch) => Self {
                id: BatchId {
                    model_uuid: batch.model_uuid.as_ref().into(),
                    batch_uuid: batch.uuid.as_ref().into(),
                },
                model_name: batch.model_name.as_ref().into(),
                unit_name: batch.unit_name.as_ref().into(),
                from_jimm: comes_from_jimm(batch),
                quarantined,
            },
            Err(error) => Self {
                id: BatchId {
                    model_uuid: error.identity.model_uuid.as_str().into(),
                    batch_uuid: error.identity.uuid.as_str().into(),
                },
                model_name: error.identity.model_name.as_str().into(),
                unit_name: error.identity.unit_name.as_str().into(),
                // The charm and the meters cannot be asked. A controller's model names have no owner.
                from_jimm: error.identity.unit_name == JIMM_UNIT
                    && owner(&error.identity.model_name).is_some(),
                quarantined,
            },
        }
    }
}

const JIMM_UNIT: &str = "jimm/0";
const JIMM_CHARM: &str = "cs:~canonical/jimm-0";
const JIMM_METER: &str = "juju-model-units";

/// Whether JEM or JIMM made this batch. They post to the same path as Juju controllers and expect another answer;
/// only the content tells them apart: all of theirs name one unit, one charm and one meter.
#[must_use]
pub fn comes_from_jimm(batch: &BatchRef<'_>) -> bool {
    let metrics = batch.metrics.as_deref().unwrap_or_default();
    batch.unit_name == JIMM_UNIT
        && batch.charm_url == JIMM_CHARM
        && metrics.iter().all(|metric| metric.key == JIMM_METER)
}

/// The user who owns a model, when its name says so: the part of `owner/name` before the slash.
#[must_use]
pub fn owner(model_name: &str) -> Option<&str> {
    let (owner, _) = model_name.split_once('/')?;
    (!owner.is_empty()).then_some(owner)
}

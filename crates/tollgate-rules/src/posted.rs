//! What is remembered of a posted element until its answer is written.

use tollgate_wire::{BatchRef, Element};

use crate::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, name_or_none};
use crate::{BatchId, Reason, Verdict};

/// What an answer needs to know of one element of a request, kept while the ledger has the element itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Whose batch it is and which, as it said; both strings may be empty. What is too long to be an id is empty too, and so never
    /// acknowledged.
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
        let (names, from_jimm) = match &element.batch {
            Ok(batch) => (
                [&*batch.model_uuid, &*batch.uuid, &*batch.model_name, &*batch.unit_name],
                comes_from_jimm(batch),
            ),
            Err(error) => {
                let identity = &error.identity;
                // The charm and the meters cannot be asked. A controller's model names have no owner.
                let from_jimm = identity.unit_name == JIMM_UNIT && owner(&identity.model_name).is_some();
                (
                    [&*identity.model_uuid, &*identity.uuid, &*identity.model_name, &*identity.unit_name],
                    from_jimm,
                )
            }
        };
        let [model_uuid, batch_uuid, model_name, unit_name] = names;
        Self {
            id: BatchId {
                model_uuid: name_or_none(ID_BYTES_MAX, model_uuid),
                batch_uuid: name_or_none(ID_BYTES_MAX, batch_uuid),
            },
            model_name: name_or_none(NAME_BYTES_MAX, model_name),
            unit_name: name_or_none(NAME_BYTES_MAX, unit_name),
            from_jimm,
            quarantined,
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

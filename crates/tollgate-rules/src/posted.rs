//! What is remembered of a posted element until its answer is written.

use std::hash::Hash;

use tollgate_wire::{BatchRef, Element};

use crate::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, within_or_none};
use crate::{Reason, Verdict};

/// What an answer needs to know of one element of a request, kept while the ledger has the element itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The ids and names, one after the other: there are as many of them as batches, and each would be an allocation.
    texts: Box<str>,
    /// Where in `texts` the model's uuid, the batch's and the model's name end; the rest is the unit's name.
    ends: [u16; 3],
    /// Whether JEM or JIMM posted it, which want an answer by user.
    pub from_jimm: bool,
    /// Whether the ledger says that it was recorded now: then no other element of the request is, under its id.
    pub is_new: bool,
    /// Why it went to quarantine, when it did. A conflict becomes known only from the ledger: set it then.
    pub quarantined: Option<Box<Reason>>,
}

impl Posted {
    /// What to remember of `element`, on which `verdict` was given.
    #[must_use]
    pub fn new(element: &Element<'_>, verdict: &Verdict) -> Self {
        let quarantined = match verdict {
            Verdict::Admitted(_) => None,
            Verdict::Quarantined(quarantined) => Some(Box::new(quarantined.reason.clone())),
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
        let bytes_max = [ID_BYTES_MAX, ID_BYTES_MAX, NAME_BYTES_MAX, NAME_BYTES_MAX];
        let texts: [&str; 4] = std::array::from_fn(|index| within_or_none(bytes_max[index], names[index]));
        let mut end = 0;
        let ends = [0, 1, 2].map(|index: usize| {
            end += texts[index].len();
            u16::try_from(end).expect("the limits of ids and names are far below 64 KiB")
        });
        Self { texts: texts.concat().into(), ends, from_jimm, is_new: false, quarantined }
    }

    /// Whose batch it is, as it said; may be empty. What is too long to be an id is empty too, and so never acknowledged.
    #[must_use]
    pub fn model_uuid(&self) -> &str {
        &self.texts[..self.end(0)]
    }

    /// Which batch it is, as [`Posted::model_uuid`].
    #[must_use]
    pub fn batch_uuid(&self) -> &str {
        &self.texts[self.end(0)..self.end(1)]
    }

    /// The model's name, as it said.
    #[must_use]
    pub fn model_name(&self) -> &str {
        &self.texts[self.end(1)..self.end(2)]
    }

    /// The unit, as it said; empty for a batch of the model itself.
    #[must_use]
    pub fn unit_name(&self) -> &str {
        &self.texts[self.end(2)..]
    }

    /// Equal when both ids are.
    pub(crate) fn identity(&self) -> impl Eq + Hash {
        (&self.texts[..self.end(1)], self.ends[0])
    }

    /// How many bytes of text are remembered.
    #[must_use]
    pub fn n_text_bytes(&self) -> usize {
        self.texts.len()
    }

    fn end(&self, index: usize) -> usize {
        usize::from(self.ends[index])
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

//! What is remembered of the elements of a request until their answer is written.

use tollgate_wire::{BatchRef, Element};

use crate::Reason;
use crate::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, within_or_none};

/// What an answer needs to know of the elements of a request, kept while the ledger has the elements themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posted {
    /// The ids and names of all of them, one after the other: each would be an allocation.
    texts: String,
    elements: Vec<Kept>,
}

/// What is kept of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// Where its texts begin.
    start: usize,
    /// Where from there the model's uuid, the batch's and the names of model and unit end.
    ends: [u16; 4],
    from_jimm: bool,
    fate: Fate,
}

/// What became of an element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fate {
    /// Whether the ledger says that it was recorded now: then no other element of the request is, under its id.
    pub is_new: bool,
    /// Why it went to quarantine, when it did. A conflict becomes known only from the ledger: set it then.
    pub quarantined: Option<Box<Reason>>,
}

/// One element of [`Posted`].
#[derive(Debug, Clone, Copy)]
pub struct PostedElement<'p> {
    texts: &'p str,
    kept: &'p Kept,
}

impl Posted {
    /// Remembers `element`, which is set aside for a reason or is not.
    pub fn push(&mut self, element: &Element<'_>, set_aside_for: Option<Reason>) {
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
        let start = self.texts.len();
        let ends = [0, 1, 2, 3].map(|index: usize| {
            self.texts.push_str(within_or_none(bytes_max[index], names[index]));
            u16::try_from(self.texts.len() - start).expect("the limits of ids and names are far below 64 KiB")
        });
        let fate = Fate { is_new: false, quarantined: set_aside_for.map(Box::new) };
        self.elements.push(Kept { start, ends, from_jimm, fate });
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = PostedElement<'_>> {
        self.elements.iter().map(|kept| PostedElement { texts: &self.texts, kept })
    }

    /// What became of each element, in order.
    pub fn fates_mut(&mut self) -> impl Iterator<Item = &mut Fate> {
        self.elements.iter_mut().map(|kept| &mut kept.fate)
    }

    /// How many bytes of text are remembered.
    #[must_use]
    pub fn n_text_bytes(&self) -> usize {
        self.texts.len()
    }
}

impl<'p> PostedElement<'p> {
    /// Whose batch it is, as it said; may be empty. What is too long to be an id is empty too, and so never acknowledged.
    #[must_use]
    pub fn model_uuid(self) -> &'p str {
        self.text(0)
    }

    /// Which batch it is, as [`PostedElement::model_uuid`].
    #[must_use]
    pub fn batch_uuid(self) -> &'p str {
        self.text(1)
    }

    /// The model's name, as it said.
    #[must_use]
    pub fn model_name(self) -> &'p str {
        self.text(2)
    }

    /// The unit, as it said; empty for a batch of the model itself.
    #[must_use]
    pub fn unit_name(self) -> &'p str {
        self.text(3)
    }

    /// Whether JEM or JIMM posted it, which want an answer by user.
    #[must_use]
    pub fn is_from_jimm(self) -> bool {
        self.kept.from_jimm
    }

    /// What became of it.
    #[must_use]
    pub fn fate(self) -> &'p Fate {
        &self.kept.fate
    }

    /// The model's uuid and the batch's.
    pub(crate) fn id(self) -> (&'p str, &'p str) {
        (self.model_uuid(), self.batch_uuid())
    }

    fn text(self, index: usize) -> &'p str {
        let Kept { start, ends, .. } = self.kept;
        let from = if index == 0 { 0 } else { ends[index - 1] };
        &self.texts[start + usize::from(from)..start + usize::from(ends[index])]
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

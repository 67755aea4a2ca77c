//! Where models, units and users stand.

use std::collections::BTreeMap;

use tollgate_wire::Status;

use crate::reason::excerpt;
use crate::{Posted, PostedElement};

/// A meter status and a line for people. The default is GREEN without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The colour.
    pub status: Status,
    /// Why, in one line; may be empty.
    pub info: String,
}

impl Default for Standing {
    fn default() -> Self {
        Self { status: Status::Green, info: String::new() }
    }
}

impl Standing {
    /// The worse of two; of two equally bad, `self`.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if self.status < other.status { other } else { self }
    }

    /// Where a unit stands by this element of it alone: AMBER or RED, by the reason, when the element is in quarantine.
    #[must_use]
    pub(crate) fn by(posted: PostedElement<'_>) -> Self {
        let Some(reason) = &posted.fate().quarantined else { return Self::default() };
        let batch = match posted.batch_uuid() {
            "" => "a batch".to_owned(),
            uuid => format!("batch {}", excerpt(uuid).escape_debug()),
        };
        Self { status: reason.status(), info: format!("{batch} is in quarantine: {reason}") }
    }
}

/// Where each unit of a request stands, by unit name and model uuid: names differ where models mostly are one. Elements that name no model or no unit have no
/// place in it.
pub(crate) fn unit_standings(posted: &Posted) -> BTreeMap<(&str, &str), Standing> {
    let mut standings = BTreeMap::<_, Standing>::new();
    for element in posted.iter() {
        if element.model_uuid().is_empty() || element.unit_name().is_empty() {
            continue;
        }
        let standing = standings.entry((element.unit_name(), element.model_uuid())).or_default();
        *standing = std::mem::take(standing).worst(Standing::by(element));
    }
    standings
}

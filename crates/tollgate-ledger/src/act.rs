//! What operators decide, to be kept as batches are.

use serde::{Deserialize, Serialize};
use tollgate_rules::{Admitted, Standing};
use tollgate_wire::{Status, Timestamp};

/// Something that a ledger keeps besides batches, in one order with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A status set by hand, in the place of whatever was set for the same model or unit.
    SetStatus(HandStatus),
    /// What was set by hand is taken back.
    ClearStatus {
        /// The model.
        model_uuid: Box<str>,
        /// The unit; empty for the model itself.
        unit_name: Box<str>,
    },
    /// A credential is good no longer, for ever.
    Revoke {
        /// The credential's id.
        credential_id: Box<str>,
    },
    /// A credential that was verified says who owns the model.
    Declare {
        /// The model.
        model_uuid: Box<str>,
        /// Its user, in the place of whoever was declared before.
        user: Box<str>,
    },
    /// An element leaves the quarantine, with the batch that it is when it is to count.
    ///
    /// The batch is recorded by the rules of [`crate::Entry::Batch`], but for a conflict, which leaves everything as it was.
    Release {
        /// The quarantine's id of it; one that an outcome or a listing gave.
        quarantine_id: u64,
        /// What counts from now on; `None` when nothing does.
        batch: Option<Admitted>,
    },
}

/// A meter status that an operator set. It outranks allowances until it expires or is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandStatus {
    /// The model.
    pub model_uuid: Box<str>,
    /// The unit; empty for the model itself.
    pub unit_name: Box<str>,
    /// The colour.
    #[serde(with = "word")]
    pub status: Status,
    /// Why, in one line; may be empty.
    pub info: Box<str>,
    /// When it was set, by the collector's clock.
    #[serde(with = "time")]
    pub set: Timestamp,
    /// From when on it counts no longer; `None` for never.
    #[serde(with = "optional_time")]
    pub expires: Option<Timestamp>,
}

impl HandStatus {
    /// As a standing, unless it has expired.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Option<Standing> {
        let is_over = self.expires.is_some_and(|expires| expires <= now);
        (!is_over).then(|| Standing { status: self.status, info: self.info.to_string() })
    }
}

mod word {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tollgate_wire::Status;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Status, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

mod time {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tollgate_wire::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod optional_time {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use tollgate_wire::Timestamp;

    #[expect(clippy::ref_option, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| Timestamp::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

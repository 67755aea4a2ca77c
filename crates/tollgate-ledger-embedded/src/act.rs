//! Acts as they are recorded.

use serde::{Deserialize, Serialize};
use tollgate_ledger::HandStatus;

/// What is recorded of a [`tollgate_ledger::Act`]: of a release the id alone, as its batch has a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum StoredAct {
    SetStatus(HandStatus),
    ClearStatus { model_uuid: Box<str>, unit_name: Box<str> },
    Revoke { credential_id: Box<str> },
    Declare { model_uuid: Box<str>, user: Box<str> },
    Release { quarantine_id: u64 },
}

/// What an act is about: of two acts about the same the later stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Status { model_uuid: Box<str>, unit_name: Box<str> },
    Credential(Box<str>),
    Owner(Box<str>),
    Element(u64),
}

impl StoredAct {
    pub(crate) fn topic(&self) -> Topic {
        match self {
            Self::SetStatus(HandStatus { model_uuid, unit_name, .. })
            | Self::ClearStatus { model_uuid, unit_name } => {
                Topic::Status { model_uuid: model_uuid.clone(), unit_name: unit_name.clone() }
            }
            Self::Revoke { credential_id } => Topic::Credential(credential_id.clone()),
            Self::Declare { model_uuid, .. } => Topic::Owner(model_uuid.clone()),
            Self::Release { quarantine_id } => Topic::Element(*quarantine_id),
        }
    }
}

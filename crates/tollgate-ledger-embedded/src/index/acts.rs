//! What operators decided, as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tollgate_ledger::HandStatus;

use crate::act::StoredAct;

/// What all acts together come to. They are few: all of it is in memory.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Acts {
    /// By model and unit, which is empty for the model itself.
    statuses: BTreeMap<(Box<str>, Box<str>), HandStatus>,
    revoked: BTreeSet<Box<str>>,
    declared: BTreeMap<Box<str>, Box<str>>,
    /// Of the quarantine.
    released: BTreeSet<u64>,
}

impl Acts {
    /// Whether an act would change anything.
    pub(crate) fn are_changed_by(&self, act: &StoredAct) -> bool {
        match act {
            StoredAct::SetStatus(status) => {
                self.status(&status.model_uuid, &status.unit_name) != Some(status)
            }
            StoredAct::ClearStatus { model_uuid, unit_name } => self.status(model_uuid, unit_name).is_some(),
            StoredAct::Revoke { credential_id } => !self.is_revoked(credential_id),
            StoredAct::Declare { model_uuid, user } => self.user(model_uuid) != Some(&**user),
            StoredAct::Release { quarantine_id } => !self.is_released(*quarantine_id),
        }
    }

    pub(super) fn add(&mut self, act: StoredAct) {
        match act {
            StoredAct::SetStatus(status) => {
                let place = (status.model_uuid.clone(), status.unit_name.clone());
                self.statuses.insert(place, status);
            }
            StoredAct::ClearStatus { model_uuid, unit_name } => {
                self.statuses.remove(&(model_uuid, unit_name));
            }
            StoredAct::Revoke { credential_id } => drop(self.revoked.insert(credential_id)),
            StoredAct::Declare { model_uuid, user } => drop(self.declared.insert(model_uuid, user)),
            StoredAct::Release { quarantine_id } => drop(self.released.insert(quarantine_id)),
        }
    }

    pub(crate) fn status(&self, model_uuid: &str, unit_name: &str) -> Option<&HandStatus> {
        self.statuses.get(&(model_uuid.into(), unit_name.into()))
    }

    /// Of a model, its own first, then by unit; or of all models.
    pub(crate) fn statuses(&self, model_uuid: Option<&str>) -> Vec<HandStatus> {
        let start = model_uuid.map_or(Bound::Unbounded, |uuid| Bound::Included((uuid.into(), "".into())));
        let statuses = self.statuses.range((start, Bound::Unbounded)).map(|(_, status)| status);
        statuses
            .take_while(|status| model_uuid.is_none_or(|uuid| *status.model_uuid == *uuid))
            .cloned()
            .collect()
    }

    pub(crate) fn is_revoked(&self, credential_id: &str) -> bool {
        self.revoked.contains(credential_id)
    }

    pub(crate) fn user(&self, model_uuid: &str) -> Option<&str> {
        self.declared.get(model_uuid).map(|user| &**user)
    }

    pub(crate) fn users(&self) -> &BTreeMap<Box<str>, Box<str>> {
        &self.declared
    }

    pub(crate) fn revoked(&self) -> &BTreeSet<Box<str>> {
        &self.revoked
    }

    pub(crate) fn is_released(&self, quarantine_id: u64) -> bool {
        self.released.contains(&quarantine_id)
    }
}

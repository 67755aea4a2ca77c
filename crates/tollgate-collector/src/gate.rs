//! Whether the batches of a request have the credentials that they need, and whom these say the models are of.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use tollgate_ledger::{Act, Entry, Reader, chain};
use tollgate_rules::{Authorization, Reason, Verdict};
use tollgate_wire::{Base64Ref, BatchRef, Element, Timestamp};
use tracing::warn;

use crate::credentials::Credentials;
use crate::owners::owner_by_any_sign;
use crate::problem::Problem;
use crate::terms::Terms;

/// Looks at the credentials of one request's batches. The batches of a unit mostly carry the same one: each is verified once.
pub(crate) struct Gate<'a> {
    credentials: &'a Credentials,
    terms: &'a Terms,
    reader: &'a dyn Reader,
    received: Timestamp,
    seen: HashMap<Seen, Result<(), Reason>>,
    /// The users that credentials name, by model.
    users: BTreeMap<Box<str>, Box<str>>,
    /// Whether it could not be read which credentials are revoked.
    is_unreadable: Cell<bool>,
}

/// What decides on a batch's credential: itself, and what the batch says it is.
#[derive(PartialEq, Eq, Hash)]
struct Seen {
    credentials: Box<[u8]>,
    sla_credentials: Box<[u8]>,
    model_uuid: Box<str>,
    unit_name: Box<str>,
    charm_url: Box<str>,
}

impl<'a> Gate<'a> {
    pub(crate) fn new(terms: &'a Terms, reader: &'a dyn Reader, received: Timestamp) -> Self {
        Self {
            credentials: &terms.credentials,
            terms,
            reader,
            received,
            seen: HashMap::new(),
            users: BTreeMap::new(),
            is_unreadable: Cell::new(false),
        }
    }

    /// What is recorded of an element, and why it is set aside if it is.
    pub(crate) fn entry(&mut self, element: &Element<'_>, verdict: Verdict) -> (Entry, Option<Reason>) {
        match (verdict, &element.batch) {
            (Verdict::Admitted(admitted), Ok(batch)) if self.credentials.keys().is_some() => {
                match self.check(batch) {
                    Ok(()) => (Entry::Batch(admitted), None),
                    Err(reason) => (Entry::Refused(admitted, reason.clone()), Some(reason)),
                }
            }
            (Verdict::Quarantined(quarantined), _) => {
                let reason = quarantined.reason.clone();
                (Entry::Quarantine(quarantined), Some(reason))
            }
            (verdict, _) => (Entry::from(verdict), None),
        }
    }

    fn check(&mut self, batch: &BatchRef<'_>) -> Result<(), Reason> {
        let bytes = |value: &Base64Ref<'_>| value.to_bytes().unwrap_or_default().into();
        let seen = Seen {
            credentials: bytes(&batch.credentials),
            sla_credentials: bytes(&batch.sla_credentials),
            model_uuid: (&*batch.model_uuid).into(),
            unit_name: (&*batch.unit_name).into(),
            charm_url: (&*batch.charm_url).into(),
        };
        if let Some(known) = self.seen.get(&seen) {
            return known.clone();
        }
        let admitted = self.credentials.admit(batch, self.received, |id| self.is_revoked(id));
        let admitted = admitted.and_then(|authorization| match authorization {
            Some(authorization) => self.check_owner(authorization, &seen.model_uuid),
            None => Ok(None),
        });
        let decided = admitted.map(|authorization| {
            let user = authorization.and_then(|authorization| authorization.user);
            if let Some(user) = user.filter(|user| !user.is_empty()) {
                self.users.insert(seen.model_uuid.clone(), user);
            }
        });
        self.seen.insert(seen, decided.clone());
        decided
    }

    /// The same, if it covers a model of whoever owns it; `None` when it does not and need not.
    fn check_owner(
        &self,
        authorization: Authorization,
        model_uuid: &str,
    ) -> Result<Option<Authorization>, Reason> {
        if !authorization.is_for_a_user() {
            return Ok(Some(authorization));
        }
        let found = self.reader.ownership(&[model_uuid]).unwrap_or_else(|error| {
            warn!(error = %chain(&error), "who owns a model cannot be read");
            self.is_unreadable.set(true);
            Vec::new()
        });
        let found = found.into_iter().next().unwrap_or_default();
        let owner = owner_by_any_sign(self.terms, model_uuid, &found);
        match authorization.check_owner(owner.as_deref(), found.model_name.is_none()) {
            Ok(()) => Ok(Some(authorization)),
            Err(refusal) if self.credentials.are_required() => Err(Reason::Credential { refusal }),
            Err(_) => Ok(None),
        }
    }

    fn is_revoked(&self, credential_id: &str) -> bool {
        self.reader.is_revoked(credential_id).unwrap_or_else(|error| {
            warn!(error = %chain(&error), "whether a credential is revoked cannot be read");
            self.is_unreadable.set(true);
            true
        })
    }

    /// What the credentials say that the ledger does not know yet.
    ///
    /// # Errors
    ///
    /// When not even all that was decided could be known.
    pub(crate) fn finish(self) -> Result<Vec<Entry>, Problem> {
        if self.is_unreadable.get() {
            return Err(Problem::LedgerBusy);
        }
        let mut acts = Vec::new();
        for (model_uuid, user) in self.users {
            let known = self.reader.declared_user(&model_uuid).map_err(|error| {
                warn!(error = %chain(&error), "who owns a model cannot be read");
                Problem::LedgerBusy
            })?;
            if known.as_ref() != Some(&user) {
                acts.push(Entry::Act(Act::Declare { model_uuid, user }));
            }
        }
        Ok(acts)
    }
}

//! Whether a credential covers a batch.

use tollgate_wire::{BatchRef, Timestamp};

use super::terms::{Condition, Term};
use crate::reason::excerpt;
use crate::{CharmUrl, CredentialError, CredentialId, KeyRing, Macaroon};

/// What a batch says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The model that it belongs to.
    pub model_uuid: &'a str,
    /// The unit that was measured; empty for a batch of the model itself.
    pub unit_name: &'a str,
    /// The charm that the unit runs; empty for a batch of the model itself.
    pub charm_url: &'a str,
}

/// What a credential that covers a batch says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Its id, by which it can be revoked. Of a list of macaroons, the first one's.
    pub credential_id: Box<str>,
    /// The model that it is for.
    pub model_uuid: Option<Box<str>>,
    /// The application that it is for.
    pub service: Option<Box<str>>,
    /// The charm that it is for, as it says.
    pub charm_url: Option<Box<str>>,
    /// What the use is charged by.
    pub plan: Option<Box<str>>,
    /// Who the use is charged to.
    pub user: Option<Box<str>>,
    /// The level of support.
    pub sla: Option<Box<str>>,
    /// From when on it admits nothing.
    pub expires: Option<Timestamp>,
}

/// Decides whether the credential that a batch carries covers it: its `credentials`, or, for a batch of the model itself that has
/// none, its `sla-credentials`. The rest is as with [`authorize`].
///
/// # Errors
///
/// When it does not.
pub fn authorize_batch(
    batch: &BatchRef<'_>,
    keys: &KeyRing,
    now: Timestamp,
    is_revoked: impl Fn(&str) -> bool,
) -> Result<Authorization, CredentialError> {
    let claim =
        Claim { model_uuid: &batch.model_uuid, unit_name: &batch.unit_name, charm_url: &batch.charm_url };
    let mut credentials = batch.credentials.to_bytes().unwrap_or_default();
    if credentials.is_empty() && batch.unit_name.is_empty() {
        credentials = batch.sla_credentials.to_bytes().unwrap_or_default();
    }
    authorize(&credentials, keys, claim, now, is_revoked)
}

/// Decides whether a credential covers what a batch claims to be.
///
/// A list of macaroons covers it when each of them does: one more can only narrow what the others allow. The signature is
/// looked at before anything that it signs. `is_revoked` is asked with a credential's id.
///
/// # Errors
///
/// The first thing that is wrong, in a fixed order: the form of all of them; then of each its key, its signature, its conditions as
/// they come, and revocation.
pub fn authorize(
    credentials: &[u8],
    keys: &KeyRing,
    claim: Claim<'_>,
    now: Timestamp,
    is_revoked: impl Fn(&str) -> bool,
) -> Result<Authorization, CredentialError> {
    let macaroons = Macaroon::parse(credentials).map_err(CredentialError::Malformed)?;
    let mut authorization: Option<Authorization> = None;
    for macaroon in &macaroons {
        let id = verify(macaroon, keys)?;
        let said = Authorization::by(macaroon, &id, claim, now)?;
        if is_revoked(&id.credential_id) {
            return Err(CredentialError::Revoked { credential_id: id.credential_id });
        }
        authorization = Some(match authorization {
            Some(before) => before.and(said)?,
            None => said,
        });
    }
    authorization.ok_or(CredentialError::Missing)
}

/// Whether a macaroon is a credential made with one of these keys and unchanged, but for conditions that were added.
///
/// # Errors
///
/// When it is not.
pub fn verify(macaroon: &Macaroon, keys: &KeyRing) -> Result<CredentialId, CredentialError> {
    let id = CredentialId::of(macaroon).map_err(CredentialError::Malformed)?;
    let root_key =
        keys.root_key(&id).ok_or_else(|| CredentialError::UnknownKey { key_id: excerpt(&id.key_id) })?;
    if macaroon.is_signed_with(&root_key) { Ok(id) } else { Err(CredentialError::BadSignature) }
}

impl Authorization {
    /// Whether it names a user and no model: then it is for that user's models, whose owner has to be known.
    #[must_use]
    pub fn is_for_a_user(&self) -> bool {
        self.model_uuid.is_none() && self.user.is_some()
    }

    /// Whether it covers a model of this owner. One that names a user and no model covers what is that user's, and what is new; a
    /// model in use of which nobody is known to own it is not that user's.
    ///
    /// # Errors
    ///
    /// [`CredentialError::WrongUser`].
    pub fn check_owner(&self, owner: Option<&str>, is_new: bool) -> Result<(), CredentialError> {
        let (None, Some(user)) = (&self.model_uuid, &self.user) else { return Ok(()) };
        let covers = owner.map_or(is_new, |owner| **user == *owner);
        if covers { Ok(()) } else { Err(CredentialError::WrongUser { declared: excerpt(user) }) }
    }

    /// What one macaroon says, all of whose conditions must be understood and hold.
    fn by(
        macaroon: &Macaroon,
        id: &CredentialId,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<Self, CredentialError> {
        let mut said = Self {
            credential_id: id.credential_id.clone(),
            model_uuid: None,
            service: None,
            charm_url: None,
            plan: None,
            user: None,
            sla: None,
            expires: None,
        };
        for (index, caveat) in macaroon.caveats().iter().enumerate() {
            let condition = Condition::parse(caveat)
                .ok_or_else(|| CredentialError::UnknownCaveat { caveat: excerpt(caveat) })?;
            let is_ours = index < id.n_caveats;
            said.take(condition, is_ours, claim, now)?;
        }
        Ok(said)
    }

    fn take(
        &mut self,
        condition: Condition<'_>,
        is_ours: bool,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<(), CredentialError> {
        match condition {
            Condition::TimeBefore(expires) if expires <= now => {
                return Err(CredentialError::Expired { expired: expires });
            }
            Condition::TimeBefore(expires) => self.expires = earlier(self.expires, Some(expires)),
            Condition::Declared(Term::Model, declared) => {
                if claim.model_uuid != declared {
                    return Err(CredentialError::WrongModel { declared: excerpt(declared) });
                }
                self.model_uuid = Some(declared.into());
            }
            Condition::Declared(Term::Service, declared) => {
                if claim.service() != Some(declared) {
                    return Err(CredentialError::WrongService { declared: excerpt(declared) });
                }
                self.service = Some(declared.into());
            }
            Condition::Declared(Term::Charm, declared) => {
                if !CharmUrl::parse(declared).covers(&CharmUrl::parse(claim.charm_url)) {
                    return Err(CredentialError::WrongCharm { declared: excerpt(declared) });
                }
                self.charm_url = Some(declared.into());
            }
            Condition::Declared(Term::Plan, declared) => settle(&mut self.plan, is_ours, "plan", declared)?,
            Condition::Declared(Term::User, declared) => settle(&mut self.user, is_ours, "user", declared)?,
            Condition::Declared(Term::Sla, declared) => settle(&mut self.sla, is_ours, "sla", declared)?,
        }
        Ok(())
    }

    /// What this and another say together.
    fn and(self, other: Self) -> Result<Self, CredentialError> {
        Ok(Self {
            credential_id: self.credential_id,
            model_uuid: self.model_uuid.or(other.model_uuid),
            service: self.service.or(other.service),
            charm_url: self.charm_url.or(other.charm_url),
            plan: same("plan", self.plan, other.plan)?,
            user: same("user", self.user, other.user)?,
            sla: same("sla", self.sla, other.sla)?,
            expires: earlier(self.expires, other.expires),
        })
    }
}

/// Takes in what a batch says nothing about, so that only our own word counts. Who holds a credential may repeat it, and no
/// more: else they could have their use charged to anybody.
fn settle(
    term: &mut Option<Box<str>>,
    is_ours: bool,
    what: &'static str,
    declared: &str,
) -> Result<(), CredentialError> {
    match term {
        Some(before) if **before == *declared => Ok(()),
        None if is_ours => {
            *term = Some(declared.into());
            Ok(())
        }
        Some(_) | None => Err(CredentialError::Added { what }),
    }
}

fn same(
    what: &'static str,
    one: Option<Box<str>>,
    other: Option<Box<str>>,
) -> Result<Option<Box<str>>, CredentialError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(CredentialError::Contradiction { what }),
        (one, other) => Ok(one.or(other)),
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Claim<'_> {
    /// The application whose unit it is; none for a batch of the model itself.
    fn service(&self) -> Option<&str> {
        let (service, _number) = self.unit_name.split_once('/')?;
        Some(service)
    }
}

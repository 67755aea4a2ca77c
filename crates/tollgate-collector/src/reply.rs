//! From outcomes to the bytes of the answer.

use std::collections::HashSet;

use tollgate_ledger::{Outcome, Reader, chain};
use tollgate_rules::{
    ModelStanding, Posted, PostedElement, Reason, Standing, Stands, Unknown, response, user_responses,
};
use tollgate_wire::{EncodeError, Response, Timestamp, UserResponses, UserStatusResponse, encode, to_vec};
use tracing::warn;

use crate::standings::Standings;
use crate::terms::Terms;

/// Which of the two answers a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// A `Response`; when JEM or JIMM posted, the same object also carries `user-responses`: each of the two ignores the
    /// keys of the other.
    ByContent,
    /// A `UserStatusResponse`.
    Users,
    /// What JIMM read from 2018 to 2020; what it posts has another form, too.
    Jimm,
}

/// What an answer is made of, besides what was posted and what became of it.
pub(crate) struct Beyond<'a> {
    pub(crate) reader: &'a dyn Reader,
    pub(crate) terms: &'a Terms,
    /// Where the models of the request stand by their allowances.
    pub(crate) standings: Standings,
    pub(crate) now: Timestamp,
}

/// The same, as far as whoever posted may hear of it: where credentials are required, of models for which the request had a good one.
struct Audible<'a> {
    beyond: &'a Beyond<'a>,
    /// `None` when all may be heard of.
    model_uuids: Option<HashSet<Box<str>>>,
}

impl<'a> Audible<'a> {
    /// `posted` as the gate left it, before it is known what became of it.
    fn new(beyond: &'a Beyond<'a>, posted: &Posted) -> Self {
        let passed = posted.iter().filter(|posted| posted.fate().quarantined.is_none());
        let model_uuids = || passed.map(|posted| posted.model_uuid().into()).collect();
        Self { beyond, model_uuids: beyond.terms.credentials.are_required().then(model_uuids) }
    }

    fn has(&self, model_uuid: &str) -> bool {
        self.model_uuids.as_ref().is_none_or(|model_uuids| model_uuids.contains(model_uuid))
    }
}

impl Stands for Audible<'_> {
    fn by_allowance(&self, model_uuid: &str) -> Option<ModelStanding> {
        if self.has(model_uuid) { self.beyond.standings.of(model_uuid) } else { None }
    }

    fn by_hand(&self, model_uuid: &str, unit_name: &str) -> Result<Option<Standing>, Unknown> {
        if self.has(model_uuid) { self.beyond.by_hand(model_uuid, unit_name) } else { Err(Unknown) }
    }

    fn user(&self, posted: PostedElement<'_>) -> Option<Box<str>> {
        if self.has(posted.model_uuid()) { self.beyond.user(posted) } else { None }
    }
}

impl Beyond<'_> {
    fn by_hand(&self, model_uuid: &str, unit_name: &str) -> Result<Option<Standing>, Unknown> {
        let set = self.reader.hand_status(model_uuid, unit_name).map_err(|error| {
            // The batches are recorded, and their acknowledgement must not fail for what cannot be read.
            warn!(error = %chain(&error), "a status set by hand cannot be read");
            Unknown
        })?;
        Ok(set.and_then(|status| status.standing(self.now)))
    }

    fn user(&self, posted: PostedElement<'_>) -> Option<Box<str>> {
        let model_uuid = posted.model_uuid();
        let declared = self.reader.declared_user(model_uuid).unwrap_or_else(|error| {
            warn!(error = %chain(&error), "who owns a model cannot be read");
            None
        });
        self.terms.policy.users.user_of(model_uuid, declared.as_deref(), posted.model_name()).map(Into::into)
    }
}

/// The answer to a request whose elements are all durable.
pub(crate) fn reply(
    uuid: String,
    mut posted: Posted,
    outcomes: &[Outcome],
    shape: AnswerShape,
    beyond: &Beyond<'_>,
) -> Result<Vec<u8>, EncodeError> {
    let beyond = &Audible::new(beyond, &posted);
    for (fate, outcome) in posted.fates_mut().zip(outcomes) {
        fate.is_new = *outcome == Outcome::Recorded;
        match outcome {
            // Whoever may not post for a model is not told which ids it has.
            Outcome::Conflict { .. } if fate.quarantined.is_some() => {}
            Outcome::Conflict { recorded, .. } => {
                fate.quarantined = Some(Box::new(Reason::Conflict { recorded: *recorded }));
            }
            // A copy of what was recorded is no longer refused for anything.
            Outcome::Recorded | Outcome::Duplicate => fate.quarantined = None,
            Outcome::Quarantined { .. } => {}
        }
    }
    match shape {
        AnswerShape::Users => to_vec(&user_responses(uuid, &posted, beyond)),
        AnswerShape::Jimm => Ok(user_status(&user_responses(uuid, &posted, beyond))),
        AnswerShape::ByContent => {
            let by_model = response(uuid.clone(), &posted, beyond, beyond.beyond.terms.grace_period);
            if posted.iter().any(PostedElement::is_from_jimm) {
                let by_user = user_responses(uuid, &posted, beyond);
                union(&by_model, &by_user.user_responses.unwrap_or_default())
            } else {
                to_vec(&by_model)
            }
        }
    }
}

/// What a JIMM of 2018 to 2020 reads of an answer that says that it was recorded: how its users stand.
fn user_status(by_user: &UserStatusResponse) -> Vec<u8> {
    let users = by_user.user_responses.iter().flat_map(|users| &users.0);
    let users: serde_json::Map<String, serde_json::Value> = users
        .map(|(user, response)| {
            let status = &response.status;
            let shown = serde_json::json!({ "status-code": status.status, "status-info": status.info });
            (user.clone(), shown)
        })
        .collect();
    serde_json::json!({ "user-status": users }).to_string().into_bytes()
}

/// One object with the keys of both answers; `uuid` is common to them.
fn union(by_model: &Response, by_user: &UserResponses) -> Result<Vec<u8>, EncodeError> {
    let mut object = to_vec(by_model)?;
    let closed = object.pop();
    debug_assert_eq!(closed, Some(b'}'), "a response is an object");
    object.extend_from_slice(br#","user-responses":"#);
    encode(by_user, &mut object)?;
    object.push(b'}');
    Ok(object)
}

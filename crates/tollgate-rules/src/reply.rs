//! The answer to a request.

use std::collections::{BTreeMap, HashSet};

use tollgate_wire::{
    EnvironmentResponses, MeterStatus, Nanoseconds, Response, UserResponses, UserStatusResponse,
};

use crate::standing::unit_standings;
use crate::{ModelStanding, Posted, PostedElement, Standing, owner};

/// What is known beyond a request of those whom its answer is about.
pub trait Stands {
    /// Where a model and its units stand by their allowances; `None` when that cannot be said.
    fn by_allowance(&self, model_uuid: &str) -> Option<ModelStanding>;

    /// What was set by hand for a unit, or for the model itself when `unit_name` is empty, and counts now.
    ///
    /// # Errors
    ///
    /// When that cannot be said.
    fn by_hand(&self, model_uuid: &str, unit_name: &str) -> Result<Option<Standing>, Unknown>;

    /// The user who owns the model of an element.
    fn user(&self, posted: PostedElement<'_>) -> Option<Box<str>>;
}

/// It cannot be said where somebody stands, so nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// Nothing limits anybody: everybody is GREEN, and the user is the owner in the model's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Stands for Unlimited {
    fn by_allowance(&self, _: &str) -> Option<ModelStanding> {
        Some(ModelStanding::default())
    }

    fn by_hand(&self, _: &str, _: &str) -> Result<Option<Standing>, Unknown> {
        Ok(None)
    }

    fn user(&self, posted: PostedElement<'_>) -> Option<Box<str>> {
        owner(posted.model_name()).map(Into::into)
    }
}

/// What was set by hand outranks the allowances.
fn model_standing(stands: &impl Stands, model_uuid: &str) -> Result<Standing, Unknown> {
    match stands.by_hand(model_uuid, "")? {
        Some(by_hand) => Ok(by_hand),
        None => Ok(stands.by_allowance(model_uuid).ok_or(Unknown)?.model),
    }
}

/// What was set by hand, or else follows from the model's allowances. A status set by hand for the model takes its allowances away
/// from the units, too.
fn unit_standing(stands: &impl Stands, model_uuid: &str, unit_name: &str) -> Result<Standing, Unknown> {
    if let Some(by_hand) = stands.by_hand(model_uuid, unit_name)? {
        return Ok(by_hand);
    }
    match stands.by_hand(model_uuid, "")? {
        Some(_) => Ok(Standing::default()),
        None => Ok(stands.by_allowance(model_uuid).ok_or(Unknown)?.units),
    }
}

/// The answer to a Juju controller: what is acknowledged, and where models and units stand.
///
/// Call it only once every element is durable, quarantined ones among them: all that have an id are acknowledged.
/// `uuid` is the answer's own id. A model of which it is not known where it stands gets no status, which leaves it as it was; so
/// does a unit. The answer names only what is in `posted`: a controller that is told of a batch it did
/// not send sends all of them again, without end.
#[must_use]
pub fn response(
    uuid: String,
    posted: &Posted,
    stands: &impl Stands,
    new_grace_period: Nanoseconds,
) -> Response {
    let mut responses = EnvironmentResponses::default();
    if posted.iter().all(|element| element.fate().is_new) {
        // No two of them have one id.
        responses.ack_each(posted.iter().map(PostedElement::id));
    } else {
        let mut acknowledged = HashSet::with_capacity(posted.len());
        responses.ack_each(posted.iter().map(PostedElement::id).filter(|id| acknowledged.insert(*id)));
    }
    for ((unit_name, model_uuid), by_request) in unit_standings(posted) {
        // What became of the unit's batches is said in any case.
        let standing = match unit_standing(stands, model_uuid, unit_name) {
            Ok(standing) => standing.worst(by_request),
            Err(Unknown) if by_request == Standing::default() => continue,
            Err(Unknown) => by_request,
        };
        responses.set_unit_status(model_uuid, unit_name, standing.status.as_str(), &standing.info);
    }
    for (model_uuid, model) in &mut responses.0 {
        if let Ok(standing) = model_standing(stands, model_uuid) {
            model.model_status.status = standing.status.as_str().to_owned();
            model.model_status.info = standing.info;
        }
    }
    Response { uuid, env_responses: Some(responses), new_grace_period }
}

/// The answer to JEM or JIMM: the same by user. Its `user_responses` also go into the answer to a request whose sender
/// is known by [`crate::comes_from_jimm`] only.
///
/// A batch of which nobody knows the user is acknowledged under the empty name: senders take an acknowledgement under any, and
/// one that never came would have them send it for ever. A user's status is the worst of its models in the request and of its
/// elements in quarantine.
#[must_use]
pub fn user_responses(uuid: String, posted: &Posted, stands: &impl Stands) -> UserStatusResponse {
    let mut responses = UserResponses::default();
    let mut acknowledged = HashSet::with_capacity(posted.len());
    let mut standings = BTreeMap::<Box<str>, Standing>::new();
    for element in posted.iter() {
        let user = stands.user(element).unwrap_or_default();
        let standing = standings.entry(user.clone()).or_default();
        *standing = std::mem::take(standing)
            .worst(model_standing(stands, element.model_uuid()).unwrap_or_default())
            .worst(Standing::by(element));
        let can_be_acknowledged = !element.batch_uuid().is_empty() && !element.model_uuid().is_empty();
        if can_be_acknowledged && acknowledged.insert((user.clone(), element.batch_uuid())) {
            let response = responses.0.entry(user.into()).or_default();
            response.acks.push(element.batch_uuid().to_owned());
        }
    }
    for (user, standing) in standings {
        let status = MeterStatus { status: standing.status.as_str().to_owned(), info: standing.info };
        responses.0.entry(user.into()).or_default().status = status;
    }
    UserStatusResponse { uuid, user_responses: Some(responses) }
}

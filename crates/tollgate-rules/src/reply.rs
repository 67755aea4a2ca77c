//! The answer to a request.

use std::collections::HashSet;

use tollgate_wire::{
    EnvironmentResponses, MeterStatus, Nanoseconds, Response, UserResponses, UserStatusResponse,
};

use crate::standing::unit_standings;
use crate::{Posted, Standing, owner};

/// The answer to a Juju controller: what is acknowledged, and where models and units stand.
///
/// Call it only once every element is durable, quarantined ones among them: all that have an id are acknowledged.
/// `uuid` is the answer's own id. `model_standing` says where a model stands, given its uuid; `|_| Standing::default()`
/// where nothing limits it. The answer names only what is in `posted`: a controller that is told of a batch it did
/// not send sends all of them again, without end.
#[must_use]
pub fn response(
    uuid: String,
    posted: &[Posted],
    model_standing: impl Fn(&str) -> Standing,
    new_grace_period: Nanoseconds,
) -> Response {
    let mut responses = EnvironmentResponses::default();
    let mut acknowledged = HashSet::with_capacity(posted.len());
    for element in posted {
        if acknowledged.insert(element.identity()) {
            responses.ack(element.model_uuid(), element.batch_uuid());
        }
    }
    for ((unit_name, model_uuid), standing) in unit_standings(posted) {
        responses.set_unit_status(model_uuid, unit_name, standing.status.as_str(), &standing.info);
    }
    for (model_uuid, model) in &mut responses.0 {
        let standing = model_standing(model_uuid);
        model.model_status.status = standing.status.as_str().to_owned();
        model.model_status.info = standing.info;
    }
    Response { uuid, env_responses: Some(responses), new_grace_period }
}

/// The answer to JEM or JIMM: the same by user. Its `user_responses` also go into the answer to a request whose sender
/// is known by [`crate::comes_from_jimm`] only.
///
/// The user is the owner in the model's name. A batch without one is acknowledged under the empty name: senders take an
/// acknowledgement under any, and one that never came would have them send it for ever. A user's status is the worst of
/// its models (`model_standing`, as in [`response`]) and of its elements in quarantine.
#[must_use]
pub fn user_responses(
    uuid: String,
    posted: &[Posted],
    model_standing: impl Fn(&str) -> Standing,
) -> UserStatusResponse {
    let mut responses = UserResponses::default();
    let mut acknowledged = HashSet::with_capacity(posted.len());
    let mut standings = std::collections::BTreeMap::<&str, Standing>::new();
    for element in posted {
        let user = owner(element.model_name()).unwrap_or_default();
        let standing = standings.entry(user).or_default();
        *standing =
            std::mem::take(standing).worst(model_standing(element.model_uuid())).worst(Standing::by(element));
        let can_be_acknowledged = !element.batch_uuid().is_empty() && !element.model_uuid().is_empty();
        if can_be_acknowledged && acknowledged.insert((user, element.batch_uuid())) {
            let response = responses.0.entry(user.to_owned()).or_default();
            response.acks.push(element.batch_uuid().to_owned());
        }
    }
    for (user, standing) in standings {
        let status = MeterStatus { status: standing.status.as_str().to_owned(), info: standing.info };
        responses.0.entry(user.to_owned()).or_default().status = status;
    }
    UserStatusResponse { uuid, user_responses: Some(responses) }
}

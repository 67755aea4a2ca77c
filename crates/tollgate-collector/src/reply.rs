//! From outcomes to the bytes of the answer.

use tollgate_ledger::Outcome;
use tollgate_rules::{Posted, Reason, Standing, response, user_responses};
use tollgate_wire::{EncodeError, Nanoseconds, Response, UserResponses, encode, to_vec};

/// Which of the two answers a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// A `Response`; when JEM or JIMM posted, the same object also carries `user-responses`: each of the two ignores the
    /// keys of the other.
    ByContent,
    /// A `UserStatusResponse`.
    Users,
}

/// The answer to a request whose elements are all durable.
pub(crate) fn reply(
    uuid: String,
    mut posted: Vec<Posted>,
    outcomes: &[Outcome],
    shape: AnswerShape,
    new_grace_period: Nanoseconds,
) -> Result<Vec<u8>, EncodeError> {
    for (posted, outcome) in posted.iter_mut().zip(outcomes) {
        if let Outcome::Conflict { recorded, .. } = outcome {
            posted.quarantined = Some(Reason::Conflict { recorded: *recorded });
        }
    }
    // Nothing limits a model yet.
    let model_standing = |_: &str| Standing::default();
    match shape {
        AnswerShape::Users => to_vec(&user_responses(uuid, &posted, model_standing)),
        AnswerShape::ByContent => {
            let by_model = response(uuid.clone(), &posted, model_standing, new_grace_period);
            if posted.iter().any(|posted| posted.from_jimm) {
                let by_user = user_responses(uuid, &posted, model_standing);
                union(&by_model, &by_user.user_responses.unwrap_or_default())
            } else {
                to_vec(&by_model)
            }
        }
    }
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

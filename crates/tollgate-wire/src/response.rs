//! What a collector answers a Juju controller: acknowledgements and meter statuses by model.

use std::collections::BTreeMap;

use crate::Nanoseconds;

/// A collector's answer to a POST of batches. Go: `metrics.Response`.
///
/// ```json
#[doc = include_str!("../golden/examples/response.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The answer's own id. JSON `uuid`.
    pub uuid: String,
    /// By model; `None` is JSON `null`. JSON `env-responses`.
    pub env_responses: Option<EnvironmentResponses>,
    /// How long a sender may go without contact before it shows RED; 0 leaves the sender's own. JSON `new-grace-period`.
    pub new_grace_period: Nanoseconds,
}

/// The answers by model uuid. Go: `metrics.EnvironmentResponses`.
///
/// ```json
#[doc = include_str!("../golden/examples/environment-responses.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentResponses(pub BTreeMap<String, EnvResponse>);

impl EnvironmentResponses {
    /// Acknowledges a batch under its model. With an empty id on either side this does nothing, as in Go:
    /// what cannot be named cannot be acknowledged.
    pub fn ack(&mut self, model_uuid: &str, batch_uuid: &str) {
        self.ack_each([(model_uuid, batch_uuid)]);
    }

    /// As [`EnvironmentResponses::ack`] of each of `ids`, a model's and a batch's; in less time where the same model comes again.
    pub fn ack_each<'a>(&mut self, ids: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let are_ids =
            |(model_uuid, batch_uuid): &(&str, &str)| !model_uuid.is_empty() && !batch_uuid.is_empty();
        let mut ids = ids.into_iter().filter(are_ids).peekable();
        while let Some(&(model_uuid, _)) = ids.peek() {
            let acks = &mut self.model(model_uuid).acks;
            while let Some((_, batch_uuid)) = ids.next_if(|(model, _)| *model == model_uuid) {
                acks.push(batch_uuid.to_owned());
            }
        }
    }

    /// Sets the meter status of one unit, in place of an earlier one.
    pub fn set_unit_status(&mut self, model_uuid: &str, unit_name: &str, status: &str, info: &str) {
        let unit_status = UnitStatus { status: status.to_owned(), info: info.to_owned() };
        self.model(model_uuid).unit_statuses.insert(unit_name.to_owned(), unit_status);
    }

    /// Sets the meter status of the model, in place of an earlier one.
    pub fn set_model_status(&mut self, model_uuid: &str, status: &str, info: &str) {
        self.model(model_uuid).model_status =
            ModelStatus { status: status.to_owned(), info: info.to_owned() };
    }

    fn model(&mut self, model_uuid: &str) -> &mut EnvResponse {
        if !self.0.contains_key(model_uuid) {
            self.0.insert(model_uuid.to_owned(), EnvResponse::default());
        }
        self.0.get_mut(model_uuid).expect("it was inserted if it was not there")
    }
}

/// The answer for one model. Go: `metrics.EnvResponse`.
///
/// ```json
#[doc = include_str!("../golden/examples/env-response.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvResponse {
    /// The ids of the batches that are recorded. Absent from the JSON when empty. JSON `acks`.
    pub acks: Vec<String>,
    /// The model's status; always in the JSON, an empty status word leaves the sender's as it is. JSON `model-status`.
    pub model_status: ModelStatus,
    /// By unit name. Absent from the JSON when empty. JSON `unit-statuses`.
    pub unit_statuses: BTreeMap<String, UnitStatus>,
}

/// Where a model stands. Go: `metrics.ModelStatus`.
///
/// ```json
#[doc = include_str!("../golden/examples/model-status.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelStatus {
    /// The status word. JSON `status`.
    pub status: String,
    /// A sentence for people. JSON `info`.
    pub info: String,
}

/// Where a unit stands. Go: `metrics.UnitStatus`.
///
/// ```json
#[doc = include_str!("../golden/examples/unit-status.json")]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// The status word. JSON `status`.
    pub status: String,
    /// A sentence for people. JSON `info`.
    pub info: String,
}

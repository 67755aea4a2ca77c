//! Why something is set aside.

use tollgate_wire::{Status, Timestamp};

use crate::{CredentialError, Digest, ValueError, limits};

/// Why something is in quarantine, as a sentence for people; [`Reason::code`] is for programs.
///
/// What it quotes of the sender's text is cut to a few words, so that a reason fits a log line and a meter status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No `uuid`.
    #[error("the batch has no uuid, so nothing can acknowledge it")]
    MissingUuid,
    /// No `env-uuid`.
    #[error("the batch has no env-uuid, so nothing can acknowledge it")]
    MissingModelUuid,
    /// The element is JSON, but no batch.
    #[error("it is not a metric batch: {message}")]
    Undecodable {
        /// What was expected and what was found.
        message: String,
    },
    /// A value that cannot be counted.
    #[error("metrics[{index}].value of {key:?}: {value:?} {refusal}")]
    Value {
        /// The metric's place in the batch, from 0.
        index: usize,
        /// The meter, perhaps cut.
        key: String,
        /// What the sender wrote, perhaps cut.
        value: String,
        /// What is wrong with it.
        refusal: ValueError,
    },
    /// A time that Go can read and cannot write, so the batch has no canonical JSON.
    #[error(
        "{field} cannot be written as JSON: its year must be within 0 to 9999 and its offset below 24 hours"
    )]
    Time {
        /// Which time: `created` or `metrics[…].time`.
        field: String,
        /// What it says.
        time: Timestamp,
    },
    /// More metrics than [`limits::METRICS_PER_BATCH_MAX`].
    #[error("metrics has {n_metrics} elements, more than the {} allowed", limits::METRICS_PER_BATCH_MAX)]
    TooManyMetrics {
        /// How many there are.
        n_metrics: usize,
    },
    /// A text longer than its limit in [`limits`].
    #[error("{field} has {n_bytes} bytes, more than the {n_bytes_max} allowed")]
    TooLong {
        /// Which text: `unit-name`, `metrics[…].labels`, …
        field: String,
        /// How long it is.
        n_bytes: usize,
        /// How long it may be.
        n_bytes_max: usize,
    },
    /// The id of a recorded batch, with other content.
    #[error("a batch with this id and other content was recorded before")]
    Conflict {
        /// The content that stands.
        recorded: Digest,
    },
    /// A batch that could be counted, if its credential covered it.
    #[error("{refusal}")]
    Credential {
        /// What is wrong with the credential.
        refusal: CredentialError,
    },
}

impl Reason {
    /// A stable word for each reason, for programs and stored data.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingUuid => "missing-uuid",
            Self::MissingModelUuid => "missing-model-uuid",
            Self::Undecodable { .. } => "undecodable",
            Self::Value { .. } => "value",
            Self::Time { .. } => "time",
            Self::TooManyMetrics { .. } => "too-many-metrics",
            Self::TooLong { .. } => "too-long",
            Self::Conflict { .. } => "conflict",
            Self::Credential { .. } => "credential",
        }
    }

    /// What the unit shows whose batch is set aside for this. A credential is for its operator to replace, and all that comes until
    /// then does not count: RED.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::MissingUuid
            | Self::MissingModelUuid
            | Self::Undecodable { .. }
            | Self::Value { .. }
            | Self::Time { .. }
            | Self::TooManyMetrics { .. }
            | Self::TooLong { .. }
            | Self::Conflict { .. } => Status::Amber,
            Self::Credential { .. } => Status::Red,
        }
    }
}

/// The beginning of a sender's text, short enough to quote.
pub(crate) fn excerpt(text: &str) -> String {
    const N_CHARACTERS_MAX: usize = 40;
    cut(text, N_CHARACTERS_MAX)
}

/// The beginning of a text.
pub(crate) fn cut(text: &str, n_characters_max: usize) -> String {
    match text.char_indices().nth(n_characters_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

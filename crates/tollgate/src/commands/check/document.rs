//! One document: decoded, and encoded again.

use tollgate_wire::{DecodeError, MetricBatch, Response, UserStatusResponse};

use super::Kind;
use crate::words;

/// Why a document is bad.
pub(super) struct Flaw {
    /// Where in the document, in bytes; `None` when it decodes but has no canonical form.
    pub(super) offset: Option<usize>,
    /// What is wrong there.
    pub(super) reason: String,
}

impl From<DecodeError> for Flaw {
    fn from(error: DecodeError) -> Self {
        Self { offset: Some(error.offset()), reason: error.to_string() }
    }
}

/// Decodes, and says what was in it.
pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Result<String, Flaw> {
    Ok(match kind {
        Kind::MetricBatches => match tollgate_wire::from_slice::<Option<Vec<MetricBatch>>>(bytes)? {
            None => "null, no batches".to_owned(),
            Some(batches) => {
                let n_metrics: usize = batches.iter().filter_map(|b| b.metrics.as_ref()).map(Vec::len).sum();
                format!(
                    "{} and {}",
                    count(batches.len(), "batch", "batches"),
                    count(n_metrics, "metric", "metrics")
                )
            }
        },
        Kind::Response => {
            let response: Response = tollgate_wire::from_slice(bytes)?;
            let models = response.env_responses.unwrap_or_default().0;
            let n_acks = models.values().map(|model| model.acks.len()).sum();
            format!(
                "{} for {}",
                count(n_acks, "acknowledgement", "acknowledgements"),
                count(models.len(), "model", "models")
            )
        }
        Kind::UserStatusResponse => {
            let response: UserStatusResponse = tollgate_wire::from_slice(bytes)?;
            let users = response.user_responses.unwrap_or_default().0;
            let n_acks = users.values().map(|user| user.acks.len()).sum();
            format!(
                "{} for {}",
                count(n_acks, "acknowledgement", "acknowledgements"),
                count(users.len(), "user", "users")
            )
        }
    })
}

/// Decodes, and appends the canonical bytes to `out`; on a flaw `out` may hold a part of them.
pub(super) fn canonical(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
    let encoded = match kind {
        Kind::MetricBatches => {
            tollgate_wire::encode(&tollgate_wire::from_slice::<Option<Vec<MetricBatch>>>(bytes)?, out)
        }
        Kind::Response => tollgate_wire::encode(&tollgate_wire::from_slice::<Response>(bytes)?, out),
        Kind::UserStatusResponse => {
            tollgate_wire::encode(&tollgate_wire::from_slice::<UserStatusResponse>(bytes)?, out)
        }
    };
    encoded.map_err(|error| Flaw { offset: None, reason: error.to_string() })
}

/// A number of things in memory, with its noun.
fn count(n: usize, one: &str, many: &str) -> String {
    words::count(n as u64, one, many)
}

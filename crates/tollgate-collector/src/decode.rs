//! From a document to what is recorded: each element admitted or set aside.

use tollgate_ledger::Entry;
use tollgate_rules::{Posted, judge, limits};
use tollgate_wire::Document;

use crate::problem::Problem;

/// Metrics of one batch and labels of one metric that are kept while they are decided on. Some more than are admitted, so that
/// the reason can say how many there were; what has more is set aside unread.
const KEPT_MAX: usize = 2 * limits::METRICS_PER_BATCH_MAX;

/// A decoded document: for each element, in order, what goes into the ledger and what its answer needs.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) entries: Vec<Entry>,
    pub(crate) posted: Vec<Posted>,
}

/// Decides on every element. Only a document that is not JSON of the right outer shape, or that has too many elements, is
/// refused; a bad element is set aside and its neighbours go on.
pub(crate) fn decode(document: &[u8], batches_max: usize) -> Result<Decoded, Problem> {
    let mut decoded = Decoded::default();
    for element in Document::new(document).keeping_at_most(KEPT_MAX).elements() {
        let element = element.map_err(|error| Problem::BadJson {
            reason: format!("Failed to {error}. Nothing of it was recorded."),
            offset: error.offset(),
        })?;
        if batches_max == decoded.entries.len() {
            return Err(Problem::TooManyBatches { batches_max });
        }
        let verdict = judge(&element);
        decoded.posted.push(Posted::new(&element, &verdict));
        decoded.entries.push(verdict.into());
    }
    Ok(decoded)
}

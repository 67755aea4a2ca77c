//! What a failure of the journal means to whoever uses the ledger.

use std::error::Error as _;

use tollgate_journal::{JournalError, RecordPosition};
use tollgate_ledger::{BodyDropped, LedgerError, Remedy};
use tollgate_rules::{BatchId, RecoverError};

use crate::index::{Contradiction, IndexError};
use crate::record::RecordError;

/// Why a record cannot be used, though the journal holds it as it was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Batch(#[from] RecoverError),
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

/// While `step`, which fits after "failed to".
pub(crate) fn at_open(step: impl Into<String>) -> impl FnOnce(JournalError) -> LedgerError {
    let step = step.into();
    |error| {
        let remedy = match &error {
            // Whoever has it may let go of it.
            JournalError::InUse { .. } | JournalError::Full { .. } => Remedy::Retry,
            JournalError::Disk { .. } | JournalError::Closed { .. } => Remedy::Restart,
            // Damaged, missing, of another kind or version.
            _ => Remedy::Repair,
        };
        LedgerError::new(remedy, step).because(error)
    }
}

pub(crate) fn at_append(n_records: usize) -> impl FnOnce(JournalError) -> LedgerError {
    move |error| {
        let remedy = match &error {
            JournalError::Full { .. } | JournalError::FullOfFiles { .. } | JournalError::NoRoom { .. } => {
                Remedy::FreeSpace
            }
            JournalError::TooManyOpen { .. } => Remedy::Retry,
            // One element that is longer than a record may be: it fails in the same way each time.
            JournalError::TooLarge { .. } => Remedy::Repair,
            // Whatever else it is, what the disk holds is not known.
            _ => Remedy::Restart,
        };
        LedgerError::new(remedy, format!("record {n_records} elements")).because(error)
    }
}

/// While `step`, which fits after "failed to".
pub(crate) fn at_read(step: impl Into<String>) -> impl FnOnce(JournalError) -> LedgerError {
    let step = step.into();
    |error| {
        let remedy = match &error {
            JournalError::Disk { .. } => Remedy::Retry,
            _ => Remedy::Repair,
        };
        LedgerError::new(remedy, step).because(error)
    }
}

/// The index knows group `sequence`, and the journal, which ends with group `end`, does not have it as it was.
pub(crate) fn groups_missing(step: String, sequence: u64, end: Option<u64>) -> LedgerError {
    let found = match end {
        Some(end) if end < sequence => format!("ends with group {end}"),
        Some(_) => "has another one".to_owned(),
        None => "has no segment".to_owned(),
    };
    let why = format!(
        "what was acknowledged is missing: the index knows group {sequence}, and the journal {found}. Put the missing \
         segments back; or, if the folder was restored from an older copy on purpose, remove its folder `index`"
    );
    LedgerError::new(Remedy::Repair, step).because(why)
}

/// While `step`, which fits after "failed to".
pub(crate) fn of_index(step: impl Into<String>) -> impl FnOnce(IndexError) -> LedgerError {
    let step = step.into();
    |error| {
        let remedy = match error.may_pass() {
            true if error.is_full() => Remedy::FreeSpace,
            true => Remedy::Retry,
            false => Remedy::Restart,
        };
        LedgerError::new(remedy, step).because(error)
    }
}

/// A record that is stored as it was written, and makes no sense.
pub(crate) fn unusable(position: RecordPosition, why: Unusable) -> LedgerError {
    let RecordPosition { sequence, index } = position;
    let step = format!("use record {index} of group {sequence}");
    LedgerError::new(Remedy::Repair, step).because(why)
}

/// A record that is not the one that the index says.
pub(crate) fn mismatch(id: &BatchId) -> LedgerError {
    let step = format!("read batch {:?} of model {:?}", id.batch_uuid, id.model_uuid);
    LedgerError::new(Remedy::Repair, step).because("what is stored does not match its digest")
}

/// A batch of which retention dropped a part.
pub(crate) fn dropped(id: &BatchId) -> LedgerError {
    let step = format!("read batch {:?} of model {:?}", id.batch_uuid, id.model_uuid);
    LedgerError::new(Remedy::Repair, step).because(BodyDropped)
}

/// Whether the error says that what was recorded is damaged, so that [`crate::salvage`] is what is left when there is no copy.
#[must_use]
pub fn is_damage(error: &LedgerError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(JournalError::Damaged { .. })) || error.is::<Unusable>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_recorded_is_not_to_be_tried_again() {
        let error = at_append(1)(JournalError::TooLarge { bytes: 2, n_records: 1 });
        assert_eq!(error.remedy(), Remedy::Repair);
    }
}

//! What is derived from the journal, and can be thrown away.

mod catalogue;
mod ids;
mod quarantine;

use tollgate_journal::RecordPosition;
use tollgate_ledger::Counts;
use tollgate_rules::{Admitted, BatchId};

use catalogue::Catalogue;
use ids::Ids;
pub(crate) use ids::Recorded;
pub(crate) use quarantine::ElementKey;
use quarantine::Quarantine;

/// Everything that is derived from the journal up to some record.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) ids: Ids,
    pub(crate) catalogue: Catalogue,
    pub(crate) quarantine: Quarantine,
}

/// A record that cannot follow those before it, so the journal was not written by a ledger that keeps its promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("add batch {:?} of model {:?}: it was recorded before", id.batch_uuid, id.model_uuid)]
    RecordedTwice { id: BatchId },
    #[error("add quarantined element {id}: the next one should be {expected}")]
    QuarantineId { id: u64, expected: u64 },
}

impl Index {
    /// Adds a batch whose record is durable at `position`.
    pub(crate) fn add_batch(
        &mut self,
        batch: &Admitted,
        position: RecordPosition,
    ) -> Result<(), Contradiction> {
        let recorded = Recorded { digest: batch.digest(), position };
        if !self.ids.insert(batch.id(), recorded) {
            return Err(Contradiction::RecordedTwice { id: batch.id().clone() });
        }
        self.catalogue.add(batch);
        Ok(())
    }

    /// Adds a quarantined element whose record is durable at `position`.
    pub(crate) fn add_quarantined(
        &mut self,
        id: u64,
        key: ElementKey,
        position: RecordPosition,
    ) -> Result<(), Contradiction> {
        let expected = self.quarantine.next_id();
        if id != expected {
            return Err(Contradiction::QuarantineId { id, expected });
        }
        self.quarantine.add(key, position);
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            n_batches: self.ids.n_batches(),
            n_metrics: self.catalogue.n_metrics(),
            n_models: self.catalogue.n_models(),
            n_quarantined: self.quarantine.n_elements(),
        }
    }
}

//! The write half.

use std::sync::Arc;

use tollgate_journal::{Journal, Records};
use tollgate_ledger::{Entry, LedgerError, Outcome, Received, Remedy, Writer};

use crate::error::{at_append, of_index};
use crate::index::{Added, Index, Upkeep};
use crate::plan::{Addition, Plan, plan};
use crate::record::{encode_batch, encode_quarantined};

/// Bytes of bodies that go into one group of the journal, at most (one body may be longer): a group is held in memory
/// while it is written and read.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Owns the journal.
#[derive(Debug)]
pub(crate) struct EmbeddedWriter {
    journal: Journal,
    index: Arc<Index>,
    upkeep: Upkeep,
    is_closed: bool,
    /// Kept for their memory.
    records: Records,
}

impl EmbeddedWriter {
    pub(crate) fn new(journal: Journal, index: Arc<Index>, upkeep: Upkeep) -> Self {
        Self { journal, index, upkeep, is_closed: false, records: Records::default() }
    }

    fn try_record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        let n_entries = group.len();
        let failed = |error| of_index(format!("record {n_entries} elements"))(error);
        self.upkeep.make_room().map_err(failed)?;
        let Plan { outcomes, additions } = plan(&self.index, group).map_err(failed)?;
        for part in split(&additions) {
            self.commit(part, received)?;
        }
        Ok(outcomes)
    }

    /// Makes `additions` durable, then known.
    fn commit(&mut self, additions: &[Addition], received: Received) -> Result<(), LedgerError> {
        self.records.clear();
        for addition in additions {
            self.records.push_with(|bytes| match addition {
                Addition::Batch { batch, .. } => encode_batch(bytes, batch, received),
                Addition::Quarantined { id, element, .. } => encode_quarantined(bytes, *id, element, received),
            });
        }
        // IMPORTANT: the index learns of a batch only after its sync: whoever finds an id there acknowledges it.
        let group = self.journal.append(&self.records).map_err(at_append(additions.len()))?;
        let added = additions.iter().map(Addition::added);
        self.index
            .add(group.sequence, added)
            .expect("the plan was made with this index, which nobody else adds to");
        self.upkeep.look_after(self.journal.end());
        Ok(())
    }
}

impl Addition {
    fn added(&self) -> Added<'_> {
        match self {
            Self::Batch { key, batch } => Added::Batch { key: *key, batch },
            Self::Quarantined { key, id, element } => {
                Added::Quarantined { key: *key, id: *id, digest: element.digest }
            }
        }
    }

    fn body_bytes(&self) -> usize {
        match self {
            Self::Batch { batch, .. } => batch.body().len(),
            Self::Quarantined { element, .. } => element.body.len(),
        }
    }
}

impl Writer for EmbeddedWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        if self.is_closed {
            return Err(LedgerError::new(Remedy::Restart, "record in a ledger closed by an earlier failure"));
        }
        self.try_record(group, received)
            .inspect_err(|error| self.is_closed = error.remedy() == Remedy::Restart)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        let end = self.journal.end();
        let failed = |error| LedgerError::new(Remedy::Restart, "close the ledger").because(error);
        self.journal.close().map_err(failed)?;
        self.upkeep.close(end).map_err(of_index("close the ledger"))
    }
}

/// Parts in order, none of them empty; only one that has a single body may be over the limit.
fn split(additions: &[Addition]) -> impl Iterator<Item = &[Addition]> {
    let mut rest = additions;
    std::iter::from_fn(move || {
        let mut n_bytes = 0;
        let fits = |addition: &&Addition| {
            n_bytes += addition.body_bytes();
            n_bytes <= GROUP_BYTES_MAX
        };
        let n_fitting = rest.iter().take_while(fits).count().max(1);
        let (part, later) = rest.split_at_checked(n_fitting)?;
        rest = later;
        Some(part)
    })
}

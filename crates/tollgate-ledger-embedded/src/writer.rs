//! The write half.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use tollgate_journal::{Journal, RecordPosition};
use tollgate_ledger::{Entry, LedgerError, Outcome, Received, Remedy, Writer};

use crate::error::at_append;
use crate::index::{ElementKey, Index};
use crate::plan::{Addition, Plan, plan};
use crate::record::{encode_batch, encode_quarantined};

/// Bytes of bodies that go into one group of the journal, at most (one body may be longer): a group is held in memory
/// while it is written and read.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Memory for records that is kept from one group to the next, at most.
const BYTES_KEPT: usize = 4 << 20;

/// Owns the journal.
#[derive(Debug)]
pub(crate) struct EmbeddedWriter {
    journal: Journal,
    index: Arc<RwLock<Index>>,
    is_closed: bool,
    /// The records under construction, one after the other; kept for its memory.
    bytes: Vec<u8>,
}

impl EmbeddedWriter {
    pub(crate) fn new(journal: Journal, index: Arc<RwLock<Index>>) -> Self {
        Self { journal, index, is_closed: false, bytes: Vec::new() }
    }

    /// Makes `additions` durable, then known.
    fn commit(&mut self, additions: &[Addition], received: Received) -> Result<(), LedgerError> {
        self.bytes.clear();
        let mut start = 0;
        let ranges: Vec<Range<usize>> = additions
            .iter()
            .map(|addition| {
                match addition {
                    Addition::Batch(batch) => encode_batch(&mut self.bytes, batch, received),
                    Addition::Quarantined { id, element } => {
                        encode_quarantined(&mut self.bytes, *id, element, received);
                    }
                }
                std::mem::replace(&mut start, self.bytes.len())..self.bytes.len()
            })
            .collect();
        let records: Vec<&[u8]> = ranges.into_iter().map(|range| &self.bytes[range]).collect();
        // IMPORTANT: the index learns of a batch only after its sync: whoever finds an id there acknowledges it.
        let appended = self.journal.append(&records).map_err(at_append(records.len()));
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        let appended = appended?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (addition, position) in additions.iter().zip(appended.records) {
            add(&mut index, addition, position);
        }
        Ok(())
    }
}

fn add(index: &mut Index, addition: &Addition, position: RecordPosition) {
    let added = match addition {
        Addition::Batch(batch) => index.add_batch(batch, position),
        Addition::Quarantined { id, element } => {
            let key = ElementKey::new(&element.id.model_uuid, &element.id.batch_uuid, element.digest);
            index.add_quarantined(*id, key, position)
        }
    };
    added.expect("the plan was made with this index, which nobody else writes to");
}

impl Writer for EmbeddedWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        if self.is_closed {
            return Err(LedgerError::new(Remedy::Restart, "record in a ledger closed by an earlier failure"));
        }
        let Plan { outcomes, additions } = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            plan(&index, group)
        };
        for part in split(&additions) {
            self.commit(part, received)
                .inspect_err(|error| self.is_closed = error.remedy() == Remedy::Restart)?;
        }
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        let failed = |error| LedgerError::new(Remedy::Restart, "close the ledger").because(error);
        self.journal.close().map_err(failed)
    }
}

/// Parts in order, none of them empty; only one that has a single body may be over the limit.
fn split(additions: &[Addition]) -> impl Iterator<Item = &[Addition]> {
    let mut rest = additions;
    std::iter::from_fn(move || {
        let mut n_bytes = 0;
        let fits = |addition: &&Addition| {
            n_bytes += match addition {
                Addition::Batch(batch) => batch.body().len(),
                Addition::Quarantined { element, .. } => element.body.len(),
            };
            n_bytes <= GROUP_BYTES_MAX
        };
        let n_fitting = rest.iter().take_while(fits).count().max(1);
        let (part, later) = rest.split_at_checked(n_fitting)?;
        rest = later;
        Some(part)
    })
}

//! The write half.

use std::sync::{Arc, PoisonError, RwLock};

use tollgate_journal::{Journal, RecordPosition};
use tollgate_ledger::{Entry, LedgerError, Outcome, Received, Remedy, Writer};

use crate::error::at_append;
use crate::index::Index;
use crate::plan::{Addition, Plan, plan};
use crate::record::{encode_batch, encode_quarantined};

/// Bytes of records that go into one group of the journal, at most (one record may be longer): a group is held in
/// memory while it is written and while one of its records is read.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Owns the journal.
#[derive(Debug)]
pub(crate) struct EmbeddedWriter {
    journal: Journal,
    index: Arc<RwLock<Index>>,
    is_closed: bool,
}

impl EmbeddedWriter {
    pub(crate) fn new(journal: Journal, index: Arc<RwLock<Index>>) -> Self {
        Self { journal, index, is_closed: false }
    }

    /// Makes `additions` durable, then known.
    fn commit(&mut self, additions: &[(Addition, Vec<u8>)]) -> Result<(), LedgerError> {
        let records: Vec<&[u8]> = additions.iter().map(|(_, record)| record.as_slice()).collect();
        // IMPORTANT: the index learns of a batch only after its sync: whoever finds an id there acknowledges it.
        let appended = self.journal.append(&records).map_err(at_append(records.len()))?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for ((addition, _), position) in additions.iter().zip(appended.records) {
            add(&mut index, addition, position);
        }
        Ok(())
    }
}

fn add(index: &mut Index, addition: &Addition, position: RecordPosition) {
    let added = match addition {
        Addition::Batch(batch) => index.add_batch(batch, position),
        Addition::Quarantined { id, element } => {
            index.add_quarantined(*id, (element.id.clone(), element.digest), position)
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
        for part in split(encode(additions, received)) {
            self.commit(&part).inspect_err(|error| self.is_closed = error.remedy() == Remedy::Restart)?;
        }
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        let failed = |error| LedgerError::new(Remedy::Restart, "close the ledger").because(error);
        self.journal.close().map_err(failed)
    }
}

fn encode(additions: Vec<Addition>, received: Received) -> impl Iterator<Item = (Addition, Vec<u8>)> {
    additions.into_iter().map(move |addition| {
        let record = match &addition {
            Addition::Batch(batch) => encode_batch(batch, received),
            Addition::Quarantined { id, element } => encode_quarantined(*id, element, received),
        };
        (addition, record)
    })
}

/// Parts in order, none of them empty; only one that has a single record may be over the limit.
fn split(
    additions: impl Iterator<Item = (Addition, Vec<u8>)>,
) -> impl Iterator<Item = Vec<(Addition, Vec<u8>)>> {
    let mut additions = additions.peekable();
    std::iter::from_fn(move || {
        let first = additions.next()?;
        let mut n_bytes = first.1.len();
        let mut part = vec![first];
        while let Some(next) = additions.next_if(|(_, record)| n_bytes + record.len() <= GROUP_BYTES_MAX) {
            n_bytes += next.1.len();
            part.push(next);
        }
        Some(part)
    })
}

//! The write half.

use std::io;
use std::mem;
use std::sync::Arc;

use tollgate_journal::{GroupPosition, Journal, JournalError, Packed, Packer, Records};
use tollgate_ledger::{Entry, LedgerError, Outcome, Prepared, Received, Remedy, Writer};

use crate::error::{at_append, of_index};
use crate::index::{Added, Index, Upkeep};
use crate::plan::{Addition, Part, Plan, plan};
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
    compression: Option<i32>,
    is_closed: bool,
    /// Kept for their memory.
    records: Records,
    packer: Option<Packer>,
}

impl EmbeddedWriter {
    pub(crate) fn new(journal: Journal, index: Arc<Index>, upkeep: Upkeep, compression: Option<i32>) -> Self {
        Self { journal, index, upkeep, compression, is_closed: false, records: Records::default(), packer: None }
    }

    fn try_record(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        let n_entries: usize = requests.iter().map(|request| request.entries.len()).sum();
        let failed = |error| of_index(format!("record {n_entries} elements"))(error);
        self.upkeep.make_room().map_err(failed)?;
        let Plan { outcomes, parts } = plan(&self.index, requests).map_err(failed)?;
        let mut parts: Vec<Part> = parts.into_iter().flat_map(split).collect();
        while !parts.is_empty() {
            let later = parts.split_off(n_together(&parts));
            self.commit(mem::replace(&mut parts, later))?;
        }
        Ok(outcomes)
    }

    /// Makes what `parts` add durable, then known.
    fn commit(&mut self, mut parts: Vec<Part>) -> Result<(), LedgerError> {
        let n_additions = parts.iter().map(|part| part.additions.len()).sum();
        if n_additions == 0 {
            return Ok(());
        }
        // IMPORTANT: the index learns of a batch only after its sync: whoever finds an id there acknowledges it.
        let group = self.append(&mut parts).map_err(at_append(n_additions))?;
        self.index
            .add(group.sequence, parts.iter_mut().flat_map(Part::added))
            .expect("the plan was made with this index, which nobody else adds to");
        self.upkeep.look_after(self.journal.end());
        Ok(())
    }

    fn append(&mut self, parts: &mut [Part]) -> Result<GroupPosition, JournalError> {
        match self.compression {
            Some(level) if parts.iter().any(|part| part.packed.is_some()) => {
                // Without memory for it, they are written as if nothing had been compressed before.
                if let Ok(packed) = self.pack(parts, level) {
                    return self.journal.append_packed(&packed);
                }
            }
            _ => {}
        }
        self.records.clear();
        parts.iter().for_each(|part| part.write(&mut self.records));
        self.journal.append(&self.records)
    }

    /// What was compressed before as it is, and the rest likewise, in one order.
    fn pack(&mut self, parts: &mut [Part], level: i32) -> io::Result<Vec<Packed>> {
        let mut packed = Vec::with_capacity(parts.len());
        self.records.clear();
        for part in parts {
            match part.packed.take() {
                Some(records) => {
                    packed.extend(self.pack_rest(level)?);
                    packed.push(records);
                }
                None => part.write(&mut self.records),
            }
        }
        packed.extend(self.pack_rest(level)?);
        Ok(packed)
    }

    fn pack_rest(&mut self, level: i32) -> io::Result<Option<Packed>> {
        if self.records.is_empty() {
            return Ok(None);
        }
        let packer = match &mut self.packer {
            Some(packer) => packer,
            none => none.insert(Packer::new(level)?),
        };
        let packed = packer.pack_records(&self.records)?;
        self.records.clear();
        Ok(Some(packed))
    }
}

impl Part {
    /// What the index learns of it.
    fn added(&mut self) -> impl Iterator<Item = Added<'_>> {
        let usage = self.usage.take();
        let has_usage = usage.is_some();
        let added = self.additions.iter().map(move |addition| match addition {
            Addition::Batch { key, batch } if has_usage => Added::Id { key: *key, digest: batch.digest() },
            Addition::Batch { key, batch } => Added::Batch { key: *key, batch },
            Addition::Quarantined { key, id, element } => {
                Added::Quarantined { key: *key, id: *id, digest: element.digest }
            }
        });
        added.chain(usage.map(Added::Usage))
    }

    fn n_bytes(&self) -> usize {
        self.additions.iter().map(Addition::n_bytes).sum()
    }

    /// Appends its records.
    fn write(&self, records: &mut Records) {
        for addition in &self.additions {
            records.push_with(|bytes| match addition {
                Addition::Batch { batch, .. } => encode_batch(bytes, batch, self.received),
                Addition::Quarantined { id, element, .. } => {
                    encode_quarantined(bytes, *id, element, self.received);
                }
            });
        }
    }
}

impl Writer for EmbeddedWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        self.record_prepared(vec![Prepared::plain(group, received)])
    }

    fn record_prepared(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        if self.is_closed {
            return Err(LedgerError::new(Remedy::Restart, "record in a ledger closed by an earlier failure"));
        }
        self.try_record(requests).inspect_err(|error| self.is_closed = error.remedy() == Remedy::Restart)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        let end = self.journal.end();
        let failed = |error| LedgerError::new(Remedy::Restart, "close the ledger").because(error);
        self.journal.close().map_err(failed)?;
        self.upkeep.close(end).map_err(of_index("close the ledger"))
    }
}

impl Addition {
    fn n_bytes(&self) -> usize {
        match self {
            Self::Batch { batch, .. } => batch.body().len(),
            Self::Quarantined { element, .. } => element.body.len(),
        }
    }
}

/// Parts of a part, none of them over the limit but for one that has a single body.
fn split(mut part: Part) -> Vec<Part> {
    if part.n_bytes() <= GROUP_BYTES_MAX {
        return vec![part];
    }
    let mut pieces = Vec::new();
    while !part.additions.is_empty() {
        let mut n_bytes = 0;
        let fits = |addition: &&Addition| {
            n_bytes += addition.n_bytes();
            n_bytes <= GROUP_BYTES_MAX
        };
        let n_fitting = part.additions.iter().take_while(fits).count().max(1);
        let later = part.additions.split_off(n_fitting);
        let additions = mem::replace(&mut part.additions, later);
        pieces.push(Part { received: part.received, additions, packed: None, usage: None });
    }
    pieces
}

/// How many of the parts go into one group; at least one.
fn n_together(parts: &[Part]) -> usize {
    let mut n_bytes = 0;
    let fits = |part: &&Part| {
        n_bytes += part.n_bytes();
        n_bytes <= GROUP_BYTES_MAX
    };
    parts.iter().take_while(fits).count().max(1)
}

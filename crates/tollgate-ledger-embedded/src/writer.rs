//! The write half.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use tollgate_journal::{GroupPosition, Journal, JournalError, Packed, Packer, Records};
use tollgate_ledger::{Entry, LedgerError, Outcome, Prepared, Received, Remedy, Writer};
use tollgate_rules::Admitted;

use crate::error::{at_append, of_index};
use crate::index::{Added, Adder, Index, Key, KeyMaker, Upkeep};
use crate::plan::{Addition, Additions, Part, Plan, plan};
use crate::prepare::PackedBatches;
use crate::record::{encode_act, encode_batch, encode_quarantined};
use crate::retention::RetentionThread;

/// Bytes of bodies that go into one group of the journal, at most (one body may be longer): a group is held in memory
/// while it is written and read.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Owns the journal.
#[derive(Debug)]
pub(crate) struct EmbeddedWriter {
    /// `None` when all batches are kept whole, or nobody but who opens reduces them.
    retention: Option<RetentionThread>,
    index: Arc<Index>,
    upkeep: Upkeep,
    /// Ends after all that writes to the folder, for it holds the lock.
    journal: Journal,
    /// `None` when nothing is compressed.
    packer: Option<Packer>,
    is_closed: bool,
    /// Kept for their memory.
    records: Records,
}

impl EmbeddedWriter {
    pub(crate) fn new(
        journal: Journal,
        index: Arc<Index>,
        upkeep: Upkeep,
        retention: Option<RetentionThread>,
        packer: Option<Packer>,
    ) -> Self {
        Self { retention, index, upkeep, journal, packer, is_closed: false, records: Records::default() }
    }

    fn try_record(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        let failed = of_index("make room for new ids in memory");
        self.upkeep.make_room().map_err(failed)?;
        let Plan { outcomes, parts } = plan(&self.index, requests)?;
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let mut parts: Vec<Part> = parts.flat_map(Part::split).collect();
        while !parts.is_empty() {
            let later = parts.split_off(n_together(&parts));
            self.commit(mem::replace(&mut parts, later))?;
        }
        Ok(outcomes)
    }

    /// Makes what `parts` add durable, then known.
    fn commit(&mut self, parts: Vec<Part>) -> Result<(), LedgerError> {
        let n_records = parts.iter().map(Part::n_records).sum();
        // IMPORTANT: the index learns of a batch only after its sync: whoever finds an id there acknowledges it.
        let group = self.append(&parts).map_err(at_append(n_records))?;
        let keys = &self.index.keys;
        self.index
            .add(group.sequence, parts.into_iter().flat_map(|part| part.into_added(keys)))
            .expect("the plan was made with this index, which nobody else adds to");
        self.upkeep.look_after(self.journal.end());
        Ok(())
    }

    fn append(&mut self, parts: &[Part]) -> Result<GroupPosition, JournalError> {
        self.records.clear();
        if let (Some(packer), true) = (&mut self.packer, parts.iter().any(Part::is_packed)) {
            let packed = pack(parts, &mut self.records, packer);
            return self.journal.append_packed(&packed);
        }
        parts.iter().for_each(|part| part.write(&mut self.records));
        self.journal.append(&self.records)
    }
}

/// What was compressed before as it is, and the rest likewise, in one order.
fn pack<'a>(parts: &'a [Part], records: &mut Records, packer: &mut Packer) -> Vec<Cow<'a, Packed>> {
    let mut packed = Vec::with_capacity(parts.len());
    let mut pack_rest = |records: &mut Records, packed: &mut Vec<Cow<'a, Packed>>| {
        if !records.is_empty() {
            packed.push(Cow::Owned(packer.pack_records(records)));
            records.clear();
        }
    };
    for part in parts {
        match &part.additions {
            Additions::Packed(batches) => {
                pack_rest(records, &mut packed);
                packed.push(Cow::Borrowed(&batches.records));
            }
            Additions::Some(_) => part.write(records),
        }
    }
    pack_rest(records, &mut packed);
    packed
}

impl Part {
    fn is_packed(&self) -> bool {
        matches!(self.additions, Additions::Packed(_))
    }

    fn is_empty(&self) -> bool {
        self.n_records() == 0
    }

    fn n_records(&self) -> usize {
        match &self.additions {
            Additions::Packed(batches) => batches.ids.len(),
            Additions::Some(additions) => additions.iter().map(Addition::n_records).sum(),
        }
    }

    fn n_bytes(&self) -> usize {
        match &self.additions {
            Additions::Packed(batches) => batches.records.n_bytes(),
            Additions::Some(additions) => additions.iter().map(Addition::n_bytes).sum(),
        }
    }

    /// Appends the records of what is not packed.
    fn write(&self, records: &mut Records) {
        let Additions::Some(additions) = &self.additions else { return };
        for addition in additions {
            match addition {
                Addition::Batch { batch, .. } => {
                    records.push_with(|bytes| encode_batch(bytes, batch, self.received));
                }
                Addition::Quarantined { id, element, .. } => {
                    records.push_with(|bytes| encode_quarantined(bytes, *id, element, self.received));
                }
                Addition::Act { act, batch } => {
                    if let Some((_, batch)) = batch {
                        records.push_with(|bytes| encode_batch(bytes, batch, self.received));
                    }
                    records.push_with(|bytes| encode_act(bytes, act, self.received));
                }
            }
        }
    }

    /// What the index learns of it, in the order of the records.
    fn into_added(self, keys: &KeyMaker) -> Vec<Added> {
        let additions = match self.additions {
            Additions::Packed(PackedBatches { ids, usage, .. }) => {
                return vec![Added::Ids(ids), Added::Usage(usage)];
            }
            Additions::Some(additions) => additions,
        };
        let (mut added, mut adder) = (Vec::with_capacity(additions.len() + 1), Adder::default());
        let mut batch_added = |key: Key, batch: &Admitted| {
            adder.add(keys, batch);
            Added::Id { key, digest: batch.digest() }
        };
        for addition in additions {
            match addition {
                Addition::Batch { key, batch } => added.push(batch_added(key, &batch)),
                Addition::Quarantined { key, id, element } => {
                    added.push(Added::Quarantined { key, id, digest: element.digest });
                }
                Addition::Act { act, batch } => {
                    added.extend(batch.map(|(key, batch)| batch_added(key, &batch)));
                    added.push(Added::Act(act));
                }
            }
        }
        added.push(Added::Usage(adder.finish()));
        added
    }

    /// Parts of it, none of them over the limit but for one that has a single body or was packed as one.
    fn split(self) -> Vec<Self> {
        let received = self.received;
        match self.additions {
            Additions::Some(additions) if GROUP_BYTES_MAX < additions.iter().map(Addition::n_bytes).sum() => {
                let parts = split(additions).into_iter();
                parts.map(|some| Self { received, additions: Additions::Some(some) }).collect()
            }
            additions => vec![Self { received, additions }],
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
        drop(self.retention);
        // The journal ends after all that writes to the folder, for it holds the lock.
        let indexed = self.upkeep.close(self.journal.end());
        let failed = |error| LedgerError::new(Remedy::Restart, "close the ledger").because(error);
        self.journal.close().map_err(failed)?;
        indexed.map_err(of_index("close the ledger"))
    }
}

impl Addition {
    fn n_records(&self) -> usize {
        match self {
            Self::Act { batch: Some(_), .. } => 2,
            Self::Batch { .. } | Self::Quarantined { .. } | Self::Act { batch: None, .. } => 1,
        }
    }

    /// Of its body; an act has little more than that of its batch.
    fn n_bytes(&self) -> usize {
        match self {
            Self::Act { batch, .. } => batch.as_ref().map_or(0, |(_, batch)| batch.body().len()),
            Self::Batch { batch, .. } => batch.body().len(),
            Self::Quarantined { element, .. } => element.body.len(),
        }
    }
}

fn split(mut additions: Vec<Addition>) -> Vec<Vec<Addition>> {
    let mut pieces = Vec::new();
    while !additions.is_empty() {
        let mut n_bytes = 0;
        let fits = |addition: &&Addition| {
            n_bytes += addition.n_bytes();
            n_bytes <= GROUP_BYTES_MAX
        };
        let n_fitting = additions.iter().take_while(fits).count().max(1);
        let later = additions.split_off(n_fitting);
        pieces.push(mem::replace(&mut additions, later));
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

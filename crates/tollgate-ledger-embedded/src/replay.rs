//! Building the index from the journal.

use std::sync::Arc;

use tollgate_journal::{Checkpoint, Disk, Group, JournalError, Progress, Tail, Visitor};
use tollgate_ledger::{LedgerError, Remedy, chain};
use tollgate_rules::{Admitted, Digest, RecoverError};
use tracing::warn;

use crate::error::{Unusable, of_index, unusable};
use crate::index::{Added, Adder, Contradiction, Index, Key, KeyMaker, Upkeep, UpkeepMode};
use crate::record::{Record, SetAside};

/// The folder of the index, in that of the ledger.
pub(crate) const INDEX: &str = "index";

/// Opens the index, and adds to it what the journal holds beyond it, while the journal is opened.
pub(crate) struct Replay<'a, P> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) mode: UpkeepMode,
    pub(crate) run_entries: usize,
    pub(crate) free_bytes_min: u64,
    pub(crate) progress: P,
    pub(crate) index: Option<(Arc<Index>, Upkeep)>,
    /// Behind the group that was shown last.
    pub(crate) last: Option<Checkpoint>,
}

/// Why the journal was not opened.
pub(crate) enum OpenFailure {
    Journal(JournalError),
    Ledger(LedgerError),
}

impl From<JournalError> for OpenFailure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<LedgerError> for OpenFailure {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl<P> Replay<'_, P> {
    fn folder(&self) -> Result<Arc<dyn Disk>, LedgerError> {
        self.disk.subfolder(INDEX).map_err(|error| {
            let step = format!("open the folder {}", self.disk.folder().join(INDEX).display());
            LedgerError::new(Remedy::Restart, step).because(error)
        })
    }

    /// Begins with an index that covers nothing.
    fn create(&mut self) -> Result<(), LedgerError> {
        // IMPORTANT: the one before it ends first. Its threads write to the same folder, and a checkpoint of theirs must not
        // come after what is there was removed.
        self.index = None;
        let index = Index::create(self.folder()?).map_err(of_index("make an index"))?;
        self.keep(index)
    }

    fn keep(&mut self, index: Index) -> Result<(), LedgerError> {
        let index = Arc::new(index);
        let upkeep = Upkeep::start(index.clone(), self.mode, self.run_entries, self.free_bytes_min);
        let failed = |error| LedgerError::new(Remedy::Restart, "start a thread for the index").because(error);
        self.index = Some((index, upkeep.map_err(failed)?));
        Ok(())
    }
}

impl<P: FnMut(Progress)> Visitor for Replay<'_, P> {
    type Error = OpenFailure;

    fn resume(&mut self) -> Result<Option<Checkpoint>, OpenFailure> {
        match Index::open(self.folder()?) {
            Ok(Some((index, checkpoint))) => {
                self.keep(index)?;
                return Ok(Some(checkpoint));
            }
            Ok(None) => {}
            Err(error) if error.is_damage() => {
                warn!(error = %chain(&error), "the index is of no use, and is made anew from the journal");
            }
            Err(error) => return Err(of_index("open the index")(error).into()),
        }
        self.create()?;
        Ok(None)
    }

    fn visit(&mut self, group: &Group, progress: Progress) -> Result<(), OpenFailure> {
        let (index, upkeep) =
            self.index.as_ref().expect("the index is opened before the first group is shown");
        // IMPORTANT: only what has a group behind it is known to be durable. The last group is made durable after the walk, and
        // a checkpoint that covered it would outlive it.
        if let Some(durable) = self.last.replace(group.checkpoint()) {
            upkeep.look_after(durable);
        }
        match upkeep.make_room() {
            // Opening must not need room on the disk: what is read then takes memory.
            Err(error) if error.may_pass() => {}
            room => room.map_err(of_index("write the index"))?,
        }
        replay(index, group)?;
        (self.progress)(progress);
        Ok(())
    }

    fn before_cut(&mut self, tail: &Tail) {
        // Logged here and not by the caller: should this process not come so far as to give its report, nothing
        // else would show that something was cut off.
        warn!(
            segment = format_args!("{:016x}", tail.segment),
            offset = tail.offset,
            n_bytes = tail.bytes,
            fault = %tail.fault,
            "cutting off the end of the journal: a group whose writing never ended, and that was never acknowledged"
        );
    }
}

/// What a record adds to the index.
pub(crate) struct Addition {
    /// Of a batch or an element, which has to be new.
    pub(crate) id: Option<(Key, Digest)>,
    pub(crate) added: Added,
    /// Of a batch, or of what is left of it.
    pub(crate) batch: Option<Admitted>,
}

impl Addition {
    /// Of a record.
    pub(crate) fn of(keys: &KeyMaker, record: &Record<'_>) -> Result<Self, RecoverError> {
        Ok(match record {
            Record::Batch { body, .. } => {
                let batch = Admitted::from_canonical(body)?;
                let digest = batch.digest();
                Self::of_batch(keys, batch, digest)
            }
            // It has another digest than what is left of it.
            Record::Reduced { digest, body, .. } => {
                Self::of_batch(keys, Admitted::from_canonical(body)?, *digest)
            }
            Record::Quarantined(element) => {
                let SetAside { id, digest, .. } = *element;
                let key = keys.element_with(element.model_uuid, element.batch_uuid, digest);
                let added = Added::Quarantined { key, id, digest };
                Self { id: Some((key, digest)), added, batch: None }
            }
            Record::Act { act, .. } => Self { id: None, added: Added::Act(act.clone()), batch: None },
        })
    }

    fn of_batch(keys: &KeyMaker, batch: Admitted, digest: Digest) -> Self {
        let key = keys.batch(batch.id());
        Self { id: Some((key, digest)), added: Added::Id { key, digest }, batch: Some(batch) }
    }
}

/// What the index is told of additions, in their order.
pub(crate) fn added(keys: &KeyMaker, additions: Vec<Addition>) -> impl Iterator<Item = Added> {
    let mut adder = Adder::default();
    additions.iter().filter_map(|addition| addition.batch.as_ref()).for_each(|batch| adder.add(keys, batch));
    additions.into_iter().map(|addition| addition.added).chain([Added::Usage(adder.finish())])
}

fn decode(keys: &KeyMaker, record: &[u8]) -> Result<Addition, Unusable> {
    Ok(Addition::of(keys, &Record::decode(record)?)?)
}

/// Adds the records of a durable group to the index.
pub(crate) fn replay(index: &Index, group: &Group) -> Result<(), LedgerError> {
    let decoded = group
        .records()
        .map(|(position, bytes)| decode(&index.keys, bytes).map_err(|why| unusable(position, why)));
    let additions = decoded.collect::<Result<Vec<_>, _>>()?;
    let ids = additions.iter().zip(group.records());
    let ids = ids.filter_map(|(addition, (position, _))| addition.id.map(|(key, _)| (key, position)));
    let (keys, positions): (Vec<Key>, Vec<_>) = ids.unzip();
    let known = index.find_all(&keys).map_err(of_index("read the index"))?;
    if let Some(at) = known.iter().position(Option::is_some) {
        return Err(unusable(positions[at], Contradiction::RecordedTwice.into()));
    }
    let added = index.add(group.position().sequence, added(&index.keys, additions));
    added.map_err(|(position, why)| unusable(position, why.into()))
}

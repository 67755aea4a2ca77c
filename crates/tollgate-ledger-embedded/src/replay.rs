//! Building the index from the journal.

use std::sync::Arc;

use tollgate_journal::{Checkpoint, Disk, Group, JournalError, Progress, Tail, Visitor};
use tollgate_ledger::{LedgerError, Remedy, chain};
use tollgate_rules::Admitted;
use tracing::{info, warn};

use crate::error::{Unusable, of_index, unusable};
use crate::index::{Added, Contradiction, Index, Key, Upkeep, UpkeepMode};
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

    fn start_over(&mut self) -> Result<(), OpenFailure> {
        info!("the index is not of this journal as it is, and is made anew from it");
        Ok(self.create()?)
    }

    fn visit(&mut self, group: &Group, progress: Progress) -> Result<(), OpenFailure> {
        let (index, upkeep) =
            self.index.as_ref().expect("the index is opened before the first group is shown");
        upkeep.make_room().map_err(of_index("write the index"))?;
        replay(index, group)?;
        upkeep.look_after(group.checkpoint());
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

/// What the records of a group add to the index, each with the key that has to be new.
fn decode(index: &Index, group: &Group) -> Result<Vec<(Key, Added)>, LedgerError> {
    let decode = |bytes| -> Result<(Key, Added), Unusable> {
        Ok(match Record::decode(bytes)? {
            Record::Batch { body, .. } => {
                let batch = Admitted::from_canonical(body)?;
                let key = index.keys.batch(batch.id());
                (key, Added::Batch { key, batch })
            }
            Record::Quarantined(element) => {
                let SetAside { id, digest, .. } = element;
                let key = index.keys.element_with(element.model_uuid, element.batch_uuid, digest);
                (key, Added::Quarantined { key, id, digest })
            }
        })
    };
    group.records().map(|(position, bytes)| decode(bytes).map_err(|why| unusable(position, why))).collect()
}

/// Adds the records of a durable group to the index.
pub(crate) fn replay(index: &Index, group: &Group) -> Result<(), LedgerError> {
    let (keys, added): (Vec<Key>, Vec<Added>) = decode(index, group)?.into_iter().unzip();
    let known = index.find_all(&keys).map_err(of_index("read the index"))?;
    for (known, (position, _)) in known.into_iter().zip(group.records()) {
        if known.is_some() {
            return Err(unusable(position, Contradiction::RecordedTwice.into()));
        }
    }
    let added = index.add(group.position().sequence, added.into_iter());
    added.map_err(|(position, why)| unusable(position, why.into()))
}

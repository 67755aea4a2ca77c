//! A ledger that is moved into another one: everything it holds, in order, and its answers to compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tollgate_journal::{Checkpoint, Claim, Disk, Group, Groups, JournalError, Progress, RealDisk};
use tollgate_ledger::{
    Act, LedgerError, Mark, Moved, MovedBatch, MovedElement, MovedGroups, Reader, Remedy, chain,
};
use tollgate_rules::{Admitted, BatchId};
use tracing::warn;

use crate::act::StoredAct;
use crate::error::{Unusable, at_open, at_read, groups_missing, of_index, unusable};
use crate::index::{Index, Upkeep, UpkeepMode};
use crate::open::{Options, existing_folder, open_to_read};
use crate::reader::EmbeddedReader;
use crate::record::{Record, SetAside};
use crate::replay::replay;
use crate::verify::stored_index;

/// Whole groups are given together until they are so many records, or so many bytes of them.
const CHUNK_RECORDS: usize = 5_000;
const CHUNK_BYTES: usize = 16 << 20;

/// A ledger in a folder, locked as long as there is this, and not changed.
#[derive(Debug)]
pub struct Source {
    journal: tollgate_journal::Reader,
    index: Arc<Index>,
    end: Checkpoint,
    _claim: Claim,
    /// Of an index that was made for this alone.
    _folder: Option<TempDir>,
}

impl Source {
    /// Opens the ledger in `dir`, which nobody may have open. What its index does not cover is read from the journal; without an
    /// index all of it is, into one in the folder for temporary files.
    ///
    /// # Errors
    ///
    /// [`Remedy::Retry`] while another process has it; or when there is no ledger in the folder, it is damaged or cannot be read.
    pub fn open(dir: impl AsRef<Path>, progress: impl FnMut(Progress)) -> Result<Self, LedgerError> {
        Self::open_disk(&existing_folder(dir.as_ref())?, progress)
    }

    /// As [`Source::open`], on any disk.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    pub fn open_disk(disk: &Arc<dyn Disk>, mut progress: impl FnMut(Progress)) -> Result<Self, LedgerError> {
        let step = || format!("open the ledger in {} to move it", disk.folder().display());
        let journal = open_to_read(disk.clone())?;
        let claim = Claim::take(disk.clone()).map_err(at_open(step()))?;
        let Begun { index, covered, upkeep, folder } = Begun::of(disk)?;
        let n_bytes_total = journal.n_bytes().map_err(at_read(step()))?;
        let mut groups = journal.groups_after(&covered).map_err(|error| match error {
            JournalError::UnknownCheckpoint { sequence, .. } => groups_missing(step(), sequence, None),
            error => at_read(step())(error),
        })?;
        while let Some(group) = groups.next().transpose().map_err(at_read(step()))? {
            if let Some(upkeep) = &upkeep {
                upkeep.make_room().map_err(of_index("write an index to compare with"))?;
            }
            replay(&index, &group)?;
            if let Some(upkeep) = &upkeep {
                upkeep.look_after(group.checkpoint());
            }
            progress(Progress { n_bytes: groups.n_bytes(), n_bytes_total });
        }
        let end = groups.checkpoint();
        Ok(Self { journal, index, end, _claim: claim, _folder: folder })
    }

    /// Answers about all that it holds.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(EmbeddedReader::new(self.journal.clone(), self.index.clone()))
    }

    /// The users that were declared, by model.
    #[must_use]
    pub fn users(&self) -> BTreeMap<Box<str>, Box<str>> {
        self.index.with_facts(|facts| facts.acts.users().clone())
    }

    /// The ids of the credentials that were revoked.
    #[must_use]
    pub fn revoked(&self) -> BTreeSet<Box<str>> {
        self.index.with_facts(|facts| facts.acts.revoked().clone())
    }

    /// Behind the last group.
    #[must_use]
    pub fn end(&self) -> Mark {
        mark(self.end)
    }

    /// Everything behind `mark`, or from the beginning on. `None` when the mark is not of this ledger.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read there.
    pub fn groups_after(&self, mark: Option<Mark>) -> Result<Option<SourceGroups>, LedgerError> {
        let Mark { sequence, chain } = mark.unwrap_or(Mark { sequence: 0, chain: [0; 32] });
        match self.journal.groups_after(&Checkpoint { sequence, chain }) {
            Ok(groups) => Ok(Some(SourceGroups { groups, is_finished: false })),
            Err(JournalError::UnknownCheckpoint { .. }) => Ok(None),
            Err(error) => Err(at_read("read what is to be moved")(error)),
        }
    }
}

/// An index, and up to where it covers the journal.
struct Begun {
    index: Arc<Index>,
    covered: Checkpoint,
    /// Of one that is made anew. The one that is stored is not written to.
    upkeep: Option<Upkeep>,
    folder: Option<TempDir>,
}

impl Begun {
    fn of(disk: &Arc<dyn Disk>) -> Result<Self, LedgerError> {
        match stored_index(disk) {
            Ok(Some((index, covered))) => {
                return Ok(Self { index: Arc::new(index), covered, upkeep: None, folder: None });
            }
            Ok(None) => {}
            Err(error) => {
                warn!(error = %chain(&error), "the index is of no use, and one is made from the journal");
            }
        }
        let failed = |error| {
            let step = format!("make an index in {}", std::env::temp_dir().display());
            LedgerError::new(Remedy::Retry, step).because(error)
        };
        let folder = tempfile::Builder::new().prefix("tollgate-move-").tempdir().map_err(failed)?;
        let space = Arc::new(RealDisk::open(folder.path()).map_err(failed)?);
        let index = Arc::new(Index::create(space).map_err(of_index("make an index to compare with"))?);
        let upkeep = Upkeep::start(index.clone(), UpkeepMode::Inline, Options::default().run_ids, 0);
        let covered = Checkpoint { sequence: 0, chain: [0; 32] };
        Ok(Self { index, covered, upkeep: Some(upkeep.map_err(failed)?), folder: Some(folder) })
    }
}

/// The groups of a ledger, some at a time. Ends after an error.
#[derive(Debug)]
pub struct SourceGroups {
    groups: Groups,
    is_finished: bool,
}

impl SourceGroups {
    fn some(&mut self) -> Result<Option<MovedGroups>, LedgerError> {
        let mut records = Vec::new();
        let mut n_bytes = 0;
        while records.len() < CHUNK_RECORDS && n_bytes < CHUNK_BYTES {
            let next = self.groups.next().transpose().map_err(at_read("read what is to be moved"))?;
            let Some(group) = next else {
                self.is_finished = true;
                break;
            };
            n_bytes += group.records().map(|(_, record)| record.len()).sum::<usize>();
            add(&mut records, &group)?;
        }
        let end = mark(self.groups.checkpoint());
        Ok((!records.is_empty()).then_some(MovedGroups { records, end }))
    }
}

impl Iterator for SourceGroups {
    type Item = Result<MovedGroups, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        let some = self.some();
        self.is_finished |= some.is_err();
        some.transpose()
    }
}

fn add(records: &mut Vec<Moved>, group: &Group) -> Result<(), LedgerError> {
    for (position, bytes) in group.records() {
        let record = Record::decode(bytes).map_err(Unusable::from).and_then(moved);
        records.push(record.map_err(|why| unusable(position, why))?);
    }
    Ok(())
}

fn moved(record: Record<'_>) -> Result<Moved, Unusable> {
    Ok(match record {
        Record::Batch { received, body } => {
            let batch = Admitted::from_canonical(body)?;
            Moved::Batch(MovedBatch { digest: batch.digest(), batch, is_reduced: false, received })
        }
        Record::Reduced { received, digest, body } => {
            let batch = Admitted::from_canonical(body)?;
            Moved::Batch(MovedBatch { digest, batch, is_reduced: true, received })
        }
        Record::Quarantined(element) => {
            let SetAside { id, received, digest, model_uuid, batch_uuid, unit_name, code, reason, body } =
                element;
            Moved::Quarantined(MovedElement {
                quarantine_id: id,
                id: BatchId { model_uuid: model_uuid.into(), batch_uuid: batch_uuid.into() },
                digest,
                unit_name: unit_name.into(),
                code: code.into(),
                reason: reason.into(),
                received,
                body: body.into(),
            })
        }
        Record::Act { act, .. } => Moved::Act(match act {
            StoredAct::SetStatus(status) => Act::SetStatus(status),
            StoredAct::ClearStatus { model_uuid, unit_name } => Act::ClearStatus { model_uuid, unit_name },
            StoredAct::Revoke { credential_id } => Act::Revoke { credential_id },
            StoredAct::Declare { model_uuid, user } => Act::Declare { model_uuid, user },
            StoredAct::Release { quarantine_id } => Act::Release { quarantine_id, batch: None },
        }),
    })
}

fn mark(Checkpoint { sequence, chain }: Checkpoint) -> Mark {
    Mark { sequence, chain }
}

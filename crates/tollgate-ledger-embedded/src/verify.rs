//! Proving that a folder holds what was recorded.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tollgate_journal::{Checkpoint, Disk, Group, Progress, RealDisk, Verified};
use tollgate_ledger::{Counts, LedgerError, Remedy};

use crate::error::{at_read, groups_missing, of_index};
use crate::index::{Index, IndexError, Upkeep, UpkeepMode};
use crate::open::{Options, existing_folder, open_to_read};
use crate::replay::{INDEX, replay};

/// What [`verify`] found, all of it intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Of the journal: every frame, checksum and the hash chain.
    pub journal: Verified,
    /// Of its records: every batch can be counted, is canonical JSON, and is there once.
    pub counts: Counts,
    /// Up to which group the stored index was compared with the journal, entry by entry and sum by sum; `None` when there is no
    /// index, and the next start makes one.
    pub index_sequence: Option<u64>,
}

/// Checks the ledger in `dir`, which a collector may have open. Changes nothing.
///
/// An index is made anew from the journal, in the folder for temporary files, and the stored one compared with it: that takes up to
/// 100 bytes a batch there, and 50 for each hour of a series.
///
/// # Errors
///
/// The first damage, with its file and offset; or when the ledger cannot be read.
pub fn verify(dir: impl AsRef<Path>, progress: impl FnMut(Progress)) -> Result<VerifyReport, LedgerError> {
    verify_disk(&existing_folder(dir.as_ref())?, progress)
}

/// As [`verify`], on any disk.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_disk(
    disk: &Arc<dyn Disk>,
    mut progress: impl FnMut(Progress),
) -> Result<VerifyReport, LedgerError> {
    let step = || format!("verify the ledger in {}", disk.folder().display());
    let n_bytes_total = open_to_read(disk.clone())?.n_bytes().map_err(at_read(step()))?;
    let mut check = Check::new(disk)?;
    let mut fault = None;
    let visit = |group: &Group, n_bytes| {
        if fault.is_none() {
            fault = check.visit(group).err();
        }
        progress(Progress { n_bytes, n_bytes_total });
    };
    // Damage of the journal goes before what follows from it.
    let journal = tollgate_journal::verify(disk, visit).map_err(at_read(step()))?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    if let (Some((_, covered)), None) = (&check.stored, check.index_sequence) {
        return Err(groups_missing(step(), covered.sequence, Some(journal.end.sequence)));
    }
    Ok(VerifyReport { journal, counts: check.seen.counts(), index_sequence: check.index_sequence })
}

/// An index made from what the journal is found to hold, and the one that is stored.
struct Check {
    seen: Arc<Index>,
    upkeep: Upkeep,
    stored: Option<(Index, Checkpoint)>,
    index_sequence: Option<u64>,
    /// Removed when this is dropped, and therefore the last.
    _folder: TempDir,
}

impl Check {
    fn new(disk: &Arc<dyn Disk>) -> Result<Self, LedgerError> {
        let failed = |error| {
            let step = format!("make a folder in {}", std::env::temp_dir().display());
            LedgerError::new(Remedy::Retry, step).because(error)
        };
        let folder = tempfile::Builder::new().prefix("tollgate-verify-").tempdir().map_err(failed)?;
        let space: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).map_err(failed)?);
        let stored = stored_index(disk)?;
        let seen = match &stored {
            Some((stored, _)) => Index::create_with_keys(space, stored.keys),
            None => Index::create(space),
        };
        let seen = Arc::new(seen.map_err(of_index("make an index to compare with"))?);
        // Inline, so that it stands still while it is compared.
        let upkeep = Upkeep::start(seen.clone(), UpkeepMode::Inline, Options::default().run_ids, 0);
        Ok(Self { seen, upkeep: upkeep.map_err(failed)?, stored, index_sequence: None, _folder: folder })
    }

    fn visit(&mut self, group: &Group) -> Result<(), LedgerError> {
        let failed = |error| of_index("write an index to compare with")(error);
        self.upkeep.make_room().map_err(failed)?;
        replay(&self.seen, group)?;
        if let Some((stored, covered)) = &self.stored
            && *covered == group.checkpoint()
        {
            if !self.seen.is_equal(stored).map_err(damaged_index)? {
                let step = "compare the index with the journal";
                return Err(LedgerError::new(Remedy::Repair, step).because(NotEqual));
            }
            self.index_sequence = Some(covered.sequence);
        }
        self.upkeep.look_after(group.checkpoint());
        Ok(())
    }
}

/// The index that is stored, if there is one.
pub(crate) fn stored_index(disk: &Arc<dyn Disk>) -> Result<Option<(Index, Checkpoint)>, LedgerError> {
    let failed = |error| LedgerError::new(Remedy::Retry, "open the index").because(error);
    let has_index = disk.list().map_err(failed)?.iter().any(|name| name == INDEX);
    if !has_index {
        return Ok(None);
    }
    Index::open_to_read(&disk.subfolder(INDEX).map_err(failed)?).map_err(damaged_index)
}

fn damaged_index(error: IndexError) -> LedgerError {
    let step = "verify the index (what was recorded is not at risk: stop the collector, remove the folder `index`, and \
                the next start makes it anew)";
    LedgerError::new(Remedy::Repair, step).because(error)
}

#[derive(Debug, thiserror::Error)]
#[error(
    "it holds something else; stop the collector, remove the folder `index`, and the next start makes it anew"
)]
struct NotEqual;

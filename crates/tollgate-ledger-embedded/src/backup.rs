//! Copying a ledger that is in use.

use std::path::Path;
use std::sync::Arc;

use tollgate_journal::{BackedUp, Disk, Progress};
use tollgate_ledger::LedgerError;

use crate::error::at_read;
use crate::open::{existing_folder, open_to_read};
use crate::target::{begin, finish, new_folder};

/// What [`backup`] copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Files, groups, and the end with the hash over all groups: [`crate::verify`] on the copy gives the same.
    pub journal: BackedUp,
    /// Bytes of the copy's files.
    pub n_bytes: u64,
}

/// Copies the ledger in `dir`, which a collector may have open, into the new or empty folder `target`.
///
/// What is copied is all that was recorded up to some moment while this ran, at its end perhaps a group that was just being made
/// durable; each group is checked on the way. The index is not copied: whoever opens the copy makes it anew. A copy that was cut short can be opened by nobody.
///
/// # Errors
///
/// When there is no ledger in `dir`, it is damaged or cannot be read; when `target` holds anything, or cannot be written.
pub fn backup(
    dir: impl AsRef<Path>,
    target: impl AsRef<Path>,
    progress: impl FnMut(Progress),
) -> Result<BackupReport, LedgerError> {
    // First, so that a slip in its name leaves no empty folder.
    let from = existing_folder(dir.as_ref())?;
    open_to_read(from.clone())?;
    backup_disk(&from, &new_folder(target.as_ref())?, progress)
}

/// As [`backup`], on any disks.
///
/// # Errors
///
/// As [`backup`].
pub fn backup_disk(
    from: &Arc<dyn Disk>,
    to: &Arc<dyn Disk>,
    progress: impl FnMut(Progress),
) -> Result<BackupReport, LedgerError> {
    let source = open_to_read(from.clone())?;
    begin(&**to)?;
    let step = || format!("back up the ledger in {} to {}", from.folder().display(), to.folder().display());
    let journal = tollgate_journal::backup(from, to, progress).map_err(at_read(step()))?;
    let copy = tollgate_journal::Reader::open(to.clone()).and_then(|copy| copy.expect_kind(source.kind()));
    let n_bytes = copy.and_then(|copy| copy.n_bytes()).map_err(at_read(step()))?;
    finish(&**to)?;
    Ok(BackupReport { journal, n_bytes })
}

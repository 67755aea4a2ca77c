//! Proving that a folder holds what was recorded.

use std::path::Path;
use std::sync::Arc;

use tollgate_journal::{Disk, Group, Progress, Verified};
use tollgate_ledger::{Counts, LedgerError};

use crate::error::at_read;
use crate::index::Index;
use crate::open::{existing_folder, open_to_read, replay};

/// What [`verify`] found, all of it intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Of the journal: every frame, checksum and the hash chain.
    pub journal: Verified,
    /// Of its records: every batch can be counted, is canonical JSON, and is there once.
    pub counts: Counts,
}

/// Checks the ledger in `dir`, which a collector may have open. Changes nothing.
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
    let mut index = Index::default();
    let mut unusable = None;
    let visit = |group: &Group, n_bytes| {
        if unusable.is_none() {
            unusable = replay(&mut index, group).err();
        }
        progress(Progress { n_bytes, n_bytes_total });
    };
    let journal = tollgate_journal::verify(disk, visit).map_err(at_read(step()))?;
    match unusable {
        None => Ok(VerifyReport { journal, counts: index.counts() }),
        Some(error) => Err(error),
    }
}

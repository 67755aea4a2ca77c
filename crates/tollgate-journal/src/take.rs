//! Taking a folder, so that nobody else writes to it.

use crate::format::LOCK;
use crate::{Disk, Held, JournalError, Lock};

/// Takes the folder of `disk` for this process, until what is given is dropped.
///
/// # Errors
///
/// [`JournalError::InUse`] while somebody has it; or when the disk fails.
pub fn take(disk: &dyn Disk) -> Result<Box<dyn Held>, JournalError> {
    let path = || disk.folder().to_owned();
    match disk.lock(LOCK).map_err(JournalError::disk("lock", path().join(LOCK)))? {
        Lock::Held(lock) => Ok(lock),
        Lock::Taken { pid } => Err(JournalError::InUse { path: path(), pid }),
    }
}

//! Having a journal's folder to oneself over more than one step.

use std::sync::Arc;

use crate::disk::Held;
use crate::format::LOCK;
use crate::{Disk, JournalError, Lock};

/// The folder of a journal, taken for this process until this and its clones are dropped.
#[derive(Debug, Clone)]
pub struct Claim {
    pub(crate) disk: Arc<dyn Disk>,
    _lock: Arc<dyn Held>,
}

impl Claim {
    /// Takes the folder of `disk`.
    ///
    /// # Errors
    ///
    /// [`JournalError::InUse`] while somebody has it; or when the disk fails.
    pub fn take(disk: Arc<dyn Disk>) -> Result<Self, JournalError> {
        let path = disk.folder();
        match disk.lock(LOCK).map_err(JournalError::disk("lock", path.join(LOCK)))? {
            Lock::Held(lock) => Ok(Self { _lock: lock.into(), disk }),
            Lock::Taken { pid } => Err(JournalError::InUse { path: path.into(), pid }),
        }
    }
}

//! A folder that becomes a ledger as a whole, or not at all: what a backup or a salvage writes to.

use std::path::Path;
use std::sync::Arc;

use tollgate_journal::{Disk, RealDisk};
use tollgate_ledger::{LedgerError, Remedy};

/// The file that is in the folder as long as it holds only a beginning.
const UNFINISHED: &str = "unfinished";

/// The folder `dir`, made when it is not there.
pub(crate) fn new_folder(dir: &Path) -> Result<Arc<dyn Disk>, LedgerError> {
    let failed =
        |error| LedgerError::new(Remedy::Retry, format!("make the folder {}", dir.display())).because(error);
    Ok(Arc::new(RealDisk::open_or_create(dir).map_err(failed)?))
}

/// Marks the folder, which must hold nothing, as one that nobody may open yet.
pub(crate) fn begin(to: &dyn Disk) -> Result<(), LedgerError> {
    let folder = to.folder().display();
    let failed =
        |error| LedgerError::new(Remedy::Retry, format!("begin a ledger in {folder}")).because(error);
    if let Some(name) = to.list().map_err(failed)?.into_iter().next() {
        let why = format!("it holds {name}; choose a new or empty folder");
        return Err(LedgerError::new(Remedy::Repair, format!("write a ledger to {folder}")).because(why));
    }
    // IMPORTANT: durable before anything else is there.
    to.create(UNFINISHED).map(drop).and_then(|()| to.sync_folder()).map_err(failed)
}

/// Lets the folder be opened: all that belongs there is there, and durable.
pub(crate) fn finish(to: &dyn Disk) -> Result<(), LedgerError> {
    to.remove(UNFINISHED).and_then(|()| to.sync_folder()).map_err(|error| {
        let step = format!("finish the ledger in {}", to.folder().display());
        LedgerError::new(Remedy::Retry, step).because(error)
    })
}

/// Fails when the ledger in the folder is only a beginning.
pub(crate) fn check_finished(disk: &dyn Disk) -> Result<(), LedgerError> {
    let folder = disk.folder().display();
    let failed =
        |error| LedgerError::new(Remedy::Restart, format!("list the files of {folder}")).because(error);
    if !disk.list().map_err(failed)?.iter().any(|name| name == UNFINISHED) {
        return Ok(());
    }
    let why = "a backup or salvage that wrote to it was cut short; remove the folder and begin again";
    Err(LedgerError::new(Remedy::Repair, format!("open the ledger in {folder}")).because(why))
}

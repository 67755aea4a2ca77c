//! The folder is locked as long as anything writes to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Disk, DiskFile, Lock, Room};
use tollgate_ledger_embedded::{EmbeddedLedger, Options};

use crate::common::{batch, entries, received, uuid};

/// Notes how often the disk had been changed when the lock was let go.
#[derive(Debug)]
struct Watched {
    sim: SimDisk,
    disk: Arc<dyn Disk>,
    n_changes_locked: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Guard {
    sim: SimDisk,
    n_changes_locked: Arc<AtomicU64>,
    _lock: Lock,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.n_changes_locked.store(self.sim.n_changes(), Ordering::SeqCst);
    }
}

impl Disk for Watched {
    fn folder(&self) -> &Path {
        self.disk.folder()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_to_read(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn room(&self) -> io::Result<Room> {
        self.disk.room()
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        let lock = self.disk.lock(name)?;
        if let Lock::Taken { .. } = lock {
            return Ok(lock);
        }
        let (sim, n_changes_locked) = (self.sim.clone(), self.n_changes_locked.clone());
        Ok(Lock::Held(Box::new(Guard { sim, n_changes_locked, _lock: lock })))
    }

    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        self.disk.subfolder(name)
    }

    fn salt(&self) -> u64 {
        self.disk.salt()
    }
}

#[test]
fn nothing_is_written_after_the_lock_is_let_go() {
    let sim = SimDisk::new();
    let n_changes_locked = Arc::new(AtomicU64::new(0));
    let disk = Arc::new(Watched {
        sim: sim.clone(),
        disk: sim.shared(),
        n_changes_locked: n_changes_locked.clone(),
    });
    let (mut ledger, _) = EmbeddedLedger::open_disk(disk, Options::for_testing(), |_| {}).expect("open");
    let posted = format!("[{}]", batch("m", &uuid(1), "1"));
    ledger.writer.record(entries(&posted), received()).expect("record");
    let n_changes = sim.n_changes();
    ledger.writer.close().expect("close");
    assert!(n_changes < sim.n_changes(), "closing writes the index");
    assert_eq!(n_changes_locked.load(Ordering::SeqCst), sim.n_changes());
}

//! A disk in memory that can fail, fill up and lose power, for tests.
//!
//! It keeps two images: what calls see, and what is durable. Between them are the writes since the last sync, each
//! of which a power cut may lose, keep or tear at sector borders, in any combination; likewise the creations,
//! renames and removals since the last sync of the folder. A failed sync drops the writes that it should have made
//! durable, while reading goes on to show them: a later sync that succeeds does not bring them back.

mod dice;
mod file;
mod image;
mod names;
mod state;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use dice::Dice;

use super::{Disk, DiskFile, Lock, Room};
use file::SimFile;
use image::{Fate, FileState};
use names::{NameChange, prefix_of};
use state::{OTHER, State, dead, failed};

/// A folder of a disk in memory. Clones are the same folder, and its subfolders are on the same disk: what is counted,
/// fails or loses power is the disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    disk: Arc<Mutex<State>>,
    /// Empty, or the name of a subfolder with `/` behind it, or several.
    prefix: String,
    path: PathBuf,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self { disk: Arc::default(), prefix: String::new(), path: "sim".into() }
    }
}

/// A fault that one call, or each from one on, meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The call is carried out, in part, or not at all, and fails, as does every call after it: the process is dead.
    Death,
    /// The call fails with an I/O error.
    Error,
    /// The call and every changing one after it fail with an I/O error.
    ErrorsFromThereOn,
    /// A write writes half of its bytes and says so; other calls fail with an I/O error.
    Short,
    /// The call does nothing and fails because the disk is full.
    Full,
    /// A write writes half of its bytes and fails because the disk is full; other calls do nothing and fail for it.
    FullInTheMiddle,
    /// The call does nothing and fails because the user has used up its quota.
    OverQuota,
    /// The call does nothing and fails because the process has too many files open.
    TooManyOpen,
}

/// Mistakes of a disk, or of whoever uses it, that tests must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lies {
    /// [`DiskFile::sync_data`] does nothing and says that it did.
    pub skips_sync_data: bool,
    /// [`Disk::sync_folder`] does nothing and says that it did.
    pub skips_sync_folder: bool,
    /// After a failed [`DiskFile::sync_data`] it syncs again, and says what came of that.
    pub retries_failed_sync: bool,
    /// A short write is reported as a whole one.
    pub hides_short_writes: bool,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This disk as a journal wants it.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// How many calls have changed something, or tried to, so far: writes, cuts, syncs, creations, renames,
    /// removals.
    #[must_use]
    pub fn n_changes(&self) -> u64 {
        self.state().n_changes
    }

    /// How many of those were syncs of a file or of the folder.
    #[must_use]
    pub fn n_syncs(&self) -> u64 {
        self.state().n_syncs
    }

    /// Lets the changing call number `n` from now, counted from 1, meet `failure`.
    pub fn fail_at(&self, n: u64, failure: Failure) {
        let mut state = self.state();
        state.failure = Some((state.n_changes + n, failure));
    }

    /// Whether a [`Failure::Death`] has happened.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Makes the disk, or its user, lie from now on.
    pub fn lie(&self, lies: Lies) {
        self.state().lies = lies;
    }

    /// Lets the files take `bytes` in all, or as much as they like.
    pub fn limit(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// How many bytes the files take in all.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Whether the disk says from now on that it has no file left to give.
    pub fn run_out_of_files(&self, is_out_of_files: bool) {
        self.state().is_out_of_files = is_out_of_files;
    }

    /// Lets every further [`Disk::room`] fail.
    pub fn fail_room(&self) {
        self.state().room_fails = true;
    }

    /// The process dies, as by `kill -9`: what it wrote stays, synced or not.
    pub fn kill(&self) {
        self.state().end_life();
    }

    /// The power fails: of what was not synced a choice by `seed` stays.
    pub fn cut_power(&self, seed: u64) {
        let mut dice = Dice(seed);
        let mut state = self.state();
        state.end_life();
        let pending = std::mem::take(&mut state.pending_names);
        let fate = Fate::roll(&mut dice);
        for change in pending {
            if fate.keeps(&mut dice) {
                change.apply(&mut state.durable_names);
            }
        }
        // What is in a folder that is not there cannot be reached.
        let names = state.durable_names.clone();
        state.durable_names.retain(|name, _| {
            let prefix = prefix_of(name);
            prefix.is_empty() || names.contains_key(prefix)
        });
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.cut_power(&mut dice);
        }
    }

    /// The bytes of a file as calls see them.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(&self.at(name)).map(|&file| state.files[file].bytes.clone())
    }

    /// Replaces a file as a fault of the medium or a careless hand would: visible and durable at once.
    pub fn set_contents(&self, name: &str, bytes: &[u8]) {
        self.state().set_contents(&self.at(name), bytes);
    }

    /// Lets every read of any of the bytes `range` of a file fail, as bad sectors do.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn fail_reads(&self, name: &str, range: Range<usize>) {
        let mut state = self.state();
        let file = *state.names.get(&self.at(name)).expect("a file");
        state.files[file].unreadable = range;
    }

    /// Takes a file away as a careless hand would.
    pub fn take_away(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(&self.at(name));
        state.durable_names.remove(&self.at(name));
    }

    /// This folder of a disk with the same files, all of them durable, and none of the faults.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self { disk: Arc::default(), ..self.clone() };
        let state = self.state();
        for (name, &file) in &state.names {
            copy.state().set_contents(name, &state.files[file].bytes);
        }
        drop(state);
        copy
    }

    /// The name of a file in this folder on the disk.
    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere has its own message.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, file: usize) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), file, life: self.state().life })
    }
}

impl Disk for SimDisk {
    fn folder(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.is_dead {
            return Err(dead());
        }
        let names = state.names.keys().filter(|name| prefix_of(name) == self.prefix);
        Ok(names.map(|name| name[self.prefix.len()..].trim_end_matches('/').to_owned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        // Emptying an old file in place or making a new one is the same to whoever looks later.
        let file = state.files.len();
        state.files.push(FileState::default());
        state.change_names(NameChange::Create { name: self.at(name), file })?;
        drop(state);
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        if state.is_dead {
            return Err(dead());
        }
        let file = *state.names.get(&self.at(name)).ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.handle(file))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = *state.names.get(&self.at(from)).ok_or(io::ErrorKind::NotFound)?;
        state.change_names(NameChange::Rename { from: self.at(from), to: self.at(to), file })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(&self.at(name)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(NameChange::Remove { name: self.at(name) })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.state().sync_folder(&self.prefix)
    }

    fn room(&self) -> io::Result<Room> {
        let state = self.state();
        if state.is_dead {
            return Err(dead());
        }
        if state.room_fails {
            return Err(failed(OTHER));
        }
        let capacity = state.capacity_bytes.unwrap_or(u64::MAX);
        let free_bytes = capacity.saturating_sub(state.used_bytes());
        Ok(Room { free_bytes, is_out_of_files: state.is_out_of_files })
    }

    fn lock(&self, _name: &str) -> io::Result<Lock> {
        let mut state = self.state();
        if state.is_dead {
            return Err(dead());
        }
        if !state.locked.insert(self.prefix.clone()) {
            return Ok(Lock::Taken { pid: Some(std::process::id()) });
        }
        let life = state.life;
        drop(state);
        Ok(Lock::Held(Box::new(SimLock { disk: self.clone(), life })))
    }

    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        let prefix = format!("{}/", self.at(name));
        let mut state = self.state();
        if !state.names.contains_key(&prefix) {
            let file = state.files.len();
            state.files.push(FileState::default());
            state.change_names(NameChange::Create { name: prefix.clone(), file })?;
        }
        // Also when it was there: whoever made it may have died before this.
        state.sync_folder(&self.prefix)?;
        drop(state);
        Ok(Arc::new(Self { disk: self.disk.clone(), prefix, path: self.path.join(name) }))
    }

    fn salt(&self) -> u64 {
        let mut state = self.state();
        state.n_salts += 1;
        Dice(state.n_salts).roll()
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locked.remove(&self.disk.prefix);
        }
    }
}

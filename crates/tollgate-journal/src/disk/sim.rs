//! A disk in memory that can fail, fill up and lose power, for tests.
//!
//! It keeps two images: what calls see, and what is durable. Between them are the writes since the last sync, each
//! of which a power cut may lose, keep or tear at sector borders, in any combination; likewise the creations,
//! renames and removals since the last sync of the folder. A failed sync drops the writes that it should have made
//! durable, while reading goes on to show them: a later sync that succeeds does not bring them back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Lock, Room};

/// What a power cut leaves whole or not at all.
const SECTOR_BYTES: usize = 512;

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

#[derive(Debug, Default)]
struct State {
    files: Vec<FileState>,
    /// Name to index in `files`. The name of a file in a subfolder has the subfolder's before it; a subfolder is an empty
    /// file with `/` at the end of its name.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    lies: Lies,
    n_changes: u64,
    n_syncs: u64,
    failure: Option<(u64, Failure)>,
    is_dead: bool,
    /// Grows with each end of the process: handles from before are of no use.
    life: u64,
    /// The prefixes of the folders that are locked.
    locked: BTreeSet<String>,
    capacity_bytes: Option<u64>,
    is_out_of_files: bool,
    room_fails: bool,
    n_salts: u64,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Reading any of these bytes fails.
    unreadable: Range<usize>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

#[derive(Debug, Clone)]
enum NameChange {
    Create { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
}

/// The prefix of the folder that `name` is in.
fn prefix_of(name: &str) -> &str {
    let end = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    &name[..end]
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

/// How a changing call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Succeeds,
    /// Carried out to a part of 0..=256 256ths, then the process is dead.
    Dies(usize),
    WritesHalf,
    WritesHalfAndFails,
    Fails(Refusal),
}

/// Why a call does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Kind(io::ErrorKind),
    TooManyOpen,
}

impl State {
    /// Counts a changing call and says how it goes.
    fn next_course(&mut self) -> Course {
        if self.is_dead {
            return Course::Dies(0);
        }
        self.n_changes += 1;
        let Some((at, failure)) = self.failure else { return Course::Succeeds };
        if self.n_changes < at {
            return Course::Succeeds;
        }
        match failure {
            Failure::ErrorsFromThereOn => return Course::Fails(OTHER),
            _ => self.failure = None,
        }
        match failure {
            Failure::Death => {
                self.is_dead = true;
                let extremes = [0, 256];
                let mut dice = self.dice();
                let part = if dice.flip() { extremes[dice.below(2)] } else { dice.below(257) };
                Course::Dies(part)
            }
            Failure::Error | Failure::ErrorsFromThereOn => Course::Fails(OTHER),
            Failure::Short => Course::WritesHalf,
            Failure::FullInTheMiddle => Course::WritesHalfAndFails,
            Failure::Full => Course::Fails(FULL),
            Failure::OverQuota => Course::Fails(Refusal::Kind(io::ErrorKind::QuotaExceeded)),
            Failure::TooManyOpen => Course::Fails(Refusal::TooManyOpen),
        }
    }

    /// Carries out a change of names, as the course has it.
    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        match self.next_course() {
            Course::Succeeds => {}
            Course::Dies(part) if 128 <= part => {}
            Course::Dies(_) => return Err(dead()),
            Course::WritesHalf => return Err(failed(OTHER)),
            Course::WritesHalfAndFails => return Err(failed(FULL)),
            Course::Fails(refusal) => return Err(failed(refusal)),
        }
        change.apply(&mut self.names);
        self.pending_names.push(change);
        if self.is_dead { Err(dead()) } else { Ok(()) }
    }

    fn sync_file(&mut self, file: usize) -> io::Result<()> {
        self.n_syncs += 1;
        let course = self.next_course();
        let mut dice = self.dice();
        let file = &mut self.files[file];
        match course {
            Course::Succeeds if self.lies.skips_sync_data => Ok(()),
            Course::Succeeds => {
                file.sync();
                Ok(())
            }
            Course::Dies(part) => {
                if 128 <= part {
                    file.sync();
                }
                Err(dead())
            }
            Course::WritesHalf => {
                file.fail_sync(&mut dice);
                Err(failed(OTHER))
            }
            Course::WritesHalfAndFails => {
                file.fail_sync(&mut dice);
                Err(failed(FULL))
            }
            Course::Fails(refusal) => {
                file.fail_sync(&mut dice);
                Err(failed(refusal))
            }
        }
    }

    /// Makes the names in the folder with `prefix` durable.
    fn sync_names(&mut self, prefix: &str) {
        let pending = std::mem::take(&mut self.pending_names);
        let (synced, rest) = pending.into_iter().partition(|change| prefix_of(change.name()) == prefix);
        self.pending_names = rest;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable_names));
    }

    /// A sync of the folder with `prefix`.
    fn sync_folder(&mut self, prefix: &str) -> io::Result<()> {
        self.n_syncs += 1;
        match self.next_course() {
            Course::Succeeds if self.lies.skips_sync_folder => return Ok(()),
            Course::Succeeds => {}
            Course::Dies(part) if 128 <= part => {}
            Course::Dies(_) => return Err(dead()),
            Course::WritesHalf => return Err(failed(OTHER)),
            Course::WritesHalfAndFails => return Err(failed(FULL)),
            Course::Fails(refusal) => return Err(failed(refusal)),
        }
        self.sync_names(prefix);
        if self.is_dead { Err(dead()) } else { Ok(()) }
    }

    fn set_contents(&mut self, name: &str, bytes: &[u8]) {
        let durable = bytes.to_vec();
        self.files.push(FileState { bytes: durable.clone(), durable, ..FileState::default() });
        let file = self.files.len() - 1;
        self.names.insert(name.to_owned(), file);
        self.durable_names.insert(name.to_owned(), file);
    }

    fn end_life(&mut self) {
        self.life += 1;
        self.is_dead = false;
        self.locked.clear();
        self.failure = None;
    }

    /// The same for the same history.
    fn dice(&self) -> Dice {
        Dice(self.n_changes.wrapping_mul(0x9E37_79B9))
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].bytes.len() as u64).sum()
    }
}

impl FileState {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
        // A length is metadata: what an earlier failed sync dropped reads as zeros.
        self.durable.resize(self.bytes.len(), 0);
    }

    /// The kernel reports the failure and forgets what it could not write.
    fn fail_sync(&mut self, dice: &mut Dice) {
        for change in std::mem::take(&mut self.pending) {
            if dice.below(4) == 0 {
                change.apply(&mut self.durable);
            }
        }
    }

    fn cut_power(&mut self, dice: &mut Dice) {
        let fate = Fate::roll(dice);
        let durable_length = self.durable.len();
        let mut is_cut_to = durable_length;
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Truncate { length } if fate.keeps(dice) => {
                    self.durable.truncate(length);
                    is_cut_to = is_cut_to.min(length);
                }
                Change::Truncate { .. } => {}
                Change::Write { offset, bytes } => {
                    for (start, sector) in sectors(offset, &bytes) {
                        if fate.keeps(dice) {
                            overwrite(&mut self.durable, start, sector);
                        }
                    }
                }
            }
        }
        if fate == Fate::Mixed {
            // The length is written apart from the contents: it may lag behind, or run ahead and show zeros.
            let longest = self.bytes.len().max(self.durable.len());
            if is_cut_to < longest && dice.flip() {
                self.durable.resize(is_cut_to + dice.below(longest - is_cut_to + 1), 0);
            }
        }
        self.bytes = self.durable.clone();
    }
}

/// The parts of a write that a power cut keeps or loses on their own.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = rest.chunks(SECTOR_BYTES).enumerate();
    let rest = rest.map(move |(index, sector)| (offset + first + index * SECTOR_BYTES, sector));
    std::iter::once((offset, head)).chain(rest)
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => overwrite(to, *offset, bytes),
            Self::Truncate { length } => to.resize(*length, 0),
        }
    }
}

impl NameChange {
    /// The name that changes; of a renamed file the new one, which is in the same folder.
    fn name(&self) -> &str {
        match self {
            Self::Create { name, .. } | Self::Remove { name } | Self::Rename { to: name, .. } => name,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

/// What a power cut does to changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    Mixed,
}

impl Fate {
    fn roll(dice: &mut Dice) -> Self {
        [Self::Lost, Self::Kept, Self::Mixed, Self::Mixed][dice.below(4)]
    }

    fn keeps(self, dice: &mut Dice) -> bool {
        match self {
            Self::Lost => false,
            Self::Kept => true,
            Self::Mixed => dice.flip(),
        }
    }
}

/// Random numbers by a seed (splitmix64): the same on every machine and in every version.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 0
    }
}

fn dead() -> io::Error {
    io::Error::other("the simulated process is dead")
}

/// No room.
const FULL: Refusal = Refusal::Kind(io::ErrorKind::StorageFull);

/// An I/O error.
const OTHER: Refusal = Refusal::Kind(io::ErrorKind::Other);

fn failed(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Kind(kind) => io::Error::new(kind, "simulated failure"),
        Refusal::TooManyOpen => rustix::io::Errno::MFILE.into(),
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

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
    life: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.is_dead || state.life != self.life { Err(dead()) } else { Ok(state) }
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        let bytes = &state.files[self.file].bytes;
        let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let n_read = buffer.len().min(bytes.len() - start);
        let unreadable = &state.files[self.file].unreadable;
        if start < unreadable.end && unreadable.start < start + n_read {
            return Err(failed(OTHER));
        }
        buffer[..n_read].copy_from_slice(&bytes[start..start + n_read]);
        Ok(n_read)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<usize> {
        let bytes = parts.concat();
        let mut state = self.state()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let course = state.next_course();
        let mut n_bytes = match course {
            Course::Succeeds => bytes.len(),
            Course::Dies(part) => bytes.len() * part / 256,
            Course::WritesHalf | Course::WritesHalfAndFails => bytes.len() / 2,
            Course::Fails(refusal) => return Err(failed(refusal)),
        };
        if let Some(capacity) = state.capacity_bytes {
            let length = state.files[self.file].bytes.len();
            let free =
                usize::try_from(capacity.saturating_sub(state.used_bytes())).map_err(io::Error::other)?;
            n_bytes = n_bytes.min((length + free).saturating_sub(offset));
            if n_bytes == 0 && !bytes.is_empty() {
                return Err(failed(FULL));
            }
        }
        if 0 < n_bytes {
            state.files[self.file].change(Change::Write { offset, bytes: bytes[..n_bytes].to_vec() });
        }
        match state.is_dead {
            true => Err(dead()),
            false if matches!(course, Course::WritesHalfAndFails) => Err(failed(FULL)),
            false if state.lies.hides_short_writes => Ok(bytes.len()),
            false => Ok(n_bytes),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        match state.next_course() {
            Course::Succeeds => {}
            Course::Dies(part) if 128 <= part => {}
            Course::Dies(_) => return Err(dead()),
            Course::WritesHalf => return Err(failed(OTHER)),
            Course::WritesHalfAndFails => return Err(failed(FULL)),
            Course::Fails(refusal) => return Err(failed(refusal)),
        }
        state.files[self.file].change(Change::Truncate { length });
        if state.is_dead { Err(dead()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let result = state.sync_file(self.file);
        if result.is_err() && state.lies.retries_failed_sync && !state.is_dead {
            return state.sync_file(self.file);
        }
        result
    }
}

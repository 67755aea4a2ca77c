//! A folder on a real file system.

#![expect(clippy::disallowed_methods, reason = "this is the seam that all others are sent to")]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Disk, DiskFile, Lock, Room, Weakness};

/// Files are for their owner alone: a batch carries credentials.
const FILE_MODE: u32 = 0o600;

/// A folder on a real file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    // Kept open: an error of the folder is reported to those who had it open when it happened.
    folder: File,
}

impl RealDisk {
    /// Opens the folder at `path`, which must exist.
    ///
    /// # Errors
    /// When it does not exist, is not a folder, or may not be read.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if !fs::metadata(&path)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
        }
        let folder = File::open(&path)?;
        Ok(Self { path, folder })
    }

    /// Opens the folder at `path`, and makes it first when there is none.
    ///
    /// Only the last part of the path is made: a missing parent is more often a disk that is not mounted than a
    /// wish for a new and empty store.
    ///
    /// # Errors
    /// When it can neither be opened nor made.
    pub fn open_or_create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let was_there = match fs::create_dir(&path) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => true,
            Err(error) => return Err(error),
        };
        // Also when it was there: whoever made it may have died before the next line.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let synced = File::open(parent).and_then(|folder| folder.sync_all());
        check_parent_synced(synced, parent, was_there)?;
        Self::open(path)
    }

    /// Why what is synced may not last in this folder, if the kind of its file system is a reason; for a warning. `None`
    /// also where the kind cannot be told.
    #[must_use]
    pub fn weakness(&self) -> Option<Weakness> {
        #[cfg(target_os = "linux")]
        let number = rustix::fs::fstatfs(&self.folder).ok().map(|figures| figures.f_type as u64);
        #[cfg(not(target_os = "linux"))]
        let number = None;
        // Some kinds have a number that fills 32 bits, which is sign-extended on the way.
        number.and_then(|number| Weakness::of_type(number & 0xFFFF_FFFF))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Disk for RealDisk {
    fn folder(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(RealFile(options.open(self.at(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).open(self.at(name))?)))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(self.at(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    fn room(&self) -> io::Result<Room> {
        let figures = rustix::fs::fstatvfs(&self.folder)?;
        Ok(Room {
            free_bytes: figures.f_bavail.saturating_mul(figures.f_frsize),
            is_out_of_files: 0 < figures.f_files && figures.f_favail == 0,
        })
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        // IMPORTANT: the lock is on the folder, which holds what it protects. A lock on a file in it would be of no
        // use once somebody removed that file: the next process would make and lock another one.
        // Opened anew, because a lock belongs to the open file, and this one has to end when it is dropped.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::openat(&self.folder, ".", flags, Mode::empty())?);
        let path = self.at(name);
        match folder.try_lock() {
            Ok(()) => {
                note_process(&path);
                Ok(Lock::Held(Box::new(folder)))
            }
            Err(TryLockError::WouldBlock) => Ok(Lock::Taken { pid: noted_process(&path) }),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(Self::open_or_create(self.at(name))?))
    }

    fn salt(&self) -> u64 {
        // The standard library's keys against hash flooding: random from the operating system.
        RandomState::new().hash_one(process::id())
    }
}

/// Whether to go on after `parent` was synced or was not.
///
/// A folder that was there already may have been made by an administrator in a parent that others may not read; the
/// name is then the administrator's to keep.
fn check_parent_synced(synced: io::Result<()>, parent: &Path, was_there: bool) -> io::Result<()> {
    match synced {
        Err(error) if was_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => {
            let text = format!("sync the folder {} that it is in: {error}", parent.display());
            Err(io::Error::new(error.kind(), text))
        }
        Ok(()) => Ok(()),
    }
}

/// Writes the id of this process to the file at `path`, for whoever is refused.
///
/// Not being able to, as on a full disk, is no reason not to start.
fn note_process(path: &Path) {
    let mut options = OpenOptions::new();
    let Ok(file) = options.write(true).create(true).truncate(false).mode(FILE_MODE).open(path) else {
        return;
    };
    let pid = process::id().to_string();
    // Written before it is cut: the block that the file has is not given away on a full disk. An id that could not be
    // written must not leave that of an earlier process.
    let length = if file.write_all_at(pid.as_bytes(), 0).is_ok() { pid.len() } else { 0 };
    let _: io::Result<()> = file.set_len(length as u64);
}

/// The id of the process that [`note_process`] was called in, as far as it can be told.
fn noted_process(path: &Path) -> Option<u32> {
    // Longer than any id, and no more: whatever is there is not ours to trust.
    let mut bytes = [0; 16];
    let n_read = File::open(path).ok()?.read_at(&mut bytes, 0).ok()?;
    str::from_utf8(&bytes[..n_read]).ok()?.parse().ok()
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut n_read = 0;
        while n_read < buffer.len() {
            match self.0.read_at(&mut buffer[n_read..], offset + n_read as u64) {
                Ok(0) => break,
                Ok(n) => n_read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(n_read)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<usize> {
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        loop {
            match rustix::io::pwritev(&self.0, &parts, offset) {
                // Nothing was written: a signal came first.
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_may_not_be_read_is_in_the_way_of_a_new_folder_alone() {
        let check = |kind: io::ErrorKind, was_there| {
            check_parent_synced(Err(kind.into()), Path::new("/var/lib"), was_there)
        };
        check(io::ErrorKind::PermissionDenied, true).expect("the folder was there");
        for (kind, was_there) in
            [(io::ErrorKind::PermissionDenied, false), (io::ErrorKind::StorageFull, true)]
        {
            let error = check(kind, was_there).expect_err("not synced");
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().starts_with("sync the folder /var/lib that it is in: "), "{error}");
        }
    }
}

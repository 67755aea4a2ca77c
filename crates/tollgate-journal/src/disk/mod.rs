//! The seam between the journal and the disk: every durability step goes through it.

mod real;
#[cfg(feature = "sim")]
pub mod sim;
mod weakness;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
pub use weakness::Weakness;

/// One folder of files.
///
/// What a call returned without error is visible to later calls at once, and survives the end of the process; it
/// survives a power cut only when the matching sync returned without error too: [`DiskFile::sync_data`] for the
/// contents and length of a file, [`Disk::sync_folder`] for which names exist and which files they mean.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Where the folder is; only for messages.
    fn folder(&self) -> &Path;

    /// The names in the folder, in any order; also those of its subfolders.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, or empties the one that is there, and opens it for reading and writing.
    ///
    /// # Errors
    /// When the file cannot be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when it does not exist, or when it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading only.
    ///
    /// # Errors
    /// `NotFound` when it does not exist, or when it cannot be opened.
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives the file `from` the name `to`, in place of any file of that name.
    ///
    /// # Errors
    /// When it cannot; then nothing has changed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// When it cannot; they may or may not be durable then.
    fn sync_folder(&self) -> io::Result<()>;

    /// How much may still be written.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn room(&self) -> io::Result<Room>;

    /// Takes the folder itself for this process, whatever becomes of the files in it; ends with the process at the latest.
    /// The file `name` only tells who has it.
    ///
    /// # Errors
    /// When the folder cannot be locked for another reason than being locked already.
    fn lock(&self, name: &str) -> io::Result<Lock>;

    /// Opens the folder `name` in this one, and makes it first when there is none. Its name is durable then, as far as
    /// this process is allowed to see to it.
    ///
    /// # Errors
    /// When it can neither be opened nor made.
    fn subfolder(&self, name: &str) -> io::Result<Arc<dyn Disk>>;

    /// A number that nobody can foretell.
    fn salt(&self) -> u64;
}

/// One open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn length(&self) -> io::Result<u64>;

    /// Reads into `buffer` from `offset`; fewer bytes than asked for, down to none, only at the end of the file.
    ///
    /// # Errors
    /// When the disk does not give the bytes.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes `parts` one after the other from `offset` on, in one call, and says how many of their bytes were written;
    /// may be fewer than asked for.
    ///
    /// # Errors
    /// When none were written.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<usize>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// When it cannot.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes the file's contents and length durable.
    ///
    /// # Errors
    /// When it cannot. What was written since the last sync is then lost for good, in part or as a whole, even
    /// when reading still shows it and even when a later sync succeeds.
    fn sync_data(&self) -> io::Result<()>;
}

/// How much may still be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this process may still use.
    pub free_bytes: u64,
    /// Whether the file system has no file (no inode) left to give. Some have no fixed number of them; then never.
    pub is_out_of_files: bool,
}

/// What came of trying to take a folder.
#[derive(Debug)]
pub enum Lock {
    /// Ours until this is dropped.
    Held(Box<dyn Held>),
    /// Another process has it.
    Taken {
        /// Its process id, when it can be told.
        pid: Option<u32>,
    },
}

/// A lock that ends when this is dropped.
pub trait Held: fmt::Debug + Send + Sync {}
impl<T: fmt::Debug + Send + Sync> Held for T {}

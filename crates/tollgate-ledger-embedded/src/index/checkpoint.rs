//! What the index holds up to a place in the journal, on the disk.

use tollgate_journal::{Checkpoint, Disk, write_whole};

use super::rollup_run::StatedRollups;
use super::run::Stated;
use super::{Facts, IndexError, KeyMaker};

const NAME: &str = "checkpoint";
/// Under construction.
const NEW_NAME: &str = "new-checkpoint";

const MAGIC: [u8; 9] = *b"\xF5tgindex\n";

/// Of everything in the folder: another one is as good as none.
const VERSION: [u8; 3] = [2, 0, 0];

const HASH_BYTES: usize = 32;

/// All of the index that is not in runs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Stored {
    pub(super) keys: KeyMaker,
    /// Up to where the journal is covered.
    pub(super) sequence: u64,
    pub(super) chain: [u8; 32],
    pub(super) runs: Vec<Stated>,
    pub(super) rollups: Vec<StatedRollups>,
    /// Higher than any run's ever was.
    pub(super) next_run: u64,
    /// [`Facts`], as bytes: they are taken while groups are recorded, and written later.
    pub(super) facts: Vec<u8>,
}

impl Stored {
    /// Of an index of nothing. It is not written before it covers something.
    pub(super) fn new(keys: KeyMaker) -> Self {
        let facts = Facts::default().to_bytes();
        let (runs, rollups) = (Vec::new(), Vec::new());
        Self { keys, sequence: 0, chain: [0; 32], runs, rollups, next_run: 1, facts }
    }

    pub(super) fn journal(&self) -> Checkpoint {
        Checkpoint { sequence: self.sequence, chain: self.chain }
    }
}

/// Reads the checkpoint; `None` when there is none of this version.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<Stored>, IndexError> {
    let file = match disk.open_to_read(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(IndexError::disk("open", NAME)(error)),
    };
    let length = file.length().map_err(IndexError::disk("measure", NAME))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let n_read = file.read_at(&mut bytes, 0).map_err(IndexError::disk("read", NAME))?;
    let bytes = &bytes[..n_read];
    let damaged = || IndexError::Damaged { file: NAME.to_owned(), offset: 0 };
    let versioned = bytes.strip_prefix(&MAGIC).ok_or_else(damaged)?;
    if !versioned.starts_with(&VERSION) && VERSION.len() <= versioned.len() {
        return Ok(None);
    }
    let decode = |versioned: &[u8]| {
        let (content, hash) = versioned.split_last_chunk::<HASH_BYTES>()?;
        let content = content.strip_prefix(&VERSION)?;
        (blake3::hash(content) == *hash).then(|| postcard::from_bytes(content).ok())?
    };
    decode(versioned).map(Some).ok_or_else(damaged)
}

/// Writes `stored`, to be put in the place of the checkpoint before it by [`publish`]. All runs that it states are durable but
/// for their names; those are durable when this returns.
///
/// When it fails nothing has changed.
pub(super) fn write(disk: &dyn Disk, stored: &Stored) -> Result<(), IndexError> {
    try_write(disk, stored).inspect_err(|_| {
        // What a full disk has of it must not be what keeps it full; if it cannot be removed it is written over next time.
        let _: std::io::Result<()> = disk.remove(NEW_NAME);
    })
}

fn try_write(disk: &dyn Disk, stored: &Stored) -> Result<(), IndexError> {
    let content = postcard::to_stdvec(stored).expect("plain data can be written");
    let hash = blake3::hash(&content);
    let parts = [&MAGIC[..], &VERSION, &content, hash.as_bytes()];
    let file = disk.create(NEW_NAME).map_err(IndexError::disk("create", NEW_NAME))?;
    write_whole(&*file, &parts, 0).map_err(IndexError::disk("write", NEW_NAME))?;
    file.sync_data().map_err(IndexError::disk("sync", NEW_NAME))?;
    disk.sync_folder().map_err(IndexError::disk("sync", "the folder"))
}

/// Makes what was written the checkpoint. When it fails it may be or not.
pub(super) fn publish(disk: &dyn Disk) -> Result<(), IndexError> {
    disk.rename(NEW_NAME, NAME).map_err(IndexError::disk("rename", NEW_NAME))?;
    disk.sync_folder().map_err(IndexError::disk("sync", "the folder"))
}

/// Makes the index one that is not there: the next start builds it anew.
pub(super) fn remove(disk: &dyn Disk) -> Result<(), IndexError> {
    match disk.remove(NAME) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| disk.sync_folder()).map_err(IndexError::disk("remove", NAME)),
    }
}

//! A sorted run: a file of entries that never changes, with what is needed to find one of them by reading one block.

use std::sync::Arc;

use tollgate_journal::{Disk, DiskFile};

use super::block::{self, BLOCK_BYTES, BLOCK_ENTRIES, Block, Entry, Known};
use super::file::{CHUNK_BYTES, Output, Tail};
use super::filter::Filter;
use super::pace::Pace;
use super::{IndexError, Key};

const MAGIC: [u8; 8] = *b"\xF5tgrunx\n";
const VERSION: u32 = 1;
const FOOTER_BYTES: usize = 64;

/// One sorted run, open for lookups.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stated: Stated,
    file: Box<dyn DiskFile>,
    /// The first key of each block.
    fences: Vec<u128>,
    filter: Filter,
}

/// What a checkpoint says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Stated {
    /// No other run of this index ever had it.
    pub(super) number: u64,
    /// How many times its entries were merged.
    pub(super) level: u8,
    pub(super) n_entries: u64,
    /// Of all that is not checked with each block.
    checksum: u32,
}

/// The name of run `number`.
pub(super) fn run_name(number: u64) -> String {
    format!("{number:016x}.run")
}

/// Where the parts of a file with so many entries are.
struct Layout {
    n_blocks: u64,
    fences_bytes: u64,
    filter_bytes: u64,
}

impl Layout {
    fn new(n_entries: u64) -> Self {
        let n_blocks = n_entries.div_ceil(BLOCK_ENTRIES as u64);
        Self {
            n_blocks,
            fences_bytes: n_blocks * size_of::<u128>() as u64,
            filter_bytes: Filter::bytes_for(n_entries),
        }
    }

    fn tail_offset(&self) -> u64 {
        self.n_blocks * BLOCK_BYTES as u64
    }
}

fn footer(n_entries: u64, tail_checksum: u32) -> [u8; FOOTER_BYTES] {
    let mut bytes = [0; FOOTER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&n_entries.to_le_bytes());
    bytes[20..24].copy_from_slice(&tail_checksum.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl Run {
    /// Opens a run that a checkpoint states, and reads all but its blocks.
    pub(super) fn open(disk: &dyn Disk, stated: Stated) -> Result<Self, IndexError> {
        let name = run_name(stated.number);
        let file = disk.open_to_read(&name).map_err(IndexError::disk("open", name.as_str()))?;
        let layout = Layout::new(stated.n_entries);
        let mut tail = Tail::new(&*file, &name, layout.tail_offset());
        let mut fences =
            Vec::with_capacity(usize::try_from(layout.n_blocks).expect("fences fit into memory"));
        tail.read(layout.fences_bytes, |bytes| {
            fences.extend(bytes.as_chunks().0.iter().map(|fence| u128::from_le_bytes(*fence)));
        })?;
        let mut filter = Filter::empty();
        tail.read(layout.filter_bytes, |bytes| filter.extend_from_bytes(bytes))?;
        let tail_checksum = tail.checksum;
        let mut found = Vec::new();
        tail.read(FOOTER_BYTES as u64, |bytes| found.extend_from_slice(bytes))?;
        if found != footer(stated.n_entries, tail_checksum) || tail.checksum != stated.checksum {
            return Err(IndexError::Damaged { file: name, offset: layout.tail_offset() });
        }
        Ok(Self { stated, file, fences, filter })
    }

    /// Of its file.
    pub(super) fn n_bytes(&self) -> u64 {
        let layout = Layout::new(self.stated.n_entries);
        layout.tail_offset() + layout.fences_bytes + layout.filter_bytes + FOOTER_BYTES as u64
    }

    /// Appends to `found` those of `places` whose keys in `keys` may be in this run; all others are not. Does not read the disk.
    pub(super) fn may_have(&self, keys: &[Key], places: &[usize], found: &mut Vec<usize>) {
        self.filter.find(keys, places, found);
    }

    /// Looks for a key; reads one block.
    pub(super) fn find(&self, key: Key) -> Result<Option<Known>, IndexError> {
        let Some(number) = self.fences.partition_point(|&fence| fence <= key.0).checked_sub(1) else {
            return Ok(None);
        };
        let mut bytes = [0; BLOCK_BYTES];
        let offset = (number * BLOCK_BYTES) as u64;
        let name = || run_name(self.stated.number);
        let read = self.file.read_at(&mut bytes, offset);
        let n_read = read.map_err(|error| IndexError::disk("read", name())(error))?;
        match Block::decode(&bytes) {
            Some(block) if n_read == BLOCK_BYTES => Ok(block.find(key)),
            _ => Err(IndexError::Damaged { file: name(), offset }),
        }
    }

    /// All entries in the order of their keys.
    pub(super) fn entries(self: &Arc<Self>) -> Entries {
        Entries { run: self.clone(), chunk: Vec::new(), offset: 0, decoded: Vec::new().into_iter() }
    }
}

/// The entries of a run, read in large steps.
#[derive(Debug)]
pub(super) struct Entries {
    run: Arc<Run>,
    chunk: Vec<u8>,
    offset: u64,
    decoded: std::vec::IntoIter<Entry>,
}

impl Entries {
    fn next_chunk(&mut self) -> Result<(), IndexError> {
        let end = Layout::new(self.run.stated.n_entries).tail_offset();
        let n_wanted = usize::try_from(end - self.offset).unwrap_or(usize::MAX).min(CHUNK_BYTES / 4);
        self.chunk.resize(n_wanted, 0);
        let name = || run_name(self.run.stated.number);
        let read = self.run.file.read_at(&mut self.chunk, self.offset);
        let n_read = read.map_err(|error| IndexError::disk("read", name())(error))?;
        self.chunk.truncate(n_read);
        let mut decoded = Vec::with_capacity(self.chunk.len() / BLOCK_BYTES * BLOCK_ENTRIES);
        let (blocks, rest) = self.chunk.as_chunks::<BLOCK_BYTES>();
        for bytes in blocks {
            let Some(block) = Block::decode(bytes) else { break };
            decoded.extend(block.entries());
            self.offset += BLOCK_BYTES as u64;
        }
        if n_read != n_wanted || !rest.is_empty() || decoded.is_empty() != blocks.is_empty() {
            return Err(IndexError::Damaged { file: name(), offset: self.offset });
        }
        self.decoded = decoded.into_iter();
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.decoded.next() {
            return Some(Ok(entry));
        }
        if Layout::new(self.run.stated.n_entries).tail_offset() <= self.offset {
            return None;
        }
        match self.next_chunk() {
            Ok(()) => self.decoded.next().map(Ok),
            Err(error) => {
                self.offset = u64::MAX;
                Some(Err(error))
            }
        }
    }
}

/// Writes a run.
pub(super) struct RunWriter<'a> {
    disk: &'a dyn Disk,
    stated: Stated,
    output: Output<'a>,
    block: Vec<Entry>,
    fences: Vec<u128>,
    filter: Filter,
    n_pushed: u64,
}

impl<'a> RunWriter<'a> {
    /// Begins run `number`, which will have `n_entries`.
    pub(super) fn new(
        disk: &'a dyn Disk,
        number: u64,
        level: u8,
        n_entries: u64,
        pace: &'a Pace<'a>,
    ) -> Result<Self, IndexError> {
        Ok(Self {
            disk,
            stated: Stated { number, level, n_entries, checksum: 0 },
            output: Output::create(disk, run_name(number), pace)?,
            block: Vec::with_capacity(BLOCK_ENTRIES),
            fences: Vec::new(),
            filter: Filter::new(n_entries),
            n_pushed: 0,
        })
    }

    /// Appends an entry, whose key is higher than those before it.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), IndexError> {
        self.filter.insert(entry.0);
        self.block.push(entry);
        self.n_pushed += 1;
        if self.block.len() == BLOCK_ENTRIES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), IndexError> {
        if let Some((first, _)) = self.block.first() {
            self.fences.push(first.0);
            block::encode(&mut self.output.bytes, &self.block);
            self.block.clear();
        }
        self.output.write_if_long()
    }

    /// Ends the run, makes its contents durable and opens it. Its name is not durable before the folder is synced.
    pub(super) fn finish(mut self) -> Result<Run, IndexError> {
        assert_eq!(self.n_pushed, self.stated.n_entries, "a run has as many entries as were announced");
        self.end_block()?;
        let mut put = |checksum: u32, bytes: &[u8]| {
            self.output.bytes.extend_from_slice(bytes);
            self.output.write_if_long().map(|()| crc32c::crc32c_append(checksum, bytes))
        };
        let checksum =
            self.fences.iter().try_fold(0, |checksum, fence| put(checksum, &fence.to_le_bytes()))?;
        let checksum = self.filter.blocks().try_fold(checksum, |checksum, block| put(checksum, &block))?;
        self.stated.checksum = put(checksum, &footer(self.stated.n_entries, checksum))?;
        let name = self.output.end()?;
        let file = self.disk.open_to_read(&name).map_err(IndexError::disk("open", name.as_str()))?;
        Ok(Run { stated: self.stated, file, fences: self.fences, filter: self.filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_journal::sim::SimDisk;
    use tollgate_rules::Digest;

    fn entries(n: u64) -> Vec<Entry> {
        let known = |value| Known { digest: Digest([3; 16]), value };
        (0..n).map(|number| (Key(u128::from(number) << 111), known(number))).collect()
    }

    fn write(disk: &dyn Disk, number: u64, entries: &[Entry]) -> Run {
        let pace = Pace::fastest();
        let mut writer = RunWriter::new(disk, number, 0, entries.len() as u64, &pace).expect("create");
        for &entry in entries {
            writer.push(entry).expect("push");
        }
        writer.finish().expect("finish")
    }

    #[test]
    fn what_was_written_is_found() {
        let disk = SimDisk::new().shared();
        for n in [0, 1, BLOCK_ENTRIES as u64, BLOCK_ENTRIES as u64 + 1, 30_000] {
            let entries = entries(n);
            let written = write(&*disk, n, &entries);
            let run = Arc::new(Run::open(&*disk, written.stated).expect("open"));
            let keys: Vec<Key> = entries.iter().map(|(key, _)| *key).collect();
            let places: Vec<usize> = (0..keys.len()).collect();
            let mut found = Vec::new();
            run.may_have(&keys, &places, &mut found);
            assert_eq!(found, places);
            for (key, known) in &entries {
                assert_eq!(run.find(*key).expect("readable"), Some(*known));
                assert_eq!(run.find(Key(key.0 + 1)).expect("readable"), None);
            }
            let read: Vec<Entry> = run.entries().collect::<Result<_, _>>().expect("readable");
            assert_eq!(read, entries);
        }
    }

    #[test]
    fn a_run_is_the_same_however_slowly_it_is_written() {
        let entries = entries(30_000);
        let written = |is_late: bool| {
            let disk = SimDisk::new();
            let is_late = || is_late;
            let pace = Pace::new(&is_late);
            let mut writer = RunWriter::new(&disk, 1, 0, entries.len() as u64, &pace).expect("create");
            entries.iter().for_each(|&entry| writer.push(entry).expect("push"));
            writer.finish().expect("finish");
            (disk.contents(&run_name(1)), disk.n_syncs())
        };
        let (fast, n_syncs_fast) = written(true);
        let (slow, n_syncs_slow) = written(false);
        assert!(fast.is_some() && fast == slow);
        assert_eq!(n_syncs_fast, 1);
        assert!(4 < n_syncs_slow, "{n_syncs_slow} syncs of more than a megabyte");
    }

    #[test]
    fn every_changed_byte_is_noticed_when_it_matters() {
        let disk = SimDisk::new();
        let entries = entries(250);
        let stated = write(&*disk.shared(), 1, &entries).stated;
        let name = run_name(1);
        let bytes = disk.contents(&name).expect("a file");
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 1 << (byte % 8);
            disk.set_contents(&name, &changed);
            let Ok(run) = Run::open(&*disk.shared(), stated) else { continue };
            let run = Arc::new(run);
            assert!(run.entries().any(|entry| entry.is_err()), "byte {byte}");
            let found = entries.iter().map(|(key, known)| (run.find(*key), known));
            let n_failed = found.filter(|(found, known)| match found {
                Ok(found) => {
                    assert_eq!(*found, Some(**known), "byte {byte}");
                    false
                }
                Err(error) => error.is_damage(),
            });
            assert!(0 < n_failed.count(), "byte {byte}");
        }
        for length in 0..bytes.len() {
            disk.set_contents(&name, &bytes[..length]);
            assert!(Run::open(&*disk.shared(), stated).is_err(), "{length} bytes");
        }
    }
}

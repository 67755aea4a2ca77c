//! A sorted run of rollups: a file that never changes, with what is needed in memory to find some of them without reading the
//! rest.

use std::ops::Range;
use std::sync::Arc;

use tollgate_journal::{Disk, DiskFile};
use tollgate_rules::Rollup;

use super::IndexError;
use super::cell::Cell;
use super::file::{Output, Tail};
use super::pace::Pace;
use super::rollup_block::{self, BLOCK_BYTES, BlockWriter, Cursor};

const MAGIC: [u8; 8] = *b"\xF5tgroll\n";
const VERSION: u32 = 1;
const FOOTER_BYTES: usize = 64;

/// Blocks that are read at once, at most.
const CHUNK_BLOCKS: usize = 64;

/// One run, open for reading.
#[derive(Debug)]
pub(super) struct RollupRun {
    pub(super) stated: StatedRollups,
    file: Box<dyn DiskFile>,
    /// The first cell of each block.
    fences: Vec<u64>,
}

/// What a checkpoint says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct StatedRollups {
    /// No other run of this index ever had it.
    pub(super) number: u64,
    /// How many times its rollups were merged.
    pub(super) level: u8,
    n_rollups: u64,
    n_blocks: u64,
    first_hour: i64,
    last_hour: i64,
    /// Of all that is not checked with each block.
    checksum: u32,
}

/// The name of run `number`.
pub(super) fn rollup_run_name(number: u64) -> String {
    format!("{number:016x}.rollups")
}

fn footer(stated: &StatedRollups, fences_checksum: u32) -> [u8; FOOTER_BYTES] {
    let mut bytes = [0; FOOTER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&stated.n_rollups.to_le_bytes());
    bytes[20..28].copy_from_slice(&stated.n_blocks.to_le_bytes());
    bytes[28..36].copy_from_slice(&stated.first_hour.to_le_bytes());
    bytes[36..44].copy_from_slice(&stated.last_hour.to_le_bytes());
    bytes[44..48].copy_from_slice(&fences_checksum.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl StatedRollups {
    fn new(number: u64, level: u8) -> Self {
        let (first_hour, last_hour) = (i64::MAX, i64::MIN);
        Self { number, level, n_rollups: 0, n_blocks: 0, first_hour, last_hour, checksum: 0 }
    }

    fn tail_offset(&self) -> u64 {
        self.n_blocks * BLOCK_BYTES as u64
    }

    fn fences_bytes(&self) -> u64 {
        self.n_blocks * size_of::<u64>() as u64
    }
}

impl RollupRun {
    /// Opens a run that a checkpoint states, and reads all but its blocks.
    pub(super) fn open(disk: &dyn Disk, stated: StatedRollups) -> Result<Self, IndexError> {
        let name = rollup_run_name(stated.number);
        let file = disk.open_to_read(&name).map_err(IndexError::disk("open", name.as_str()))?;
        let mut tail = Tail::new(&*file, &name, stated.tail_offset());
        let mut fences =
            Vec::with_capacity(usize::try_from(stated.n_blocks).expect("fences fit into memory"));
        tail.read(stated.fences_bytes(), |bytes| {
            fences.extend(bytes.as_chunks().0.iter().map(|fence| u64::from_le_bytes(*fence)));
        })?;
        let fences_checksum = tail.checksum;
        let mut found = Vec::new();
        tail.read(FOOTER_BYTES as u64, |bytes| found.extend_from_slice(bytes))?;
        if found != footer(&stated, fences_checksum) || tail.checksum != stated.checksum {
            return Err(IndexError::Damaged { file: name, offset: stated.tail_offset() });
        }
        Ok(Self { stated, file, fences })
    }

    /// Of its file.
    pub(super) fn n_bytes(&self) -> u64 {
        self.stated.tail_offset() + self.stated.fences_bytes() + FOOTER_BYTES as u64
    }

    /// Shows the rollups of a series in some hours. `bytes` is for its memory alone.
    pub(super) fn read(
        &self,
        series: u32,
        hours: &Range<i64>,
        bytes: &mut Vec<u8>,
        mut show: impl FnMut(i64, &Rollup),
    ) -> Result<(), IndexError> {
        if self.stated.last_hour < hours.start || hours.end <= self.stated.first_hour {
            return Ok(());
        }
        let (from, to) = (Cell::new(series, hours.start), Cell::new(series, hours.end));
        let first = self.fences.partition_point(|&fence| fence <= from.0).saturating_sub(1);
        let last = self.fences.partition_point(|&fence| fence < to.0);
        for start in (first..last).step_by(CHUNK_BLOCKS) {
            let blocks = self.blocks(start..last.min(start + CHUNK_BLOCKS), bytes)?;
            for (number, block) in (start..).zip(blocks) {
                let mut decode = || {
                    let mut cursor = rollup_block::cursor(block)?;
                    while !cursor.is_at_end() {
                        let (cell, encoded) = cursor.next(block)?;
                        if to <= cell {
                            break;
                        }
                        if from <= cell {
                            show(cell.hour(), &rollup_block::decode(cell, encoded)?);
                        }
                    }
                    Some(())
                };
                decode().ok_or_else(|| self.damaged(number))?;
            }
        }
        Ok(())
    }

    fn blocks<'b>(
        &self,
        numbers: Range<usize>,
        bytes: &'b mut Vec<u8>,
    ) -> Result<&'b [[u8; BLOCK_BYTES]], IndexError> {
        let offset = (numbers.start * BLOCK_BYTES) as u64;
        let n_wanted = numbers.len() * BLOCK_BYTES;
        // What was there before is of no use, but making zeros of it would take longer than reading.
        if bytes.len() < n_wanted {
            bytes.resize(n_wanted, 0);
        }
        let bytes = &mut bytes[..n_wanted];
        let read = self.file.read_at(bytes, offset);
        let name = || rollup_run_name(self.stated.number);
        let n_read = read.map_err(|error| IndexError::disk("read", name())(error))?;
        if n_read != n_wanted {
            return Err(self.damaged(numbers.start));
        }
        Ok(bytes.as_chunks().0)
    }

    fn damaged(&self, block: usize) -> IndexError {
        let file = rollup_run_name(self.stated.number);
        IndexError::Damaged { file, offset: (block * BLOCK_BYTES) as u64 }
    }
}

/// The rollups of a run in the order of their cells, read in large steps.
#[derive(Debug)]
pub(super) struct RollupEntries {
    run: Arc<RollupRun>,
    bytes: Vec<u8>,
    /// Which block is the first in `bytes`.
    first: usize,
    /// Which block comes next.
    next: usize,
    /// In the block before that.
    cursor: Cursor,
}

impl RollupEntries {
    pub(super) fn new(run: Arc<RollupRun>) -> Self {
        Self { run, bytes: Vec::new(), first: 0, next: 0, cursor: Cursor::default() }
    }

    /// The cell of the next one, which comes into `rollup` as it is encoded; `None` at the end.
    pub(super) fn next(&mut self, rollup: &mut Vec<u8>) -> Result<Option<Cell>, IndexError> {
        while self.cursor.is_at_end() {
            if self.next == self.run.fences.len() {
                return Ok(None);
            }
            if self.next.is_multiple_of(CHUNK_BLOCKS) {
                self.first = self.next;
                let last = self.run.fences.len().min(self.next + CHUNK_BLOCKS);
                self.run.blocks(self.next..last, &mut self.bytes)?;
            }
            self.next += 1;
            let cursor = rollup_block::cursor(self.block());
            self.cursor = cursor.ok_or_else(|| self.run.damaged(self.next - 1))?;
        }
        let mut cursor = self.cursor;
        let Some((cell, encoded)) = cursor.next(self.block()) else {
            return Err(self.run.damaged(self.next - 1));
        };
        rollup.clear();
        rollup.extend_from_slice(encoded);
        self.cursor = cursor;
        Ok(Some(cell))
    }

    fn block(&self) -> &[u8; BLOCK_BYTES] {
        &self.bytes.as_chunks().0[self.next - 1 - self.first]
    }
}

/// Writes a run.
pub(super) struct RollupWriter<'a> {
    disk: &'a dyn Disk,
    stated: StatedRollups,
    output: Output<'a>,
    block: BlockWriter,
    fences: Vec<u64>,
    encoded: Vec<u8>,
}

impl<'a> RollupWriter<'a> {
    /// Begins run `number`.
    pub(super) fn new(
        disk: &'a dyn Disk,
        number: u64,
        level: u8,
        pace: &'a Pace<'a>,
    ) -> Result<Self, IndexError> {
        Ok(Self {
            disk,
            stated: StatedRollups::new(number, level),
            output: Output::create(disk, rollup_run_name(number), pace)?,
            block: BlockWriter::default(),
            fences: Vec::new(),
            encoded: Vec::new(),
        })
    }

    /// Appends a rollup, whose cell is higher than those before it.
    pub(super) fn push(&mut self, cell: Cell, rollup: &Rollup) -> Result<(), IndexError> {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        rollup.encode(&mut encoded);
        let pushed = self.push_encoded(cell, &encoded);
        self.encoded = encoded;
        pushed
    }

    /// As [`RollupWriter::push`], of one as it is encoded.
    pub(super) fn push_encoded(&mut self, cell: Cell, rollup: &[u8]) -> Result<(), IndexError> {
        if !self.block.push(cell, rollup) {
            self.end_block()?;
            assert!(self.block.push(cell, rollup), "an empty block has room for any rollup");
        }
        if self.fences.len() as u64 == self.stated.n_blocks {
            self.fences.push(cell.0);
        }
        self.stated.n_rollups += 1;
        self.stated.first_hour = self.stated.first_hour.min(cell.hour());
        self.stated.last_hour = self.stated.last_hour.max(cell.hour());
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), IndexError> {
        if !self.block.is_empty() {
            self.block.end(&mut self.output.bytes);
            self.stated.n_blocks += 1;
        }
        self.output.write_if_long()
    }

    /// Ends the run, makes its contents durable and opens it. Its name is not durable before the folder is synced.
    pub(super) fn finish(mut self) -> Result<RollupRun, IndexError> {
        self.end_block()?;
        let mut put = |checksum: u32, bytes: &[u8]| {
            self.output.bytes.extend_from_slice(bytes);
            self.output.write_if_long().map(|()| crc32c::crc32c_append(checksum, bytes))
        };
        let checksum =
            self.fences.iter().try_fold(0, |checksum, fence| put(checksum, &fence.to_le_bytes()))?;
        self.stated.checksum = put(checksum, &footer(&self.stated, checksum))?;
        let name = self.output.end()?;
        let file = self.disk.open_to_read(&name).map_err(IndexError::disk("open", name.as_str()))?;
        Ok(RollupRun { stated: self.stated, file, fences: self.fences })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use tollgate_journal::sim::SimDisk;
    use tollgate_rules::Point;

    type Rollups = BTreeMap<Cell, Rollup>;

    /// Of some series many hours each, with amounts of all lengths.
    fn rollups(n_series: u32, n_hours: i64) -> Rollups {
        let cells = (0..n_series).flat_map(|series| (0..n_hours).map(move |hour| (series * 3, hour - 5)));
        let rollup = |(series, hour): (u32, i64)| {
            let amount = format!("{series}.{hour:02}", hour = hour + 5).parse().expect("a value");
            let point = |second| Point { unix_seconds: hour * 3_600 + second, nanoseconds: 0, amount };
            let mut rollup = Rollup::of(point(0));
            (0..hour % 3).for_each(|second| rollup.add(point(second)));
            (Cell::new(series, hour), rollup)
        };
        cells.map(rollup).collect()
    }

    fn write(disk: &dyn Disk, number: u64, rollups: &Rollups) -> RollupRun {
        let pace = Pace::fastest();
        let mut writer = RollupWriter::new(disk, number, 0, &pace).expect("create");
        rollups.iter().for_each(|(cell, rollup)| writer.push(*cell, rollup).expect("push"));
        writer.finish().expect("finish")
    }

    fn read(run: &RollupRun, series: u32, hours: Range<i64>) -> Result<Rollups, IndexError> {
        let mut found = Rollups::new();
        let show = |hour, rollup: &Rollup| {
            assert_eq!(found.insert(Cell::new(series, hour), *rollup), None, "each comes once");
        };
        run.read(series, &hours, &mut Vec::new(), show)?;
        Ok(found)
    }

    fn read_all(run: RollupRun) -> Result<Rollups, IndexError> {
        let mut entries = RollupEntries::new(Arc::new(run));
        let (mut found, mut encoded) = (Rollups::new(), Vec::new());
        while let Some(cell) = entries.next(&mut encoded)? {
            found.insert(cell, rollup_block::decode(cell, &encoded).expect("a rollup"));
        }
        Ok(found)
    }

    #[test]
    fn what_was_written_is_found() {
        let disk = SimDisk::new().shared();
        for (number, (n_series, n_hours)) in (1..).zip([(0, 0), (1, 1), (3, 700), (900, 1), (40, 500)]) {
            let written = rollups(n_series, n_hours);
            let stated = write(&*disk, number, &written).stated;
            let run = RollupRun::open(&*disk, stated).expect("open");
            for hours in [i64::MIN..i64::MAX, -5..-4, 0..100, 90..91, 200..200, n_hours - 6..n_hours] {
                for series in [0, 1, 3, 6, 90, u32::MAX] {
                    let cells = written
                        .iter()
                        .filter(|(cell, _)| cell.series() == series && hours.contains(&cell.hour()));
                    let expected: Rollups = cells.map(|(cell, rollup)| (*cell, *rollup)).collect();
                    assert_eq!(
                        read(&run, series, hours.clone()).expect("readable"),
                        expected,
                        "{series}: {hours:?}"
                    );
                }
            }
            assert_eq!(read_all(run).expect("readable"), written);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_when_it_matters() {
        let disk = SimDisk::new();
        let written = rollups(3, 300);
        let stated = write(&*disk.shared(), 1, &written).stated;
        let name = rollup_run_name(1);
        let bytes = disk.contents(&name).expect("a file");
        assert!(3 * BLOCK_BYTES < bytes.len());
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 1 << (byte % 8);
            disk.set_contents(&name, &changed);
            let Ok(run) = RollupRun::open(&*disk.shared(), stated) else { continue };
            let found = [0, 3, 6].map(|series| read(&run, series, i64::MIN..i64::MAX));
            let n_failed =
                found.iter().filter(|found| matches!(found, Err(error) if error.is_damage())).count();
            assert!(0 < n_failed, "byte {byte}");
            for found in found.into_iter().flatten().flatten() {
                assert_eq!(written.get(&found.0), Some(&found.1), "byte {byte}");
            }
            assert!(read_all(run).is_err(), "byte {byte}");
        }
        for length in 0..bytes.len() {
            disk.set_contents(&name, &bytes[..length]);
            assert!(RollupRun::open(&*disk.shared(), stated).is_err(), "{length} bytes");
        }
    }
}

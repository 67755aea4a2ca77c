//! Rollups in the order of their cells, in blocks that are read and checked one by one.

use tollgate_rules::Rollup;

use super::cell::Cell;

/// One disk page.
pub(super) const BLOCK_BYTES: usize = 4096;

const CHECKSUM_BYTES: usize = 4;
const COUNT_BYTES: usize = 2;

/// How far a cell is from the one before, and how long the rollup is.
const PREFIX_BYTES_MAX: usize = 10 + 1;

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    entries: Vec<u8>,
    n_entries: u16,
    /// Of the last entry.
    last: u64,
}

impl BlockWriter {
    /// Appends a rollup as it is encoded, if there is room for it; its cell is higher than those before.
    pub(super) fn push(&mut self, cell: Cell, rollup: &[u8]) -> bool {
        let n_bytes = COUNT_BYTES + self.entries.len() + PREFIX_BYTES_MAX + rollup.len() + CHECKSUM_BYTES;
        if BLOCK_BYTES < n_bytes {
            return false;
        }
        let mut distance = cell.0 - self.last;
        while 0x80 <= distance {
            self.entries.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        self.entries.push(distance as u8);
        self.entries.push(u8::try_from(rollup.len()).expect("a rollup has 255 bytes at most"));
        self.entries.extend_from_slice(rollup);
        self.last = cell.0;
        self.n_entries += 1;
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.n_entries == 0
    }

    /// Appends the block to `bytes`, and begins another one.
    pub(super) fn end(&mut self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&self.n_entries.to_le_bytes());
        bytes.extend_from_slice(&self.entries);
        bytes.resize(start + BLOCK_BYTES - CHECKSUM_BYTES, 0);
        let checksum = crc32c::crc32c(&bytes[start..]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        self.entries.clear();
        (self.n_entries, self.last) = (0, 0);
    }
}

/// A place among the entries of a block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    n_left: u16,
    at: usize,
    last: u64,
}

/// The rollups of a block; `None` when the bytes are not those of one, or what is in it makes no sense.
pub(super) fn cursor(block: &[u8; BLOCK_BYTES]) -> Option<Cursor> {
    let (content, checksum) = block.split_last_chunk()?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let n_left = u16::from_le_bytes(*content.first_chunk()?);
    Some(Cursor { n_left, at: COUNT_BYTES, last: 0 })
}

impl Cursor {
    /// Whether there is no entry behind it.
    pub(super) fn is_at_end(&self) -> bool {
        self.n_left == 0
    }

    /// The next entry of the block that it was made for: its cell, and its rollup as it is encoded.
    #[inline]
    pub(super) fn next<'b>(&mut self, block: &'b [u8; BLOCK_BYTES]) -> Option<(Cell, &'b [u8])> {
        let mut rest = block.get(self.at..)?;
        let (mut distance, mut shift) = (0, 0);
        loop {
            let (byte, later) = rest.split_first()?;
            distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
            (rest, shift) = (later, shift + 7);
            if *byte < 0x80 {
                break;
            }
        }
        let (length, rest) = rest.split_first()?;
        let (rollup, rest) = rest.split_at_checked(usize::from(*length))?;
        self.at = BLOCK_BYTES - rest.len();
        self.last = self.last.checked_add(distance)?;
        self.n_left -= 1;
        Some((Cell(self.last), rollup))
    }
}

/// Reads a rollup of this cell.
#[inline]
pub(super) fn decode(cell: Cell, mut encoded: &[u8]) -> Option<Rollup> {
    Rollup::decode(cell.hour(), &mut encoded).filter(|_| encoded.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cells: &[u64], length: usize) -> [u8; BLOCK_BYTES] {
        let mut writer = BlockWriter::default();
        assert!(cells.iter().all(|&cell| writer.push(Cell(cell), &vec![cell as u8; length])));
        let mut bytes = Vec::new();
        writer.end(&mut bytes);
        assert!(writer.is_empty());
        bytes.try_into().expect("one block")
    }

    fn read(block: &[u8; BLOCK_BYTES]) -> Option<Vec<(u64, Vec<u8>)>> {
        let mut cursor = cursor(block)?;
        let mut entries = Vec::new();
        while !cursor.is_at_end() {
            let (cell, rollup) = cursor.next(block)?;
            entries.push((cell.0, rollup.to_vec()));
        }
        Some(entries)
    }

    #[test]
    fn entries_are_read_again() {
        for cells in [&[][..], &[0], &[1, 2, 300, 1 << 40, u64::MAX - 1, u64::MAX]] {
            for length in [0, 5, 255] {
                let expected: Vec<_> = cells.iter().map(|&cell| (cell, vec![cell as u8; length])).collect();
                assert_eq!(read(&written(cells, length)), Some(expected));
            }
        }
    }

    #[test]
    fn a_full_block_takes_no_more() {
        let mut writer = BlockWriter::default();
        let n_entries = (1..1_000).take_while(|&cell| writer.push(Cell(cell), &[7; 40])).count();
        assert_eq!(n_entries, 97);
        let mut bytes = Vec::new();
        writer.end(&mut bytes);
        assert_eq!(bytes.len(), BLOCK_BYTES);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let block = written(&[1, 2, 3, 1 << 33], 20);
        for byte in 0..BLOCK_BYTES {
            let mut changed = block;
            changed[byte] ^= 1 << (byte % 8);
            assert!(read(&changed).is_none(), "byte {byte}");
        }
    }
}

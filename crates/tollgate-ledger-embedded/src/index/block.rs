//! Entries in the order of their keys, in blocks that are read and checked one by one.

use tollgate_journal::RecordPosition;
use tollgate_rules::Digest;

use super::Key;

/// One disk page.
pub(super) const BLOCK_BYTES: usize = 4096;

const ENTRY_BYTES: usize = 40;

/// Entries in a block; the last one of a run may have fewer.
pub(super) const BLOCK_ENTRIES: usize = (BLOCK_BYTES - 8) / ENTRY_BYTES;

/// What is known under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Of a batch's content; zero for what has none.
    pub(crate) digest: Digest,
    /// A batch's or element's place in the journal, packed, or an element's id in the quarantine.
    pub(crate) value: u64,
}

pub(super) type Entry = (Key, Known);

/// Bits of a packed place that say which record of its group it is; the rest are the group's sequence.
const INDEX_BITS: u32 = 24;

/// A place in the journal in 64 bits: enough for 10^12 groups with as many records as a group may have.
pub(crate) fn pack(position: RecordPosition) -> u64 {
    assert!(position.sequence >> (64 - INDEX_BITS) == 0 && position.index >> INDEX_BITS == 0, "{position:?}");
    position.sequence << INDEX_BITS | u64::from(position.index)
}

pub(crate) fn unpack(value: u64) -> RecordPosition {
    let index = (value & ((1 << INDEX_BITS) - 1)) as u32;
    RecordPosition { sequence: value >> INDEX_BITS, index }
}

/// Appends a block of up to [`BLOCK_ENTRIES`] entries.
pub(super) fn encode(bytes: &mut Vec<u8>, entries: &[Entry]) {
    let start = bytes.len();
    for (key, known) in entries {
        bytes.extend_from_slice(&key.0.to_le_bytes());
        bytes.extend_from_slice(&known.digest.0);
        bytes.extend_from_slice(&known.value.to_le_bytes());
    }
    bytes.resize(start + BLOCK_BYTES - 8, 0);
    let n_entries = u32::try_from(entries.len()).expect("a block has a hundred");
    bytes.extend_from_slice(&n_entries.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[start..]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

/// A block whose checksum matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
}

impl<'a> Block<'a> {
    /// `None` when the bytes are not those of a block.
    pub(super) fn decode(bytes: &'a [u8; BLOCK_BYTES]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk()?;
        let (entries, n_entries) = content.split_last_chunk()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let n_entries = u32::from_le_bytes(*n_entries) as usize;
        Some(Self { entries: entries.as_chunks().0.get(..n_entries)? })
    }

    pub(super) fn find(self, key: Key) -> Option<Known> {
        let at = self.entries.binary_search_by_key(&key, |bytes| decode_entry(bytes).0).ok()?;
        Some(decode_entry(&self.entries[at]).1)
    }

    pub(super) fn entries(self) -> impl Iterator<Item = Entry> + use<'a> {
        self.entries.iter().map(decode_entry)
    }
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES]) -> Entry {
    let (key, digest, value) = (&bytes[..16], &bytes[16..32], &bytes[32..]);
    let key = Key(u128::from_le_bytes(key.try_into().expect("16 bytes")));
    let digest = Digest(digest.try_into().expect("16 bytes"));
    (key, Known { digest, value: u64::from_le_bytes(value.try_into().expect("8 bytes")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: u64) -> Vec<Entry> {
        (0..n)
            .map(|number| {
                (Key(u128::from(number) << 100 | 7), Known { digest: Digest([9; 16]), value: number })
            })
            .collect()
    }

    #[test]
    fn entries_are_found_again() {
        for n in [0, 1, 2, BLOCK_ENTRIES as u64] {
            let entries = entries(n);
            let mut bytes = Vec::new();
            encode(&mut bytes, &entries);
            let bytes: [u8; BLOCK_BYTES] = bytes.try_into().expect("one block");
            let block = Block::decode(&bytes).expect("a block");
            assert_eq!(block.entries().collect::<Vec<_>>(), entries);
            assert!(entries.iter().all(|(key, known)| block.find(*key) == Some(*known)));
            assert_eq!(block.find(Key(8)), None);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &entries(50));
        let bytes: [u8; BLOCK_BYTES] = bytes.try_into().expect("one block");
        for byte in 0..BLOCK_BYTES {
            let mut changed = bytes;
            changed[byte] ^= 1 << (byte % 8);
            assert!(Block::decode(&changed).is_none(), "byte {byte}");
        }
    }

    #[test]
    fn a_place_is_packed_and_unpacked() {
        for position in [
            RecordPosition { sequence: 0, index: 0 },
            RecordPosition { sequence: 1, index: (1 << 24) - 1 },
            RecordPosition { sequence: (1 << 40) - 1, index: 5 },
        ] {
            assert_eq!(unpack(pack(position)), position);
        }
    }
}

//! Which keys a run surely does not have.

use super::Key;

/// Memory for one key. With it about one absent key in a thousand looks as if it were there.
const BITS_PER_KEY: u64 = 16;

/// Bits that a key sets, each chosen by 9 of the lower 64 bits of its hash.
const N_PROBES: u32 = 7;

/// A Bloom filter in blocks: all bits of one key are in one cache line (Putze, Sanders, Singler: "Cache-, Hash- and
/// Space-Efficient Bloom Filters", 2007).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Vec<Block>,
}

type Block = [u64; 8];

/// A key to be looked for in many filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) key: Key,
    mask: Block,
}

impl Probe {
    pub(super) fn new(key: Key) -> Self {
        Self { key, mask: mask(key) }
    }
}

const BLOCK_BYTES: usize = size_of::<Block>();

impl Filter {
    /// An empty filter for `n_keys` keys.
    pub(super) fn new(n_keys: u64) -> Self {
        let n_blocks = Self::bytes_for(n_keys) / BLOCK_BYTES as u64;
        Self { blocks: vec![[0; 8]; usize::try_from(n_blocks).expect("a filter fits into memory")] }
    }

    pub(super) fn insert(&mut self, key: Key) {
        let block = self.block_of(key);
        for (word, bits) in self.blocks[block].iter_mut().zip(mask(key)) {
            *word |= bits;
        }
    }

    /// `false` when the key was not inserted.
    #[inline]
    pub(super) fn may_have(&self, probe: &Probe) -> bool {
        let block = &self.blocks[self.block_of(probe.key)];
        // Without an early end, so that it is a few instructions on wide registers.
        block.iter().zip(&probe.mask).fold(0, |missing, (word, bits)| missing | (bits & !word)) == 0
    }

    /// In the order of the keys, so that a filter is filled from its beginning to its end.
    fn block_of(&self, key: Key) -> usize {
        (((key.0 >> 64) * self.blocks.len() as u128) >> 64) as usize
    }

    /// Its bytes, for storing.
    pub(super) fn blocks(&self) -> impl Iterator<Item = [u8; BLOCK_BYTES]> {
        self.blocks.iter().map(|block| {
            let mut bytes = [0; BLOCK_BYTES];
            for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
                *bytes = word.to_le_bytes();
            }
            bytes
        })
    }

    /// How many bytes a filter for `n_keys` has.
    pub(super) fn bytes_for(n_keys: u64) -> u64 {
        (n_keys * BITS_PER_KEY).div_ceil(8 * BLOCK_BYTES as u64).max(1) * BLOCK_BYTES as u64
    }

    /// A filter to be read piece by piece.
    pub(super) fn empty() -> Self {
        Self { blocks: Vec::new() }
    }

    /// Appends what [`Filter::blocks`] gave.
    pub(super) fn extend_from_bytes(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        assert!(rest.is_empty(), "a filter is read in whole blocks");
        self.blocks.extend(blocks.iter().map(|bytes| {
            let mut block = [0; 8];
            for (word, bytes) in block.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            block
        }));
    }
}

/// The bits of a key within its block.
#[inline]
fn mask(key: Key) -> Block {
    let mut mask = [0; 8];
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let mut rest = key.0 as u64;
    for _ in 0..N_PROBES {
        mask[(rest >> 6) as usize % 8] |= 1 << (rest % 64);
        rest >>= 9;
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_journal::sim::Dice;

    fn keys(n: u64) -> Vec<Key> {
        let mut dice = Dice(n);
        (0..n).map(|_| Key(u128::from(dice.roll()) << 64 | u128::from(dice.roll()))).collect()
    }

    #[test]
    fn what_was_inserted_is_there_and_little_else() {
        let keys = keys(40_000);
        let (inserted, others) = keys.split_at(20_000);
        let mut filter = Filter::new(20_000);
        for &key in inserted {
            filter.insert(key);
        }
        assert!(inserted.iter().all(|&key| filter.may_have(&Probe::new(key))));
        let n_false = others.iter().filter(|&&key| filter.may_have(&Probe::new(key))).count();
        assert!(n_false < 60, "{n_false} of 20,000 look as if they were there");
        let mut read = Filter::empty();
        for bytes in filter.blocks() {
            read.extend_from_bytes(&bytes);
        }
        assert_eq!(read, filter);
    }

    #[test]
    fn a_filter_without_keys_has_none() {
        let filter = Filter::new(0);
        assert!(keys(100).into_iter().all(|key| !filter.may_have(&Probe::new(key))));
    }
}

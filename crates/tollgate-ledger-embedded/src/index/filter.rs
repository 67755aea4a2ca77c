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

type Block = [u64; BLOCK_WORDS];

const BLOCK_WORDS: usize = 8;

/// Keys that are looked for together: the blocks of so many stay in the processor's nearest cache.
const KEYS_TOGETHER: usize = 256;

const BLOCK_BYTES: usize = size_of::<Block>();

impl Filter {
    /// An empty filter for `n_keys` keys.
    pub(super) fn new(n_keys: u64) -> Self {
        let n_blocks = Self::bytes_for(n_keys) / BLOCK_BYTES as u64;
        Self { blocks: vec![[0; BLOCK_WORDS]; usize::try_from(n_blocks).expect("a filter fits into memory")] }
    }

    pub(super) fn insert(&mut self, key: Key) {
        let block = self.block_of(key);
        for probe in 0..N_PROBES {
            let (word, bit) = bit_of(key, probe);
            self.blocks[block][word] |= bit;
        }
    }

    /// Appends to `found` those of `places` whose keys in `keys` may have been inserted; all others were not.
    ///
    /// A filter is larger than the processor's cache, so what takes the time is to wait for blocks. One bit of each key is looked at,
    /// then another one of each that has it, and so on, and each time the words are fetched by a loop that does nothing
    /// else and depends on none of them: so many of them are waited for at the same time.
    pub(super) fn find(&self, keys: &[Key], places: &[usize], found: &mut Vec<usize>) {
        let all_words = self.blocks.as_flattened();
        let mut left = [0; KEYS_TOGETHER];
        let mut words_at = [0; KEYS_TOGETHER];
        let mut words = [0; KEYS_TOGETHER];
        for places in places.chunks(KEYS_TOGETHER) {
            left[..places.len()].copy_from_slice(places);
            let mut n_left = places.len();
            for probe in 0..N_PROBES {
                for (word_at, &place) in words_at.iter_mut().zip(&left[..n_left]) {
                    let key = keys[place];
                    *word_at = self.block_of(key) * BLOCK_WORDS + bit_of(key, probe).0;
                }
                for (word, &word_at) in words.iter_mut().zip(&words_at[..n_left]) {
                    *word = all_words[word_at];
                }
                let mut n_having = 0;
                for index in 0..n_left {
                    let place = left[index];
                    left[n_having] = place;
                    let (_, bit) = bit_of(keys[place], probe);
                    n_having += usize::from(words[index] & bit != 0);
                }
                n_left = n_having;
            }
            found.extend_from_slice(&left[..n_left]);
        }
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
            let mut block = [0; BLOCK_WORDS];
            for (word, bytes) in block.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            block
        }));
    }
}

/// Where in its block a key has one of its bits: the word and the bit in it.
#[inline]
fn bit_of(key: Key, probe: u32) -> (usize, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let bits = key.0 as u64 >> (9 * probe);
    ((bits >> 6) as usize % BLOCK_WORDS, 1 << (bits % 64))
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
        let mut filter = Filter::new(20_000);
        for &key in &keys[..20_000] {
            filter.insert(key);
        }
        let places: Vec<usize> = (0..keys.len()).collect();
        let mut found = Vec::new();
        filter.find(&keys, &places, &mut found);
        assert!(found.starts_with(&places[..20_000]));
        let n_false = found.len() - 20_000;
        assert!(n_false < 60, "{n_false} of 20,000 look as if they were there");
        let mut read = Filter::empty();
        for bytes in filter.blocks() {
            read.extend_from_bytes(&bytes);
        }
        assert_eq!(read, filter);
    }

    /// With other bits than those that a run was written with, what is recorded would look as if it were new, and count twice.
    #[test]
    fn which_bits_a_key_has_does_not_change() {
        let mut filter = Filter::new(64);
        filter.insert(Key(0x8000_0000_0000_0000_0123_4567_89ab_cdef));
        let second = [0x10, 0x400_0040_0000, 0, 0x2_0000_0000_0000, 0x400_0000, 0, 0, 0x8040_0000_0000];
        assert_eq!(filter.blocks, [[0; BLOCK_WORDS], second]);
    }

    #[test]
    fn many_keys_are_found_as_each_would_be_alone() {
        let keys = keys(10 * KEYS_TOGETHER as u64);
        // So few blocks for so many keys that some of the others look as if they were there.
        let mut filter = Filter::new(120);
        keys.iter().take(400).for_each(|&key| filter.insert(key));
        let mut random = fastrand::Rng::with_seed(3);
        let mut n_found = 0;
        for n_places in [0, 1, 2, KEYS_TOGETHER - 1, KEYS_TOGETHER, KEYS_TOGETHER + 1, 5 * KEYS_TOGETHER - 7]
        {
            let places: Vec<usize> = (0..n_places).map(|_| random.usize(..keys.len())).collect();
            let mut found = vec![7];
            filter.find(&keys, &places, &mut found);
            let mut expected = vec![7];
            for &place in &places {
                let block = filter.blocks[filter.block_of(keys[place])];
                let has = |probe| block[bit_of(keys[place], probe).0] & bit_of(keys[place], probe).1 != 0;
                expected.extend((0..N_PROBES).all(has).then_some(place));
            }
            assert_eq!(found, expected, "{n_places} places");
            n_found += found.len();
        }
        assert!((400..1_200).contains(&n_found), "{n_found} were found: some inserted, some not");
    }

    #[test]
    fn a_filter_without_keys_has_none() {
        let filter = Filter::new(0);
        let mut found = Vec::new();
        filter.find(&keys(100), &[0, 1, 99], &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}

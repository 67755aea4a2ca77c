//! The newest ids, in memory until they are enough for a run.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::hash::{BuildHasherDefault, Hasher};

use super::Key;
use super::block::{Entry, Known};
use super::pace::Pace;

/// Entries that are in no run yet.
#[derive(Debug, Default)]
pub(super) struct Recent(HashMap<Key, Known, BuildHasherDefault<Already>>);

/// A key is a hash already.
#[derive(Default)]
pub(crate) struct Already(u64);

impl Hasher for Already {
    fn write_u128(&mut self, key: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let half = key as u64;
        self.0 = half;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key is hashed as one number");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Sorted one by one, so that none of them takes long. A power of two.
const N_PIECES: usize = 64;

/// Entries that are put into their pieces without looking at the clock.
const ENTRIES_AT_ONCE: usize = 64;

impl Recent {
    pub(super) fn with_capacity(n_entries: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher(n_entries, BuildHasherDefault::default()))
    }

    pub(super) fn find(&self, key: Key) -> Option<Known> {
        self.0.get(&key).copied()
    }

    /// `false` when there is something under the key already, and then nothing changes.
    pub(super) fn insert(&mut self, key: Key, known: Known) -> bool {
        match self.0.entry(key) {
            Place::Occupied(_) => false,
            Place::Vacant(place) => {
                place.insert(known);
                true
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the keys.
    pub(super) fn sorted(&self, pace: &Pace<'_>) -> impl Iterator<Item = Entry> {
        let mut pieces: Vec<Vec<Entry>> = Vec::new();
        pieces.resize_with(N_PIECES, || Vec::with_capacity(self.len() / N_PIECES * 5 / 4));
        for (number, (&key, &known)) in self.0.iter().enumerate() {
            let piece = (key.0 >> (128 - N_PIECES.ilog2())) as usize;
            pieces[piece].push((key, known));
            if number % ENTRIES_AT_ONCE == 0 {
                pace.may_rest();
            }
        }
        pieces.into_iter().flat_map(|mut piece| {
            piece.sort_unstable_by_key(|(key, _)| *key);
            piece
        })
    }
}

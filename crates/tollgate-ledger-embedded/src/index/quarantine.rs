//! Which elements were set aside.

use std::collections::HashMap;

use tollgate_journal::RecordPosition;
use tollgate_rules::Digest;

/// Where the quarantined elements are, and what tells an equal one.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// Of the element with id 1, 2, …
    positions: Vec<RecordPosition>,
    ids: HashMap<ElementKey, u64>,
}

/// What equal elements have in common: a hash of the ids and the digest, of one small size whatever the ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ElementKey([u8; 32]);

impl ElementKey {
    pub(crate) fn new(model_uuid: &str, batch_uuid: &str, digest: Digest) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in [model_uuid, batch_uuid] {
            // The length keeps apart what would be the same text one after the other.
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&digest.0);
        Self(*hasher.finalize().as_bytes())
    }
}

impl Quarantine {
    /// The id that the next element gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.n_elements() + 1
    }

    /// The id of the element with this key.
    pub(crate) fn find(&self, key: ElementKey) -> Option<u64> {
        self.ids.get(&key).copied()
    }

    pub(crate) fn add(&mut self, key: ElementKey, position: RecordPosition) {
        let id = self.next_id();
        self.positions.push(position);
        self.ids.insert(key, id);
    }

    /// Where the element after the one with `id` is; `id` 0 stands before the first.
    pub(crate) fn position_after(&self, id: u64) -> Option<RecordPosition> {
        self.positions.get(usize::try_from(id).ok()?).copied()
    }

    pub(crate) fn n_elements(&self) -> u64 {
        self.positions.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_small_and_tell_elements_apart() {
        let long = "x".repeat(1 << 20);
        let texts =
            [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("c", "ab"), (&long, "c"), ("c", &long)];
        let digests = [Digest([0; 32]), Digest([1; 32])];
        let mut quarantine = Quarantine::default();
        let mut keys = Vec::new();
        for (model_uuid, batch_uuid) in texts {
            for digest in digests {
                let key = ElementKey::new(model_uuid, batch_uuid, digest);
                assert_eq!(size_of_val(&key), 32);
                assert_eq!(quarantine.find(key), None);
                quarantine.add(key, RecordPosition { segment: 1, offset: keys.len() as u64 });
                keys.push(key);
            }
        }
        for (index, key) in (0..).zip(keys) {
            assert_eq!(quarantine.find(key), Some(index + 1));
            assert_eq!(quarantine.position_after(index).map(|position| position.offset), Some(index));
        }
        assert_eq!(quarantine.position_after(14), None);
        assert_eq!(quarantine.position_after(u64::MAX), None);
    }
}

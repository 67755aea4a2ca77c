//! Which elements were set aside.

use std::collections::HashMap;

use tollgate_journal::RecordPosition;
use tollgate_rules::{BatchId, Digest};

/// Where the quarantined elements are, and what tells an equal one.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// Of the element with id 1, 2, …
    positions: Vec<RecordPosition>,
    ids: HashMap<(BatchId, Digest), u64>,
}

impl Quarantine {
    /// The id that the next element gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.n_elements() + 1
    }

    /// The id of the element with these ids and this digest.
    pub(crate) fn find(&self, key: &(BatchId, Digest)) -> Option<u64> {
        self.ids.get(key).copied()
    }

    pub(crate) fn add(&mut self, key: (BatchId, Digest), position: RecordPosition) {
        let id = self.next_id();
        self.positions.push(position);
        self.ids.insert(key, id);
    }

    /// Where up to `limit` elements are, from the one after `id`, with their ids.
    pub(crate) fn list(&self, after_id: u64, limit: usize) -> Vec<RecordPosition> {
        let n_before = usize::try_from(after_id).unwrap_or(usize::MAX);
        self.positions.iter().skip(n_before).take(limit).copied().collect()
    }

    pub(crate) fn n_elements(&self) -> u64 {
        self.positions.len() as u64
    }
}

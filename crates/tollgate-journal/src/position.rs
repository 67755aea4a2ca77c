//! Where something is in a journal.

/// Where a group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupPosition {
    /// Which group it is, counted from 1 over the whole journal.
    pub sequence: u64,
    /// The number of its segment, counted from 1.
    pub segment: u64,
    /// Where it begins in the segment's file, in bytes.
    pub offset: u64,
}

/// Which record it is. It stays the same in whatever form the group is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordPosition {
    /// Its group, counted from 1 over the whole journal.
    pub sequence: u64,
    /// Its place in the group, counted from 0.
    pub index: u32,
}

/// A place between two groups, and what the journal holds up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last group before it; 0 when there is none.
    pub sequence: u64,
    /// The hash over all groups before it.
    pub chain: [u8; 32],
}

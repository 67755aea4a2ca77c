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

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordPosition {
    /// The number of its segment, counted from 1.
    pub segment: u64,
    /// Where it begins in the segment's file, in bytes.
    pub offset: u64,
}

/// A place between two groups, and what the journal holds up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last group before it; 0 when there is none.
    pub sequence: u64,
    /// The segment that it is in.
    pub segment: u64,
    /// Where it is in the segment's file, in bytes.
    pub offset: u64,
    /// The hash over all groups before it.
    pub chain: [u8; 32],
}

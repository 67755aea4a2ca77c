//! What became of one recorded element.

use tollgate_rules::Digest;

/// What became of one element of a group. Whatever the variant, it is already durable: acknowledge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Written by this group; it counts.
    Recorded,
    /// Same id and same content as a batch that is already durable, or that this very group made so; it was counted
    /// then.
    Duplicate,
    /// Same id as a recorded batch, other content. The first stands and counts; this one is in quarantine, now or since
    /// an earlier copy.
    Conflict {
        /// The quarantine's id of the newcomer.
        quarantine_id: u64,
        /// The content that is recorded under the id.
        recorded: Digest,
    },
    /// It can never count as it is; it is in quarantine, now or since an earlier copy.
    Quarantined {
        /// The quarantine's id of it.
        quarantine_id: u64,
    },
}

//! What became of one recorded element.

use tollgate_rules::Digest;

/// What became of one element of a group. Whatever the variant, it is already durable: acknowledge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Written by this group; it counts.
    Recorded,
    /// Same id and same content as a batch that is already durable; it was counted then.
    Duplicate,
    /// Same id as a recorded batch, other content. The first stands; this one is in quarantine.
    Conflict {
        /// The quarantine's id of the newcomer.
        quarantine_id: u64,
        /// What is recorded under the id.
        recorded: Digest,
    },
    /// It can never count as it is; it is in quarantine, now or since an earlier copy.
    Quarantined {
        /// The quarantine's id of it.
        quarantine_id: u64,
    },
}

//! What damage cost: told from where it is and which groups were found.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use tollgate_journal::{Damage, Fault};

/// What [`crate::salvage`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Groups that were intact.
    pub n_groups: u64,
    /// Batches that are in the new ledger.
    pub n_batches: u64,
    /// Quarantined elements that are in the new ledger. They are counted anew, so their ids there may be others.
    pub n_quarantined: u64,
    /// Acts that are in the new ledger.
    pub n_acts: u64,
    /// Batches and elements that were there more than once, and are in the new ledger once.
    pub n_repeated: u64,
    /// The groups that were in the ledger and are nowhere any more.
    pub lost_groups: Vec<RangeInclusive<u64>>,
    /// Whatever is wrong in the files, in their order.
    pub damage: Vec<Stretch>,
}

/// A part of a file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// The file; the folder when it is in none.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offsets: Range<u64>,
    /// The groups that were there, as far as that can be told.
    pub groups: Option<RangeInclusive<u64>>,
    /// How many records they had, when that can be told.
    pub n_records: Option<u64>,
    /// What is wrong.
    pub why: String,
    /// What it cost.
    pub loss: Loss,
}

/// What damage cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Batches or elements that were acknowledged.
    Records,
    /// Some of [`SalvageReport::lost_groups`], or nothing; which cannot be told.
    Untold,
    /// A last group whose writing never ended, and that was never acknowledged; opening the ledger drops it likewise.
    Unfinished,
    /// Nothing.
    Nothing,
}

impl SalvageReport {
    /// Whether everything that was acknowledged is in the new ledger.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lost_groups.is_empty() && self.damage.iter().all(|stretch| stretch.loss != Loss::Records)
    }
}

/// What a stretch cost, when the groups `missing` are nowhere, `last` is the last one that was found, and the last file and its
/// length are `end`.
pub(crate) fn loss(
    damage: &Damage,
    missing: &[RangeInclusive<u64>],
    last: u64,
    end: Option<&(PathBuf, u64)>,
) -> Loss {
    let groups = damage.sequences.as_ref();
    if groups.is_some_and(|groups| missing.iter().any(|range| overlap(range, groups))) {
        return Loss::Records;
    }
    let is_of_found_groups = matches!(
        damage.fault,
        Fault::Repeated | Fault::Segment { .. } | Fault::Chain | Fault::Sequence { .. }
    );
    if is_of_found_groups || groups.is_some_and(|groups| *groups.start() <= last) {
        return Loss::Nothing;
    }
    let reaches_end = end.is_some_and(|(path, length)| damage.path == *path && damage.offsets.end == *length);
    match damage.offsets.start {
        // A header is durable before anything is written behind it, and a last segment may hold any number of groups.
        0 if reaches_end => Loss::Records,
        _ if reaches_end => Loss::Unfinished,
        _ if missing.is_empty() => Loss::Nothing,
        _ => Loss::Untold,
    }
}

pub(crate) fn overlap(one: &RangeInclusive<u64>, other: &RangeInclusive<u64>) -> bool {
    one.start() <= other.end() && other.start() <= one.end()
}

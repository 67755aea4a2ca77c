//! What tells two contents apart.

use std::fmt;

use crate::blake3_lanes;

/// The first 128 bits of the BLAKE3 of some bytes: of a batch's canonical JSON, or of a quarantined element as it came.
///
/// Half of BLAKE3 is enough for what it decides. Whoever wants two contents to look equal has to try some 2^64 of them, to have
/// one of their own batches left uncounted; every ledger keeps one digest for each batch, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::half(blake3::hash(bytes).as_bytes())
    }

    /// The digest of each of `contents`. [`blake3_lanes::N_LANES`] of them that are as long as batches take little more time
    /// than two.
    pub(crate) fn of_each(contents: &[&[u8]]) -> impl Iterator<Item = Self> + use<> {
        blake3_lanes::hash_each(contents).into_iter().map(|hash| Self::half(&hash))
    }

    fn half(hash: &[u8; 32]) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        Self(digest)
    }
}

impl fmt::Display for Digest {
    /// 32 hexadecimal digits: the first half of what `b3sum` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

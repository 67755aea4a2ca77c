//! The bytes of a segment's header, names of files, and limits.

use std::fmt;

use crate::Fault;

/// The newest format version that this program reads, and the one that it writes.
pub(crate) const VERSION: u32 = 1;

/// Bytes of one group's records with their lengths, at most: it is held in memory whole. A frame's length field
/// could say eight times more.
pub const GROUP_BYTES_MAX: u64 = 512 << 20;

/// Records of one group, at most: their number alone must not ask for much memory.
pub const GROUP_RECORDS_MAX: u32 = 1 << 24;

/// Bytes before each record of a group: its length.
pub(crate) const RECORD_PREFIX_BYTES: usize = 4;

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 128;

/// Not text in any encoding in use, so that no tool takes a segment for a text file.
const SEGMENT_MAGIC: [u8; 8] = *b"\xF5tgjrnl\n";

/// Tells which process writes; what is locked is the folder.
pub(crate) const LOCK: &str = "lock";

/// A segment under construction; only its rename makes it one.
pub(crate) const NEW_SEGMENT: &str = "new-segment";

/// A smaller form of a segment under construction; its rename puts it in the place of the larger one.
pub(crate) const NEW_COMPACTED: &str = "new-compacted";

/// What the records of a journal are: a short ASCII word, so that nobody opens a spool as a ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind([u8; 16]);

impl Kind {
    /// A kind by its name.
    ///
    /// # Panics
    ///
    /// When `name` is longer than 16 bytes or not lower-case ASCII letters and `-`; as a constant it does not
    /// compile then.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() <= 16, "the name of a kind has 16 letters at most");
        let mut bytes = [0; 16];
        let mut index = 0;
        while index < name.len() {
            assert!(name[index].is_ascii_lowercase() || name[index] == b'-', "not a lower-case letter");
            bytes[index] = name[index];
            index += 1;
        }
        Self(bytes)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        write!(f, "{}", self.0[..length].escape_ascii())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({self})")
    }
}

/// The name of segment `number`.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// The number of the segment called `name`; `None` for any other file.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".segment")?, 16).ok()?;
    // Each number has one name.
    (segment_name(number) == name).then_some(number)
}

/// What a segment says about itself at its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) kind: Kind,
    /// Counted from 1.
    pub(crate) number: u64,
    /// The sequence of its first group.
    pub(crate) first_sequence: u64,
    /// The hash chain before its first group.
    pub(crate) chain: [u8; 32],
    /// In each of the segment's frames: tells them from what another file left on the same disk blocks, and from
    /// frames that somebody put into a record.
    pub(crate) salt: u64,
    /// The sealed length of the segment before it; 0 in the first one.
    pub(crate) previous_bytes: u64,
    /// The first segment that still belonged to the journal when this one was begun: 1 until something is forgotten.
    pub(crate) oldest: u64,
    /// In a segment that was rewritten to a smaller one.
    pub(crate) compacted: Option<Compacted>,
}

/// The lengths of a segment that was rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// When it was sealed, as the segment after it says.
    pub(crate) sealed_bytes: u64,
    /// Now.
    pub(crate) bytes: u64,
}

/// The flag of a segment that was rewritten.
const COMPACTED: u32 = 1;

/// The flag of a segment that says where the journal begins: a program that does not know it would miss what was forgotten.
const FORGETS: u32 = 2;

/// Why a segment's header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Fault(Fault),
    Newer(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let compacted = if self.compacted.is_some() { COMPACTED } else { 0 };
        let forgets = if 1 < self.oldest { FORGETS } else { 0 };
        let flags = compacted | forgets;
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.kind.0);
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.chain);
        bytes[80..88].copy_from_slice(&self.salt.to_le_bytes());
        bytes[88..96].copy_from_slice(&self.previous_bytes.to_le_bytes());
        if let Some(compacted) = self.compacted {
            bytes[96..104].copy_from_slice(&compacted.sealed_bytes.to_le_bytes());
            bytes[104..112].copy_from_slice(&compacted.bytes.to_le_bytes());
        }
        if forgets != 0 {
            bytes[112..120].copy_from_slice(&self.oldest.to_le_bytes());
        }
        // What is left before the checksum is zero.
        let checksum = crc32c::crc32c(&bytes[..124]);
        bytes[124..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(HeaderError::Fault(Fault::CutShort));
        };
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(HeaderError::Fault(Fault::Unknown));
        }
        // The checksum is at the same place in every version, so a damaged version is not taken for a newer one.
        if crc32c::crc32c(&bytes[..124]) != u32_at(bytes, 124) {
            return Err(HeaderError::Fault(Fault::Header));
        }
        match u32_at(bytes, 8) {
            // No program ever wrote this one.
            0 => return Err(HeaderError::Fault(Fault::Unknown)),
            VERSION => {}
            version => return Err(HeaderError::Newer(version)),
        }
        let flags = u32_at(bytes, 12);
        if flags & !(COMPACTED | FORGETS) != 0 {
            return Err(HeaderError::Fault(Fault::Flags));
        }
        let compacted = (flags & COMPACTED != 0)
            .then(|| Compacted { sealed_bytes: u64_at(bytes, 96), bytes: u64_at(bytes, 104) });
        let oldest = if flags & FORGETS != 0 { u64_at(bytes, 112) } else { 1 };
        // The journal begins with a segment that there was, or with this one.
        if oldest == 0 || u64_at(bytes, 32) < oldest {
            return Err(HeaderError::Fault(Fault::Discontinued));
        }
        Ok(Self {
            oldest,
            compacted,
            kind: Kind(array_at(bytes, 16)),
            number: u64_at(bytes, 32),
            first_sequence: u64_at(bytes, 40),
            chain: array_at(bytes, 48),
            salt: u64_at(bytes, 80),
            previous_bytes: u64_at(bytes, 88),
        })
    }
}

/// The `N` bytes from `offset`, which the caller knows to be there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            kind: Kind::new("test"),
            number: 3,
            first_sequence: 70,
            chain: [0xAB; 32],
            salt: 0x0102_0304_0506_0708,
            previous_bytes: 4096,
            oldest: 1,
            compacted: None,
        }
    }

    #[test]
    fn a_header_comes_back() {
        for compacted in [None, Some(Compacted { sealed_bytes: 1 << 40, bytes: 12345 })] {
            for oldest in 1..=3 {
                let header = SegmentHeader { compacted, oldest, ..header() };
                assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
            }
        }
    }

    #[test]
    fn a_journal_does_not_begin_behind_the_segment_that_says_so() {
        let bytes = SegmentHeader { oldest: 4, ..header() }.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Fault(Fault::Discontinued)));
    }

    #[test]
    fn every_flipped_bit_of_a_header_shows() {
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = SegmentHeader::decode(&bytes).expect_err("a flipped bit");
            assert!(matches!(error, HeaderError::Fault(_)), "bit {bit}: {error:?}");
        }
    }

    #[test]
    fn a_newer_header_is_told_from_a_damaged_one() {
        let decode_version = |version| {
            let mut bytes = header().encode();
            bytes[8] = version;
            let checksum = crc32c::crc32c(&bytes[..124]);
            bytes[124..].copy_from_slice(&checksum.to_le_bytes());
            SegmentHeader::decode(&bytes)
        };
        assert_eq!(decode_version(2), Err(HeaderError::Newer(2)));
        assert_eq!(decode_version(0), Err(HeaderError::Fault(Fault::Unknown)));
    }

    #[test]
    fn each_segment_has_one_name() {
        assert_eq!(segment_name(26), "000000000000001a.segment");
        assert_eq!(segment_number("000000000000001a.segment"), Some(26));
        for other in
            ["1a.segment", "000000000000001A.segment", "+00000000000001a.segment", "lock", ".segment"]
        {
            assert_eq!(segment_number(other), None, "{other}");
        }
    }
}

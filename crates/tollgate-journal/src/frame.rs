//! The bytes of a group: a header with checksums and the hash chain, then its payload, which is the records, compressed
//! or as they are.

use std::ops::Range;

use crate::Fault;
use crate::format::{
    GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Kind, RECORD_PREFIX_BYTES, array_at, u32_at, u64_at,
};

/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 80;

/// Not UTF-8, so that no text record can hold it.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"\xF5GR\xF6";

/// Where the chain is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The last group; 0 when there is none.
    pub(crate) sequence: u64,
    /// The hash over all groups up to it.
    pub(crate) chain: [u8; 32],
}

impl Link {
    /// Before the first group of a journal.
    pub(crate) fn genesis(kind: Kind) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tollgate journal 1 genesis");
        hasher.update(kind.to_string().as_bytes());
        Self { sequence: 0, chain: *hasher.finalize().as_bytes() }
    }

    /// After one more group.
    ///
    /// Over the hash of the stored payload and not the payload, so that a group whose payload was replaced by a smaller
    /// one can still be proven to have had its place.
    fn next(&self, n_records: u32, form: Form, stored: &[u8; 32]) -> Self {
        let sequence = self.sequence.wrapping_add(1);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.chain);
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&n_records.to_le_bytes());
        hasher.update(&form.encode());
        hasher.update(stored);
        Self { sequence, chain: *hasher.finalize().as_bytes() }
    }
}

/// The flag of a payload that is compressed.
const PACKED: u32 = 1;

/// The flag of a payload that takes the place of another one.
const COMPACTED: u32 = 2;

/// Bytes that a payload that takes the place of another one begins with: what proves the place of the other one.
pub(crate) const PROOF_BYTES: usize = 40;

/// How a payload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    flags: u32,
    /// The length of the records with their lengths.
    pub(crate) unpacked_bytes: u32,
}

impl Form {
    /// As it is.
    pub(crate) fn plain(payload: &[u8]) -> Self {
        Self { flags: 0, unpacked_bytes: length_u32(payload.len()) }
    }

    /// Compressed.
    pub(crate) fn packed(payload: &[u8]) -> Self {
        Self { flags: PACKED, ..Self::plain(payload) }
    }

    /// Compressed, in one part or several.
    pub(crate) fn packed_bytes(unpacked_bytes: u32) -> Self {
        Self { flags: PACKED, unpacked_bytes }
    }

    pub(crate) fn is_packed(self) -> bool {
        self.flags & PACKED != 0
    }

    /// The same behind a proof.
    pub(crate) fn compacted(self) -> Self {
        Self { flags: self.flags | COMPACTED, ..self }
    }

    fn is_compacted(self) -> bool {
        self.flags & COMPACTED != 0
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { flags: u32_at(bytes, 0), unpacked_bytes: u32_at(bytes, 4) }
    }

    fn encode(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.flags.to_le_bytes());
        bytes[4..].copy_from_slice(&self.unpacked_bytes.to_le_bytes());
        bytes
    }

    /// Whether this program knows the form, and a payload of `payload_bytes` can have it.
    fn is_possible(self, payload_bytes: u32) -> bool {
        let proof_bytes = if self.is_compacted() { PROOF_BYTES as u32 } else { 0 };
        let Some(content_bytes) = payload_bytes.checked_sub(proof_bytes) else {
            return false;
        };
        match self.flags & !COMPACTED {
            0 => content_bytes == self.unpacked_bytes,
            // Parts of which some became longer may be longer altogether.
            PACKED => 0 < content_bytes,
            _ => false,
        }
    }
}

/// What a frame says at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) form: Form,
    pub(crate) n_records: u32,
    payload_checksum: u32,
    pub(crate) salt: u64,
    /// With this group.
    pub(crate) link: Link,
}

impl FrameHeader {
    /// Of the group after `previous`, with `payload` in the given form.
    ///
    /// The payload must not be over [`GROUP_BYTES_MAX`].
    pub(crate) fn new(previous: &Link, salt: u64, n_records: u32, form: Form, payload: &[u8]) -> Self {
        Self {
            payload_bytes: length_u32(payload.len()),
            form,
            n_records,
            payload_checksum: crc32c::crc32c(payload),
            salt,
            link: previous.next(n_records, form, blake3::hash(payload).as_bytes()),
        }
    }

    /// Of the same group with another payload: what [`FrameHeader::proof`] gave for the present one, and behind it the new
    /// content, whose form is given.
    pub(crate) fn compacted(&self, form: Form, payload: &[u8]) -> Self {
        Self {
            payload_bytes: length_u32(payload.len()),
            form: form.compacted(),
            payload_checksum: crc32c::crc32c(payload),
            ..*self
        }
    }

    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&FRAME_MAGIC);
        bytes[4..8].copy_from_slice(&self.form.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.n_records.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.link.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.link.chain);
        bytes[64..68].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[68..72].copy_from_slice(&self.form.unpacked_bytes.to_le_bytes());
        // 72..76 is zero.
        let checksum = crc32c::crc32c(&bytes[..76]);
        bytes[76..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header that must belong to the segment with `salt`; `None` when that is not known.
    pub(crate) fn decode(bytes: &[u8], salt: Option<u64>) -> Result<Self, Fault> {
        let Some(bytes) = bytes.get(..FRAME_HEADER_BYTES) else {
            return Err(Fault::CutShort);
        };
        if bytes[..4] != FRAME_MAGIC {
            return Err(Fault::Unknown);
        }
        if crc32c::crc32c(&bytes[..76]) != u32_at(bytes, 76) {
            return Err(Fault::Header);
        }
        let header = Self {
            payload_bytes: u32_at(bytes, 8),
            form: Form { flags: u32_at(bytes, 4), unpacked_bytes: u32_at(bytes, 68) },
            n_records: u32_at(bytes, 12),
            payload_checksum: u32_at(bytes, 64),
            salt: u64_at(bytes, 24),
            link: Link { sequence: u64_at(bytes, 16), chain: array_at(bytes, 32) },
        };
        if salt.is_some_and(|salt| salt != header.salt) {
            return Err(Fault::OtherSegment);
        }
        let bytes_max = GROUP_BYTES_MAX + PROOF_BYTES as u64;
        let is_possible = header.form.is_possible(header.payload_bytes)
            && u64::from(header.form.unpacked_bytes) <= GROUP_BYTES_MAX
            && u64::from(header.payload_bytes) <= bytes_max
            && header.n_records <= GROUP_RECORDS_MAX;
        if is_possible { Ok(header) } else { Err(Fault::Flags) }
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// Checks that `payload` is what this header was written with.
    pub(crate) fn check_payload(&self, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != self.payload_bytes as usize {
            return Err(Fault::CutShort);
        }
        if crc32c::crc32c(payload) != self.payload_checksum { Err(Fault::Payload) } else { Ok(()) }
    }

    /// Checks that the group with `payload` is the one after `previous`.
    pub(crate) fn check_link(&self, previous: &Link, payload: &[u8]) -> Result<(), Fault> {
        self.check_sequence(previous)?;
        let proof = self.proof(payload);
        let expected = previous.next(self.n_records, Form::decode(&proof[32..]), &array_at(&proof, 0));
        if self.link == expected { Ok(()) } else { Err(Fault::Chain) }
    }

    /// What shows that a group with `payload` had its place in the chain: the hash and the form of the payload that the
    /// group was written with.
    pub(crate) fn proof(&self, payload: &[u8]) -> [u8; PROOF_BYTES] {
        if self.form.is_compacted() {
            return array_at(payload, 0);
        }
        let mut proof = [0; PROOF_BYTES];
        proof[..32].copy_from_slice(blake3::hash(payload).as_bytes());
        proof[32..].copy_from_slice(&self.form.encode());
        proof
    }

    /// The records with their lengths, as stored: `payload` without a proof.
    pub(crate) fn content<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if self.form.is_compacted() { &payload[PROOF_BYTES..] } else { payload }
    }

    /// Checks that this is the header of the group after `previous`.
    pub(crate) fn check_sequence(&self, previous: &Link) -> Result<(), Fault> {
        let (expected, found) = (previous.sequence.wrapping_add(1), self.link.sequence);
        if expected == found { Ok(()) } else { Err(Fault::Sequence { expected, found }) }
    }
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("a group is not over GROUP_BYTES_MAX")
}

/// Where in `payload`, which is not compressed, each record is.
pub(crate) fn split_records(payload: &[u8], n_records: u32) -> Result<Vec<Range<usize>>, Fault> {
    // Each record takes at least its prefix, so the count cannot ask for more memory than the payload has.
    let mut ranges = Vec::with_capacity((n_records as usize).min(payload.len() / RECORD_PREFIX_BYTES));
    let mut offset = 0;
    while offset < payload.len() {
        let start = offset + RECORD_PREFIX_BYTES;
        if payload.len() < start {
            return Err(Fault::Record);
        }
        let end = start + u32_at(payload, offset) as usize;
        if payload.len() < end {
            return Err(Fault::Record);
        }
        ranges.push(start..end);
        offset = end;
    }
    if ranges.len() == n_records as usize { Ok(ranges) } else { Err(Fault::Record) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Records;
    use crate::pack::{Packer, Unpacker};

    const SALT: u64 = 77;

    fn genesis() -> Link {
        Link::genesis(Kind::new("test"))
    }

    /// A frame with `records`, compressed if that makes it smaller.
    fn frame(previous: &Link, salt: u64, records: &[&[u8]]) -> (Link, Vec<u8>) {
        let mut payload = Records::default();
        records.iter().for_each(|record| payload.push(record));
        let mut packer = Packer::new(1).expect("a level");
        let (form, stored) = packer.pack(payload.as_bytes());
        let header = FrameHeader::new(previous, salt, length_u32(records.len()), form, stored);
        (header.link, [&header.encode()[..], stored].concat())
    }

    fn check(frame: &[u8], previous: &Link) -> Result<Vec<Vec<u8>>, Fault> {
        let header = FrameHeader::decode(frame, Some(SALT))?;
        let stored = &frame[FRAME_HEADER_BYTES..];
        header.check_payload(stored)?;
        header.check_link(previous, stored)?;
        let payload = Unpacker::default().unpack(&header, stored)?;
        let ranges = split_records(&payload, header.n_records)?;
        Ok(ranges.into_iter().map(|range| payload[range].to_vec()).collect())
    }

    #[test]
    fn records_come_back() {
        for long in [&[0; 300][..], &[0; 3000]] {
            let records: [&[u8]; 4] = [b"one", b"", b"\xF5GR\xF6", long];
            let (_, frame) = frame(&genesis(), SALT, &records);
            assert_eq!(frame.len() < 200, long.len() == 3000, "the long one is compressed");
            assert_eq!(check(&frame, &genesis()), Ok(records.iter().map(|record| record.to_vec()).collect()));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_shows() {
        for record in [&b"one"[..], &[7; 3000]] {
            let (_, frame) = frame(&genesis(), SALT, &[record, b"two"]);
            for bit in 0..frame.len() * 8 {
                let mut frame = frame.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                assert!(check(&frame, &genesis()).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_says_what_is_wrong_with_it() {
        let (link, whole) = frame(&genesis(), SALT, &[b"one", b"two"]);
        assert_eq!(check(&whole[..40], &genesis()), Err(Fault::CutShort));
        assert_eq!(check(&whole[..whole.len() - 1], &genesis()), Err(Fault::CutShort));
        assert_eq!(check(&whole, &link), Err(Fault::Sequence { expected: 2, found: 1 }));
        assert_eq!(check(&whole, &Link { chain: [1; 32], ..genesis() }), Err(Fault::Chain));
        let (_, other) = frame(&genesis(), SALT + 1, &[b"one", b"two"]);
        assert_eq!(check(&other, &genesis()), Err(Fault::OtherSegment));
    }

    /// What comes of a frame that was made with all its checksums for `payload`, which is said to be in `form`.
    fn check_lie(form: Form, n_records: u32, payload: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let header = FrameHeader::new(&genesis(), SALT, n_records, form, payload);
        check(&[&header.encode()[..], payload].concat(), &genesis())
    }

    #[test]
    fn a_form_that_lies_is_refused() {
        let payload = [&996_u32.to_le_bytes()[..], &[7; 996]].concat();
        let packed = Packer::new(1).expect("a level").pack(&payload).1.to_vec();
        let form = |flags, unpacked_bytes| Form { flags, unpacked_bytes };
        assert_eq!(check_lie(form(1, 1000), 1, &packed), Ok(vec![vec![7; 996]]));
        for unpacked_bytes in [0, length_u32(packed.len()), 999, 1001, 1 << 20] {
            assert_eq!(
                check_lie(form(1, unpacked_bytes), 1, &packed),
                Err(Fault::Packed),
                "{unpacked_bytes}"
            );
        }
        assert_eq!(check_lie(form(1, 1001), 1, &payload), Err(Fault::Packed), "not compressed");
        for (form, stored) in [
            (form(1, 1000), &Vec::new()),
            (form(1, 1 << 30), &packed),
            (form(0, 999), &payload),
            (form(4, 1000), &payload),
        ] {
            assert_eq!(check_lie(form, 1, stored), Err(Fault::Flags), "{form:?}");
        }
        assert_eq!(check_lie(form(0, 1000), GROUP_RECORDS_MAX + 1, &payload), Err(Fault::Flags));
        let header = FrameHeader::new(&genesis(), SALT, 1, form(1, 1000), &packed);
        let too_long = FrameHeader { payload_bytes: (1 << 29) + 41, ..header };
        assert_eq!(FrameHeader::decode(&too_long.encode(), Some(SALT)), Err(Fault::Flags));
    }

    #[test]
    fn the_chain_covers_the_form() {
        let payload = [&996_u32.to_le_bytes()[..], &[7; 996]].concat();
        let packed = Packer::new(1).expect("a level").pack(&payload).1.to_vec();
        let form = |flags, unpacked_bytes| Form { flags, unpacked_bytes };
        let header = FrameHeader::new(&genesis(), SALT, 1, form(1, 1000), &packed);
        assert_eq!(header.check_link(&genesis(), &packed), Ok(()));
        for form in [form(1, 1001), form(0, 1000)] {
            let other = FrameHeader { form, ..header };
            assert_eq!(other.check_link(&genesis(), &packed), Err(Fault::Chain), "{form:?}");
        }
    }

    #[test]
    fn a_compacted_group_keeps_its_place_and_its_proof_however_often() {
        let mut packer = Packer::new(1).expect("a level");
        let payload = [&2000_u32.to_le_bytes()[..], &[7; 2000]].concat();
        let (form, stored) = packer.pack(&payload);
        let mut header = FrameHeader::new(&genesis(), SALT, 1, form, stored);
        let (link, proof) = (header.link, header.proof(stored));
        let mut stored = stored.to_vec();
        for n_bytes in [1000_u32, 10] {
            let records = [&n_bytes.to_le_bytes()[..], &vec![8; n_bytes as usize]].concat();
            let (form, content) = packer.pack(&records);
            stored = [&header.proof(&stored)[..], content].concat();
            header = header.compacted(form, &stored);
            assert_eq!((header.link, header.proof(&stored)), (link, proof));
            let frame = [&header.encode()[..], &stored].concat();
            assert_eq!(check(&frame, &genesis()), Ok(vec![vec![8; n_bytes as usize]]));
            for byte in FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + PROOF_BYTES {
                // Also with a checksum that matches.
                let mut stored = stored.clone();
                stored[byte - FRAME_HEADER_BYTES] ^= 1;
                let forged = FrameHeader { payload_checksum: crc32c::crc32c(&stored), ..header };
                let frame = [&forged.encode()[..], &stored].concat();
                assert_eq!(check(&frame, &genesis()), Err(Fault::Chain), "{byte}");
            }
        }
        let too_short = FrameHeader { payload_bytes: 39, ..header };
        assert_eq!(FrameHeader::decode(&too_short.encode(), Some(SALT)), Err(Fault::Flags));
    }

    #[test]
    fn a_payload_that_lies_about_its_records_is_refused() {
        let mut records = Records::default();
        records.push(b"one");
        records.push(b"");
        let payload = records.as_bytes();
        assert_eq!(split_records(payload, 2), Ok(vec![4..7, 11..11]));
        for n_records in [0, 1, 3, u32::MAX] {
            assert_eq!(split_records(payload, n_records), Err(Fault::Record));
        }
        for length in 0..payload.len() {
            assert_eq!(split_records(&payload[..length], 2), Err(Fault::Record));
        }
        for bit in (0..32).chain(56..88) {
            let mut payload = payload.to_vec();
            payload[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(split_records(&payload, 2), Err(Fault::Record), "bit {bit}");
        }
    }
}

//! The bytes of a group: a header with checksums and the hash chain, then the records.

use std::ops::Range;

use crate::Fault;
use crate::format::{GROUP_BYTES_MAX, Kind, array_at, u32_at, u64_at};

/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 80;

/// Bytes before each record: its length, and a checksum of both, so that one record can be read without its group.
pub(crate) const RECORD_PREFIX_BYTES: usize = 8;

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
    /// Over the payload's hash and not the payload, so that a group whose payload was dropped can still be proven
    /// to have had its place.
    fn next(&self, n_records: u32, payload: &[u8]) -> Self {
        let sequence = self.sequence + 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.chain);
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&n_records.to_le_bytes());
        hasher.update(blake3::hash(payload).as_bytes());
        Self { sequence, chain: *hasher.finalize().as_bytes() }
    }
}

/// What a frame says at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) n_records: u32,
    pub(crate) payload_checksum: u32,
    pub(crate) salt: u64,
    /// With this group.
    pub(crate) link: Link,
}

impl FrameHeader {
    fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&FRAME_MAGIC);
        // 4..8 is zero: room for flags, such as that the payload is compressed.
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.n_records.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.link.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.link.chain);
        bytes[64..68].copy_from_slice(&self.payload_checksum.to_le_bytes());
        // 68..76 is zero.
        let checksum = crc32c::crc32c(&bytes[..76]);
        bytes[76..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header that must belong to the segment with `salt`.
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Result<Self, Fault> {
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
            n_records: u32_at(bytes, 12),
            payload_checksum: u32_at(bytes, 64),
            salt: u64_at(bytes, 24),
            link: Link { sequence: u64_at(bytes, 16), chain: array_at(bytes, 32) },
        };
        if header.salt != salt {
            return Err(Fault::OtherSegment);
        }
        if u32_at(bytes, 4) != 0 || GROUP_BYTES_MAX < u64::from(header.payload_bytes) {
            return Err(Fault::Flags);
        }
        Ok(header)
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
        let expected = previous.sequence + 1;
        if self.link.sequence != expected {
            return Err(Fault::Sequence { expected, found: self.link.sequence });
        }
        if self.link != previous.next(self.n_records, payload) { Err(Fault::Chain) } else { Ok(()) }
    }
}

/// Bytes that a group of `records` takes as a payload.
pub(crate) fn payload_bytes<R: AsRef<[u8]>>(records: &[R]) -> u64 {
    records.iter().map(|record| (RECORD_PREFIX_BYTES + record.as_ref().len()) as u64).sum()
}

/// Writes the frame of the group after `previous` into `frame`, whose earlier content is dropped.
///
/// The payload must not be over [`GROUP_BYTES_MAX`].
pub(crate) fn encode<R: AsRef<[u8]>>(frame: &mut Vec<u8>, previous: &Link, salt: u64, records: &[R]) -> Link {
    frame.clear();
    frame.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    for record in records {
        let record = record.as_ref();
        let length = length_u32(record.len());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&record_checksum(length, record).to_le_bytes());
        frame.extend_from_slice(record);
    }
    let payload = &frame[FRAME_HEADER_BYTES..];
    let n_records = length_u32(records.len());
    let link = previous.next(n_records, payload);
    let header = FrameHeader {
        payload_bytes: length_u32(payload.len()),
        n_records,
        payload_checksum: crc32c::crc32c(payload),
        salt,
        link,
    };
    frame[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
    link
}

fn record_checksum(length: u32, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), record)
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("a group is not over GROUP_BYTES_MAX")
}

/// The length that the prefix of a record gives; `None` when there is no room for a prefix.
pub(crate) fn record_length(prefix: &[u8]) -> Option<usize> {
    (RECORD_PREFIX_BYTES <= prefix.len()).then(|| u32_at(prefix, 0) as usize)
}

/// Where in `bytes`, which begin with its prefix, the record is.
pub(crate) fn split_record(bytes: &[u8]) -> Result<Range<usize>, Fault> {
    let length = record_length(bytes).ok_or(Fault::Record)?;
    let range = RECORD_PREFIX_BYTES..RECORD_PREFIX_BYTES + length;
    let record = bytes.get(range.clone()).ok_or(Fault::Record)?;
    if record_checksum(u32_at(bytes, 0), record) == u32_at(bytes, 4) { Ok(range) } else { Err(Fault::Record) }
}

/// Where in `payload` each record is.
pub(crate) fn split_records(payload: &[u8], n_records: u32) -> Result<Vec<Range<usize>>, Fault> {
    // Each record takes at least its prefix, so the count cannot ask for more memory than the payload has.
    let mut ranges = Vec::with_capacity((n_records as usize).min(payload.len() / RECORD_PREFIX_BYTES));
    let mut offset = 0;
    while offset < payload.len() {
        let range = split_record(&payload[offset..])?;
        let (start, end) = (offset + range.start, offset + range.end);
        ranges.push(start..end);
        offset = end;
    }
    if ranges.len() == n_records as usize { Ok(ranges) } else { Err(Fault::Record) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 77;

    fn genesis() -> Link {
        Link::genesis(Kind::new("test"))
    }

    fn check(frame: &[u8], previous: &Link) -> Result<Vec<Vec<u8>>, Fault> {
        let header = FrameHeader::decode(frame, SALT)?;
        let payload = &frame[FRAME_HEADER_BYTES..];
        header.check_payload(payload)?;
        header.check_link(previous, payload)?;
        Ok(split_records(payload, header.n_records)?
            .into_iter()
            .map(|range| payload[range].to_vec())
            .collect())
    }

    #[test]
    fn records_come_back() {
        let mut frame = Vec::new();
        let records: [&[u8]; 4] = [b"one", b"", b"\xF5GR\xF6", &[0; 300]];
        encode(&mut frame, &genesis(), SALT, &records);
        assert_eq!(check(&frame, &genesis()), Ok(records.iter().map(|record| record.to_vec()).collect()));
    }

    #[test]
    fn every_flipped_bit_of_a_frame_shows() {
        let mut frame = Vec::new();
        encode(&mut frame, &genesis(), SALT, &["one", "two"]);
        for bit in 0..frame.len() * 8 {
            let mut frame = frame.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&frame, &genesis()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_says_what_is_wrong_with_it() {
        let mut frame = Vec::new();
        let link = encode(&mut frame, &genesis(), SALT, &["one", "two"]);
        assert_eq!(check(&frame[..40], &genesis()), Err(Fault::CutShort));
        assert_eq!(check(&frame[..frame.len() - 1], &genesis()), Err(Fault::CutShort));
        assert_eq!(check(&frame, &link), Err(Fault::Sequence { expected: 2, found: 1 }));
        assert_eq!(check(&frame, &Link { chain: [1; 32], ..genesis() }), Err(Fault::Chain));
        encode(&mut frame, &genesis(), SALT + 1, &["one", "two"]);
        assert_eq!(check(&frame, &genesis()), Err(Fault::OtherSegment));
    }

    #[test]
    fn a_payload_that_lies_about_its_records_is_refused() {
        let mut frame = Vec::new();
        encode(&mut frame, &genesis(), SALT, &["one", ""]);
        let payload = &frame[FRAME_HEADER_BYTES..];
        assert_eq!(split_records(payload, 2), Ok(vec![8..11, 19..19]));
        for n_records in [0, 1, 3, u32::MAX] {
            assert_eq!(split_records(payload, n_records), Err(Fault::Record));
        }
        for length in 0..payload.len() {
            assert_eq!(split_records(&payload[..length], 2), Err(Fault::Record));
        }
        for bit in 0..payload.len() * 8 {
            let mut payload = payload.to_vec();
            payload[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(split_records(&payload, 2), Err(Fault::Record), "bit {bit}");
        }
    }
}

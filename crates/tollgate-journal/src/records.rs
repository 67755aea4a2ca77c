//! The records of a group that is being made.

use crate::format::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX, RECORD_PREFIX_BYTES};

/// Memory that is kept when the records are dropped, at most: one large group must not hold its own for ever.
const BYTES_KEPT: usize = 4 << 20;

/// Records on their way into a group, in one buffer and in the form in which a group holds them.
///
/// Meant to be kept and used again for the next group.
#[derive(Debug, Clone, Default)]
pub struct Records {
    bytes: Vec<u8>,
    n_records: usize,
}

impl Records {
    /// Drops all records; some memory is kept for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.n_records = 0;
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(record));
    }

    /// Adds the record that `write` appends to the buffer that it is given, so that it need not be put together
    /// elsewhere first. What the buffer holds already belongs to the records before.
    ///
    /// # Panics
    ///
    /// When `write` makes the buffer shorter.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let prefix = self.bytes.len();
        let start = prefix + RECORD_PREFIX_BYTES;
        self.bytes.resize(start, 0);
        write(&mut self.bytes);
        let length = self.bytes.len().checked_sub(start).expect("a record is appended and nothing removed");
        // A length that does not fit is far over what a group may hold, so it is never written.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.bytes[prefix..start].copy_from_slice(&length.to_le_bytes());
        self.n_records += 1;
    }

    /// What [`Records::as_bytes`] gave.
    pub(crate) fn from_bytes(bytes: Vec<u8>, n_records: usize) -> Self {
        Self { bytes, n_records }
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, bytes) = rest.split_first_chunk()?;
            let (record, later) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = later;
            Some(record)
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_records
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_records == 0
    }

    /// How many bytes they take in a group that is not compressed; with [`GROUP_BYTES_MAX`] it is full.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether a group may hold them.
    pub(crate) fn fit(&self) -> bool {
        self.n_bytes() <= GROUP_BYTES_MAX && self.n_records <= GROUP_RECORDS_MAX as usize
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_with_their_lengths() {
        let mut records = Records::default();
        assert!(records.is_empty());
        records.push(b"one");
        records.push_with(|_| {});
        records.push_with(|bytes| bytes.push(7));
        assert_eq!((records.len(), records.n_bytes()), (3, 16));
        assert_eq!(records.as_bytes(), b"\x03\0\0\0one\0\0\0\0\x01\0\0\0\x07");
        assert_eq!(records.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"\x07"]);
        records.clear();
        assert_eq!((records.len(), records.n_bytes(), records.is_empty()), (0, 0, true));
    }

    #[test]
    fn a_large_group_does_not_hold_its_memory() {
        let mut records = Records::default();
        records.push(&vec![0; 2 * BYTES_KEPT]);
        records.clear();
        assert!(records.bytes.capacity() <= BYTES_KEPT, "{} bytes", records.bytes.capacity());
    }
}

//! Compressing the payload of a group, and unpacking it.

use std::fmt;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, ParamSwitch};

use crate::frame::{Form, FrameHeader};
use crate::{Fault, Records};

/// A payload that is shorter is stored as it is: there is little to gain, and a reader has it sooner.
const PACKED_BYTES_MIN: usize = 512;

/// The level of the groups that are appended: a sixth of the bytes, for a third of the time more.
pub(crate) const QUICK_LEVEL: i32 = 1;

/// At the quick level, how far the search for a match goes on after it found none. Batches repeat each other over long parts: nearly
/// as much is found as by looking at every place, in three quarters of the time. `docs/decisions/0003-groups-are-compressed.md` has
/// the figures.
const QUICK_STEP: u32 = 3;

/// Memory for a payload to be stored that is kept from one group to the next, at most.
pub(crate) const BYTES_KEPT: usize = 4 << 20;

/// Records that were compressed before the group was made that they are a part of.
#[derive(Debug, Clone)]
pub struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) n_records: usize,
    /// Of the records with their lengths.
    pub(crate) payload_bytes: usize,
}

impl Packed {
    /// How many bytes the records take when they are not compressed.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The records again.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn unpack(&self) -> io::Result<Records> {
        let mut bytes = Vec::with_capacity(self.payload_bytes);
        Decompressor::new()?.decompress_to_buffer(&self.bytes, &mut bytes)?;
        Ok(Records::from_bytes(bytes, self.n_records))
    }
}

/// Compresses one payload after the other.
pub struct Packer {
    compressor: Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    /// Compresses at the zstd level `level`; at level 1 with longer steps than zstd's own.
    ///
    /// # Errors
    ///
    /// When there is no such level, or no memory.
    pub fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        if level == QUICK_LEVEL {
            compressor.set_parameter(CParameter::TargetLength(QUICK_STEP))?;
            // Otherwise a step means that literals stay as they are: of hexadecimal digits twice as much as need be.
            compressor.set_parameter(CParameter::LiteralCompressionMode(ParamSwitch::Enable))?;
        }
        Ok(Self { compressor, packed: Vec::new() })
    }

    /// Compresses records for [`crate::Journal::append_packed`], on any thread.
    ///
    /// # Panics
    ///
    /// When there is no memory for the compressor.
    pub fn pack_records(&mut self, records: &Records) -> Packed {
        let payload = records.as_bytes();
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(payload.len()));
        let compressed = self.compressor.compress_to_buffer(payload, &mut self.packed);
        compressed.expect("there is room for every outcome, so only a lack of memory is left");
        // A copy of what it needs and no more: the room for it was for the worst case.
        let bytes = self.packed.clone();
        self.packed.shrink_to(BYTES_KEPT);
        Packed { bytes, n_records: records.len(), payload_bytes: payload.len() }
    }

    /// The payload as it is to be stored: compressed, if it becomes smaller by it.
    pub(crate) fn pack<'a>(&'a mut self, payload: &'a [u8]) -> (Form, &'a [u8]) {
        if payload.len() < PACKED_BYTES_MIN {
            return (Form::plain(payload), payload);
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(payload.len()));
        match self.compressor.compress_to_buffer(payload, &mut self.packed) {
            Ok(n_bytes) if n_bytes < payload.len() => (Form::packed(payload), &self.packed),
            // There is room for every outcome, so an error is a lack of memory; the payload itself needs no more.
            Ok(_) | Err(_) => (Form::plain(payload), payload),
        }
    }

    /// Drops the last payload, and most of the memory of a large one.
    pub(crate) fn clear(&mut self) {
        self.packed.clear();
        self.packed.shrink_to(BYTES_KEPT);
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// Unpacks one payload after the other.
#[derive(Default)]
pub(crate) struct Unpacker(Option<Decompressor<'static>>);

impl Unpacker {
    /// The records of a group, with their lengths, of what is stored of it.
    pub(crate) fn unpack(&mut self, header: &FrameHeader, stored: &[u8]) -> Result<Vec<u8>, Fault> {
        let stored = header.content(stored);
        if !header.form.is_packed() {
            return Ok(stored.to_vec());
        }
        let n_bytes = header.form.unpacked_bytes as usize;
        // No more than a group may hold, as the header was checked for.
        let mut payload = Vec::with_capacity(n_bytes);
        let decompressor = self.0.get_or_insert_default();
        match decompressor.decompress_to_buffer(stored, &mut payload) {
            Ok(_) if payload.len() == n_bytes => Ok(payload),
            Ok(_) | Err(_) => Err(Fault::Packed),
        }
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_becomes_smaller_is_compressed() {
        let mut packer = Packer::new(1).expect("a level");
        let mut is_packed = |payload: &[u8]| packer.pack(payload).0.is_packed();
        assert!(!is_packed(&[7; PACKED_BYTES_MIN - 1]));
        assert!(is_packed(&[7; PACKED_BYTES_MIN]));
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(10_000).collect();
        assert!(!is_packed(&noise));
    }

    #[test]
    fn a_large_payload_does_not_hold_its_memory() {
        let mut packer = Packer::new(1).expect("a level");
        packer.pack(&vec![0; 2 * BYTES_KEPT]);
        packer.clear();
        assert!(packer.packed.capacity() <= BYTES_KEPT, "{} bytes", packer.packed.capacity());
    }
}

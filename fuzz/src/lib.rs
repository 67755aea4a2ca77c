//! What the fuzz targets of the wire format have in common: a document is decoded, encoded, and decoded again.
//!
//! Every check is an assertion, so that a document which breaks one is kept as an artifact.

use std::fmt::Debug;

use tollgate_wire::{Decode, DecodeError, Encode, from_slice, to_vec};

/// What became of a document.
#[derive(Debug)]
pub enum Fate {
    /// It is no JSON, or JSON of another shape.
    Refused(DecodeError),
    /// It decodes, to something that Go would not write either.
    NotEncodable,
    /// It decodes, and these are the bytes that it encodes to.
    Canonical(Vec<u8>),
}

/// Decodes a document. What it encodes to must decode to an equal value, which must encode to the same bytes.
///
/// # Panics
///
/// When it does not.
pub fn round_trip<T>(document: &[u8]) -> Fate
where
    T: Decode + Encode + PartialEq + Debug,
{
    let value = match from_slice::<T>(document) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.offset() <= document.len(), "an offset within the document: {error}");
            return Fate::Refused(error);
        }
    };
    let Ok(canonical) = to_vec(&value) else { return Fate::NotEncodable };
    let again = from_slice::<T>(&canonical);
    assert_eq!(again.as_ref(), Ok(&value), "decoding what was encoded: {}", canonical.escape_ascii());
    assert_eq!(again.map(|again| to_vec(&again)), Ok(Ok(canonical.clone())), "encoding it again");
    Fate::Canonical(canonical)
}

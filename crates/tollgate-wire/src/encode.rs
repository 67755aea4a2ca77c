//! Encoding to exactly the bytes of Go's `json.Marshal`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::{Nanoseconds, Timestamp, base64, escape};

/// A type that encodes as its Go counterpart does.
pub trait Encode {
    /// Appends the JSON.
    ///
    /// # Errors
    ///
    /// When Go refuses the value too.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Whether the JSON starts with a quote, whatever the value. Then [`Encode::encode_unopened`] leaves that quote to the caller,
    /// who has written it together with what comes before.
    const QUOTED: bool = false;

    /// Appends the JSON, without its opening quote where it is [`Encode::QUOTED`].
    ///
    /// # Errors
    ///
    /// As [`Encode::encode`].
    #[inline]
    fn encode_unopened(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode(out)
    }

    /// Whether a field of this value is left out where Go says `omitempty`.
    fn is_empty(&self) -> bool {
        false
    }
}

/// A time that Go's `Time.MarshalJSON` refuses to write too, though it reads such times: its year is outside of 0 to 9999, or
/// its offset is a day or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError(pub(crate) Timestamp);

impl EncodeError {
    /// The time that cannot be written.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "encode the time {}: its year must be within 0 to 9999 and its offset below 24 hours",
            self.0
        )
    }
}

impl std::error::Error for EncodeError {}

/// The JSON of a value: the bytes of Go's `json.Marshal`, without a line feed.
///
/// ```
/// let mut responses = tollgate_wire::EnvironmentResponses::default();
/// responses.ack("model", "batch");
/// let json = tollgate_wire::to_vec(&responses)?;
/// assert_eq!(json, br#"{"model":{"acks":["batch"],"model-status":{"status":"","info":""}}}"#);
/// # Ok::<(), tollgate_wire::EncodeError>(())
/// ```
///
/// # Errors
///
/// When Go refuses the value too, which it does for some times.
pub fn to_vec<T: Encode>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    value.encode(&mut out)?;
    Ok(out)
}

/// Appends the JSON of a value to `out`; see [`to_vec`].
///
/// # Errors
///
/// As [`to_vec`]; `out` then ends in a part of the JSON.
pub fn encode<T: Encode>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value.encode(out)
}

impl Encode for String {
    const QUOTED: bool = true;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'"');
        self.encode_unopened(out)
    }

    #[inline]
    fn encode_unopened(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        escape::quoted_rest(self, out);
        Ok(())
    }
}

impl Encode for Cow<'_, str> {
    const QUOTED: bool = true;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'"');
        self.encode_unopened(out)
    }

    #[inline]
    fn encode_unopened(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        escape::quoted_rest(self, out);
        Ok(())
    }
}

impl Encode for Timestamp {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut buffer = [0; 40];
        out.extend_from_slice(self.write_quoted(&mut buffer).ok_or(EncodeError(*self))?);
        Ok(())
    }
}

impl Encode for Nanoseconds {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(self.0.to_string().as_bytes());
        Ok(())
    }
}

/// Go: `[]byte`; `None` is nil.
impl Encode for Option<Vec<u8>> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            None => out.extend_from_slice(b"null"),
            Some(bytes) => {
                out.push(b'"');
                base64::encode(bytes, out);
                out.push(b'"');
            }
        }
        Ok(())
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.as_slice().encode(out)
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'[');
        for (index, element) in self.iter().enumerate() {
            if index != 0 {
                out.push(b',');
            }
            element.encode(out)?;
        }
        out.push(b']');
        Ok(())
    }
}

/// Go: a slice; `None` is nil.
impl<T: Encode> Encode for Option<Vec<T>> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Some(elements) => elements.encode(out),
        }
    }
}

impl<T: Encode> Encode for BTreeMap<String, T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        members(self.iter().map(|(key, value)| (key.as_str(), value)), out)
    }

    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }
}

/// An object of members that come in the order of their keys.
pub(crate) fn members<'m, T: Encode + 'm>(
    members: impl Iterator<Item = (&'m str, &'m T)>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.push(b'{');
    for (index, (key, value)) in members.enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        escape::quoted_rest(key, out);
        out.push(b':');
        value.encode(out)?;
    }
    out.push(b'}');
    Ok(())
}

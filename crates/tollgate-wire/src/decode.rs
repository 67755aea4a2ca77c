//! Decoding into a value that exists, which is what Go's `json.Unmarshal` does.
//!
//! `null` leaves strings, structs and times as they were; a key that comes again is decoded over what the first one
//! left: structs and maps are merged, and an array overwrites the elements of the slice in place, one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::document::{self, Place};
use crate::fault::{DecodeError, Fault};
use crate::parser::{Next, Parser};
use crate::{Nanoseconds, Timestamp, base64, time};

/// A type that decodes as its Go counterpart does; see [`from_slice`].
pub trait Decode: Sized {
    /// What [`from_slice`] calls.
    ///
    /// # Errors
    ///
    /// When Go refuses the document too.
    fn from_document(document: &[u8]) -> Result<Self, DecodeError>;
}

/// Decoding over a value that is there.
pub(crate) trait DecodeOver<'a>: Default {
    /// What has to be remembered of a field while the struct around it is being decoded, as its key may come again.
    type Memory: Default;

    /// Decodes the next value over `self`.
    fn decode(&mut self, memory: &mut Self::Memory, parser: &mut Parser<'a>) -> Result<(), Fault>;

    /// Called once after the last time that the key came.
    fn settle(&mut self, _memory: Self::Memory) {}

    /// Decodes the next value over `self`, when nothing comes again.
    fn decode_once(&mut self, parser: &mut Parser<'a>) -> Result<(), Fault> {
        let mut memory = Self::Memory::default();
        self.decode(&mut memory, parser)?;
        self.settle(memory);
        Ok(())
    }
}

/// How many of a vector's elements are the slice's, once an array was decoded over it. What a repeated key cuts off a slice stays
/// behind its end, in Go too, and comes back when a third is longer; only [`DecodeOver::settle`] drops it.
pub(crate) type SliceLength = Option<usize>;

pub(crate) fn settle_slice<T>(slice: &mut Vec<T>, length: SliceLength) {
    if let Some(length) = length {
        slice.truncate(length);
    }
}

/// Decodes a whole document into a value of its own, as Go's `json.Unmarshal` into a new variable does: it accepts the
/// same documents and gives the same value.
///
/// `Option<Vec<MetricBatch>>` is what a sender posts (`null` is `None`); [`crate::Response`] is what it gets back.
///
/// ```
/// let response: tollgate_wire::Response = tollgate_wire::from_slice(br#"{"UUID": "r", "new-grace-period": 5}"#)?;
/// assert_eq!(response.uuid, "r");
/// # Ok::<(), tollgate_wire::DecodeError>(())
/// ```
///
/// # Errors
///
/// When Go refuses the document too.
pub fn from_slice<T: Decode>(document: &[u8]) -> Result<T, DecodeError> {
    T::from_document(document)
}

impl<T: for<'a> DecodeOver<'a>> Decode for T {
    fn from_document(document: &[u8]) -> Result<Self, DecodeError> {
        let text = document::repair(document);
        from_text(&text).map_err(|fault| DecodeError(Place::start(document, &text).locate(fault)))
    }
}

fn from_text<T: for<'a> DecodeOver<'a>>(text: &str) -> Result<T, Fault> {
    let mut parser = Parser::new(text);
    let mut value = T::default();
    value.decode_once(&mut parser)?;
    parser.end()?;
    Ok(value)
}

/// Decodes the members of an object by `member`, which is given each key and takes the value behind it.
pub(crate) fn object<'a>(
    parser: &mut Parser<'a>,
    member: impl FnMut(&mut Parser<'a>, Cow<'a, str>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match parser.open(b'}')? {
        Next::More => members(parser, member),
        Next::End => Ok(()),
    }
}

/// The same from the next key on, inside of an object.
pub(crate) fn members<'a>(
    parser: &mut Parser<'a>,
    mut member: impl FnMut(&mut Parser<'a>, Cow<'a, str>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    loop {
        let key = parser.key()?;
        member(parser, key)?;
        if parser.separator(b'}')? == Next::End {
            return Ok(());
        }
    }
}

/// Whether Go takes `key` for the field `name`: the same, or the same without regard to case. Two characters beyond
/// ASCII fold to letters of it: U+017F to s, and U+212A to k.
pub(crate) fn names_field(key: &str, name: &str) -> bool {
    fn fold(character: char) -> char {
        match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        }
    }
    key.len() >= name.len() && key.chars().map(fold).eq(name.chars().map(fold))
}

impl<'a> DecodeOver<'a> for String {
    type Memory = ();

    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        let mut text = Cow::default();
        if string_or_null(&mut text, parser)? {
            *self = text.into_owned();
        }
        Ok(())
    }
}

impl<'a> DecodeOver<'a> for Cow<'a, str> {
    type Memory = ();

    #[inline]
    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        string_or_null(self, parser).map(|_| ())
    }
}

/// Whether it was a string.
#[inline]
fn string_or_null<'a>(text: &mut Cow<'a, str>, parser: &mut Parser<'a>) -> Result<bool, Fault> {
    match parser.value_start()? {
        b'"' => {
            *text = parser.string()?;
            Ok(true)
        }
        b'n' => parser.stray_null().map(|()| false),
        _ => Err(parser.mismatch(parser.position(), "a string")),
    }
}

impl<'a> DecodeOver<'a> for Timestamp {
    type Memory = ();

    #[inline]
    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        let start = match parser.value_start()? {
            b'"' => parser.position(),
            b'n' => return parser.stray_null(),
            _ => return Err(parser.mismatch(parser.position(), "a time in a string")),
        };
        // Go hands the bytes between the quotes to time.Time as they are written: a time with an escape is none.
        let text = parser.raw_string()?;
        *self = time::parse(text.as_bytes())
            .ok_or_else(|| parser.mismatch(start, "a time as in RFC 3339 (2018-03-22T10:15:28.5Z)"))?;
        if !time::is_canonical(text.as_bytes()) {
            parser.strays();
        }
        Ok(())
    }
}

impl<'a> DecodeOver<'a> for Nanoseconds {
    type Memory = ();

    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        let start = match parser.value_start()? {
            b'-' | b'0'..=b'9' => parser.position(),
            b'n' => return parser.null(),
            _ => return Err(parser.mismatch(parser.position(), "an integer of nanoseconds")),
        };
        let number = parser.number()?;
        self.0 = number
            .parse()
            .map_err(|_| parser.mismatch(start, "an integer of nanoseconds of at most 64 bits"))?;
        Ok(())
    }
}

/// Go: `[]byte`; `None` is nil.
impl<'a> DecodeOver<'a> for Option<Vec<u8>> {
    type Memory = SliceLength;

    fn decode(&mut self, length: &mut SliceLength, parser: &mut Parser<'a>) -> Result<(), Fault> {
        match parser.value_start()? {
            b'"' => {
                let start = parser.position();
                let text = parser.string()?;
                let bytes = base64::decode(&text).ok_or_else(|| parser.mismatch(start, base64::EXPECTED))?;
                *self = Some(bytes);
                *length = None;
                Ok(())
            }
            b'[' => array(self.get_or_insert_default(), length, parser, byte_element),
            b'n' => {
                *self = None;
                *length = None;
                parser.null()
            }
            _ => Err(parser.mismatch(parser.position(), base64::EXPECTED)),
        }
    }

    fn settle(&mut self, length: SliceLength) {
        if let Some(bytes) = self {
            settle_slice(bytes, length);
        }
    }
}

/// One byte of a `[]byte` that is written as an array of numbers.
pub(crate) fn byte_element(byte: &mut u8, parser: &mut Parser<'_>) -> Result<(), Fault> {
    const EXPECTED: &str = "an integer from 0 to 255";
    match parser.value_start()? {
        b'0'..=b'9' | b'-' => {
            let start = parser.position();
            let number = parser.number()?;
            *byte = number.parse().map_err(|_| parser.mismatch(start, EXPECTED))?;
            Ok(())
        }
        b'n' => parser.null(),
        _ => Err(parser.mismatch(parser.position(), EXPECTED)),
    }
}

/// An array over a slice: element by element over what is there, then what a longer one left behind, then new ones. This takes
/// time for what is decoded, not for what is there.
pub(crate) fn array<'a, T: Default>(
    slots: &mut Vec<T>,
    length: &mut SliceLength,
    parser: &mut Parser<'a>,
    mut element: impl FnMut(&mut T, &mut Parser<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut next = parser.open(b']')?;
    if next == Next::End {
        *slots = Vec::new();
    }
    let mut n_elements = 0;
    while next == Next::More {
        if n_elements == slots.len() {
            parser.keep_one_more(n_elements)?;
            slots.push(T::default());
        }
        element(&mut slots[n_elements], parser)?;
        n_elements += 1;
        next = parser.separator(b']')?;
    }
    *length = Some(n_elements);
    Ok(())
}

impl<'a, T: DecodeOver<'a>> DecodeOver<'a> for Vec<T> {
    type Memory = SliceLength;

    fn decode(&mut self, length: &mut SliceLength, parser: &mut Parser<'a>) -> Result<(), Fault> {
        match parser.value_start()? {
            b'[' => array(self, length, parser, T::decode_once),
            b'n' => {
                *self = Vec::new();
                *length = None;
                parser.null()
            }
            _ => Err(parser.mismatch(parser.position(), "an array")),
        }
    }

    fn settle(&mut self, length: SliceLength) {
        settle_slice(self, length);
    }
}

impl<'a, T: DecodeOver<'a>> DecodeOver<'a> for Option<Vec<T>> {
    type Memory = SliceLength;

    #[inline]
    fn decode(&mut self, length: &mut SliceLength, parser: &mut Parser<'a>) -> Result<(), Fault> {
        if parser.value_start()? == b'n' {
            *self = None;
            *length = None;
            return parser.null();
        }
        self.get_or_insert_default().decode(length, parser)
    }

    fn settle(&mut self, length: SliceLength) {
        if let Some(slice) = self {
            settle_slice(slice, length);
        }
    }
}

impl<'a, T: DecodeOver<'a>> DecodeOver<'a> for BTreeMap<String, T> {
    type Memory = ();

    fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
        match parser.value_start()? {
            b'{' => object(parser, |parser, key| {
                let mut value = T::default();
                value.decode_once(parser)?;
                self.insert(key.into_owned(), value);
                Ok(())
            }),
            b'n' => {
                self.clear();
                parser.null()
            }
            _ => Err(parser.mismatch(parser.position(), "an object")),
        }
    }
}

//! Why a document was refused.

use std::fmt;

/// The first thing wrong in a document, as the parser sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Bytes from the start of the parsed text.
    pub(crate) offset: usize,
    /// What would have been right, as it reads after "expected".
    pub(crate) expected: &'static str,
    /// What was there instead; `None` at the end of the document.
    pub(crate) found: Option<u8>,
    /// The innermost known field around it.
    pub(crate) field: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not JSON: nothing in the document can be trusted.
    Syntax,
    /// JSON, but not of the type that the field has: only the element around it is lost.
    Type,
}

impl Fault {
    pub(crate) fn in_field(mut self, name: &'static str) -> Self {
        self.field.get_or_insert(name);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)?;
        if let Some(field) = self.field {
            write!(f, " in \"{field}\"")?;
        }
        match self.found {
            None => f.write_str(", found the end of the document"),
            Some(byte @ 0x21..=0x7e) => write!(f, ", found '{}'", char::from(byte)),
            Some(byte) => write!(f, ", found byte 0x{byte:02x}"),
        }
    }
}

/// A document that Go's `json.Unmarshal` refuses too: not JSON, or not of the type asked for.
///
/// The text fits after "failed to" and names the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(pub(crate) Fault);

impl DecodeError {
    /// Where in the document, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// Whether the document is not JSON at all, rather than JSON of another shape.
    #[must_use]
    pub fn is_syntax(&self) -> bool {
        self.0.kind == Kind::Syntax
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decode the document at byte {}: {}", self.0.offset, self.0)
    }
}

impl std::error::Error for DecodeError {}

//! A posted document: bytes, made text as Go does.

use std::borrow::Cow;

use crate::fault::Fault;

/// The bytes as text: each byte that is not UTF-8 becomes one U+FFFD, as it does in Go's strings. Outside of strings such a
/// byte is a fault of syntax before and after.
pub(crate) fn repair(document: &[u8]) -> (Cow<'_, str>, Repairs) {
    if let Ok(text) = std::str::from_utf8(document) {
        return (Cow::Borrowed(text), Repairs::default());
    }
    let mut text = String::with_capacity(document.len() + 64);
    let mut repairs = Repairs::default();
    for chunk in document.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            repairs.0.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (Cow::Owned(text), repairs)
}

/// Where the text has a U+FFFD in place of one byte of the document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repairs(Vec<usize>);

impl Repairs {
    /// The offset in the document of an offset in the text.
    pub(crate) fn offset(&self, in_text: usize) -> usize {
        let grown_by = char::REPLACEMENT_CHARACTER.len_utf8() - 1;
        in_text - grown_by * self.0.partition_point(|&repair| repair < in_text)
    }

    pub(crate) fn locate(&self, fault: Fault) -> Fault {
        Fault { offset: self.offset(fault.offset), ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_byte_by_byte_and_finds_the_way_back() {
        let (text, repairs) = repair(b"a\xe2\x80b\xffc");
        assert_eq!(text, "a\u{fffd}\u{fffd}b\u{fffd}c");
        let back: Vec<usize> = text.char_indices().map(|(offset, _)| repairs.offset(offset)).collect();
        assert_eq!(back, [0, 1, 2, 3, 4, 5]);
        assert_eq!(repairs.offset(text.len()), 6);
    }
}

//! A posted document: bytes, made text as Go does.

use std::borrow::Cow;

use crate::fault::Fault;

/// The bytes as text: each byte that is not UTF-8 becomes one U+FFFD, as it does in Go's strings. Outside of strings such a
/// byte is a fault of syntax before and after.
pub(crate) fn repair(document: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(document) {
        return Cow::Borrowed(text);
    }
    let n_invalid: usize = document.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let mut text = String::with_capacity(document.len() + GROWTH * n_invalid);
    for chunk in document.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// A repaired byte is so many bytes longer in the text than in the document.
const GROWTH: usize = char::REPLACEMENT_CHARACTER.len_utf8() - 1;

/// A place in a document and the same place in its text. It only ever goes on, and looks at nothing but what it passes: finding many
/// places takes no longer than reading the document once.
#[derive(Debug, Clone)]
pub(crate) struct Place<'d> {
    document: &'d [u8],
    is_repaired: bool,
    in_document: usize,
    in_text: usize,
}

impl<'d> Place<'d> {
    /// The start of a document and of the text that [`repair`] made of it.
    pub(crate) fn start(document: &'d [u8], text: &str) -> Self {
        Self { document, is_repaired: document.len() != text.len(), in_document: 0, in_text: 0 }
    }

    /// Goes on to an offset in the text, not before this place, and gives the offset in the document.
    pub(crate) fn advance(&mut self, in_text: usize) -> usize {
        if !self.is_repaired {
            return in_text;
        }
        // The document is never longer than its text.
        let passed = self.in_document..self.document.len().min(self.in_document + in_text - self.in_text);
        for chunk in self.document[passed].utf8_chunks() {
            let valid = chunk.valid().len().min(in_text - self.in_text);
            self.in_document += valid;
            self.in_text += valid;
            for _ in chunk.invalid() {
                if in_text == self.in_text {
                    return self.in_document;
                }
                self.in_document += 1;
                self.in_text += 1 + GROWTH;
            }
        }
        self.in_document
    }

    /// The fault, at its offset in the document.
    pub(crate) fn locate(&self, fault: Fault) -> Fault {
        Fault { offset: self.clone().advance(fault.offset), ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_byte_by_byte_and_finds_the_way_back() {
        let document = b"a\xe2\x80b\xffc";
        let text = repair(document);
        assert_eq!(text, "a\u{fffd}\u{fffd}b\u{fffd}c");
        let offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
        let expected = [0, 1, 2, 3, 4, 5, 6];
        let from_start: Vec<usize> =
            offsets.iter().map(|&offset| Place::start(document, &text).advance(offset)).collect();
        assert_eq!(from_start, expected);
        let mut place = Place::start(document, &text);
        let step_by_step: Vec<usize> = offsets.iter().map(|&offset| place.advance(offset)).collect();
        assert_eq!(step_by_step, expected);
    }
}

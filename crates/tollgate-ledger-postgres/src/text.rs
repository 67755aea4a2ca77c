//! Texts as they are stored. PostgreSQL's text takes any character but NUL, and a sender may write one.

use std::borrow::Cow;

/// Stands before the two characters below, itself being one of them. As it is the smallest of those that stay, the order of
/// the bytes stays too.
const ESCAPE: char = '\u{1}';
const NUL: char = '\u{1}';
const ESCAPED: char = '\u{2}';

/// As it is stored.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([ESCAPE, NUL]),
            ESCAPE => stored.extend([ESCAPE, ESCAPED]),
            character => stored.push(character),
        }
    }
    Cow::Owned(stored)
}

/// The text that was stored.
pub(crate) fn read(stored: String) -> String {
    if !stored.contains(ESCAPE) {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE if characters.next() == Some(NUL) => text.push('\0'),
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_survives_and_keeps_its_place() {
        let texts = [
            "",
            "\0",
            "\0\0",
            "\0a",
            "\u{1}",
            "\u{1}\0",
            "\u{1}\u{1}",
            "\u{1}\u{2}",
            "\u{2}",
            "a",
            "a\0",
            "a\u{1}b",
            "aa",
            "\u{e9}",
        ];
        assert!(texts.is_sorted());
        let stored: Vec<String> = texts.iter().map(|text| stored(text).into_owned()).collect();
        assert!(stored.is_sorted(), "{stored:?}");
        assert!(stored.iter().all(|text| !text.contains('\0')));
        assert_eq!(stored.into_iter().map(read).collect::<Vec<_>>(), texts);
    }
}

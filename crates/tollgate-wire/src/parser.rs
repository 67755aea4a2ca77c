//! JSON text as Go's `encoding/json` reads it: one pass, no recursion, no allocation unless a string has escapes.
//!
//! The text is valid UTF-8 by the time it gets here ([`crate::document`] repairs what is not, as Go does).

use std::borrow::Cow;

use crate::fault::{Fault, Kind};
use crate::{escape, swar};

/// How deep arrays and objects may nest. Go: `maxNestingDepth` in `encoding/json/scanner.go`.
const NESTING_MAX: usize = 10_000;

/// A position in a text, and how deep it is nested there.
#[derive(Debug, Clone)]
pub(crate) struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    kept_max: usize,
    /// Whether something was not written as Go writes it, as far as the bytes alone do not show it.
    has_strayed: bool,
}

/// What follows an element of an array or a member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    More,
    End,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0, depth: 0, kept_max: usize::MAX, has_strayed: false }
    }

    /// The same, for a decoder that keeps at most so many elements of one array or members of one map.
    pub(crate) fn keeping_at_most(self, kept_max: usize) -> Self {
        Self { kept_max, ..self }
    }

    /// Called with how many elements or members are kept, before one more is.
    #[inline]
    pub(crate) fn keep_one_more(&self, n_kept: usize) -> Result<(), Fault> {
        if n_kept < self.kept_max {
            return Ok(());
        }
        Err(self.mismatch(self.position, "no more elements: there are more than are kept in memory"))
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.position]
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.position..]
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    #[cold]
    fn fault(&self, kind: Kind, offset: usize, expected: &'static str) -> Fault {
        Fault { kind, offset, expected, found: self.text.as_bytes().get(offset).copied(), field: None }
    }

    #[cold]
    fn syntax(&self, expected: &'static str) -> Fault {
        self.fault(Kind::Syntax, self.position, expected)
    }

    /// A fault of type at `offset`: JSON so far, but not what the field takes.
    #[cold]
    pub(crate) fn mismatch(&self, offset: usize, expected: &'static str) -> Fault {
        self.fault(Kind::Type, offset, expected)
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.position += 1;
            self.strays();
        }
    }

    /// From here on it counts whether the text is as Go writes it.
    pub(crate) fn start_canonical(&mut self) {
        self.has_strayed = false;
    }

    /// What was read just now Go would not have written so.
    #[inline]
    pub(crate) fn strays(&mut self) {
        self.has_strayed = true;
    }

    /// Whether the text from `start`, where [`Parser::start_canonical`] was called, to here is as Go writes it, for certain.
    pub(crate) fn is_canonical_since(&self, start: usize) -> bool {
        !self.has_strayed && escape::is_plain_json(self.since(start).as_bytes())
    }

    /// The first byte of the next value, which stays to be read.
    #[inline]
    pub(crate) fn value_start(&mut self) -> Result<u8, Fault> {
        self.skip_space();
        self.peek().ok_or_else(|| self.syntax("a value"))
    }

    /// Takes `bytes` when they come next, to the letter.
    #[inline]
    pub(crate) fn take(&mut self, bytes: &[u8]) -> bool {
        let taken = self.rest().starts_with(bytes);
        if taken {
            self.position += bytes.len();
        }
        taken
    }

    /// After the value of the whole document nothing may follow but space.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax("the end of the document")),
        }
    }

    /// In the place of a value that Go never writes as `null`.
    pub(crate) fn stray_null(&mut self) -> Result<(), Fault> {
        self.strays();
        self.null()
    }

    pub(crate) fn null(&mut self) -> Result<(), Fault> {
        if self.take(b"null") { Ok(()) } else { Err(self.syntax("null")) }
    }

    /// Enters the array or object whose bracket is next; `End` when it is empty.
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> Result<Next, Fault> {
        if self.depth == NESTING_MAX {
            return Err(self.syntax("at most 10,000 arrays and objects inside each other"));
        }
        self.depth += 1;
        self.position += 1;
        self.skip_space();
        if self.peek() == Some(close) {
            self.position += 1;
            self.depth -= 1;
            return Ok(Next::End);
        }
        Ok(Next::More)
    }

    /// After an element or member: a comma, or the closing bracket.
    #[inline]
    pub(crate) fn separator(&mut self, close: u8) -> Result<Next, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.position += 1;
                Ok(Next::More)
            }
            Some(byte) if byte == close => {
                self.position += 1;
                self.depth -= 1;
                Ok(Next::End)
            }
            _ if close == b']' => Err(self.syntax("a comma or ] after an element")),
            _ => Err(self.syntax("a comma or } after a member")),
        }
    }

    /// The key of the next member, and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a key in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.syntax("a colon after the key"));
        }
        self.position += 1;
        Ok(key)
    }

    /// The string whose opening quote is next.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.position + 1;
        let end = start + swar::plain_prefix(&self.text.as_bytes()[start..]);
        self.position = end;
        if self.peek() == Some(b'"') {
            self.position += 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = self.text[start..end].to_owned();
        self.unescape(|piece| text.push_str(piece))?;
        Ok(Cow::Owned(text))
    }

    /// The string whose opening quote is next, as it is written between the quotes.
    #[inline]
    pub(crate) fn raw_string(&mut self) -> Result<&'a str, Fault> {
        let start = self.position + 1;
        self.skip_string()?;
        Ok(&self.text[start..self.position - 1])
    }

    #[inline]
    fn skip_string(&mut self) -> Result<(), Fault> {
        self.position += 1;
        self.position += swar::plain_prefix(self.rest());
        if self.peek() == Some(b'"') {
            self.position += 1;
            return Ok(());
        }
        self.unescape(|_| ())
    }

    /// The rest of a string from its first escape (or fault) on, piece by piece, through the closing quote.
    #[cold]
    fn unescape(&mut self, mut push: impl FnMut(&str)) -> Result<(), Fault> {
        loop {
            let plain = swar::plain_prefix(self.rest());
            push(&self.text[self.position..self.position + plain]);
            self.position += plain;
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    push(character.encode_utf8(&mut [0; 4]));
                }
                Some(_) => return Err(self.syntax("no unescaped control character inside a string")),
                None => return Err(self.syntax("a closing quote")),
            }
        }
    }

    /// One escape. A surrogate without its other half reads as U+FFFD, as in Go.
    fn escape(&mut self) -> Result<char, Fault> {
        self.position += 1;
        let simple = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.syntax("one of \" \\ / b f n r t u after a backslash")),
        };
        self.position += 1;
        Ok(simple)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let unit = self.hex_unit()?;
        if let 0xd800..=0xdbff = unit
            && self.rest().starts_with(b"\\u")
        {
            let before = self.position;
            self.position += 1;
            if let low @ 0xdc00..=0xdfff = self.hex_unit()? {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // Not its other half: an escape of its own, to be read again.
            self.position = before;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The four digits behind the `u` that is next.
    fn hex_unit(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            self.position += 1;
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.syntax("four hexadecimal digits after \\u"))?;
        }
        self.position += 1;
        Ok(unit)
    }

    /// The number that is next, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.peek() {
            Some(b'0') => self.position += 1,
            _ => self.digits("a digit")?,
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits("a digit after the decimal point")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.position += 1;
            }
            self.digits("a digit in the exponent")?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self, expected: &'static str) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.syntax(expected));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.position += 1;
        }
        Ok(())
    }

    /// Passes over the next value, whatever it is, and checks that it is JSON.
    pub(crate) fn skip_value(&mut self) -> Result<(), Fault> {
        let outside = self.depth;
        // The brackets that close what is open, innermost last: no recursion, so that no document overflows the stack.
        let mut closers: Vec<u8> = Vec::new();
        loop {
            let opened = match self.value_start()? {
                b'{' => Some(b'}'),
                b'[' => Some(b']'),
                _ => None,
            };
            match opened {
                Some(close) => {
                    if self.open(close)? == Next::More {
                        closers.push(close);
                        self.skip_key(close)?;
                        continue;
                    }
                }
                None => self.skip_scalar()?,
            }
            loop {
                let Some(&close) = closers.last() else {
                    debug_assert_eq!(self.depth, outside, "every bracket that was opened was closed");
                    return Ok(());
                };
                if self.separator(close)? == Next::More {
                    self.skip_key(close)?;
                    break;
                }
                closers.pop();
            }
        }
    }

    fn skip_key(&mut self, close: u8) -> Result<(), Fault> {
        if close == b'}' {
            self.key()?;
        }
        Ok(())
    }

    fn skip_scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            _ if self.take(b"null") || self.take(b"true") || self.take(b"false") => Ok(()),
            _ => Err(self.syntax("a value")),
        }
    }
}

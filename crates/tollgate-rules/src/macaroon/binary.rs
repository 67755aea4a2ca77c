//! The binary forms of a macaroon, of which the first byte tells the version.

use super::{Macaroon, MacaroonError};
use crate::hex::from_hex;

pub(super) fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    match bytes {
        [2, rest @ ..] => Reader(rest).v2(),
        _ => Reader(bytes).v1(),
    }
}

/// What is not read yet.
struct Reader<'a>(&'a [u8]);

/// The fields of version 2, which come in this order.
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION: u8 = 4;
const SIGNATURE: u8 = 6;

impl<'a> Reader<'a> {
    /// Version 1 is packets: four hexadecimal digits that say how long the whole packet is, a name, a space, the value, a line
    /// feed.
    fn v1(mut self) -> Result<Macaroon, MacaroonError> {
        let location = self.expect("location")?;
        let identifier = self.expect("identifier")?;
        let mut caveats = Vec::new();
        loop {
            match self.packet()? {
                (b"cid", condition) => caveats.push(text("cid", condition)?),
                // Go writes these empty for a caveat of the first party that it has read from JSON.
                (b"vid" | b"cl", b"") if !caveats.is_empty() => {}
                (b"vid" | b"cl", _) => return Err(MacaroonError::ThirdPartyCaveat),
                (b"signature", bytes) => {
                    let (location, identifier) =
                        (text("location", location)?, text("identifier", identifier)?);
                    return self.end(Macaroon {
                        location,
                        identifier,
                        caveats,
                        signature: signature(bytes)?,
                    });
                }
                _ => return Err(misshapen("a packet of a name that belongs there")),
            }
        }
    }

    fn expect(&mut self, expected: &'static str) -> Result<&'a [u8], MacaroonError> {
        match self.packet()? {
            (name, value) if name == expected.as_bytes() => Ok(value),
            _ => Err(misshapen("a location, then an identifier")),
        }
    }

    fn packet(&mut self) -> Result<(&'a [u8], &'a [u8]), MacaroonError> {
        let packet = self.try_packet();
        packet.ok_or(misshapen("a packet: a length, a name, a value and a line feed"))
    }

    fn try_packet(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (digits, _) = self.0.split_at_checked(4)?;
        let [high, low] = *from_hex(std::str::from_utf8(digits).ok()?)?.as_slice() else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let [inner @ .., b'\n'] = self.0.get(4..length)? else { return None };
        let space = inner.iter().position(|byte| *byte == b' ')?;
        self.0 = &self.0[length..];
        Some((&inner[..space], &inner[space + 1..]))
    }

    /// Version 2 is sections of fields, each a type, a length and so many bytes. A section ends in a zero; one that is empty ends
    /// the caveats, and the signature follows.
    fn v2(mut self) -> Result<Macaroon, MacaroonError> {
        const HEADER: &str = "a header of location and identifier";
        let mut field = self.field()?;
        let mut location = String::new();
        if let (LOCATION, bytes) = field {
            location = text("location", bytes)?;
            field = self.field()?;
        }
        let (IDENTIFIER, identifier) = field else { return Err(misshapen(HEADER)) };
        let (END, _) = self.field()? else { return Err(misshapen(HEADER)) };

        let mut caveats = Vec::new();
        loop {
            match self.field()? {
                (END, _) => break,
                (IDENTIFIER, condition) => caveats.push(text("cid", condition)?),
                (LOCATION | VERIFICATION, _) => return Err(MacaroonError::ThirdPartyCaveat),
                _ => return Err(misshapen("a caveat")),
            }
            match self.field()? {
                (END, _) => {}
                (VERIFICATION, _) => return Err(MacaroonError::ThirdPartyCaveat),
                _ => return Err(misshapen("the end of a caveat")),
            }
        }
        let (SIGNATURE, bytes) = self.field()? else {
            return Err(misshapen("a signature behind the caveats"));
        };
        let identifier = text("identifier", identifier)?;
        self.end(Macaroon { location, identifier, caveats, signature: signature(bytes)? })
    }

    fn field(&mut self) -> Result<(u8, &'a [u8]), MacaroonError> {
        self.try_field().ok_or(misshapen("a field: a type, a length and so many bytes"))
    }

    fn try_field(&mut self) -> Option<(u8, &'a [u8])> {
        let (kind, rest) = self.0.split_first()?;
        self.0 = rest;
        if *kind == END {
            return Some((END, &[]));
        }
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((*kind, bytes))
    }

    /// A number in groups of 7 bits, the lowest first; in no more groups than it takes.
    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            length |= usize::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return (*byte != 0 || shift == 0).then_some(length);
            }
        }
        None
    }

    fn end(self, macaroon: Macaroon) -> Result<Macaroon, MacaroonError> {
        if self.0.is_empty() { Ok(macaroon) } else { Err(misshapen("a macaroon and nothing behind it")) }
    }
}

fn misshapen(expected: &'static str) -> MacaroonError {
    MacaroonError::Part { part: "the binary form", expected }
}

fn text(part: &'static str, bytes: &[u8]) -> Result<String, MacaroonError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| MacaroonError::Part { part, expected: "text" })
}

fn signature(bytes: &[u8]) -> Result<[u8; 32], MacaroonError> {
    bytes.try_into().map_err(|_| MacaroonError::Part { part: "signature", expected: "32 bytes" })
}

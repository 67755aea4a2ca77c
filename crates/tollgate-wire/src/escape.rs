//! Strings as Go's `encoding/json` writes them, with its escapes for HTML.

use crate::swar;

/// Appends `text` and the closing quote; the opening one is there.
#[inline]
pub(crate) fn quoted_rest(text: &str, out: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(text, out);
    }
    out.push(b'"');
}

/// Whether the byte goes out as it is, for certain. A byte beyond ASCII may be part of U+2028 or U+2029.
///
/// Without a branch, so that the compiler can decide on sixteen bytes at once, and with few comparisons: as a signed number a
/// byte beyond ASCII is below the blank; `"` and `&` differ in one bit only, and so do `<` and `>`.
#[inline]
const fn plain(byte: u8) -> bool {
    (byte as i8 >= 0x20) & (byte | 0x04 != b'&') & (byte != b'\\') & (byte | 0x02 != b'>')
}

/// Whether every byte is [`plain`].
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    #[inline]
    fn all_plain(bytes: &[u8; 16]) -> bool {
        bytes.iter().fold(true, |all, &byte| all & plain(byte))
    }
    // The last chunk overlaps the one before, so that there is no tail to go through byte by byte.
    if let Some(last) = bytes.last_chunk::<16>() {
        return bytes.as_chunks().0.iter().all(all_plain) && all_plain(last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return swar::is_plain(u64::from_le_bytes(*first)) & swar::is_plain(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return swar::is_plain(u64::from(first) << 32 | u64::from(last));
    }
    bytes.iter().all(|&byte| plain(byte))
}

/// Whether Go would have written these bytes within JSON, for certain: none of them is one that it writes as an escape, or begins
/// one. Quotes are those around strings.
pub(crate) fn is_plain_json(bytes: &[u8]) -> bool {
    const fn is_plain(byte: u8) -> bool {
        byte == b'"' || plain(byte)
    }
    fn all_plain(bytes: &[u8]) -> bool {
        bytes.iter().fold(true, |all, &byte| all & is_plain(byte))
    }
    match bytes.last_chunk::<32>() {
        // The last chunk overlaps the one before.
        Some(last) => bytes.as_chunks::<32>().0.iter().all(|chunk| all_plain(chunk)) && all_plain(last),
        None => all_plain(bytes),
    }
}

#[cold]
fn escaped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let (escape, length): ([u8; 6], usize) = match byte {
            _ if plain(byte) => continue,
            0xe2 => match bytes[index..] {
                [_, 0x80, 0xa8, ..] => (*b"\\u2028", 3),
                [_, 0x80, 0xa9, ..] => (*b"\\u2029", 3),
                _ => continue,
            },
            0x80.. => continue,
            _ => {
                out.extend_from_slice(&bytes[written..index]);
                ascii_escape(byte, out);
                written = index + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[written..index]);
        out.extend_from_slice(&escape);
        written = index + length;
    }
    out.extend_from_slice(&bytes[written..]);
}

fn ascii_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Appends bytes that need not be UTF-8 as a JSON string, as Go marshals a string that holds them: each byte that is not
/// part of a character becomes the escape of U+FFFD.
///
/// ```
/// let mut out = Vec::new();
/// tollgate_wire::encode_bytes_as_string(b"a\xff<", &mut out);
/// assert_eq!(out, br#""a\ufffd\u003c""#);
/// ```
pub fn encode_bytes_as_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escaped(chunk.valid(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_is_not_plain_is_seen_at_every_place() {
        for length in 1..100 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let is_plain = (0x20..0x80).contains(&byte) && !br"\&<>".contains(&byte);
                    assert_eq!(is_plain_json(&bytes), is_plain, "{byte} at {place} of {length}");
                }
            }
        }
    }
}

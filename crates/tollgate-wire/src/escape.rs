//! Strings as Go's `encoding/json` writes them, with its escapes for HTML.

/// Appends `text` in quotes.
#[inline]
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(text, out);
    }
    out.push(b'"');
}

/// Whether the byte goes out as it is, for certain. A byte beyond ASCII may be part of U+2028 or U+2029.
#[inline]
const fn plain(byte: u8) -> bool {
    // '<' and '>' differ in one bit only.
    0x20 <= byte && byte < 0x80 && byte != b'"' && byte != b'\\' && byte != b'&' && byte | 0x02 != b'>'
}

/// Whether every byte is [`plain`]. Written so that the compiler compares sixteen bytes at once.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    #[inline]
    fn all_plain<const N: usize>(bytes: &[u8; N]) -> bool {
        bytes.iter().fold(true, |all, &byte| all & plain(byte))
    }
    // The last chunk overlaps the one before, so that there is no tail to go through byte by byte.
    if let Some(last) = bytes.last_chunk::<16>() {
        return bytes.as_chunks().0.iter().fold(all_plain(last), |all, chunk| all & all_plain::<16>(chunk));
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => all_plain(first) & all_plain(last),
        _ => bytes.iter().all(|&byte| plain(byte)),
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

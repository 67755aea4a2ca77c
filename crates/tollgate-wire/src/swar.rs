//! Eight bytes at a time: where a string stops being plain.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

const fn repeat(byte: u8) -> u64 {
    ONES * byte as u64
}

/// Marks (by their high bit) the bytes that are zero. The lowest mark is exact; marks above it may be false.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// How many bytes come before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(repeat(0x20)) & !word & HIGHS;
        let marks = control | zeros(word ^ repeat(b'"')) | zeros(word ^ repeat(b'\\'));
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let before = words.len() * 8;
    before + tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(tail.len())
}

/// Whether all eight bytes go into a JSON string as they are: ASCII, no control character, none of `" \\ < > &`.
#[inline]
pub(crate) fn is_plain(word: u64) -> bool {
    let outside = (word.wrapping_sub(repeat(0x20)) | word) & HIGHS;
    // '"' and '&' differ in one bit only, and so do '<' and '>'.
    let quote_or_ampersand = zeros((word | repeat(0x04)) ^ repeat(b'&'));
    let angle = zeros((word | repeat(0x02)) ^ repeat(b'>'));
    outside | quote_or_ampersand | angle | zeros(word ^ repeat(b'\\')) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_stopping_byte_at_every_place() {
        for length in 0..40 {
            for place in 0..length {
                for stop in 0..=255u8 {
                    for filler in [b'a', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = stop;
                        let stops = stop < 0x20 || stop == b'"' || stop == b'\\';
                        assert_eq!(plain_prefix(&bytes), if stops { place } else { length });
                    }
                }
            }
        }
    }
}

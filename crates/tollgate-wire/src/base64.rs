//! Byte slices as Go's `encoding/json` writes and reads them: standard base64 with padding.

use base64_simd::STANDARD;

pub(crate) const EXPECTED: &str = "base64 with padding (standard alphabet)";

/// Whether `text` is exactly what Go writes for some bytes.
#[inline]
pub(crate) fn is_canonical(text: &str) -> bool {
    STANDARD.check(text.as_bytes()).is_ok()
}

/// Decodes as Go's `base64.StdEncoding` does: line breaks are passed over wherever they stand, and the bits that the last
/// character has too many need not be zero.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if let Ok(bytes) = STANDARD.decode_to_vec(text) {
        return Some(bytes);
    }
    let mut characters: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    clear_spare_bits(&mut characters);
    STANDARD.decode_to_vec(characters).ok()
}

/// Sets the bits to zero that the last character before the padding has beyond whole bytes.
fn clear_spare_bits(characters: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (last, used_bits) = match characters {
        [.., last, b'=', b'='] => (last, 0b11_0000),
        [.., last, b'='] => (last, 0b11_1100),
        _ => return,
    };
    if let Some(value) = ALPHABET.iter().position(|character| character == last) {
        *last = ALPHABET[value & used_bits];
    }
}

/// Appends the base64 of `bytes`.
#[inline]
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    STANDARD.encode_append(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: Option<&[u8]>) {
        assert_eq!(decode(text).as_deref(), bytes, "{text:?}");
    }

    #[test]
    fn decodes_what_go_decodes() {
        check("", Some(b""));
        check("\r\n", Some(b""));
        check("YWJj", Some(b"abc"));
        check("YW\nJj\r", Some(b"abc"));
        check("YQ==", Some(b"a"));
        check("YQ=\n=\n", Some(b"a"));
        check("YR==", Some(b"a"));
        check("Yf==", Some(b"a"));
        check("YWJ=", Some(b"ab"));
        for refused in [
            "Y",
            "YQ",
            "YQ=",
            "YQ===",
            "YWJj=",
            "YWJj====",
            "=",
            "==",
            "====",
            "Y===",
            "YQ==YQ==",
            "Y Q=",
            "-_-_",
            "YWJ\u{e9}",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn only_what_go_writes_is_canonical() {
        for length in 0..50u8 {
            let mut text = Vec::new();
            encode(&(0..length).collect::<Vec<_>>(), &mut text);
            let text = String::from_utf8(text).unwrap();
            assert!(is_canonical(&text), "{text:?}");
        }
        for other in ["YR==", "YW\nJj", "YWJ", "YWJ\u{e9}", "YQ=\n="] {
            assert!(!is_canonical(other), "{other:?}");
        }
    }
}

//! Bytes as hexadecimal digits, in lower case both ways: one spelling for each value.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let value = |digit: u8| DIGITS.iter().position(|known| *known == digit);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(value(*high)? << 4 | value(*low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_in_lower_case_only() {
        assert_eq!(to_hex(&[0x00, 0x9a, 0xff]), "009aff");
        assert_eq!(from_hex("009aff"), Some(vec![0x00, 0x9a, 0xff]));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for other in ["009AFF", "0", "0g", " 0", "é"] {
            assert_eq!(from_hex(other), None, "{other}");
        }
    }
}

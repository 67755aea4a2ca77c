//! Text for people.

use indicatif::HumanCount;
use tollgate_wire::Timestamp;

/// A number with its noun: `1 batch`, `2,000 batches`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(n), if n == 1 { one } else { many })
}

/// A time in milliseconds since 1970, in UTC.
pub(crate) fn time(milliseconds: i64) -> String {
    let nanoseconds = u32::try_from(milliseconds.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Timestamp::from_unix(milliseconds.div_euclid(1000), nanoseconds)
        .map_or_else(|| format!("{milliseconds} ms"), |time| time.to_string())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text without what could move the cursor of a terminal or turn the reading direction. Names in a ledger were
/// chosen by whoever sent them.
pub(crate) fn printable(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_noun() {
        assert_eq!(count(0, "batch", "batches"), "0 batches");
        assert_eq!(count(1, "batch", "batches"), "1 batch");
        assert_eq!(count(2_000, "batch", "batches"), "2,000 batches");
    }

    #[test]
    fn a_time_is_in_utc() {
        assert_eq!(time(1_800_000_000_123), "2027-01-15T08:00:00.123Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn a_hash_is_printed_as_others_print_it() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
    }

    #[test]
    fn what_could_harm_a_terminal_is_replaced() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c\u{9b}"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}");
        assert_eq!(printable("ünït/0"), "ünït/0");
    }
}

//! Exact differences and sums of the numbers that a Prometheus endpoint gives.

use std::fmt;

/// Digits behind the point, at most.
const PLACES: u32 = 18;

/// A number in units of 10^-18.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(i128);

impl Amount {
    /// Reads a number as endpoints write it, such as `1.5e+06`. `None` when it is none, not finite, or beyond 10^20.
    ///
    /// What is behind the 18th place is cut: endpoints give 17 digits in all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let is_negative = mantissa.starts_with('-');
        let digits = mantissa.trim_start_matches(['-', '+']);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || mantissa.len() - digits.len() > 1 {
            return None;
        }
        let mut amount: i128 = 0;
        let mut place = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_sub(1)?;
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
            let power = place.checked_add(PLACES as i32)?;
            if 0 < digit && 0 <= power {
                let power = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
                amount = amount.checked_add(digit.checked_mul(power)?)?;
            }
            place -= 1;
        }
        Some(Self(if is_negative { -amount } else { amount }))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(PLACES);
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let fraction = format!("{:018}", size % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}", size / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Amount::parse(text).map(|amount| amount.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn numbers_are_exact() {
        for (text, expected) in [
            ("0", "0"),
            ("12", "12"),
            ("+3.50", "3.5"),
            ("-0.25", "-0.25"),
            ("1.5e+06", "1500000"),
            ("1.234567e+06", "1234567"),
            ("5e-324", "0"),
            ("0.1", "0.1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("9007199254740993", "9007199254740993"),
            ("1e20", "100000000000000000000"),
        ] {
            check(text, Some(expected));
        }
        for text in ["", ".", "NaN", "+Inf", "-Inf", "1e", "0x10", "1e400", "1e21", "--1", "+-1", "1 ", "e5"]
        {
            check(text, None);
        }
    }

    #[test]
    fn differences_are_exact() {
        let difference = |a, b| Amount::parse(a)?.minus(Amount::parse(b)?);
        assert_eq!(difference("0.3", "0.1").map(|amount| amount.to_string()).as_deref(), Some("0.2"));
        assert_eq!(difference("1e6", "999999.5").map(|amount| amount.to_string()).as_deref(), Some("0.5"));
        assert!(difference("7", "7.0").is_some_and(Amount::is_zero));
    }
}

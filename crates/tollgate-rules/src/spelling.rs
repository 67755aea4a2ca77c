//! Reading a value: the spellings that Go's `strconv.ParseFloat` accepts, taken at their exact value.

use crate::Decimal;

/// Why a value cannot be counted. The text goes on after "value …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// Longer than Juju allows.
    #[error("has {n_bytes} bytes, more than the {} allowed", Decimal::TEXT_BYTES_MAX)]
    TooLong {
        /// Its length.
        n_bytes: usize,
    },
    /// No spelling that Go reads as a float.
    #[error("is not a number")]
    NotANumber,
    /// Go's spelling of "not a number", which Juju lets through.
    #[error("is NaN, which cannot be counted")]
    Nan,
    /// Infinity, which Juju lets through.
    #[error("is infinite, which cannot be counted")]
    Infinite,
    /// Go refuses it too: it rounds to infinity.
    #[error("is beyond the range of a 64-bit float")]
    Overflow,
    /// Below zero, however little.
    #[error("is negative")]
    Negative,
    /// Finite, but beyond what is counted exactly.
    #[error("is larger than 10^38")]
    TooLarge,
    /// Finer than what is counted exactly; zeros at the end do not matter.
    #[error("has more than 38 decimal places")]
    TooManyPlaces,
}

/// The one way from text to [`Decimal`].
///
/// A negative number is refused by its sign whatever its size, so `-1e-400` is negative although Go rounds it
/// to zero; `-0` is zero.
pub(crate) fn parse(text: &str) -> Result<Decimal, ValueError> {
    let bytes = text.as_bytes();
    if let Some(decimal) = parse_plain(bytes) {
        return decimal;
    }
    if bytes.is_empty() {
        return Err(ValueError::Empty);
    }
    if Decimal::TEXT_BYTES_MAX < bytes.len() {
        return Err(ValueError::TooLong { n_bytes: bytes.len() });
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if text.eq_ignore_ascii_case("nan") {
        return Err(ValueError::Nan);
    }
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Err(ValueError::Infinite);
    }
    let number = Number::read(unsigned.as_bytes()).ok_or(ValueError::NotANumber)?;
    if number.mantissa == 0 {
        return Ok(Decimal::default());
    }
    if text.starts_with('-') {
        return Err(ValueError::Negative);
    }
    match number.base {
        Base::Ten => Decimal::scaled(number.mantissa, number.exponent),
        Base::Sixteen => shifted(number.mantissa, number.exponent),
    }
    .map_err(|error| if number.is_infinite_float(unsigned) { ValueError::Overflow } else { error })
}

/// The usual case: few digits, perhaps a point, nothing else.
fn parse_plain(bytes: &[u8]) -> Option<Result<Decimal, ValueError>> {
    if 19 < bytes.len() {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut point = None;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let n_digits = bytes.len() - usize::from(point.is_some());
    let n_places = point.map_or(0, |index| bytes.len() - index - 1);
    (n_digits != 0).then(|| Decimal::scaled(mantissa.into(), -(n_places as i32)))
}

enum Base {
    Ten,
    Sixteen,
}

/// A number as written, without its sign: `mantissa` × 10^`exponent`, or × 2^`exponent` in hexadecimal.
struct Number {
    base: Base,
    /// 30 bytes of text hold less than 2^120.
    mantissa: u128,
    exponent: i32,
}

impl Number {
    fn read(text: &[u8]) -> Option<Self> {
        let (base, digits) = match text {
            [b'0', b'x' | b'X', digits @ ..] => (Base::Sixteen, digits),
            digits => (Base::Ten, digits),
        };
        let (radix, digit_exponent, marker) = match base {
            Base::Ten => (10, 1, b'e'),
            Base::Sixteen => (16, 4, b'p'),
        };

        let mut mantissa = 0_u128;
        let mut n_digits = 0;
        let mut n_places = None;
        let mut rest = digits;
        while let [byte, after @ ..] = rest {
            if let Some(digit) = char::from(*byte).to_digit(radix) {
                mantissa = mantissa * u128::from(radix) + u128::from(digit);
                n_digits += 1;
                n_places = n_places.map(|n: i32| n + 1);
            } else if *byte == b'.' && n_places.is_none() {
                n_places = Some(0);
            } else if *byte != b'_' {
                break;
            }
            rest = after;
        }
        let exponent = match rest {
            // A hexadecimal float must have its exponent: without one, `0x10` would be a guess.
            [] if matches!(base, Base::Ten) => 0,
            [byte, exponent @ ..] if byte.to_ascii_lowercase() == marker => read_exponent(exponent)?,
            _ => return None,
        };
        let is_number = n_digits != 0 && underscores_separate_digits(&base, digits);
        is_number.then(|| Self {
            base,
            mantissa,
            exponent: exponent - n_places.unwrap_or(0) * digit_exponent,
        })
    }

    /// Whether the 64-bit float nearest to this is infinite; `unsigned` is how it was written.
    fn is_infinite_float(&self, unsigned: &str) -> bool {
        match self.base {
            Base::Ten => unsigned.replace('_', "").parse().is_ok_and(f64::is_infinite),
            Base::Sixteen => {
                // Rounding reaches 2^1024 from 1024 bits of which the first 54 are ones.
                let n_bits = 128 - self.mantissa.leading_zeros() as i32;
                let first_bits = (self.mantissa << (128 - n_bits)) >> (128 - 54);
                let n_bits = n_bits + self.exponent;
                1024 < n_bits || (n_bits == 1024 && first_bits == (1 << 54) - 1)
            }
        }
    }
}

/// The digits after `e` or `p`. Beyond ±10,000 only the size matters.
fn read_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let mut exponent = 0;
    for byte in digits {
        match byte {
            b'0'..=b'9' if exponent < 10_000 => exponent = exponent * 10 + i32::from(byte - b'0'),
            b'0'..=b'9' | b'_' => {}
            _ => return None,
        }
    }
    Some(sign * exponent)
}

/// Whether each underscore stands between two digits; the `0x` counts as one.
fn underscores_separate_digits(base: &Base, after_prefix: &[u8]) -> bool {
    let is_digit = |byte: u8| match base {
        Base::Ten => byte.is_ascii_digit(),
        Base::Sixteen => byte.is_ascii_hexdigit(),
    };
    let mut after_digit = matches!(base, Base::Sixteen);
    let mut after_underscore = false;
    for &byte in after_prefix {
        let is_underscore = byte == b'_';
        if is_underscore && !after_digit || after_underscore && !is_digit(byte) {
            return false;
        }
        after_digit = is_digit(byte);
        after_underscore = is_underscore;
    }
    !after_underscore
}

/// `mantissa` × 2^`exponent`, exactly.
fn shifted(mantissa: u128, exponent: i32) -> Result<Decimal, ValueError> {
    let n_even = mantissa.trailing_zeros();
    let exponent = exponent + n_even as i32;
    let odd = mantissa >> n_even;
    if exponent < 0 {
        return Decimal::halved(odd, exponent.unsigned_abs());
    }
    if odd.leading_zeros() as i32 <= exponent {
        return Err(ValueError::TooLarge);
    }
    Decimal::scaled(odd << exponent, 0)
}

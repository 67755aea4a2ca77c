//! Exact decimals: what one metric says was used.

use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256;

use crate::{Sum, ValueError, spelling};

/// Decimal places of the fixed point that amounts and sums are kept in.
pub(crate) const N_PLACES: u32 = 38;

/// Powers of ten, as many as an amount has places.
pub(crate) const POWERS_OF_TEN: [u128; 39] = {
    let mut powers = [1; 39];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// One, in units of 10^-38; and the largest amount, in ones.
pub(crate) const ONE: u128 = POWERS_OF_TEN[N_PLACES as usize];

/// An amount: exact, finite, not negative, at most 10^38, with at most 38 decimal places.
///
/// It holds the value that the sender's text spells, not the float nearest to it: `0.1` is a tenth.
///
/// ```
/// use tollgate_rules::Decimal;
///
/// assert_eq!(Decimal::parse("0x1p-2")?.to_string(), "0.25");
/// assert_eq!(Decimal::parse("1_000.50e1")?, Decimal::parse("10005")?);
/// assert_eq!(Decimal::parse("NaN").unwrap_err().to_string(), "is NaN, which cannot be counted");
/// # Ok::<(), tollgate_rules::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(
    /// In units of 10^-38, at most 10^76 of them.
    pub(crate) U256,
);

impl Decimal {
    /// The longest spelling that is read, in bytes: what Juju itself allows.
    pub const TEXT_BYTES_MAX: usize = 30;

    /// Reads a value as a sender writes it: every spelling that Go's `strconv.ParseFloat` accepts, among them
    /// exponents, hexadecimal floats and underscores, at its exact value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] says why the value cannot be counted.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        spelling::parse(text)
    }

    /// `mantissa` × 10^`exponent`; the mantissa is not zero and below 2^120.
    pub(crate) fn scaled(mantissa: u128, exponent: i32) -> Result<Self, ValueError> {
        let n_tens = exponent + N_PLACES as i32;
        let power = |n: i32| POWERS_OF_TEN.get(n.unsigned_abs() as usize).copied();
        if n_tens < 0 {
            // Finer than the fixed point, unless the last digits are zeros.
            let divisor = power(n_tens).filter(|divisor| mantissa.is_multiple_of(*divisor));
            return divisor
                .map(|divisor| Self(U256::from(mantissa / divisor)))
                .ok_or(ValueError::TooManyPlaces);
        }
        let units = match power(n_tens) {
            Some(factor) => product(mantissa, factor),
            None => {
                let whole = power(exponent).and_then(|factor| mantissa.checked_mul(factor));
                product(whole.ok_or(ValueError::TooLarge)?, ONE)
            }
        };
        Self::from_units(units)
    }

    /// `mantissa` / 2^`n_halvings`; the mantissa is odd and below 2^120.
    pub(crate) fn halved(mantissa: u128, n_halvings: u32) -> Result<Self, ValueError> {
        let n_tens = N_PLACES.checked_sub(n_halvings).ok_or(ValueError::TooManyPlaces)?;
        // 10^38 / 2^n in whole numbers.
        let factor = 5_u128.pow(n_halvings) * POWERS_OF_TEN[n_tens as usize];
        Self::from_units(product(mantissa, factor))
    }

    fn from_units(units: U256) -> Result<Self, ValueError> {
        // Nearly every amount is so small that it need not be compared with the largest.
        let is_small = units.as_limbs()[3] == 0;
        if is_small || units <= product(ONE, ONE) { Ok(Self(units)) } else { Err(ValueError::TooLarge) }
    }

    /// In units of 10^-38, least significant limb first.
    pub(crate) fn limbs(&self) -> &[u64; 4] {
        self.0.as_limbs()
    }
}

impl FromStr for Decimal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for Decimal {
    /// A plain decimal without exponent, sign or needless zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sum::from(*self), f)
    }
}

/// Never wraps: neither factor has more than 128 bits.
fn product(left: u128, right: u128) -> U256 {
    U256::from(left).wrapping_mul(U256::from(right))
}

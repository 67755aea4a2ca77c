//! Exact sums of decimals.

use std::fmt;
use std::iter;
use std::str::FromStr;

use ruint::Uint;
use ruint::aliases::U384;

use crate::Decimal;
use crate::decimal::{N_PLACES, ONE, POWERS_OF_TEN};

/// An exact sum of any number of [`Decimal`]s, in any order and grouping.
///
/// ```
/// use tollgate_rules::{Decimal, Sum};
///
/// let tenth = Decimal::parse("0.1")?;
/// let sum: Sum = std::iter::repeat_n(tenth, 10).sum();
/// assert_eq!(sum.to_string(), "1");
/// # Ok::<(), tollgate_rules::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum(
    /// In units of 10^-38. An amount takes 253 of the 384 bits, which leaves room for 2^131 of them.
    pub(crate) U384,
);

/// What is stored as a sum is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumError {
    /// Not digits with at most one point among them.
    #[error("read a sum: it is not a plain decimal number")]
    NotADecimal,
    /// Not one that adding amounts can give.
    #[error("read a sum: it has more than 38 decimal places or is too large to have been added up")]
    OutOfRange,
}

impl Sum {
    /// Bits of a sum that is read back, at most: 2^67 of the largest amounts, and still so far from the end
    /// that merging as many of them as there are cannot reach it.
    const BITS_MAX: usize = 320;

    /// Adds one amount.
    pub fn add(&mut self, amount: Decimal) {
        self.merge(&Self::from(amount));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.0 = self.0.checked_add(other.0).expect("2^64 sums of 2^67 amounts each cannot exist");
    }

    /// With `to` in the place of the smaller `from`, which is one of the amounts in it.
    pub(crate) fn raise(&mut self, from: Decimal, to: Decimal) {
        let difference = Self::from(to).0.checked_sub(Self::from(from).0);
        self.merge(&Self(difference.expect("raised to what is not smaller")));
    }

    /// So many hundredths of it, rounded up to 38 decimal places.
    ///
    /// # Errors
    ///
    /// [`SumError::OutOfRange`] when that is more than can be added up.
    pub fn percent(&self, percent: Decimal) -> Result<Self, SumError> {
        let [a, b, c, d] = *percent.limbs();
        let factor = U384::from_limbs([a, b, c, d, 0, 0]);
        let product: Uint<768, 12> = self.0.widening_mul(factor);
        let hundred = Uint::<768, 12>::from(ONE).wrapping_mul(Uint::from(100));
        let units = product.div_ceil(hundred);
        if units.bit_len() <= Self::BITS_MAX {
            Ok(Self(units.wrapping_to()))
        } else {
            Err(SumError::OutOfRange)
        }
    }

    /// A number of things.
    #[must_use]
    pub fn of_count(count: u64) -> Self {
        Self(U384::from(count).wrapping_mul(U384::from(ONE)))
    }

    /// Divided by a number of things, rounded to 38 decimal places, half to even; divided by none it is 0.
    #[must_use]
    pub fn divided(&self, count: u64) -> Self {
        let Some(count) = (count != 0).then(|| U384::from(count)) else { return Self::default() };
        let (quotient, rest) = self.0.div_rem(count);
        let twice = rest.wrapping_shl(1);
        let is_up = count < twice || (count == twice && quotient.bit(0));
        Self(quotient.wrapping_add(U384::from(is_up)))
    }

    /// For storing: fixed length, and in the order of the sums.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 48] {
        self.0.to_be_bytes()
    }

    /// Reads what [`Sum::to_bytes`] gave.
    ///
    /// # Errors
    ///
    /// [`SumError::OutOfRange`] when the bytes are no sum's.
    pub fn from_bytes(bytes: [u8; 48]) -> Result<Self, SumError> {
        let units = U384::from_be_bytes(bytes);
        if units.bit_len() <= Self::BITS_MAX { Ok(Self(units)) } else { Err(SumError::OutOfRange) }
    }
}

impl From<Decimal> for Sum {
    fn from(amount: Decimal) -> Self {
        let [a, b, c, d] = *amount.limbs();
        Self(U384::from_limbs([a, b, c, d, 0, 0]))
    }
}

impl iter::Sum<Decimal> for Sum {
    fn sum<I: Iterator<Item = Decimal>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum.add(amount);
            sum
        })
    }
}

impl fmt::Display for Sum {
    /// A plain decimal without exponent, sign or needless zeros: `0.3`, `1000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.0.div_rem(U384::from(ONE));
        if fraction.is_zero() {
            return fmt::Display::fmt(&whole, f);
        }
        let places = format!("{fraction:038}");
        write!(f, "{whole}.{}", places.trim_end_matches('0'))
    }
}

impl FromStr for Sum {
    type Err = SumError;

    /// Reads a plain decimal: digits with at most one point among them.
    fn from_str(text: &str) -> Result<Self, SumError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let is_decimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_decimal(whole) || !is_decimal(places) || (whole.is_empty() && places.is_empty()) {
            return Err(SumError::NotADecimal);
        }
        let places = places.trim_end_matches('0');
        let n_missing = (N_PLACES as usize).checked_sub(places.len()).ok_or(SumError::OutOfRange)?;
        let digits = U384::from_str_radix(&format!("0{whole}{places}"), 10);
        digits
            .ok()
            .and_then(|digits| digits.checked_mul(U384::from(POWERS_OF_TEN[n_missing])))
            .filter(|units| units.bit_len() <= Self::BITS_MAX)
            .map(Self)
            .ok_or(SumError::OutOfRange)
    }
}

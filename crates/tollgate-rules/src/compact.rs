//! Rollups in few bytes, for who keeps millions of them: most amounts have few digits, and many are the same as another.

use ruint::aliases::{U256, U384};

use crate::decimal::{N_PLACES, ONE, POWERS_OF_TEN};
use crate::{Decimal, Point, Rollup, Sum};

/// Stands in the place of a number of decimal places: what follows is not few digits, but units of 10^-38.
const UNITS: u8 = N_PLACES as u8 + 1;

/// Of a single reading, which is all that follows.
const IS_SINGLE: u8 = 1;
/// One of the times is within a second.
const HAS_NANOSECONDS: u8 = 1 << 1;
/// What is left out, because it is the smallest or the largest amount.
const MAX_IS_MIN: u8 = 1 << 2;
const FIRST_IS_MIN: u8 = 1 << 3;
const FIRST_IS_MAX: u8 = 1 << 4;
const LAST_IS_MIN: u8 = 1 << 5;
const LAST_IS_MAX: u8 = 1 << 6;

const HOUR: i64 = 3_600;

impl Rollup {
    /// The most bytes that [`Rollup::encode`] appends.
    pub const ENCODED_BYTES_MAX: usize = 255;

    /// Appends it in few bytes. The hour that all of its readings are in is not among them.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let Self { count, sum, min, max, first, last } = self;
        let mut form = 0;
        let mut set = |bit, is_set| form |= if is_set { bit } else { 0 };
        set(HAS_NANOSECONDS, first.nanoseconds != 0 || last.nanoseconds != 0);
        if *count == 1 {
            set(IS_SINGLE, true);
            bytes.push(form);
            put_point(bytes, form, first);
            put_units(bytes, &sum.0);
            return;
        }
        set(MAX_IS_MIN, max == min);
        set(FIRST_IS_MIN, first.amount == *min);
        set(FIRST_IS_MAX, first.amount == *max);
        set(LAST_IS_MIN, last.amount == *min);
        set(LAST_IS_MAX, last.amount == *max);
        bytes.push(form);
        put_varint(bytes, *count);
        put_units(bytes, &sum.0);
        put_units(bytes, &Sum::from(*min).0);
        if max != min {
            put_units(bytes, &Sum::from(*max).0);
        }
        for (point, is_known) in
            [(first, form & (FIRST_IS_MIN | FIRST_IS_MAX)), (last, form & (LAST_IS_MIN | LAST_IS_MAX))]
        {
            put_point(bytes, form, point);
            if is_known == 0 {
                put_units(bytes, &Sum::from(point.amount).0);
            }
        }
    }

    /// Reads what [`Rollup::encode`] appended for a rollup of this hour, and leaves in `bytes` what is behind; `None` when it is
    /// none.
    #[must_use]
    pub fn decode(hour: i64, bytes: &mut &[u8]) -> Option<Self> {
        let [form] = take(bytes)?;
        if form & IS_SINGLE != 0 {
            let mut point = take_point(bytes, form, hour)?;
            point.amount = take_decimal(bytes)?;
            return Some(Self::of(point));
        }
        let count = take_varint(bytes)?;
        let sum = take_units(bytes).filter(|units| units[5] == 0)?;
        let min = take_decimal(bytes)?;
        let max = if form & MAX_IS_MIN != 0 { min } else { take_decimal(bytes)? };
        let mut point = |is_min, is_max| {
            let mut point = take_point(bytes, form, hour)?;
            point.amount = match form {
                _ if form & is_min != 0 => min,
                _ if form & is_max != 0 => max,
                _ => take_decimal(bytes)?,
            };
            Some(point)
        };
        let first = point(FIRST_IS_MIN, FIRST_IS_MAX)?;
        let last = point(LAST_IS_MIN, LAST_IS_MAX)?;
        Some(Self { count, sum: Sum(U384::from_limbs(sum)), min, max, first, last })
    }
}

/// The time; the amount is a matter of its own.
fn put_point(bytes: &mut Vec<u8>, form: u8, point: &Point) {
    let second = point.unix_seconds.rem_euclid(HOUR) as u16;
    bytes.extend_from_slice(&second.to_le_bytes());
    if form & HAS_NANOSECONDS != 0 {
        bytes.extend_from_slice(&point.nanoseconds.to_le_bytes());
    }
}

#[inline]
fn take_point(bytes: &mut &[u8], form: u8, hour: i64) -> Option<Point> {
    let second = u16::from_le_bytes(take(bytes)?);
    let nanoseconds = if form & HAS_NANOSECONDS == 0 { 0 } else { u32::from_le_bytes(take(bytes)?) };
    let unix_seconds = hour.checked_mul(HOUR)?.checked_add(second.into())?;
    Some(Point { unix_seconds, nanoseconds, amount: Decimal::default() })
}

/// Appends units of 10^-38: as digits and how many of them are decimal places, when 64 bits hold the digits.
fn put_units(bytes: &mut Vec<u8>, units: &U384) {
    if let Some((n_places, digits)) = digits(units) {
        bytes.push(n_places);
        put_varint(bytes, digits);
        return;
    }
    let raw = units.to_le_bytes::<48>();
    let length = units.byte_len();
    bytes.extend_from_slice(&[UNITS, length as u8]);
    bytes.extend_from_slice(&raw[..length]);
}

/// As few decimal places as there can be, and the digits before and behind the point as one number.
fn digits(units: &U384) -> Option<(u8, u64)> {
    let (whole, fraction) = units.div_rem(U384::from(ONE));
    let whole = u64::try_from(whole).ok()?;
    let mut fraction = u128::try_from(fraction).ok()?;
    if fraction == 0 {
        return Some((0, whole));
    }
    let mut n_places = N_PLACES;
    for n_zeros in [32, 16, 8, 4, 2, 1] {
        let power = POWERS_OF_TEN[n_zeros as usize];
        // A number that ends with so many zeros is divisible by two as often.
        if n_zeros <= fraction.trailing_zeros() && fraction.is_multiple_of(power) {
            fraction /= power;
            n_places -= n_zeros;
        }
    }
    let fraction = u64::try_from(fraction).ok()?;
    let power = u64::try_from(POWERS_OF_TEN[n_places as usize]);
    let whole = if whole == 0 { 0 } else { whole.checked_mul(power.ok()?)? };
    Some((n_places as u8, whole.checked_add(fraction)?))
}

#[inline]
fn take_decimal(bytes: &mut &[u8]) -> Option<Decimal> {
    let [a, b, c, d, 0, 0] = take_units(bytes)? else { return None };
    Some(Decimal(U256::from_limbs([a, b, c, d])))
}

#[inline]
fn take_units(bytes: &mut &[u8]) -> Option<[u64; 6]> {
    let [n_places] = take(bytes)?;
    if n_places == UNITS {
        return take_raw(bytes);
    }
    let power = *POWERS_OF_TEN.get(N_PLACES.checked_sub(n_places.into())? as usize)?;
    let digits = u128::from(take_varint(bytes)?);
    let low = digits * u128::from(power as u64);
    let high = digits * (power >> 64) + (low >> 64);
    Some([low as u64, high as u64, (high >> 64) as u64, 0, 0, 0])
}

#[cold]
fn take_raw(bytes: &mut &[u8]) -> Option<[u64; 6]> {
    let [length] = take(bytes)?;
    let (raw, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    Some(*U384::try_from_le_slice(raw)?.as_limbs())
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[inline]
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(number);
        }
    }
    None
}

#[inline]
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

//! Instants as Go's `time.Time` reads and writes them in JSON.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: i64 = 86_400;

/// An instant with the offset from UTC that it was written with. Go: `time.Time`.
///
/// In JSON an RFC 3339 string: `"2018-03-22T10:15:28.5+01:00"`. Times order by instant. The default is Go's zero time,
/// `0001-01-01T00:00:00Z`.
///
/// ```
/// use tollgate_wire::Timestamp;
///
/// let time = Timestamp::parse("2018-03-22T10:15:28.500+01:00")?;
/// assert_eq!(time.to_string(), "2018-03-22T10:15:28.5+01:00");
/// assert_eq!(time.unix_seconds(), 1521710128);
/// # Ok::<(), tollgate_wire::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_seconds: i64,
    nanoseconds: u32,
    offset_seconds: i32,
}

/// A text that Go's `Time.UnmarshalJSON` refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeError(String);

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {:?} as a time: expected RFC 3339, like 2018-03-22T10:15:28.5Z", self.0)
    }
}

impl std::error::Error for TimeError {}

impl Timestamp {
    /// Reads what Go's `Time.UnmarshalJSON` reads: RFC 3339, and also an hour of one digit, a comma before the
    /// fraction, offsets up to 24:60, and any number of digits in the fraction (those beyond nanoseconds are cut).
    ///
    /// # Errors
    ///
    /// When Go refuses the text too.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        parse(text.as_bytes()).ok_or_else(|| TimeError(text.to_owned()))
    }

    /// The instant so many seconds and nanoseconds after 1970-01-01T00:00:00Z, written in UTC. `None` when it cannot
    /// be written: `nanoseconds` is a whole second or more, or the year is outside of 0 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let time = Self { unix_seconds: seconds, nanoseconds, offset_seconds: 0 };
        (nanoseconds < 1_000_000_000 && time.civil().is_some()).then_some(time)
    }

    /// The system's time, in UTC; the nearest that can be written when the clock is beyond the year 9999 or before 0.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        /// 9999-12-31T23:59:59Z and 0000-01-01T00:00:00Z.
        const LAST: i64 = 253_402_300_799;
        const FIRST: i64 = -62_167_219_200;
        let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(LAST), after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let seconds = -i64::try_from(before.as_secs()).unwrap_or(-FIRST);
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanoseconds => (seconds - 1, 1_000_000_000 - nanoseconds),
                }
            }
        };
        Self { unix_seconds: seconds.clamp(FIRST, LAST), nanoseconds, offset_seconds: 0 }
    }

    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.unix_seconds
    }

    /// Nanoseconds within the second, below 1,000,000,000.
    #[must_use]
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// East of UTC, in seconds; whole minutes.
    #[must_use]
    pub fn offset_seconds(self) -> i32 {
        self.offset_seconds
    }

    /// The JSON that Go writes, quotes included, in `buffer`; `None` when Go refuses to write it.
    #[inline]
    pub(crate) fn write_quoted(self, buffer: &mut TimeBuffer) -> Option<&[u8]> {
        if SECONDS_A_DAY <= i64::from(self.offset_seconds).abs() {
            return None;
        }
        let civil = self.civil()?;
        buffer[0] = b'"';
        let text = &mut buffer[1..];
        text[0..2].copy_from_slice(&two_digits(civil.year / 100));
        text[2..4].copy_from_slice(&two_digits(civil.year % 100));
        text[4] = b'-';
        text[5..7].copy_from_slice(&two_digits(civil.month));
        text[7] = b'-';
        text[8..10].copy_from_slice(&two_digits(civil.day));
        text[10] = b'T';
        text[11..13].copy_from_slice(&two_digits(civil.second_of_day / 3600));
        text[13] = b':';
        text[14..16].copy_from_slice(&two_digits(civil.second_of_day / 60 % 60));
        text[16] = b':';
        text[17..19].copy_from_slice(&two_digits(civil.second_of_day % 60));
        let mut length = 19;
        if self.nanoseconds != 0 {
            text[19] = b'.';
            length = 20 + write_fraction(self.nanoseconds, &mut text[20..29]);
        }
        if self.offset_seconds == 0 {
            text[length] = b'Z';
            length += 1;
        } else {
            let minutes = self.offset_seconds.unsigned_abs() / 60;
            text[length] = if self.offset_seconds < 0 { b'-' } else { b'+' };
            text[length + 1..length + 3].copy_from_slice(&two_digits(minutes / 60));
            text[length + 3] = b':';
            text[length + 4..length + 6].copy_from_slice(&two_digits(minutes % 60));
            length += 6;
        }
        text[length] = b'"';
        Some(&buffer[..length + 2])
    }

    /// Date and time of day at the offset; `None` outside of the years 0 to 9999.
    #[inline]
    fn civil(self) -> Option<Civil> {
        let local = self.unix_seconds.checked_add(i64::from(self.offset_seconds))?;
        let since_start = u64::try_from(local.checked_sub(START_DAY * SECONDS_A_DAY)?).ok()?;
        let day_number = u32::try_from(since_start / SECONDS_A_DAY as u64).ok()?;
        let second_of_day = (since_start % SECONDS_A_DAY as u64) as u32;
        let (year, month, day) = date_of(day_number)?;
        Some(Civil { year, month, day, second_of_day })
    }
}

/// Enough for `"2018-03-22T10:15:28.123456789+01:00"`.
pub(crate) type TimeBuffer = [u8; 40];

struct Civil {
    year: u32,
    month: u32,
    day: u32,
    second_of_day: u32,
}

impl Default for Timestamp {
    fn default() -> Self {
        Self { unix_seconds: -62_135_596_800, nanoseconds: 0, offset_seconds: 0 }
    }
}

impl fmt::Display for Timestamp {
    /// As Go writes it in JSON; an instant that Go refuses to write shows as seconds since 1970.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 40];
        match self.write_quoted(&mut buffer).and_then(|quoted| std::str::from_utf8(quoted).ok()) {
            Some(quoted) => f.pad(quoted.trim_matches('"')),
            None => write!(f, "@{}.{:09}{:+}s", self.unix_seconds, self.nanoseconds, self.offset_seconds),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text)
    }
}

/// For values below 100.
#[inline]
fn two_digits(value: u32) -> [u8; 2] {
    // 103 / 1024 is a tenth, closely enough up to 178.
    let tens = (value * 103) >> 10;
    [b'0' + tens as u8, b'0' + (value - tens * 10) as u8]
}

/// Writes nine digits without the zeros at their end and says how many are left.
fn write_fraction(nanoseconds: u32, digits: &mut [u8]) -> usize {
    // Juju's times are whole milliseconds.
    let (mut rest, places) = match (nanoseconds.is_multiple_of(1_000_000), nanoseconds.is_multiple_of(1_000))
    {
        (true, _) => (nanoseconds / 1_000_000, 3),
        (_, true) => (nanoseconds / 1_000, 6),
        _ => (nanoseconds, 9),
    };
    for digit in digits[..places].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits[..places].iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1)
}

/// Go's `parseStrictRFC3339` with `time.Parse` behind it, which is the wider of the two.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_first_chunk::<11>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T'] = *date else { return None };
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    let month = number(m1, m2)?;
    let day = number(d1, d2)?;
    if !(1..=12).contains(&month) || day < 1 || days_in(year, month) < day {
        return None;
    }

    let (hour, rest) = match *rest {
        [h1, h2, b':', ref rest @ ..] => (number(h1, h2)?, rest),
        [h, b':', ref rest @ ..] => (number(b'0', h)?, rest),
        _ => return None,
    };
    let [m1, m2, b':', s1, s2, ref rest @ ..] = *rest else { return None };
    let minute = number(m1, m2)?;
    let second = number(s1, s2)?;
    if 23 < hour || 59 < minute || 59 < second {
        return None;
    }

    let (nanoseconds, rest) = fraction(rest);
    let offset_seconds = offset(rest)?;
    let second_of_day = hour * 3600 + minute * 60 + second;
    let unix_seconds =
        day_number(year, month, day) * SECONDS_A_DAY + i64::from(second_of_day) - i64::from(offset_seconds);
    Some(Timestamp { unix_seconds, nanoseconds, offset_seconds })
}

/// Whether this text, which is a time, is what Go writes for it, for certain: a time in UTC without a digit too many.
#[inline]
pub(crate) fn is_canonical(text: &[u8]) -> bool {
    match text {
        [head @ .., b'Z'] if head.len() == 19 => true,
        // With an hour of one digit the point is one place before.
        [head @ .., last, b'Z'] if (20..=28).contains(&head.len()) => head[19] == b'.' && *last != b'0',
        _ => false,
    }
}

#[inline]
fn number(tens: u8, units: u8) -> Option<u32> {
    let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
    (tens <= 9 && units <= 9).then(|| u32::from(tens) * 10 + u32::from(units))
}

/// The nanoseconds, and what follows. Without a digit behind the point there is no fraction.
#[inline]
fn fraction(text: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', digits @ ..] = text else { return (0, text) };
    let n_digits = digits.iter().take_while(|digit| digit.is_ascii_digit()).count();
    if n_digits == 0 {
        return (0, text);
    }
    let (written, rest) = digits.split_at(n_digits);
    let mut nanoseconds = 0;
    let mut place = 100_000_000;
    for digit in written.iter().take(9) {
        nanoseconds += u32::from(digit - b'0') * place;
        place /= 10;
    }
    (nanoseconds, rest)
}

/// `Z` or an offset. Go lets 24 hours and 60 minutes pass.
#[inline]
fn offset(text: &[u8]) -> Option<i32> {
    if text == b"Z" {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = *text else { return None };
    let hours = number(h1, h2)?;
    let minutes = number(m1, m2)?;
    if 24 < hours || 60 < minutes {
        return None;
    }
    let seconds = i32::try_from((hours * 60 + minutes) * 60).ok()?;
    Some(if sign == b'-' { -seconds } else { seconds })
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day from which days are counted, 1 March of the year -400, in days from 1970-01-01: so that every date here is a
/// positive number, and the leap day the last of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
const START_DAY: i64 = -719_468 - DAYS_AN_ERA as i64;
const DAYS_AN_ERA: u32 = 146_097;

/// Days from 1970-01-01.
fn day_number(year: u32, month: u32, day: u32) -> i64 {
    let year = year + 400 - u32::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    START_DAY + i64::from(era * DAYS_AN_ERA + day_of_era)
}

/// Year, month and day of a day counted from [`START_DAY`]; `None` outside of the years 0 to 9999.
///
/// Multiplications in place of most divisions: C. Neri and L. Schneider, "Euclidean affine functions and their application to
/// calendar algorithms" (2022), where the constants are derived. A test takes every day there and back.
#[inline]
fn date_of(day_number: u32) -> Option<(u32, u32, u32)> {
    let quarters = 4 * u64::from(day_number) + 3;
    let (century, day_of_century) =
        (quarters / u64::from(DAYS_AN_ERA), quarters % u64::from(DAYS_AN_ERA) / 4);
    let product = 2_939_745 * (4 * day_of_century + 3);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = product as u32 / 2_939_745 / 4;
    let product = 2_141 * day_of_year + 197_913;
    let (month, day) = (product >> 16, (product & 0xffff) / 2_141 + 1);
    // Years are counted from March here: January and February belong to the next one.
    let is_next_year = 306 <= day_of_year;
    let year = u32::try_from(100 * century).ok()? + year_of_century + u32::from(is_next_year);
    let month = if is_next_year { month - 12 } else { month };
    let year = year.checked_sub(400)?;
    (year <= 9999).then_some((year, month, day))
}

//! Hours, days, weeks and months of a time zone, made of whole UTC hours.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};
use serde::{Deserialize, Serialize};

use crate::hour_start;

const SECONDS_AN_HOUR: i64 = 3_600;

/// The last that a zone with any offset can show: in the night to 9999-12-31.
const LAST_HOUR: i64 = 253_402_207_200 / SECONDS_AN_HOUR;

/// How long the stretches are that usage is told for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// An hour.
    Hour,
    /// From midnight to midnight: 24 hours, or 23 or 25 when the clocks change.
    Day,
    /// From Monday to Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// All of it.
    Total,
}

/// A word that is no [`Window`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the window {0:?}: it is hour, day, week, month or total")]
pub struct WindowError(String);

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(word: &str) -> Result<Self, WindowError> {
        match word {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "total" => Ok(Self::Total),
            other => Err(WindowError(other.to_owned())),
        }
    }
}

/// UTC hours ([`crate::hour_of`]) from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first hour.
    pub start: i64,
    /// Behind the last hour.
    pub end: i64,
}

impl Span {
    /// All hours.
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };

    /// Whether an hour is in it.
    #[must_use]
    pub fn has(&self, hour: i64) -> bool {
        (self.start..self.end).contains(&hour)
    }

    /// What of it is also in another one.
    #[must_use]
    pub fn within(&self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
}

/// Why a time zone cannot be used. The text fits after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// No zone has this name.
    #[error(
        "use the time zone {name:?}: the IANA database has none of this name, such as Europe/Berlin or UTC"
    )]
    UnknownZone {
        /// The name.
        name: String,
    },
    /// Usage is kept by whole UTC hours, and in this zone a day does not begin with one.
    #[error(
        "use the time zone {name:?}: at {at} it is {offset} from UTC, which is not a whole number of hours, and usage is \
         kept by the hour of UTC"
    )]
    BrokenHours {
        /// The zone.
        name: String,
        /// When, in UTC.
        at: String,
        /// The offset.
        offset: String,
    },
    /// A time outside of the years that can be written.
    #[error("find the window of a time outside of the years 0 to 9999")]
    OutOfRange,
}

/// The windows of one time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    window: Window,
    name: Box<str>,
    zone: TimeZone,
    /// Those that were asked for, in their order: most hours are in one that is known.
    known: Vec<Span>,
    /// Where in `known` the last one was.
    last: usize,
}

impl Calendar {
    /// Windows of a zone of the IANA database, which is part of the program.
    ///
    /// # Errors
    ///
    /// [`CalendarError::UnknownZone`].
    pub fn new(window: Window, zone: &str) -> Result<Self, CalendarError> {
        let found = if zone == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(zone) };
        let unknown = |_| CalendarError::UnknownZone { name: zone.to_owned() };
        Ok(Self { window, name: zone.into(), zone: found.map_err(unknown)?, known: Vec::new(), last: 0 })
    }

    /// The window that a UTC hour is in.
    ///
    /// # Errors
    ///
    /// [`CalendarError::BrokenHours`] when the offset at the hour, or at an end of its window, is not a whole number of hours.
    pub fn span(&mut self, hour: i64) -> Result<Span, CalendarError> {
        // Hours mostly come one after the other.
        for place in [self.last, self.last + 1] {
            if let Some(span) = self.known.get(place).filter(|span| span.has(hour)) {
                self.last = place;
                return Ok(*span);
            }
        }
        let after = self.known.partition_point(|span| span.start <= hour);
        if let Some(before) = after.checked_sub(1)
            && self.known[before].has(hour)
        {
            self.last = before;
            return Ok(self.known[before]);
        }
        let span = self.compute(hour)?;
        self.known.insert(after, span);
        self.last = after;
        Ok(span)
    }

    fn compute(&self, hour: i64) -> Result<Span, CalendarError> {
        if self.window == Window::Total {
            return Ok(Span::ALL);
        }
        // What comes after the last hour that a zone can show belongs to the last window.
        let zoned = self.zoned(hour.min(LAST_HOUR))?;
        self.check_offset(&zoned)?;
        let date = zoned.date();
        let (first, next) = match self.window {
            Window::Hour => return Ok(Span { start: hour, end: hour + 1 }),
            Window::Day | Window::Total => (date, date.saturating_add(1.day())),
            Window::Week => {
                let n_days = i64::from(date.weekday().to_monday_zero_offset());
                let monday = date.saturating_sub(n_days.days());
                (monday, monday.saturating_add(7.days()))
            }
            Window::Month => {
                let first = date.first_of_month();
                (first, first.saturating_add(1.month()))
            }
        };
        let end = match self.midnight(next) {
            Err(CalendarError::OutOfRange) => i64::MAX,
            end => end?,
        };
        Ok(Span { start: self.midnight(first)?, end })
    }

    /// The hour with which a day begins.
    fn midnight(&self, date: Date) -> Result<i64, CalendarError> {
        let start =
            self.zone.to_zoned_datetime(date.at(0, 0, 0, 0)).map_err(|_| CalendarError::OutOfRange)?;
        self.check_offset(&start)?;
        Ok(start.timestamp().as_second().div_euclid(SECONDS_AN_HOUR))
    }

    fn check_offset(&self, zoned: &ZonedDateTime) -> Result<(), CalendarError> {
        let offset = zoned.offset();
        if i64::from(offset.seconds()) % SECONDS_AN_HOUR == 0 {
            return Ok(());
        }
        Err(CalendarError::BrokenHours {
            name: self.name.to_string(),
            at: zoned.timestamp().to_string(),
            offset: offset.to_string(),
        })
    }

    fn zoned(&self, hour: i64) -> Result<ZonedDateTime, CalendarError> {
        let seconds = hour.checked_mul(SECONDS_AN_HOUR).ok_or(CalendarError::OutOfRange)?;
        let time = Timestamp::from_second(seconds).map_err(|_| CalendarError::OutOfRange)?;
        Ok(time.to_zoned_datetime(self.zone.clone()))
    }

    /// The beginning of an hour as RFC 3339, as the clocks of the zone show it; `None` when it cannot be written.
    #[must_use]
    pub fn text(&self, hour: i64) -> Option<String> {
        let Ok(zoned) = self.zoned(hour) else { return Some(hour_start(hour)?.to_string()) };
        let format = if self.zone == TimeZone::UTC { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
        Some(zoned.strftime(format).to_string())
    }

    /// A window in words that fit behind "used".
    #[must_use]
    pub fn words(&self, span: Span) -> String {
        let Ok(start) = self.zoned(span.start) else { return "in total".to_owned() };
        let (before, format) = match self.window {
            Window::Hour => ("in the hour from", "%Y-%m-%d %H:%M %Z"),
            Window::Day => ("on", "%Y-%m-%d"),
            Window::Week => ("in the week from", "%Y-%m-%d"),
            Window::Month => ("in", "%Y-%m"),
            Window::Total => return "in total".to_owned(),
        };
        format!("{before} {}", start.strftime(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> i64 {
        crate::hour_of(tollgate_wire::Timestamp::parse(text).expect("a time"))
    }

    #[track_caller]
    fn check(window: Window, zone: &str, at: &str, start: &str, end: &str) {
        let mut calendar = Calendar::new(window, zone).expect("a zone");
        for _ in 0..2 {
            let span = calendar.span(hour(at)).expect("whole hours");
            assert_eq!(
                (calendar.text(span.start), calendar.text(span.end)),
                (Some(start.into()), Some(end.into()))
            );
        }
    }

    #[test]
    fn windows_are_those_of_the_zone() {
        use Window::{Day, Hour, Month, Week};
        check(Hour, "UTC", "2026-11-27T18:59:59Z", "2026-11-27T18:00:00Z", "2026-11-27T19:00:00Z");
        check(
            Hour,
            "Asia/Tokyo",
            "2026-11-27T18:00:00Z",
            "2026-11-28T03:00:00+09:00",
            "2026-11-28T04:00:00+09:00",
        );
        check(Day, "UTC", "2026-11-27T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
        check(
            Day,
            "America/New_York",
            "2026-11-27T04:59:59Z",
            "2026-11-26T00:00:00-05:00",
            "2026-11-27T00:00:00-05:00",
        );
        check(Week, "UTC", "2026-11-29T23:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        check(Week, "UTC", "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z");
        check(Month, "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(
            Month,
            "Europe/Berlin",
            "2025-12-31T23:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "2026-02-01T00:00:00+01:00",
        );
        check(Month, "UTC", "1969-12-31T23:00:00Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_day_on_which_the_clocks_change_is_shorter_or_longer() {
        check(
            Window::Day,
            "Europe/Berlin",
            "2026-03-29T10:00:00Z",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T00:00:00+02:00",
        );
        let n_hours = |at: &str| {
            let mut calendar = Calendar::new(Window::Day, "Europe/Berlin").expect("a zone");
            let span = calendar.span(hour(at)).expect("whole hours");
            span.end - span.start
        };
        assert_eq!(n_hours("2026-03-29T10:00:00Z"), 23);
        assert_eq!(n_hours("2026-10-25T10:00:00Z"), 25);
        assert_eq!(n_hours("2026-10-26T10:00:00Z"), 24);
    }

    #[test]
    fn every_hour_is_in_its_own_window_and_windows_follow_one_another() {
        for window in [Window::Hour, Window::Day, Window::Week, Window::Month] {
            for zone in ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Auckland", "Pacific/Apia"] {
                let mut calendar = Calendar::new(window, zone).expect("a zone");
                let first = hour("2010-01-01T00:00:00Z");
                let mut before = calendar.span(first).expect("whole hours");
                for hour in first..first + 3 * 366 * 24 {
                    let span = calendar.span(hour).expect("whole hours");
                    assert!(span.has(hour), "{window:?} {zone} {hour}");
                    assert!(span == before || span.start == before.end, "{window:?} {zone} {hour}");
                    // The clocks of the zone show one date, or month, all through a window, and another one before it.
                    let n_same = match window {
                        Window::Hour | Window::Week | Window::Total => 0,
                        Window::Day => "2010-01-01".len(),
                        Window::Month => "2010-01".len(),
                    };
                    let shown = |hour| calendar.text(hour).expect("a time")[..n_same].to_owned();
                    assert_eq!(shown(hour), shown(span.start), "{window:?} {zone} {hour}");
                    assert!(n_same == 0 || shown(span.start - 1) != shown(hour), "{window:?} {zone} {hour}");
                    before = span;
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_in_some_window() {
        for window in [Window::Hour, Window::Day, Window::Week, Window::Month, Window::Total] {
            let mut calendar = Calendar::new(window, "UTC").expect("a zone");
            for at in ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
                let span = calendar.span(hour(at)).expect("whole hours");
                assert!(span.has(hour(at)), "{window:?} {at}: {span:?}");
            }
        }
    }

    #[track_caller]
    fn check_refused(zone: &str, at: &str, expected: &str) {
        let refused = Calendar::new(Window::Day, zone).and_then(|mut calendar| calendar.span(hour(at)));
        assert_eq!(refused.expect_err("refused").to_string(), expected);
    }

    #[test]
    fn what_does_not_divide_into_utc_hours_is_refused() {
        check_refused(
            "Asia/Kolkata",
            "2026-11-27T18:00:00Z",
            "use the time zone \"Asia/Kolkata\": at 2026-11-27T18:00:00Z it is +05:30 from UTC, which is not a whole \
             number of hours, and usage is kept by the hour of UTC",
        );
        check_refused(
            "Mars/Olympus",
            "2026-11-27T18:00:00Z",
            "use the time zone \"Mars/Olympus\": the IANA database has none of this name, such as Europe/Berlin or UTC",
        );
        check_refused(
            "",
            "2026-11-27T18:00:00Z",
            "use the time zone \"\": the IANA database has none of this name, such as Europe/Berlin or UTC",
        );
    }
}

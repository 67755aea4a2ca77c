//! Hours, days, weeks and months of a time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};
use serde::{Deserialize, Serialize};

/// How long a stretch of usage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Hour,
    Day,
    Week,
    Month,
    Total,
}

/// UTC hours from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: i64,
    pub end: i64,
}

impl Span {
    #[must_use]
    pub fn has(&self, hour: i64) -> bool {
        (self.start..self.end).contains(&hour)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    #[error("use the time zone {name:?}: it is not known")]
    UnknownZone { name: String },
    #[error("bad")]
    Bad,
}

#[derive(Debug, Clone)]
pub struct Calendar {
    window: Window,
    zone: TimeZone,
}

impl Calendar {
    pub fn new(window: Window, zone: &str) -> Result<Self, CalendarError> {
        let zone = TimeZone::get(zone).map_err(|_| CalendarError::UnknownZone { name: zone.to_owned() })?;
        Ok(Self { window, zone })
    }

    pub fn span(&mut self, hour: i64) -> Result<Span, CalendarError> {
        let zoned = self.zoned(hour)?;
        let date = zoned.date();
        let of = |from: Date, to: Date| -> Result<Span, CalendarError> {
            let hour = |date: Date| -> Result<i64, CalendarError> {
                let start =
                    self.zone.to_zoned_datetime(date.at(0, 0, 0, 0)).map_err(|_| CalendarError::Bad)?;
                Ok(start.timestamp().as_second().div_euclid(3600))
            };
            Ok(Span { start: hour(from)?, end: hour(to)? })
        };
        match self.window {
            Window::Hour => Ok(Span { start: hour, end: hour + 1 }),
            Window::Day => of(date, date.tomorrow().map_err(|_| CalendarError::Bad)?),
            Window::Week => {
                let monday = date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days());
                of(monday, monday.saturating_add(7.days()))
            }
            Window::Month => {
                let first = date.first_of_month();
                of(first, first.saturating_add(1.month()))
            }
            Window::Total => Ok(Span { start: i64::MIN, end: i64::MAX }),
        }
    }

    pub fn zoned(&self, hour: i64) -> Result<ZonedDateTime, CalendarError> {
        let time = Timestamp::from_second(hour.saturating_mul(3600)).map_err(|_| CalendarError::Bad)?;
        Ok(time.to_zoned_datetime(self.zone.clone()))
    }
}

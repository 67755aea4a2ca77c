//! What readings belong together.

use crate::Rollup;

/// A series: all readings of one meter of one unit under one charm with the same labels. What differs in any of these is
/// another series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series<'a> {
    /// The model.
    pub model_uuid: &'a str,
    /// The unit; empty for readings of the model itself.
    pub unit_name: &'a str,
    /// The charm that the unit ran; empty for readings of the model itself.
    pub charm_url: &'a str,
    /// The meter.
    pub meter: &'a str,
    /// As canonical JSON; empty when there are none.
    pub labels: &'a str,
}

/// Which rollups are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select<'a> {
    /// Of this model alone.
    pub model_uuid: Option<&'a str>,
    /// Of this meter alone.
    pub meter: Option<&'a str>,
    /// From this UTC hour on ([`crate::hour_of`]).
    pub from_hour: i64,
    /// Up to before this UTC hour.
    pub to_hour: i64,
}

impl Select<'_> {
    /// Everything.
    pub const ALL: Self = Self { model_uuid: None, meter: None, from_hour: i64::MIN, to_hour: i64::MAX };

    /// Whether a series is asked for.
    #[must_use]
    pub fn has(&self, series: &Series<'_>) -> bool {
        self.model_uuid.is_none_or(|model_uuid| model_uuid == series.model_uuid)
            && self.meter.is_none_or(|meter| meter == series.meter)
    }

    /// Whether an hour is asked for.
    #[must_use]
    pub fn has_hour(&self, hour: i64) -> bool {
        (self.from_hour..self.to_hour).contains(&hour)
    }
}

/// Is shown rollups, series by series.
pub trait Visitor {
    /// A series that was asked for comes next. `false` passes it by: nothing of it is read.
    fn series(&mut self, series: &Series<'_>) -> bool;

    /// What readings of that series in one UTC hour come to. The hours come in no particular order, and one may come more than once,
    /// each time with other readings.
    fn rollup(&mut self, hour: i64, rollup: &Rollup);
}

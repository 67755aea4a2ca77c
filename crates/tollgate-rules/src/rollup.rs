//! What readings of one series come to, so that they need not be looked at again.

use tollgate_wire::Timestamp;

use crate::{Decimal, Reading, Sum};

/// Seconds of one hour.
const HOUR: i64 = 3_600;

/// The UTC hour of a time: whole hours since 1970-01-01T00:00:00Z, negative before.
#[must_use]
pub fn hour_of(time: Timestamp) -> i64 {
    time.unix_seconds().div_euclid(HOUR)
}

/// The first instant of an hour; `None` outside of the years 0 to 9999.
#[must_use]
pub fn hour_start(hour: i64) -> Option<Timestamp> {
    Timestamp::from_unix(hour.checked_mul(HOUR)?, 0)
}

/// One reading: how much, at which instant. Points order by instant; of two at the same instant, by amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Within the second.
    pub nanoseconds: u32,
    /// How much.
    pub amount: Decimal,
}

impl Point {
    /// A reading's.
    #[must_use]
    pub fn of(reading: &Reading<'_>) -> Self {
        let time = reading.time;
        Self { unix_seconds: time.unix_seconds(), nanoseconds: time.nanoseconds(), amount: reading.amount }
    }

    /// The UTC hour that it belongs to.
    #[must_use]
    pub fn hour(&self) -> i64 {
        self.unix_seconds.div_euclid(HOUR)
    }
}

/// What one or more readings of one series come to, all of it exact.
///
/// It does not matter in which order readings are added and rollups merged: late and unordered readings are normal. Of
/// several readings at the same instant the largest is the last, and the smallest the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollup {
    /// How many readings.
    pub count: u64,
    /// Of all amounts.
    pub sum: Sum,
    /// The smallest amount.
    pub min: Decimal,
    /// The largest amount.
    pub max: Decimal,
    /// The earliest reading.
    pub first: Point,
    /// The latest reading.
    pub last: Point,
}

impl Rollup {
    /// Of a single reading.
    #[must_use]
    pub fn of(point: Point) -> Self {
        let amount = point.amount;
        Self { count: 1, sum: amount.into(), min: amount, max: amount, first: point, last: point }
    }

    /// Adds another reading of the same series.
    pub fn add(&mut self, point: Point) {
        // As merging what it comes to alone, in half of the time.
        self.count += 1;
        self.sum.add(point.amount);
        self.min = self.min.min(point.amount);
        self.max = self.max.max(point.amount);
        self.first = self.first.min(point);
        self.last = self.last.max(point);
    }

    /// Adds what other readings of the same series come to.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

//! How much of a meter was used in a period, kept up to date reading by reading.

use std::collections::HashMap;

use crate::{Decimal, Digest, MeterKind, Rollup, Series, Sum};

/// What tells series apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeriesId(Digest);

impl SeriesId {
    /// Of a series.
    #[must_use]
    pub fn of(series: &Series<'_>) -> Self {
        let Series { model_uuid, unit_name, charm_url, meter, labels } = series;
        // Lengths keep apart what would be the same bytes one after the other.
        let mut bytes = Vec::with_capacity(256);
        for text in [model_uuid, unit_name, charm_url, meter, labels] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Self(Digest::of(&bytes))
    }
}

/// How much was used, by the meter's kind: of `absolute` the sum of all readings; of `gauge` the largest reading of each
/// series, summed over the series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// Of `absolute`.
    Sum(Sum),
    /// Of `gauge`.
    Peaks(Peaks),
}

/// The largest readings of a gauge's series, and their sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peaks {
    of_series: HashMap<SeriesId, Decimal>,
    /// Kept beside them: it is asked for far more often than a peak is raised.
    total: Sum,
}

impl Used {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(kind: MeterKind) -> Self {
        match kind {
            MeterKind::Absolute => Self::Sum(Sum::default()),
            MeterKind::Gauge => Self::Peaks(Peaks::default()),
        }
    }

    /// Adds one reading; `series` is asked for its id when that matters.
    pub fn add(&mut self, amount: Decimal, series: impl FnOnce() -> SeriesId) {
        match self {
            Self::Sum(sum) => sum.add(amount),
            Self::Peaks(peaks) => peaks.raise(series(), amount),
        }
    }

    /// Adds what readings of a series come to.
    pub fn add_rollup(&mut self, rollup: &Rollup, series: impl FnOnce() -> SeriesId) {
        match self {
            Self::Sum(sum) => sum.merge(&rollup.sum),
            Self::Peaks(peaks) => peaks.raise(series(), rollup.max),
        }
    }

    /// All in all.
    #[must_use]
    pub fn total(&self) -> Sum {
        match self {
            Self::Sum(sum) => *sum,
            Self::Peaks(peaks) => peaks.total,
        }
    }
}

impl Peaks {
    fn raise(&mut self, series: SeriesId, amount: Decimal) {
        let peak = self.of_series.entry(series).or_default();
        if *peak < amount {
            self.total.raise(*peak, amount);
            *peak = amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_gauge_is_that_of_its_peaks() {
        let id = |unit_name| {
            SeriesId::of(&Series { model_uuid: "m", unit_name, charm_url: "", meter: "gb", labels: "" })
        };
        let mut used = Used::nothing(MeterKind::Gauge);
        for (unit, amount, total) in [
            ("a", "0.1", "0.1"),
            ("b", "7", "7.1"),
            ("a", "0.05", "7.1"),
            ("a", "0.1", "7.1"),
            ("a", "1e-30", "7.1"),
            ("b", "1e29", "100000000000000000000000000000.1"),
            ("a", "3", "100000000000000000000000000003"),
        ] {
            used.add(Decimal::parse(amount).expect("a number"), || id(unit));
            assert_eq!(used.total().to_string(), total, "after {amount} of {unit}");
        }
    }
}

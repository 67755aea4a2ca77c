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
    Peaks(HashMap<SeriesId, Decimal>),
}

impl Used {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(kind: MeterKind) -> Self {
        match kind {
            MeterKind::Absolute => Self::Sum(Sum::default()),
            MeterKind::Gauge => Self::Peaks(HashMap::new()),
        }
    }

    /// Adds one reading; `series` is asked for its id when that matters.
    pub fn add(&mut self, amount: Decimal, series: impl FnOnce() -> SeriesId) {
        match self {
            Self::Sum(sum) => sum.add(amount),
            Self::Peaks(peaks) => raise(peaks, series(), amount),
        }
    }

    /// Adds what readings of a series come to.
    pub fn add_rollup(&mut self, rollup: &Rollup, series: impl FnOnce() -> SeriesId) {
        match self {
            Self::Sum(sum) => sum.merge(&rollup.sum),
            Self::Peaks(peaks) => raise(peaks, series(), rollup.max),
        }
    }

    /// All in all.
    #[must_use]
    pub fn total(&self) -> Sum {
        match self {
            Self::Sum(sum) => *sum,
            Self::Peaks(peaks) => peaks.values().copied().sum(),
        }
    }
}

fn raise(peaks: &mut HashMap<SeriesId, Decimal>, series: SeriesId, amount: Decimal) {
    let peak = peaks.entry(series).or_default();
    *peak = (*peak).max(amount);
}

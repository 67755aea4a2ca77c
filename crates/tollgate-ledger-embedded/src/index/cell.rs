//! What a rollup is kept under.

/// A series and an hour, as one number that orders by the series first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cell(pub(super) u64);

/// Makes hours order as numbers without a sign.
const SIGN: u32 = 1 << 31;

impl Cell {
    /// Hours that no admitted reading has are taken for the nearest that some might have.
    pub(super) fn new(series: u32, hour: i64) -> Self {
        let hour = hour.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Self(u64::from(series) << 32 | u64::from(hour.cast_unsigned() ^ SIGN))
    }

    /// The series' number.
    pub(super) fn series(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The UTC hour.
    pub(super) fn hour(self) -> i64 {
        (self.0 as u32 ^ SIGN).cast_signed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_order_by_series_and_then_by_hour() {
        let hours = [i64::MIN, -17_268_672, -1, 0, 1, 70_389_527, i64::MAX];
        let cells: Vec<Cell> =
            [0, 1, u32::MAX].iter().flat_map(|&series| hours.map(|hour| Cell::new(series, hour))).collect();
        assert!(cells.is_sorted_by(|one, other| one < other), "{cells:?}");
        for (cell, hour) in cells.iter().zip(hours).skip(1).take(5) {
            assert_eq!((cell.series(), cell.hour()), (0, hour));
        }
    }
}

//! Instants as Go's `time.Time` reads and writes them.

/// An instant with the offset that it was written with. Go: `time.Time`.
///
/// The default is Go's zero time, `0001-01-01T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    unix_seconds: i64,
    nanoseconds: u32,
    offset_seconds: i32,
}

impl Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 { self.unix_seconds }

    /// Nanoseconds within the second, below 1,000,000,000.
    #[must_use]
    pub fn nanoseconds(self) -> u32 { self.nanoseconds }

    /// East of UTC, in seconds.
    #[must_use]
    pub fn offset_seconds(self) -> i32 { self.offset_seconds }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self { unix_seconds: -62_135_596_800, nanoseconds: 0, offset_seconds: 0 }
    }
}

//! Durations as Go writes them.

use std::time::Duration;

/// A length of time in integer nanoseconds, as Go's `time.Duration` is on the wire.
///
/// A type of its own, because the mistake to make is to write seconds: 604800 of these are not a week but 0.6 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanoseconds(pub i64);

impl From<Duration> for Nanoseconds {
    /// Durations beyond 292 years become the longest that Go has.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

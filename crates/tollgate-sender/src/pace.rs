//! When to send next: decided without a clock.

use std::time::{Duration, SystemTime};

use fastrand::Rng;

/// Of the period, at most, by which a round comes earlier or later, so that senders that were started together do not
/// stay together.
const JITTER: f64 = 0.2;

/// The bound of the first wait after an error.
const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// A collector is not obeyed when it wants more patience than this: what it said may be a slip, and data waits.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);

/// How long to wait after a round that went well: the period, a fifth more or less.
pub(crate) fn after_success(every: Duration, rng: &mut Rng) -> Duration {
    every.mul_f64(1.0 - JITTER + 2.0 * JITTER * rng.f64())
}

/// How long to wait after the `n_failures`th failure in succession: anything from nothing to a bound that doubles each time, up
/// to the period. Spread over all of that, a thousand senders do not come back at once.
///
/// With `retry_after` from the collector, that comes first and is only added to.
pub(crate) fn after_failure(
    every: Duration,
    n_failures: u32,
    retry_after: Option<Duration>,
    rng: &mut Rng,
) -> Duration {
    let doublings = n_failures.saturating_sub(1).min(20);
    let bound = BACKOFF_MIN.saturating_mul(1 << doublings).min(every);
    let spread = bound.mul_f64(rng.f64());
    retry_after.map_or(spread, |least| least.min(RETRY_AFTER_MAX) + spread)
}

/// What a `Retry-After` header asks for, in seconds or as a date; `None` when it is neither.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds is a long time all the same.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[track_caller]
    fn check_waits(wait: impl Fn(&mut Rng) -> Duration, least: f64, most: f64) {
        let mut rng = Rng::with_seed(1);
        let waits: Vec<f64> = (0..2000).map(|_| wait(&mut rng).as_secs_f64()).collect();
        let (min, max) =
            (waits.iter().copied().fold(f64::MAX, f64::min), waits.iter().copied().fold(0.0, f64::max));
        assert!(least <= min && max <= most, "{min} to {max}");
        // They are spread over all of it.
        let tenth = (most - least) / 10.0;
        assert!(min < least + tenth && most - tenth < max, "{min} to {max}");
    }

    #[test]
    fn rounds_come_a_fifth_earlier_or_later() {
        check_waits(|rng| after_success(MINUTE, rng), 48.0, 72.0);
    }

    #[test]
    fn the_bound_doubles_up_to_the_period() {
        for (n_failures, most) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (1000, 60.0)] {
            check_waits(|rng| after_failure(MINUTE, n_failures, None, rng), 0.0, most);
        }
        check_waits(|rng| after_failure(Duration::from_millis(10), 5, None, rng), 0.0, 0.01);
    }

    #[test]
    fn what_the_collector_asks_for_comes_first() {
        check_waits(|rng| after_failure(MINUTE, 1, Some(MINUTE), rng), 60.0, 61.0);
        let year = Duration::from_secs(365 * 86_400);
        check_waits(|rng| after_failure(MINUTE, 1, Some(year), rng), 21_600.0, 21_601.0);
    }

    #[track_caller]
    fn check_header(header: &str, expected: Option<u64>) {
        // 2015-10-21T07:28:00Z
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header:?}");
    }

    #[test]
    fn both_forms_are_read() {
        check_header("0", Some(0));
        check_header("120", Some(120));
        check_header(" 7 ", Some(7));
        check_header("99999999999999999999999", Some(u64::MAX));
        check_header("Wed, 21 Oct 2015 07:28:30 GMT", Some(30));
        check_header("Wed, 21 Oct 2015 07:27:00 GMT", Some(0));
        check_header("Wednesday, 21-Oct-15 07:29:00 GMT", Some(60));
        for header in ["", "soon", "-1", "1.5", "Wed, 99 Oct 2015 07:28:00 GMT", "+3"] {
            check_header(header, None);
        }
    }
}

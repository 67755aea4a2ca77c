//! The live figures of one moment, from the tally.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::tally::{Tally, Traffic};

/// Rates are means over this long: steady enough to read.
const RATE_OVER: Duration = Duration::from_secs(3);

/// The statuses that units are counted by, in the order of the figures.
const STATUSES: [&str; 3] = ["GREEN", "AMBER", "RED"];

/// The figures of one moment.
pub(super) struct Figures {
    pub(super) n_batches: u64,
    pub(super) n_metrics: u64,
    pub(super) batches_per_second: f64,
    pub(super) metrics_per_second: f64,
    pub(super) n_late: u64,
    pub(super) n_sent_again: u64,
    pub(super) n_broken: u64,
    pub(super) n_conflicts: u64,
    pub(super) n_units_by_status: [u64; 3],
    pub(super) n_requests: u64,
    pub(super) n_requests_failed: u64,
    pub(super) answer_times: Option<(Duration, Duration)>,
}

impl Figures {
    pub(super) fn of(tally: &Tally, rates: &mut Rates) -> Self {
        let Traffic { n_batches_acknowledged, n_metrics_acknowledged, .. } = tally.traffic;
        let (batches_per_second, metrics_per_second) =
            rates.after(Instant::now(), n_batches_acknowledged, n_metrics_acknowledged);
        let count = |status| {
            let words = tally.standings.iter().flat_map(|standing| standing.units.values());
            words.filter(|word| *word == status).count() as u64
        };
        Self {
            n_batches: n_batches_acknowledged,
            n_metrics: n_metrics_acknowledged,
            batches_per_second,
            metrics_per_second,
            n_late: tally.truth.n_late,
            n_sent_again: tally.traffic.n_sent_again,
            n_broken: tally.traffic.n_broken_acknowledged,
            n_conflicts: tally.traffic.n_conflicts_acknowledged,
            n_units_by_status: STATUSES.map(count),
            n_requests: tally.traffic.n_requests,
            n_requests_failed: tally.traffic.n_requests_failed,
            answer_times: tally.traffic.answer_times(),
        }
    }
}

/// Earlier moments with their batches and metrics, for rates.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(Instant, u64, u64)>);

impl Rates {
    /// Takes in a moment, and gives batches and metrics per second up to it.
    fn after(&mut self, now: Instant, n_batches: u64, n_metrics: u64) -> (f64, f64) {
        self.0.push_back((now, n_batches, n_metrics));
        while 2 < self.0.len() && self.0.front().is_some_and(|(then, ..)| RATE_OVER < now - *then) {
            self.0.pop_front();
        }
        let (then, n_batches_then, n_metrics_then) = self.0[0];
        let seconds = (now - then).as_secs_f64().max(0.001);
        let rate = |n: u64, n_then: u64| n.saturating_sub(n_then) as f64 / seconds;
        (rate(n_batches, n_batches_then), rate(n_metrics, n_metrics_then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_late() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rates = Rates::default();
        assert_eq!(rates.after(at(0), 0, 0), (0.0, 0.0));
        assert_eq!(rates.after(at(1), 10, 30), (10.0, 30.0));
        assert_eq!(rates.after(at(2), 30, 90), (15.0, 45.0));
        // The beginning is longer ago than three seconds, so the second moment counts: thirty batches since then.
        assert_eq!(rates.after(at(4), 40, 120), (10.0, 30.0));
    }
}

//! What the fleet sent and what it was answered: the truth that the ledger is compared with.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tollgate_rules::{Decimal, Digest, Sum};

use super::fleet::{Item, Kind, is_late};

/// Answer times that the live figures look back on.
const ANSWER_TIMES_MAX: usize = 4_096;

/// All that is known on the sending side.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What must be in the ledger.
    pub(super) truth: Truth,
    /// What happened on the way there.
    pub(super) traffic: Traffic,
    /// Where each model and its units stand, by the model's index.
    pub(super) standings: Vec<Standing>,
}

/// What the ledger has to hold when everything is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) n_batches: u64,
    pub(super) n_metrics: u64,
    pub(super) n_late: u64,
    pub(super) n_broken: u64,
    pub(super) n_conflicts: u64,
    /// The exact sum of each meter.
    pub(super) sums: BTreeMap<String, Sum>,
    /// The content of each batch by its id; kept only for a run that ends.
    pub(super) contents: Option<HashMap<String, Digest>>,
}

/// What was on the wire.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) n_requests: u64,
    /// Requests without a usable answer: everything in them was sent again.
    pub(super) n_requests_failed: u64,
    /// Batches that counted and were acknowledged.
    pub(super) n_batches_acknowledged: u64,
    pub(super) n_metrics_acknowledged: u64,
    /// Broken batches that were acknowledged, because they are in quarantine.
    pub(super) n_broken_acknowledged: u64,
    /// Conflicting batches that were acknowledged, because they are in quarantine.
    pub(super) n_conflicts_acknowledged: u64,
    /// Times that a batch was on the wire after its first.
    pub(super) n_sent_again: u64,
    /// Acknowledgements of an id, or under a model, that the request did not carry. Must stay 0.
    pub(super) n_unasked: u64,
    answer_times: VecDeque<Duration>,
}

/// Where a model and its units stand, by the last answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The status words of the units, by name.
    pub(super) units: BTreeMap<String, String>,
}

/// The tally, shared by all senders and the screen. Nobody holds it across an await.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Tally>);

impl Shared {
    pub(super) fn new(tally: Tally) -> Self {
        Self(Mutex::new(tally))
    }

    /// Figures are figures, even where a sender panicked in between.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Truth {
    /// Takes in what has just been made and not yet sent.
    pub(super) fn add(&mut self, item: &Item, now: SystemTime) {
        match item.kind {
            Kind::Duplicate => {}
            Kind::Broken => self.n_broken += 1,
            Kind::Conflict => self.n_conflicts += 1,
            Kind::New => {
                self.n_batches += 1;
                self.n_late += u64::from(is_late(&item.batch, now));
                for metric in item.batch.metrics.iter().flatten() {
                    self.n_metrics += 1;
                    let amount = Decimal::parse(&metric.value).expect("the fleet's good values are numbers");
                    self.sums.entry(metric.key.clone()).or_default().add(amount);
                }
                if let Some(contents) = &mut self.contents {
                    contents.insert(item.batch.uuid.clone(), Digest::of(&item.json));
                }
            }
        }
    }
}

impl Traffic {
    /// Takes in how long an answer took.
    pub(super) fn answered_in(&mut self, time: Duration) {
        if self.answer_times.len() == ANSWER_TIMES_MAX {
            self.answer_times.pop_front();
        }
        self.answer_times.push_back(time);
    }

    /// The answer times of late: the median, and the one that 99 of 100 stay below.
    pub(super) fn answer_times(&self) -> Option<(Duration, Duration)> {
        let mut times: Vec<Duration> = self.answer_times.iter().copied().collect();
        times.sort_unstable();
        let at = |percent: usize| {
            times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
        };
        Some((at(50)?, at(99)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_times_are_of_late() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.answer_times(), None);
        for _ in 0..5_000 {
            traffic.answered_in(Duration::from_secs(9));
        }
        for milliseconds in 0..ANSWER_TIMES_MAX as u64 {
            traffic.answered_in(Duration::from_millis(milliseconds));
        }
        let times = traffic.answer_times();
        assert_eq!(times, Some((Duration::from_millis(2_048), Duration::from_millis(4_055))));
    }
}

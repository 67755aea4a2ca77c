//! Whether a collector takes batches right now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After a group was refused for lack of space, how long the collector calls itself not ready. Then a balancer sends
/// it requests again, and the first of them finds out whether there is room.
const FULL_SHOWS_MS: u64 = 10_000;

/// What can keep a collector from taking batches. Its writers are the committer and the drain.
pub(crate) struct Health {
    started: Instant,
    draining: AtomicBool,
    closed: AtomicBool,
    /// When the disk was last found full, in ms since `started`, plus 1; 0 is never.
    full_at_ms: AtomicU64,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            full_at_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn set_ledger_closed(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn set_disk_full(&self) {
        self.full_at_ms.store(self.age_ms() + 1, Ordering::SeqCst);
    }

    pub(crate) fn set_recorded(&self) {
        self.full_at_ms.store(0, Ordering::SeqCst);
    }

    /// The reason not to send batches here, if there is one.
    pub(crate) fn not_ready(&self) -> Option<&'static str> {
        self.not_ready_at(self.age_ms())
    }

    fn not_ready_at(&self, age_ms: u64) -> Option<&'static str> {
        let full_at_ms = self.full_at_ms.load(Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            Some("the ledger is closed until the process restarts")
        } else if self.draining.load(Ordering::SeqCst) {
            Some("the collector is stopping")
        } else if full_at_ms != 0 && age_ms < full_at_ms + FULL_SHOWS_MS {
            Some("the ledger's disk is full")
        } else {
            None
        }
    }

    fn age_ms(&self) -> u64 {
        let age: Duration = self.started.elapsed();
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_shows_for_a_while_and_until_something_is_recorded() {
        let health = Health::new();
        assert_eq!(health.not_ready_at(0), None);
        health.set_disk_full();
        let full_at_ms = health.full_at_ms.load(Ordering::SeqCst);
        assert_eq!(health.not_ready_at(full_at_ms), Some("the ledger's disk is full"));
        assert_eq!(health.not_ready_at(full_at_ms + FULL_SHOWS_MS - 1), Some("the ledger's disk is full"));
        assert_eq!(health.not_ready_at(full_at_ms + FULL_SHOWS_MS), None);
        health.set_recorded();
        assert_eq!(health.not_ready_at(full_at_ms), None);
    }

    #[test]
    fn the_graver_reason_is_told() {
        let health = Health::new();
        health.set_draining();
        assert_eq!(health.not_ready_at(0), Some("the collector is stopping"));
        health.set_ledger_closed();
        assert_eq!(health.not_ready_at(0), Some("the ledger is closed until the process restarts"));
    }
}

//! How fast the index is written: in steps between which others come first, as long as there is time for that.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// Work that is done at once. Recording may wait that long for the processor.
const STEP: Duration = Duration::from_micros(200);

/// Between two steps.
const REST: Duration = Duration::from_micros(400);

/// The pace of one thread.
pub(super) struct Pace<'p> {
    /// Whether recording will soon wait for this work.
    is_late: &'p dyn Fn() -> bool,
    was_late: Cell<bool>,
    step_began: Cell<Instant>,
}

impl<'p> Pace<'p> {
    /// Rests whenever the work is not late.
    pub(super) fn new(is_late: &'p dyn Fn() -> bool) -> Self {
        Self { is_late, was_late: is_late().into(), step_began: Instant::now().into() }
    }

    /// Never rests.
    pub(super) fn fastest() -> Pace<'static> {
        Pace::new(&|| true)
    }

    /// Whether there is no time to rest.
    pub(super) fn is_fast(&self) -> bool {
        self.was_late.get()
    }

    /// Where work may be interrupted: rests when it was long.
    pub(super) fn may_rest(&self) {
        if self.step_began.get().elapsed() < STEP {
            return;
        }
        self.was_late.set((self.is_late)());
        if !self.was_late.get() {
            thread::sleep(REST);
        }
        self.step_began.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_it_is_late_is_asked_after_each_step() {
        let late = Cell::new(false);
        let is_late = || late.get();
        let pace = Pace::new(&is_late);
        for now in [true, false, true] {
            late.set(now);
            thread::sleep(STEP);
            pace.may_rest();
            assert_eq!(pace.is_fast(), now);
        }
    }
}

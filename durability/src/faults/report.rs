//! What a run of faults has counted, and whether it was all of them.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};

use super::{From, KINDS, NOT_ALWAYS_USED};
use crate::strace::{Calls, Effect};

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    n_faults: BTreeMap<&'static str, u64>,
    n_kills: u64,
    pub(super) n_recoveries: u64,
    n_given_up: u64,
    n_gone_on: u64,
    /// The calls that were reached by each effect, for each kind of call, state before and point of counting.
    pub(super) n_reached: BTreeMap<(&'static str, String, From), Vec<u32>>,
}

impl Report {
    /// Counts a fault that was reached.
    pub(super) fn note(&mut self, calls: &Calls, effect: Effect, went_on: bool) {
        *self.n_faults.entry(calls.names).or_default() += 1;
        match (effect, went_on) {
            (Effect::Kill, _) => self.n_kills += 1,
            (Effect::Error(_) | Effect::ErrorFromThereOn(_), true) => self.n_gone_on += 1,
            (Effect::Error(_) | Effect::ErrorFromThereOn(_), false) => self.n_given_up += 1,
        }
    }

    /// Wants every kind of call to have been met, and each effect to have met all calls of its kind.
    pub(super) fn check_that_all_was_tried(&self) -> Result<()> {
        for (place, n_reached) in &self.n_reached {
            // Up to its fault every run makes the same calls, but for what goes on beside.
            let least = n_reached.iter().min().copied().unwrap_or(0);
            let most = n_reached.iter().max().copied().unwrap_or(0);
            ensure!(
                most <= 2 * least + 2,
                "strace counts differently by effect, so that calls were left out: {place:?} {n_reached:?}"
            );
        }
        for Calls { names, .. } in KINDS {
            let n = self.n_faults.get(names).copied().unwrap_or(0);
            ensure!(
                0 < n || names == NOT_ALWAYS_USED,
                "no run made a call of {names}: nothing was shown about it"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_faults, n_kills, n_recoveries, n_given_up, n_gone_on, n_reached: _ } = self;
        let by_kind: Vec<String> = n_faults
            .iter()
            .map(|(names, n)| format!("{} {n}", names.split(',').next().unwrap_or_default()))
            .collect();
        write!(
            f,
            "{} faults, one a run ({}): {n_kills} kills; {} failed calls, after which the program ended {n_given_up} times and \
             went on {n_gone_on} times; {n_recoveries} of the faults during recovery from an earlier crash",
            n_faults.values().sum::<u64>(),
            by_kind.join(", "),
            n_given_up + n_gone_on
        )
    }
}

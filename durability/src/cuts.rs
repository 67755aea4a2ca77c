//! Simulated power cuts, as many as one likes: seed after seed on every core.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::lives::{Sound, Tally, live};

/// What was done.
#[derive(Debug)]
pub struct Report {
    first_seed: u64,
    n_seeds: u64,
    tally: Tally,
    n_threads: usize,
    took: Duration,
}

/// Lives seeds from `first_seed` on until `n_cuts` power cuts have happened.
///
/// # Errors
///
/// At the first violation, with the command that repeats it.
pub fn run(n_cuts: u64, first_seed: u64) -> Result<Report> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let (next_seed, n_cuts_so_far) = (AtomicU64::new(first_seed), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    let work = || -> Result<Tally> {
        let mut sum = Tally::default();
        while !is_over.load(Ordering::Relaxed) && n_cuts_so_far.load(Ordering::Relaxed) < n_cuts {
            let seed = next_seed.fetch_add(1, Ordering::Relaxed);
            match live(&Sound, seed) {
                Ok(tally) => {
                    n_cuts_so_far.fetch_add(tally.n_cuts, Ordering::Relaxed);
                    sum = sum.and(tally);
                }
                Err(violation) => {
                    is_over.store(true, Ordering::Relaxed);
                    bail!(
                        "seed {seed}: {violation}\nrepeat it with: cargo xtask durability cuts --cuts 1 --seed {seed}"
                    );
                }
            }
        }
        Ok(sum)
    };
    let tallies: Vec<Result<Tally>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a life returns its violation")).collect()
    });
    let tallies = tallies.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Report {
        first_seed,
        n_seeds: next_seed.into_inner() - first_seed,
        tally: tallies.into_iter().fold(Tally::default(), Tally::and),
        n_threads,
        took: started.elapsed(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { n_cuts, n_cuts_in_recovery, n_kills, n_groups, n_rotations, .. } = self.tally;
        let Tally { n_recorded, n_duplicates, n_conflicts, n_quarantined, n_acts, .. } = self.tally;
        let last_seed = self.first_seed + self.n_seeds.saturating_sub(1);
        let rate = n_cuts as f64 / self.took.as_secs_f64();
        write!(
            f,
            "{n_cuts} power cuts, {n_cuts_in_recovery} of them during recovery, and {n_kills} deaths; {n_groups} acknowledged \
             groups with {n_recorded} new batches, {n_duplicates} copies, {n_conflicts} conflicts, {n_quarantined} elements \
             that cannot count and {n_acts} acts; {n_rotations} new segments; seeds {} to {last_seed}; {rate:.0} cuts a second on {} threads",
            self.first_seed, self.n_threads
        )
    }
}

//! Contenders take turns, round by round, so that a machine whose speed drifts slows them all alike.

use std::time::{Duration, Instant};

/// Something to be measured.
pub struct Contender<'c> {
    /// As it stands in the table.
    pub name: String,
    /// Does the work once and returns a figure that only real work gives, the same each time.
    pub run: Box<dyn FnMut() -> Measured + 'c>,
}

/// One turn of a contender.
pub struct Measured {
    /// How long one pass of the work took.
    pub pass: Duration,
    /// A sum over what came out, so that doing nothing cannot win.
    pub checked: u64,
}

impl<'c> Contender<'c> {
    /// A contender of this process, timed over as many passes as fill a few milliseconds.
    pub fn here(name: &str, mut work: impl FnMut() -> u64 + 'c) -> Self {
        const N_PASSES: u32 = 8;
        let run = move || {
            let mut checked = 0;
            let start = Instant::now();
            for _ in 0..N_PASSES {
                checked = std::hint::black_box(work());
            }
            Measured { pass: start.elapsed() / N_PASSES, checked }
        };
        Self { name: name.to_owned(), run: Box::new(run) }
    }
}

/// What a contender needed over all rounds.
pub struct Row {
    /// The contender.
    pub name: String,
    /// The median time of a pass.
    pub median: Duration,
    /// The fastest pass.
    pub fastest: Duration,
    /// What it returned.
    pub checked: u64,
}

/// Lets every contender run once a round and gives their medians, in the order in which they came.
///
/// # Panics
///
/// When a contender returns another figure than before: then it did not do the work.
#[must_use]
pub fn measure(n_rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Row> {
    let mut passes: Vec<Vec<Measured>> =
        contenders.iter_mut().map(|contender| vec![(contender.run)()]).collect();
    for _ in 0..n_rounds {
        for (contender, passes) in contenders.iter_mut().zip(&mut passes) {
            let measured = (contender.run)();
            assert_eq!(measured.checked, passes[0].checked, "{} did other work than before", contender.name);
            passes.push(measured);
        }
    }
    contenders
        .iter()
        .zip(passes)
        .map(|(contender, passes)| {
            let checked = passes[0].checked;
            // The first pass warmed up.
            let mut times: Vec<Duration> = passes.into_iter().skip(1).map(|measured| measured.pass).collect();
            times.sort_unstable();
            Row { name: contender.name.clone(), median: times[times.len() / 2], fastest: times[0], checked }
        })
        .collect()
}

//! `kill -9` of a collector while eight senders post, again and again; while it starts, and while it recovers.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;

use crate::account::{Account, Holdings};
use crate::batches::Batches;
use crate::check::{check_answers, check_folder};
use crate::collector::Program;
use crate::traffic::{self, Figures};

/// Kills of one ledger, before the next begins with an empty folder.
const KILLS_PER_LEDGER: u64 = 20;

/// What was done, and how quickly collectors were ready.
#[derive(Debug, Default)]
pub struct Report {
    n_kills: u64,
    n_kills_starting: u64,
    n_batches: u64,
    figures: Figures,
    ready: Vec<Duration>,
}

/// Kills collectors `n_kills` times under load, and checks after each.
///
/// # Errors
///
/// At the first violation, or when the collector cannot be run; with the seed.
pub fn run(program: &Path, folder: &Path, n_kills: u64, seed: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut random = Rng::with_seed(seed);
    while report.n_kills < n_kills {
        let ledger_seed = random.u64(..);
        let work = tempfile::tempdir_in(folder).context("make a folder for a ledger")?;
        let n_kills_here = KILLS_PER_LEDGER.min(n_kills - report.n_kills);
        live(program, work.path(), n_kills_here, ledger_seed, &mut report)
            .with_context(|| format!("after {} kills, by seed {seed}", report.n_kills))?;
    }
    Ok(report)
}

/// The life of one ledger.
fn live(binary: &Path, work: &Path, n_kills: u64, seed: u64, report: &mut Report) -> Result<()> {
    let mut random = Rng::with_seed(seed);
    // Short segments, so that kills meet their change too.
    let program = Program::new(binary, &work.join("log"))
        .with("TOLLGATE_LEDGER_SEGMENT_BYTES_MAX", (100_000 << random.u32(..8)).to_string());
    let ledger = work.join("ledger");
    let mut account = Account::new(Batches { seed });
    let mut holdings = Holdings::default();
    for kill in 0..=n_kills {
        // Into the first start of an empty folder, or into a recovery.
        while random.u32(..5) < 2 {
            program.start_and_kill(&ledger, moment(&mut random, 20.0))?;
            report.n_kills_starting += 1;
        }
        let collector = program.start(&ledger)?;
        report.ready.push(collector.ready_after);
        check_answers(&program, &collector, &holdings, &mut account).context("ask after a restart")?;
        if kill == n_kills {
            collector.stop()?;
            break;
        }
        let address = collector.listen;
        let rest = moment(&mut random, 150.0);
        traffic::run(address, &mut account, &report.figures, random.u64(..), |_| {
            thread::sleep(rest);
            collector.kill()
        })
        .with_context(|| program.end_of_log())?;
        report.n_kills += 1;
        holdings = check_folder(&program, &ledger, &mut account).context("read after a kill")?;
    }
    check_folder(&program, &ledger, &mut account).context("read after a clean end")?;
    report.n_batches += account.n_there() as u64;
    Ok(())
}

/// As likely below a millisecond as in the tenths of a second: each step should be hit, and they differ in length.
fn moment(random: &mut Rng, longest_ms: f64) -> Duration {
    let shortest_ms = 0.2;
    Duration::from_secs_f64(shortest_ms * f64::powf(longest_ms / shortest_ms, random.f64()) / 1e3)
}

impl Report {
    fn ready_at(&self, part: f64) -> f64 {
        let mut sorted = self.ready.clone();
        sorted.sort_unstable();
        let index = (part * (sorted.len().saturating_sub(1)) as f64) as usize;
        sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
        write!(
            f,
            "{} kills under load and {} while starting; {} batches there; requests: {} acknowledged, {} to send again, \
             {} unanswered; ready after {:.0} ms (median), {:.0} ms (99 of 100), {:.0} ms (longest)",
            self.n_kills,
            self.n_kills_starting,
            self.n_batches,
            figure(&self.figures.n_acknowledged),
            figure(&self.figures.n_refused),
            figure(&self.figures.n_unknown),
            self.ready_at(0.5),
            self.ready_at(0.99),
            self.ready_at(1.0)
        )
    }
}

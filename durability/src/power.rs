//! The power of a real file system is cut while eight senders post. What shows that the cuts are real is a control:
//! with a library that leaves out every sync, batches have to be lost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;

use crate::account::{Account, Holdings};
use crate::batches::Batches;
use crate::check::{check_answers, check_folder};
use crate::collector::Program;
use crate::loop_disk::{FileSystem, LoopDisk};
use crate::traffic::{self, Figures};

/// Cuts of one ledger, before the next begins on a new disk.
const CUTS_PER_LEDGER: u64 = 10;

/// Cuts within which a loss has to show when nothing is synced.
const CONTROL_CUTS: u64 = 10;

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    n_cuts: Vec<(FileSystem, u64)>,
    n_batches: u64,
    figures: Figures,
    controls: Vec<String>,
}

/// Cuts the power of each file system `n_cuts` times, below `folder`; then shows that a loss would be seen.
///
/// # Errors
///
/// At the first violation; or when the control loses nothing.
pub fn run(program: &Path, folder: &Path, n_cuts: u64, seed: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut random = Rng::with_seed(seed);
    for file_system in [FileSystem::Ext4, FileSystem::Xfs] {
        let mut n_done = 0;
        while n_done < n_cuts {
            let n_cuts_here = CUTS_PER_LEDGER.min(n_cuts - n_done);
            let work = tempfile::tempdir_in(folder).context("make a folder for a disk")?;
            let program = Program::new(program, &work.path().join("log"));
            let disk = LoopDisk::new(work.path(), file_system)?;
            live(program, &disk, n_cuts_here, random.u64(..), &mut report)
                .with_context(|| format!("on {file_system} after {n_done} cuts, by seed {seed}"))?;
            n_done += n_cuts_here;
        }
        report.n_cuts.push((file_system, n_done));
        report.controls.push(control(program, folder, file_system, random.u64(..))?);
    }
    Ok(report)
}

/// How the loss showed when the program was kept from syncing anything.
fn control(program: &Path, folder: &Path, file_system: FileSystem, seed: u64) -> Result<String> {
    let work = tempfile::tempdir_in(folder).context("make a folder for a disk")?;
    let program = Program::new(program, &work.path().join("log"));
    let disk = LoopDisk::new(work.path(), file_system)?;
    // The empty ledger is made with all its syncs: it is batches that have to get lost.
    program.start(&ledger_on(&disk))?.stop()?;
    let program = program.with("LD_PRELOAD", "libeatmydata.so");
    match live(program, &disk, CONTROL_CUTS, seed, &mut Report::default()) {
        Ok(()) => bail!(
            "lose batches on {file_system} without any sync: {CONTROL_CUTS} power cuts have lost none, so the others show nothing"
        ),
        Err(error) => {
            let text = format!("{error:#}");
            if !text.contains("LOST") && !text.contains("tollgate verify") {
                return Err(error).context("lose batches without any sync: it failed otherwise");
            }
            let (how, _) = text.split_once(": they are not in").unwrap_or((&text, ""));
            Ok(format!("{file_system}: {}", how.replace(&*work.path().to_string_lossy(), "")))
        }
    }
}

fn ledger_on(disk: &LoopDisk) -> PathBuf {
    disk.folder().join("ledger")
}

/// The life of one ledger on a disk of its own.
fn live(program: Program, disk: &LoopDisk, n_cuts: u64, seed: u64, report: &mut Report) -> Result<()> {
    let mut random = Rng::with_seed(seed);
    let segment_bytes_max: u64 = 100_000 << random.u32(..8);
    let program = program
        .with("TOLLGATE_LEDGER_SEGMENT_BYTES_MAX", segment_bytes_max.to_string())
        .with("TOLLGATE_LEDGER_FREE_BYTES_MIN", "1000000");
    let ledger = ledger_on(disk);
    let mut account = Account::new(Batches { seed });
    let mut holdings = Holdings::default();
    for cut in 0..=n_cuts {
        let collector = program.start(&ledger)?;
        check_answers(&program, &collector, &holdings, &mut account).context("ask after a restart")?;
        if cut == n_cuts {
            collector.stop()?;
            break;
        }
        let switch = disk.switch()?;
        let rest = Duration::from_micros(random.u64(500..120_000));
        let in_the_dark = Duration::from_micros(random.u64(..3_000));
        traffic::run(collector.listen, &mut account, &report.figures, random.u64(..), |line| {
            thread::sleep(rest);
            // IMPORTANT: a machine without power answers nobody, but this one goes on: a sync that is under way while XFS is
            // shut down can return without error, because what it waits for was thrown away.
            line.lose_answers();
            switch.cut_power()?;
            thread::sleep(in_the_dark);
            drop(collector);
            Ok(())
        })
        .with_context(|| program.end_of_log())?;
        disk.restore_power()?;
        holdings = check_folder(&program, &ledger, &mut account).context("read after a power cut")?;
    }
    report.n_batches += account.n_there() as u64;
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cuts: Vec<String> =
            self.n_cuts.iter().map(|(file_system, n)| format!("{n} on {file_system}")).collect();
        write!(
            f,
            "power cuts: {}; {} batches there; requests: {} acknowledged, {} to send again, {} unanswered; without syncs loss \
             shows ({})",
            cuts.join(", "),
            self.n_batches,
            self.figures.n_acknowledged.load(Ordering::Relaxed),
            self.figures.n_refused.load(Ordering::Relaxed),
            self.figures.n_unknown.load(Ordering::Relaxed),
            self.controls.join("; ")
        )
    }
}

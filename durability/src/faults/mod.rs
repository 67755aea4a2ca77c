//! A fault at every system call that changes a ledger's folder, one run of the program for each: killed at it, or the call fails.
//! After each the program starts again without faults, and everything has to be there.
//!
//! `strace` counts calls by thread. The program opens a ledger on one thread and records on another, so a run is
//! repeated with `strace` taking hold only once the program is ready: then the recording thread's calls count from
//! their first.
//!
//! [`run`] makes a list of sweeps and works it off; `bench` makes and repeats runs, `case` is a single one, `report` counts.

mod bench;
mod case;
mod report;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::account::Account;
use crate::strace::{Calls, Effect};
use bench::Bench;
pub use report::Report;

/// Every kind of call that changes files, or opens them to be changed.
const KINDS: [Calls; 9] = [
    Calls { names: "pwrite64,pwritev,pwritev2", is_by_path: false },
    Calls { names: "fdatasync", is_by_path: false },
    Calls { names: "fsync", is_by_path: false },
    Calls { names: "rename,renameat,renameat2", is_by_path: false },
    Calls { names: "unlink,unlinkat", is_by_path: false },
    Calls { names: "mkdir,mkdirat", is_by_path: false },
    Calls { names: "ftruncate,fallocate", is_by_path: false },
    Calls { names: "openat", is_by_path: true },
    Calls { names: "write,writev", is_by_path: true },
];

/// A ledger of today writes with the positioned calls alone; when that changes they are tried without being asked for.
const NOT_ALWAYS_USED: &str = "write,writev";

const EFFECTS: [Effect; 4] =
    [Effect::Kill, Effect::Error("EIO"), Effect::ErrorFromThereOn("EIO"), Effect::Error("ENOSPC")];

/// What the program finds when it starts.
#[derive(Debug, Clone)]
struct Before {
    name: String,
    /// A folder to copy; none is a first start.
    ledger: Option<PathBuf>,
    account: Account,
}

/// From when on calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Start,
    Ready,
}

/// The faults of one kind and effect, to be tried until a run has no such call any more.
#[derive(Debug, Clone)]
struct Sweep {
    before: Before,
    from: From,
    calls: Calls,
    effect: Effect,
}

/// Tries every fault below `folder`. With `pairs` each recovery from a kill at any call is killed in turn at each of its
/// calls as well.
///
/// # Errors
///
/// At the first violation, with the fault.
pub fn run(binary: &Path, folder: &Path, pairs: bool) -> Result<Report> {
    let work = tempfile::tempdir_in(folder).context("make a folder for ledgers")?;
    let bench = Bench::new(binary, work.path())?;
    let sweeps = Mutex::new(sweeps(&bench, pairs)?);
    let report = Mutex::new(Report::default());
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<Result<()>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads)
            .map(|number| {
                let (bench, sweeps, report) = (&bench, &sweeps, &report);
                scope.spawn(move || {
                    let work = bench.work.join(format!("worker-{number}"));
                    loop {
                        let next = sweeps.lock().unwrap_or_else(PoisonError::into_inner).pop();
                        let Some(sweep) = next else { return Ok(()) };
                        let done = bench.sweep(&sweep, &work, report);
                        if done.is_err() {
                            // The others need not go on.
                            sweeps.lock().unwrap_or_else(PoisonError::into_inner).clear();
                            return done;
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a sweep returns its violation")).collect()
    });
    outcomes.into_iter().collect::<Result<Vec<()>>>()?;
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.check_that_all_was_tried()?;
    Ok(report)
}

/// The first start and a working life, counted from both points; and recoveries from what crashes leave.
fn sweeps(bench: &Bench, pairs: bool) -> Result<Vec<Sweep>> {
    let mut starts = vec![(bench.first.clone(), From::Start), (bench.first.clone(), From::Ready)];
    starts.extend(bench.crashed()?.into_iter().map(|before| (before, From::Start)));
    let mut sweeps = Vec::new();
    let mut add = |before: &Before, from, effects: &[Effect]| {
        for calls in KINDS {
            sweeps.extend(effects.iter().map(|&effect| Sweep {
                before: before.clone(),
                from,
                calls,
                effect,
            }));
        }
    };
    for (before, from) in &starts {
        add(before, *from, &EFFECTS);
    }
    if pairs {
        for before in bench.crashed_everywhere()? {
            add(&before, From::Start, &[Effect::Kill]);
        }
    }
    // The last are taken first.
    sweeps.reverse();
    Ok(sweeps)
}

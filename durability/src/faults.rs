//! A fault at every system call that changes a ledger's folder, one run of the program for each: killed at it, or the call fails.
//! After each the program starts again without faults, and everything has to be there.
//!
//! `strace` counts calls by thread. The program opens a ledger on one thread and records on another, so a run is
//! repeated with `strace` taking hold only once the program is ready: then the recording thread's calls count from
//! their first.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::account::Account;
use crate::batches::Batches;
use crate::check::{check_answers, check_folder};
use crate::client::{Answer, Client};
use crate::collector::{Collector, Program, Started};
use crate::strace::{Calls, Effect, Fault, paths_in, watching};

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

/// Short, so that a few batches fill some.
const SEGMENT_BYTES_MAX: &str = "5000";

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

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    n_faults: BTreeMap<&'static str, u64>,
    n_kills: u64,
    n_recoveries: u64,
    n_given_up: u64,
    n_gone_on: u64,
    /// The calls that were reached by each effect, for each kind of call, state before and point of counting.
    n_reached: BTreeMap<(&'static str, String, From), Vec<u32>>,
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
    for (place, n_reached) in &report.n_reached {
        // Up to its fault every run makes the same calls, whatever the fault is.
        let (least, most) = (n_reached.iter().min(), n_reached.iter().max());
        ensure!(
            least == most,
            "strace counts differently by effect, so that calls were left out: {place:?} {n_reached:?}"
        );
    }
    for Calls { names, .. } in KINDS {
        let n = report.n_faults.get(names).copied().unwrap_or(0);
        ensure!(
            0 < n || names == NOT_ALWAYS_USED,
            "no run made a call of {names}: nothing was shown about it"
        );
    }
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

/// Where runs are made.
struct Bench {
    binary: PathBuf,
    work: PathBuf,
    first: Before,
    /// The files of a ledger, below its folder.
    files: Vec<PathBuf>,
}

impl Bench {
    fn new(binary: &Path, work: &Path) -> Result<Self> {
        let account = Account::new(Batches { seed: 77 });
        let first = Before { name: "nothing".to_owned(), ledger: None, account };
        let mut bench = Self { binary: binary.to_owned(), work: work.to_owned(), first, files: Vec::new() };
        bench.files = bench.files_used()?;
        Ok(bench)
    }

    fn program(&self, work: &Path) -> Program {
        Program::new(&self.binary, &work.join("log"))
            .with("TOLLGATE_LEDGER_SEGMENT_BYTES_MAX", SEGMENT_BYTES_MAX)
    }

    /// The files that the calls name which are found by path.
    fn files_used(&self) -> Result<Vec<PathBuf>> {
        let case = Case::new(self, &self.work.join("watched"), &self.first)?;
        let log = case.work.join("strace");
        let mut account = self.first.account.clone();
        let started = case.program.start_under(&watching(&KINDS, &log), &case.ledger)?;
        let Started::Ready(collector) = started else {
            bail!("the collector does not start under strace:\n{}", case.program.end_of_log())
        };
        post_all(&collector, &mut account)?;
        ensure!(account.open().is_empty(), "a run without faults leaves batches open");
        collector.stop()?;
        let log = fs::read_to_string(&log).context("read the log of strace")?;
        let ledger = case.ledger.to_str().context("name the folder in UTF-8")?;
        let paths = paths_in(&log, ledger);
        ensure!(3 < paths.len(), "strace has seen {paths:?} only");
        paths.iter().map(|path| Ok(path.strip_prefix(&case.ledger)?.to_owned())).collect()
    }

    /// What crashes leave: a group that is whole and was never synced, a torn one, a segment under construction.
    fn crashed(&self) -> Result<Vec<Before>> {
        let crash = |name: &str, names: &str, n: u32| -> Result<Before> {
            let calls =
                KINDS.into_iter().find(|calls| calls.names.starts_with(names)).context("find the kind")?;
            let crashed = self.crash(name, From::Ready, calls, n)?;
            crashed.with_context(|| format!("kill the collector at call {n} of {names}: it made fewer"))
        };
        let whole = crash("an unsynced group", "fdatasync", 3)?;
        let torn = crash("a torn group", "fdatasync", 3)?;
        cut_last_segment(torn.ledger.as_deref().context("a folder")?)?;
        let unfinished = crash("an unfinished segment", "rename", 1)?;
        Ok(vec![whole, torn, unfinished])
    }

    /// What a kill at each single call leaves.
    fn crashed_everywhere(&self) -> Result<Vec<Before>> {
        let mut crashed = Vec::new();
        for from in [From::Start, From::Ready] {
            for calls in KINDS {
                for n in 1.. {
                    let name =
                        format!("what a kill at call {n} of {} left, counted from {from:?}", calls.names);
                    match self.crash(&name, from, calls, n)? {
                        // What is counted from when it is ready on comes with the second round.
                        Some(before) if from == From::Start && 0 < before.account.n_sent() => break,
                        Some(before) => crashed.push(before),
                        None => break,
                    }
                }
            }
        }
        Ok(crashed)
    }

    /// What a kill at one call of the first life leaves; `None` when that life has no such call.
    fn crash(&self, name: &str, from: From, calls: Calls, n: u32) -> Result<Option<Before>> {
        let folder = name.replace(['/', ' ', ','], "-");
        let case = Case::new(self, &self.work.join(folder), &self.first)?;
        let mut account = self.first.account.clone();
        let end = case.run(from, Fault { calls, effect: Effect::Kill, n }, &mut account)?;
        let ledger = Some(case.ledger).filter(|ledger| ledger.exists());
        Ok(end.is_reached.then(|| Before { name: name.to_owned(), ledger, account }))
    }

    fn sweep(&self, sweep: &Sweep, work: &Path, report: &Mutex<Report>) -> Result<()> {
        let Sweep { before, from, calls, effect } = sweep;
        for n in 1.. {
            let fault = Fault { calls: *calls, effect: *effect, n };
            let case = Case::new(self, work, before)?;
            let mut account = before.account.clone();
            let end = case
                .run(*from, fault, &mut account)
                .and_then(|end| case.recover(&mut account).map(|()| end))
                .with_context(|| {
                    let log = case.program.end_of_log();
                    format!("{fault}, counted from {from:?}, on {}; the log ends with\n{log}", before.name)
                })?;
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            if !end.is_reached {
                report.n_reached.entry((calls.names, before.name.clone(), *from)).or_default().push(n - 1);
                return Ok(());
            }
            *report.n_faults.entry(calls.names).or_default() += 1;
            report.n_recoveries += u64::from(before.name != self.first.name);
            match (effect, end.status.success()) {
                (Effect::Kill, _) => report.n_kills += 1,
                (Effect::Error(_) | Effect::ErrorFromThereOn(_), true) => report.n_gone_on += 1,
                (Effect::Error(_) | Effect::ErrorFromThereOn(_), false) => report.n_given_up += 1,
            }
        }
        Ok(())
    }
}

/// One run of the program.
struct Case<'a> {
    bench: &'a Bench,
    program: Program,
    work: PathBuf,
    ledger: PathBuf,
}

struct End {
    is_reached: bool,
    status: ExitStatus,
}

impl<'a> Case<'a> {
    fn new(bench: &'a Bench, work: &Path, before: &Before) -> Result<Self> {
        if work.exists() {
            fs::remove_dir_all(work).with_context(|| format!("remove {}", work.display()))?;
        }
        fs::create_dir(work).with_context(|| format!("make {}", work.display()))?;
        let ledger = work.join("ledger");
        if let Some(from) = &before.ledger {
            copy(from, &ledger)?;
        }
        Ok(Self { bench, program: bench.program(work), work: work.to_owned(), ledger })
    }

    /// Runs the program under a fault, and posts to it as long as it answers.
    fn run(&self, from: From, fault: Fault, account: &mut Account) -> Result<End> {
        let log = self.work.join("strace");
        let paths: Vec<PathBuf> = self.bench.files.iter().map(|file| self.ledger.join(file)).collect();
        let status = match from {
            From::Start => match self.program.start_under(&fault.around(&log, &paths), &self.ledger)? {
                Started::Ended(status) => status,
                Started::Ready(collector) => {
                    post_all(&collector, account)?;
                    collector.stop()?
                }
            },
            From::Ready => {
                let collector = self.program.start(&self.ledger)?;
                let attached = fault.attach(collector.pid(), &log, &paths)?;
                post_all(&collector, account)?;
                let status = collector.stop()?;
                drop(attached);
                status
            }
        };
        let log = fs::read_to_string(&log).context("read the log of strace")?;
        let is_reached = match fault.effect {
            Effect::Kill => status.signal() == Some(9),
            Effect::Error(_) | Effect::ErrorFromThereOn(_) => log.contains("(INJECTED)"),
        };
        Ok(End { is_reached, status })
    }

    /// Starts the program without faults: all that was acknowledged is there once, and so is everything after it was
    /// sent again.
    fn recover(&self, account: &mut Account) -> Result<()> {
        let collector = self.program.start(&self.ledger).context("start again")?;
        let holdings =
            check_folder(&self.program, &self.ledger, account).context("read after the restart")?;
        check_answers(&self.program, &collector, &holdings, account).context("ask after the restart")?;
        let all: Vec<usize> = (0..account.n_sent()).collect();
        if !all.is_empty() {
            let mut client = Client::connect(collector.listen).context("connect")?;
            let answer = client.post(&account.batches.document(&all)).context("send everything again")?;
            let answer = answer.context("send everything again: nobody answers")?;
            take(&answer, &all, account)?;
            ensure!(account.open().is_empty(), "batches sent again are not acknowledged");
        }
        let status = collector.stop()?;
        ensure!(status.success(), "the collector stopped with {status}");
        let holdings = check_folder(&self.program, &self.ledger, account).context("read at the end")?;
        let n_hopeless = all.iter().filter(|&&index| account.batches.at(index).is_hopeless).count();
        let expected = (all.len() - n_hopeless) as u64;
        ensure!(holdings.n_batches == expected, "{} batches count, not {expected}", holdings.n_batches);
        Ok(())
    }
}

/// The requests of every run: what is open, then new batches alone and together, and copies; as far as it answers.
fn post_all(collector: &Collector, account: &mut Account) -> Result<()> {
    let Ok(mut client) = Client::connect(collector.listen) else { return Ok(()) };
    let open = account.open();
    let is_first = account.n_sent() == 0;
    if !open.is_empty() && !post_or_give_up(&mut client, &open, account)? {
        return Ok(());
    }
    let n_new: &[usize] = if is_first { &[1, 3, 0, 1, 5, 12, 1, 0, 1, 8, 1, 1] } else { &[2, 0, 9] };
    for (number, &n_new) in n_new.iter().enumerate() {
        let mut indexes = account.send_new(n_new);
        if n_new == 0 || number == 4 {
            indexes.extend(0..2);
        }
        if !post_or_give_up(&mut client, &indexes, account)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Posts, unless nobody answers; `false` when nobody does.
fn post_or_give_up(client: &mut Client, indexes: &[usize], account: &mut Account) -> Result<bool> {
    match client.post(&account.batches.document(indexes))? {
        None => Ok(false),
        Some(answer) => take(&answer, indexes, account).map(|()| true),
    }
}

/// Notes what an answer acknowledges.
fn take(answer: &Answer, indexes: &[usize], account: &mut Account) -> Result<()> {
    for index in answer.acknowledged(account.batches, indexes)? {
        account.acknowledge(index)?;
    }
    Ok(())
}

/// Cuts the end of the last group off, as when its last sectors were never written.
fn cut_last_segment(ledger: &Path) -> Result<()> {
    let mut segments: Vec<PathBuf> =
        fs::read_dir(ledger)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    segments.sort();
    let last = segments.last().context("find a segment")?;
    let file = fs::File::options().write(true).open(last)?;
    let length = file.metadata()?.len();
    file.set_len(length - 40).with_context(|| format!("cut {}", last.display()))
}

/// Copies a folder and all below it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| format!("make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
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

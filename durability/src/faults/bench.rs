//! Making runs: one after the other until none has the call any more, and those that leave something to recover from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};

use super::case::{Case, post_all};
use super::{Before, From, KINDS, Report, Sweep};
use crate::account::Account;
use crate::batches::Batches;
use crate::collector::{Program, Started};
use crate::strace::{Calls, Effect, Fault, paths_in, watching};

/// Short, so that a few batches fill some.
const SEGMENT_BYTES_MAX: &str = "5000";

/// Where runs are made.
pub(super) struct Bench {
    binary: PathBuf,
    pub(super) work: PathBuf,
    pub(super) first: Before,
    /// The files of a ledger, below its folder.
    pub(super) files: Vec<PathBuf>,
}

impl Bench {
    pub(super) fn new(binary: &Path, work: &Path) -> Result<Self> {
        let account = Account::new(Batches { seed: 77 });
        let first = Before { name: "nothing".to_owned(), ledger: None, account };
        let mut bench = Self { binary: binary.to_owned(), work: work.to_owned(), first, files: Vec::new() };
        bench.files = bench.files_used()?;
        Ok(bench)
    }

    pub(super) fn program(&self, work: &Path) -> Program {
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
    pub(super) fn crashed(&self) -> Result<Vec<Before>> {
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
    pub(super) fn crashed_everywhere(&self) -> Result<Vec<Before>> {
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

    /// Tries the faults of a sweep one after the other.
    pub(super) fn sweep(&self, sweep: &Sweep, work: &Path, report: &Mutex<Report>) -> Result<()> {
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
            report.note(calls, *effect, end.status.success());
            report.n_recoveries += u64::from(before.name != self.first.name);
        }
        Ok(())
    }
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

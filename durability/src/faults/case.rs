//! One run of the program under one fault, and the recovery from it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context as _, Result, ensure};

use super::bench::Bench;
use super::{Before, From};
use crate::account::Account;
use crate::check::{check_answers, check_folder};
use crate::client::{Answer, Client};
use crate::collector::{Collector, Program, Started};
use crate::files;
use crate::strace::{Effect, Fault};

/// One run of the program.
pub(super) struct Case<'a> {
    bench: &'a Bench,
    pub(super) program: Program,
    pub(super) work: PathBuf,
    pub(super) ledger: PathBuf,
}

/// How it ended.
pub(super) struct End {
    /// Whether the fault was met.
    pub(super) is_reached: bool,
    pub(super) status: ExitStatus,
}

impl<'a> Case<'a> {
    pub(super) fn new(bench: &'a Bench, work: &Path, before: &Before) -> Result<Self> {
        if work.exists() {
            fs::remove_dir_all(work).with_context(|| format!("remove {}", work.display()))?;
        }
        fs::create_dir(work).with_context(|| format!("make {}", work.display()))?;
        let ledger = work.join("ledger");
        if let Some(from) = &before.ledger {
            files::write_all(&ledger, &files::read_all(from)?)?;
        }
        Ok(Self { bench, program: bench.program(work), work: work.to_owned(), ledger })
    }

    /// Runs the program under a fault, and posts to it as long as it answers.
    pub(super) fn run(&self, from: From, fault: Fault, account: &mut Account) -> Result<End> {
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
    pub(super) fn recover(&self, account: &mut Account) -> Result<()> {
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
pub(super) fn post_all(collector: &Collector, account: &mut Account) -> Result<()> {
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

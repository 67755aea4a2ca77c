//! `strace` as the one who lets a system call fail, or kills the program at it.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// System calls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Their names, as `strace` wants them.
    pub names: &'static str,
    /// Whether the program uses them elsewhere too, so that the paths have to be named.
    pub is_by_path: bool,
}

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The process is killed before it.
    Kill,
    /// It is not carried out and fails with this error.
    Error(&'static str),
    /// It and every later one of its kind are not carried out and fail with this error.
    ErrorFromThereOn(&'static str),
}

/// One fault: the call number `n` of its kind, counted from 1 in each thread, meets an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub calls: Calls,
    /// What happens.
    pub effect: Effect,
    /// Which of them.
    pub n: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls: Calls { names, .. }, effect, n } = self;
        match effect {
            Effect::Kill => write!(f, "inject={names}:signal=KILL:when={n}"),
            Effect::Error(error) => write!(f, "inject={names}:error={error}:when={n}"),
            Effect::ErrorFromThereOn(error) => write!(f, "inject={names}:error={error}:when={n}+"),
        }
    }
}

impl Fault {
    /// The words of a command that starts a program under this fault; `strace` writes what happened into `log`.
    #[must_use]
    pub fn around(&self, log: &Path, paths: &[PathBuf]) -> Vec<OsString> {
        // Without --seccomp-bpf, quicker as it is: under it strace 6.1 sends its signal at the first call alone.
        let mut words: Vec<OsString> = vec!["strace".into()];
        words.extend(self.options(log, paths));
        words
    }

    /// Puts a running process under this fault, all of its threads; ends when the process does.
    ///
    /// # Errors
    ///
    /// When `strace` does not take hold of it.
    pub fn attach(&self, pid: u32, log: &Path, paths: &[PathBuf]) -> Result<Attached> {
        let mut command = Command::new("strace");
        command.args(self.options(log, paths)).arg("-p").arg(pid.to_string());
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("start strace")?;
        let attached = Attached(child);
        let started = Instant::now();
        while !is_traced(pid)? {
            if Duration::from_secs(10) < started.elapsed() {
                bail!("strace does not take hold of process {pid}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(attached)
    }

    fn options(&self, log: &Path, paths: &[PathBuf]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["-f".into(), "-qq".into(), "-o".into(), log.into()];
        words.extend(["-e".into(), format!("trace={}", self.calls.names).into()]);
        words.extend(["-e".into(), self.to_string().into()]);
        if self.calls.is_by_path {
            for path in paths {
                words.extend(["-P".into(), path.into()]);
            }
        }
        words
    }
}

/// A `strace` that has hold of a process.
#[derive(Debug)]
pub struct Attached(Child);

impl Drop for Attached {
    fn drop(&mut self) {
        // The process has ended, so this one is about to; if not, it is not needed any more.
        let started = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether somebody has hold of every thread of a process.
fn is_traced(pid: u32) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("list the collector's threads")? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() == "0")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The words before a program that write down which paths its calls of these kinds use.
#[must_use]
pub fn watching(kinds: &[Calls], log: &Path) -> Vec<OsString> {
    let names: Vec<&str> = kinds.iter().map(|calls| calls.names).collect();
    let mut words: Vec<OsString> = vec!["strace".into(), "--seccomp-bpf".into()];
    words.extend(["-f", "-qq", "-y", "-s", "4096", "-o"].map(OsString::from));
    words.extend([log.into(), "-e".into(), format!("trace={}", names.join(",")).into()]);
    words
}

/// The paths at or below `folder` that a log of [`watching`] names.
#[must_use]
pub fn paths_in(log: &str, folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = log
        .match_indices(folder)
        .map(|(at, _)| log[at..].split(['"', '>', '\n']).next().unwrap_or_default())
        .filter(|path| path[folder.len()..].is_empty() || path[folder.len()..].starts_with('/'))
        .map(PathBuf::from)
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_a_log() {
        let log = "7 openat(AT_FDCWD</w>, \"/w/l/attested\", O_RDWR) = 9</w/l/attested>\n7 fsync(9</w/l>) = 0\n7 mkdir(\"/w/log\")";
        assert_eq!(paths_in(log, "/w/l"), [PathBuf::from("/w/l"), PathBuf::from("/w/l/attested")]);
    }
}

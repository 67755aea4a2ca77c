//! The program under test, as a process: started, killed, stopped, asked.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A process that does not end by itself within this time hangs.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// The built binary and how to run it.
#[derive(Debug, Clone)]
pub struct Program {
    binary: PathBuf,
    /// Where its log goes; kept over restarts.
    log: PathBuf,
    settings: Vec<(&'static str, OsString)>,
}

/// A running collector. Killed when it is dropped.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where senders post.
    pub listen: SocketAddr,
    admin: SocketAddr,
    /// From its start to its ready line.
    pub ready_after: Duration,
}

/// What came of a start.
#[derive(Debug)]
pub enum Started {
    /// It serves.
    Ready(Collector),
    /// It ended before it was ready.
    Ended(ExitStatus),
}

impl Program {
    /// The program at `binary`, logging to the file `log`.
    #[must_use]
    pub fn new(binary: &Path, log: &Path) -> Self {
        Self { binary: binary.to_owned(), log: log.to_owned(), settings: Vec::new() }
    }

    /// With an environment variable.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.settings.push((name, value.as_ref().to_owned()));
        self
    }

    /// Starts a collector and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ends before; the error has the end of its log.
    pub fn start(&self, ledger: &Path) -> Result<Collector> {
        match self.start_under(&[], ledger)? {
            Started::Ready(collector) => Ok(collector),
            Started::Ended(status) => {
                bail!("the collector ended with {status} before it was ready:\n{}", self.end_of_log())
            }
        }
    }

    /// As `start`, with the words of another command before it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_under(&self, before: &[OsString], ledger: &Path) -> Result<Started> {
        let started = Instant::now();
        let mut child = self.spawn(before, ledger)?;
        let stdout = child.stdout.take().context("pipe the collector's output")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line).context("read the ready line")?;
        let ready_after = started.elapsed();
        let address = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.parse().ok());
        let (Some(listen), Some(admin)) = (address("listen="), address("admin=")) else {
            drop(child.stdin.take());
            return Ok(Started::Ended(child.wait().context("wait for the collector")?));
        };
        Ok(Started::Ready(Collector { child, stdout, listen, admin, ready_after }))
    }

    /// Starts a collector and kills it after some time, ready or not.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or ended by itself and not by the kill.
    pub fn start_and_kill(&self, ledger: &Path, after: Duration) -> Result<()> {
        let mut child = self.spawn(&[], ledger)?;
        thread::sleep(after);
        if let Some(status) = child.try_wait().context("look for the collector")? {
            bail!("the collector ended with {status} while it started:\n{}", self.end_of_log());
        }
        kill(&mut child)
    }

    fn spawn(&self, before: &[OsString], ledger: &Path) -> Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let mut command = match before {
            [] => Command::new(&self.binary),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.binary);
                command
            }
        };
        // Standard input ties the process to this one: it stops when we are gone, and when we ask it to.
        command
            .args(["serve", "--until-stdin-closes", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--ledger")
            .arg(ledger)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        self.configure(&mut command);
        command.spawn().with_context(|| format!("start {}", self.binary.display()))
    }

    /// Nothing that configures Tollgate here reaches it but what was asked for.
    fn configure(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"TOLLGATE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
    }

    /// Runs another command of the program and gives what it prints.
    ///
    /// # Errors
    ///
    /// When it does not exit with 0; then with what it said.
    pub fn output(&self, arguments: &[&OsStr]) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null());
        self.configure(&mut command);
        let words = || {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            format!("tollgate {}", words.join(" "))
        };
        let output = command.output().with_context(|| format!("run {}", words()))?;
        if !output.status.success() {
            bail!(
                "{} ended with {}: {}",
                words(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    }

    /// The last lines that a collector logged.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Collector {
    /// The base of its admin listener.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The process; of a collector that was started under another command, that command's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it had ended by itself.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("look for the collector")? {
            bail!("the collector ended by itself, with {status}");
        }
        kill(&mut self.child)
    }

    /// Asks it to stop, and says how it ended.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn stop(mut self) -> Result<ExitStatus> {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("look for the collector")? {
                return Ok(status);
            }
            if END_TIMEOUT < asked.elapsed() {
                bail!("the collector does not end within {} s of being asked to", END_TIMEOUT.as_secs());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        // Held until here: a pipe without a reader would be another fault.
        let _ = self.stdout.buffer();
    }
}

fn kill(child: &mut Child) -> Result<()> {
    child.kill().context("kill the collector")?;
    child.wait().context("wait for the end of the collector")?;
    Ok(())
}

//! The demo's collector: a child process, started again whenever it dies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long a collector may take to get ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a collector may take to stop when it is told to.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// A collector that lives shorter than this did not really start: it is not tried again.
const LIVES_AT_LEAST: Duration = Duration::from_millis(500);
/// How long it stays down, so that the fleet notices.
const DOWN_FOR: Duration = Duration::from_millis(300);

/// A collector that is ready.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) pid: u32,
    /// How many died before it.
    pub(super) n_died: u64,
}

/// What the collector's process is told.
#[derive(Debug)]
pub(super) enum Order {
    /// SIGKILL: it may not finish anything. It is started again.
    Kill,
    /// SIGTERM: it answers what is in flight, and that is the end.
    Stop,
}

/// Where the demo keeps things.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The spool of a site.
    pub(super) fn spool(&self, site: usize) -> PathBuf {
        self.root.join(format!("spool-{site}"))
    }

    fn log(&self) -> PathBuf {
        self.root.join("collector.log")
    }

    /// What the collector said last, to explain a death.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Keeps a collector running on the folder until it is told to stop, and tells who waits where it is.
pub(super) async fn keep_running(
    folder: Folder,
    tell: watch::Sender<Option<Running>>,
    mut orders: mpsc::Receiver<Order>,
) -> anyhow::Result<()> {
    let mut n_died = 0;
    loop {
        let started = Instant::now();
        let (mut collector, running) = Collector::start(&folder, n_died)
            .await
            .with_context(|| format!("start a collector\n{}", folder.last_words()))?;
        tell.send_replace(Some(running));
        let died = tokio::select! {
            status = collector.child.wait() => Some(status.context("wait for the collector")?),
            order = orders.recv() => match order {
                Some(Order::Kill) => {
                    collector.child.kill().await.context("kill the collector")?;
                    None
                }
                Some(Order::Stop) | None => {
                    tell.send_replace(None);
                    return collector.stop().await.with_context(|| folder.last_words());
                }
            },
        };
        tell.send_replace(None);
        if let Some(status) = died
            && started.elapsed() < LIVES_AT_LEAST
        {
            bail!("keep a collector running: it ended at once ({status})\n{}", folder.last_words());
        }
        n_died += 1;
        sleep(DOWN_FOR).await;
    }
}

struct Collector {
    child: Child,
    /// Held open: the child stops when it closes, even if we were killed.
    _alive: Option<ChildStdin>,
}

impl Collector {
    async fn start(folder: &Folder, n_died: u64) -> anyhow::Result<(Self, Running)> {
        let program = std::env::current_exe().context("find this program's file")?;
        let log =
            std::fs::File::options().create(true).append(true).open(folder.log()).context("open its log")?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--until-stdin-closes", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--ledger")
            .arg(folder.ledger())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C reaches us alone, and we end it in order.
            .process_group(0)
            .kill_on_drop(true);
        // The demo shows what happens without any configuration.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOLLGATE_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().context("start its process")?;
        let pid = child.id().context("learn its process id")?;
        let alive = child.stdin.take();
        let stdout = child.stdout.take().context("read its standard output")?;
        let mut line = String::new();
        let read = timeout(READY_TIMEOUT, BufReader::new(stdout).read_line(&mut line)).await;
        read.context("wait for it to get ready")?.context("read its standard output")?;
        let (listen, admin) = addresses(&line)
            .with_context(|| format!("find its addresses in what it said when it was ready: {line:?}"))?;
        Ok((Self { child, _alive: alive }, Running { listen, admin, pid, n_died }))
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .context("tell the collector to stop")?;
        }
        let status = timeout(STOP_TIMEOUT, self.child.wait())
            .await
            .context("wait for the collector to stop")?
            .context("wait for the collector")?;
        if !status.success() {
            bail!("stop the collector: it ended with {status}");
        }
        Ok(())
    }
}

/// Reads `ready listen=ADDR admin=ADDR ledger=…`.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.strip_prefix("ready ")?.split(' ');
    let listen = words.next()?.strip_prefix("listen=")?.parse().ok()?;
    let admin = words.next()?.strip_prefix("admin=")?.trim_end().parse().ok()?;
    Some((listen, admin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_the_addresses() {
        let line = "ready listen=127.0.0.1:1 admin=[::1]:2 ledger=/a b\n";
        let expected =
            Some(("127.0.0.1:1".parse().expect("an address"), "[::1]:2".parse().expect("an address")));
        assert_eq!(addresses(line), expected);
        assert_eq!(addresses(""), None);
    }
}

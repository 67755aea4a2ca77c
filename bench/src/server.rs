//! Servers under load: each a process of its own on a folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A program that prints `ready listen=ADDR admin=ADDR` and then takes posts, as `tollgate serve` does.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments before where its ledger is.
    pub arguments: Vec<String>,
    /// Where its ledger is, when that is not a new folder.
    pub location: Option<String>,
    /// The line of its metrics page that says how many batches it has recorded.
    pub counted_by: &'static str,
}

impl Program {
    /// The program of this workspace, as `cargo build --release` makes it; or the one that is given.
    ///
    /// # Errors
    ///
    /// When cargo cannot build it.
    pub fn tollgate(given: Option<PathBuf>) -> Result<Self> {
        let path = match given {
            Some(path) => path,
            None => {
                let built = Command::new(env!("CARGO"))
                    .args(["build", "--release", "--package", "tollgate"])
                    .current_dir(env!("CARGO_MANIFEST_DIR"))
                    .status()
                    .context("run cargo")?;
                ensure!(built.success(), "cargo could not build tollgate");
                let this = std::env::current_exe().context("find this program")?;
                // This one is in the profile's folder `deps`.
                let profile = this.parent().and_then(Path::parent).context("find the profile's folder")?;
                profile.join("tollgate")
            }
        };
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger"];
        let arguments = arguments.map(str::to_owned).to_vec();
        Ok(Self { path, arguments, location: None, counted_by: "tollgate_ledger_batches " })
    }
}

/// A program at work. It is stopped and its folder removed when this is dropped.
pub struct Server {
    program: Program,
    child: Child,
    /// Where batches are posted.
    pub listen: SocketAddr,
    admin: SocketAddr,
    /// Removed when this is dropped, after the process has ended.
    _folder: TempDir,
}

impl Server {
    /// Starts `program` on a new folder in `parent`, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it does not start; what it says about that stands on standard error.
    pub fn start(program: &Program, parent: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix_in("tollgate-bench-", parent).context("make a folder")?;
        Self::over(program, folder)
    }

    /// The same on `ledger` in a folder, which is there already or not.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn over(program: &Program, folder: TempDir) -> Result<Self> {
        let own = folder.path().join("ledger").into_os_string();
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .arg(program.location.as_ref().map_or(own, Into::into))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.path.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().context("its standard output")?;
        BufReader::new(out).read_line(&mut line).context("read its first line")?;
        let address = |key: &str| -> Result<SocketAddr> {
            let value = line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            let value = value.with_context(|| format!("find {key} in its first line {line:?}"))?;
            value.parse().context("read its address")
        };
        let (listen, admin) = (address("listen")?, address("admin")?);
        Ok(Self { program: program.clone(), child, listen, admin, _folder: folder })
    }

    /// How many batches it says that it has recorded.
    ///
    /// # Errors
    ///
    /// When it does not say so.
    pub fn n_recorded(&self) -> Result<u64> {
        let page = get(self.admin, "/metrics").context("read the metrics page")?;
        let line = page.lines().find_map(|line| line.strip_prefix(self.program.counted_by));
        let count = line.with_context(|| format!("find {} on the metrics page", self.program.counted_by))?;
        count.trim().parse().with_context(|| format!("read the count {count:?}"))
    }

    /// What its admin listener answers at a path, without the head.
    ///
    /// # Errors
    ///
    /// When that is not 200.
    pub fn ask(&self, path: &str) -> Result<String> {
        let answer = get(self.admin, path).with_context(|| format!("ask for {path}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").context("find the end of the head")?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}\n{body}");
        Ok(body.to_owned())
    }

    /// The processor time that it has used.
    ///
    /// # Errors
    ///
    /// When the system does not say so.
    pub fn processor_time(&self) -> Result<Duration> {
        processor_time(&self.child.id().to_string())
    }

    /// The most memory that it has held.
    ///
    /// # Errors
    ///
    /// When the system does not say so.
    pub fn resident_bytes_max(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("find VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("read VmHWM")?;
        Ok(kib << 10)
    }

    /// Stops it as a service manager does.
    ///
    /// # Errors
    ///
    /// When it ends otherwise than well.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("send SIGTERM")?;
        let status = self.child.wait().context("wait for its end")?;
        ensure!(status.success(), "{} ended with {status}", self.program.path.display());
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless the benchmark failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of a process, `self` or an id.
///
/// # Errors
///
/// When the system does not say so.
pub fn processor_time(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("read a process' stat")?;
    let (_, fields) = stat.rsplit_once(')').context("find the end of the name")?;
    // utime and stime are fields 14 and 15; the name is the second.
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let seconds = ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(seconds))
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

//! A PostgreSQL of our own: a server in a temporary folder, for tests and benchmarks.
//!
//! It takes what Debian's package brings, or what is on the search path. As root it runs the server as the user `postgres`, whom
//! the package makes, because PostgreSQL refuses to be root.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to start, or to recover.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A server that ends with this value.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    settings: Vec<String>,
    /// It was free when it was looked for. The server listens on it when `listen_addresses` is among the settings.
    port: u16,
    server: Option<Child>,
    folder: TempDir,
}

/// Where PostgreSQL's programs are: the newest version of Debian's, or those on the search path.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(version).map(|version| version.join("bin"));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = newest.into_iter().chain(std::env::split_paths(&on_path));
    folders.find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

impl Cluster {
    /// Makes a database cluster and starts its server, with everything left on that keeps a commit. Each of `settings` is
    /// `name=value`.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not on this machine, or one of its programs fails.
    pub fn start(settings: &[&str]) -> io::Result<Self> {
        Self::start_in(&std::env::temp_dir(), settings)
    }

    /// As [`Cluster::start`], with its folder in this one.
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub fn start_in(parent: &Path, settings: &[&str]) -> io::Result<Self> {
        let programs =
            programs().ok_or_else(|| io::Error::other("find PostgreSQL: install Debian's postgresql"))?;
        let folder = TempDir::with_prefix_in("tollgate-postgres-", parent)?;
        if rustix::process::getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut cluster = Self { programs, settings, port: free_port()?, server: None, folder };
        run(as_server(&cluster.programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=tollgate", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(cluster.data())
            .stdout(Stdio::null()))?;
        cluster.resume()?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a ledger finds it.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string();
        let folder = folder.replace('%', "%25").replace('/', "%2F");
        format!("postgres://tollgate@{folder}:{}/postgres", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server and all of its connections at once, as a crash does.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn kill(&mut self) -> io::Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops the server in an orderly way.
    ///
    /// # Errors
    ///
    /// When the system does not let us.
    pub fn stop(&mut self) -> io::Result<()> {
        self.end(Signal::INT)
    }

    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        // A server's processes outlive its first one for a moment, and it does not start again beside them.
        let others = children(server.id());
        kill_process(Pid::from_child(&server), signal)?;
        for other in others {
            if signal == Signal::KILL {
                // One that has ended by itself is what is wanted.
                let _ = kill_process(other, signal);
            }
        }
        server.wait().map(drop)
    }

    /// Starts the server again, and waits until it takes connections.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            let mut server = as_server(&self.programs.join("postgres"));
            server.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
            server.args(["-h", "", "-p"]).arg(self.port.to_string());
            for setting in &self.settings {
                server.args(["-c", setting]);
            }
            let log =
                std::fs::File::options().append(true).create(true).open(self.folder.path().join("log"))?;
            let mut child = server.stderr(log).stdout(Stdio::null()).spawn()?;
            while child.try_wait()?.is_none() {
                if self.psql("SELECT 1").is_ok() {
                    self.server = Some(child);
                    return Ok(());
                }
                if deadline < Instant::now() {
                    self.server = Some(child);
                    return Err(io::Error::other("PostgreSQL does not take connections"));
                }
                sleep(Duration::from_millis(20));
            }
            // It ended: what was killed a moment ago is not gone yet.
            if deadline < Instant::now() {
                return Err(io::Error::other("PostgreSQL does not start"));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// What `psql` prints for a statement, without headers.
    ///
    /// # Errors
    ///
    /// When the statement fails.
    pub fn psql(&self, statement: &str) -> io::Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .arg("-h")
            .arg(self.folder.path())
            .arg("-p")
            .arg(self.port.to_string())
            .args(["-U", "tollgate", "-d", "postgres", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c"])
            .arg(statement)
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its folder goes anyway.
        let _ = self.end(Signal::QUIT);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A command that runs as somebody else when we are root.
fn as_server(program: &Path) -> Command {
    if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}

/// The processes that this one started.
fn children(parent: u32) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    listed.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

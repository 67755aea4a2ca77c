//! The peer that keeps batches in PostgreSQL, as is usually done: `COPY` into a temporary table, then
//! `INSERT … ON CONFLICT DO NOTHING`, a transaction a chunk. It gets the rows ready made: no HTTP, no decoding, no checks.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tollgate_wire::to_vec;

use crate::chunk::Chunk;
use crate::document::batches;
use crate::load::Load;

/// A cluster of our own in a temporary folder, reached by a socket in it.
pub struct Cluster {
    programs: PathBuf,
    server: Child,
    folder: TempDir,
}

/// Where PostgreSQL's programs are, the newest version of those installed.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(version)?;
    let programs = newest.join("bin");
    programs.join("initdb").exists().then_some(programs)
}

/// A command that runs as somebody else when we are root, which PostgreSQL's server refuses.
fn command(program: &Path) -> Command {
    if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

impl Cluster {
    /// Makes a cluster and starts it, with all that keeps a commit safe left on.
    ///
    /// # Errors
    ///
    /// When one of PostgreSQL's programs fails; what it says about that stands on standard error.
    pub fn start(programs: &Path, parent: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix_in("tollgate-bench-", parent).context("make a folder")?;
        if rustix::process::getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        run(command(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null()))?;
        let mut server = command(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", ""]);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let server = server.stderr(Stdio::null()).spawn().context("start postgres")?;
        let cluster = Self { programs: programs.to_owned(), server, folder };
        cluster.wait_until_ready()?;
        cluster
            .psql("CREATE TABLE batches (model uuid, batch uuid, body text, PRIMARY KEY (model, batch))")?;
        Ok(cluster)
    }

    /// Where a collector's ledger finds it.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string();
        format!("postgres://bench@{}/postgres", folder.replace('/', "%2F"))
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.psql("SELECT 1").is_err() {
            ensure!(Instant::now() < deadline, "PostgreSQL did not become ready within 30 s");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn client(&self) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("-h").arg(self.folder.path()).args(["-U", "bench", "-d", "postgres"]);
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    fn psql(&self, statement: &str) -> Result<String> {
        let output = self.client().args(["-q", "-c", statement]).output().context("run psql")?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "psql ended with {}: {message}", output.status);
        String::from_utf8(output.stdout).context("read what psql printed")
    }

    /// How many batches it holds.
    ///
    /// # Errors
    ///
    /// When it does not say so.
    pub fn n_recorded(&self) -> Result<u64> {
        self.psql("SELECT count(*) FROM batches")?.trim().parse().context("read a count")
    }

    /// Records chunks of 1,000 rows for `time`, on so many connections.
    ///
    /// # Errors
    ///
    /// When a row is not recorded.
    pub fn record(&self, n_connections: usize, time: Duration) -> Result<Load> {
        let mut sessions: Vec<Session> =
            (0..n_connections).map(|lane| Session::start(self.client(), lane)).collect::<Result<_>>()?;
        let started = Instant::now();
        let lanes: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
            let start = |session| scope.spawn(move || Session::record_until(session, started + time));
            let threads: Vec<_> = sessions.iter_mut().map(start).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
        });
        let mut load = Load { took: started.elapsed(), ..Load::default() };
        for (lane, session) in lanes.into_iter().zip(&sessions) {
            let latencies = lane?;
            load.n_batches_each.push((latencies.len() * session.chunk.n_batches()) as u64);
            load.latencies.extend(latencies);
        }
        load.latencies.sort_unstable();
        Ok(load)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its "immediate" shutdown: the folder goes anyway.
        let _ = kill_process(Pid::from_child(&self.server), Signal::QUIT);
        let _ = self.server.wait();
    }
}

/// Of what a cluster of that size is usually given, and nothing that risks a commit.
const SETTINGS: [&str; 7] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "wal_compression=lz4",
    "wal_buffers=16MB",
];

/// One connection: psql, which reads statements from us.
struct Session {
    child: Child,
    statements: ChildStdin,
    results: BufReader<ChildStdout>,
    chunk: Chunk,
    lane: usize,
}

impl Session {
    fn start(mut client: Command, lane: usize) -> Result<Self> {
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start psql")?;
        let mut statements = child.stdin.take().context("psql's standard input")?;
        let results = BufReader::new(child.stdout.take().context("psql's standard output")?);
        statements
            .write_all(b"CREATE TEMP TABLE staging (LIKE batches) ON COMMIT DELETE ROWS;\n")
            .context("make the temporary table")?;
        Ok(Self { child, statements, results, chunk: rows()?, lane })
    }

    fn record_until(&mut self, end: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let n_batches = self.chunk.n_batches() as u64;
        for n in 0.. {
            self.chunk.number(self.lane, n * n_batches);
            let sent = Instant::now();
            self.statements.write_all(self.chunk.text()).context("send rows to psql")?;
            self.wait_for(&format!("INSERT 0 {n_batches}"))?;
            self.wait_for("COMMIT")?;
            latencies.push(sent.elapsed());
            if end <= Instant::now() {
                break;
            }
        }
        Ok(latencies)
    }

    fn wait_for(&mut self, expected: &str) -> Result<()> {
        let mut line = String::new();
        while line.trim_end() != expected {
            line.clear();
            let n_read = self.results.read_line(&mut line).context("read what psql printed")?;
            ensure!(n_read != 0, "psql ended before it printed {expected:?}");
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its connection ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A transaction that records 1,000 rows.
fn rows() -> Result<Chunk> {
    let batches = batches();
    let mut text = b"BEGIN;\nCOPY staging FROM STDIN;\n".to_vec();
    for batch in &batches {
        let body = to_vec(batch).context("encode a batch")?;
        ensure!(!body.contains(&b'\\'), "the document's batches need no escapes");
        write!(text, "{}\t{}\t", batch.model_uuid, batch.uuid)?;
        text.extend_from_slice(&body);
        text.push(b'\n');
    }
    text.extend_from_slice(
        b"\\.\nINSERT INTO batches SELECT * FROM staging ON CONFLICT DO NOTHING;\nCOMMIT;\n",
    );
    Ok(Chunk::new(text, &batches))
}

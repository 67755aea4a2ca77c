//! `kill -9` of an agent and of a collector, again and again, with a bad network between them.
//!
//! Applications post readings to the agent, each with a number of its own. What was answered with 200 has to be in the ledger
//! exactly once in the end; what was not answered, because the agent was killed, at most once; nothing else may be there. The agent also reads
//! a counter, of which exactly what it grew by has to be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use tollgate_wire::MetricBatch;

use crate::collector::{Collector, Program};
use crate::endpoint::{COUNTER, Endpoint};
use crate::proxy::Proxy;

/// Kills with one spool and one ledger, before the next begin with empty folders.
const CYCLES_PER_LIFE: u64 = 50;

/// Threads that post readings.
const N_APPLICATIONS: usize = 2;

/// How long delivering the rest may take.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    n_cycles: u64,
    n_agents_killed: u64,
    n_collectors_killed: u64,
    n_recorded: u64,
    n_unknown: u64,
    n_counted: u64,
    n_batches: u64,
    n_connections: u64,
    n_broken: u64,
}

/// Kills `n_cycles` times, and checks what was delivered.
///
/// # Errors
///
/// At the first violation, or when a program cannot be run; with the seed.
pub fn run(program: &Path, folder: &Path, n_cycles: u64, seed: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut random = Rng::with_seed(seed);
    while report.n_cycles < n_cycles {
        let life_seed = random.u64(..);
        let work = tempfile::tempdir_in(folder).context("make a folder for a spool and a ledger")?;
        let n_here = CYCLES_PER_LIFE.min(n_cycles - report.n_cycles);
        live(program, work.path(), n_here, life_seed, &mut report)
            .with_context(|| format!("after {} cycles, by seed {seed}", report.n_cycles))?;
    }
    Ok(report)
}

/// The life of one spool and one ledger.
fn live(binary: &Path, work: &Path, n_cycles: u64, seed: u64, report: &mut Report) -> Result<()> {
    let mut random = Rng::with_seed(seed);
    let program = Program::new(binary, &work.join("collector.log"));
    let ledger = work.join("ledger");
    let proxy = Proxy::start(random.u64(..))?;
    let endpoint = Endpoint::start(random.u64(..))?;
    let sender = AgentProgram::new(binary, work, &proxy);
    std::fs::write(&sender.configuration, endpoint.configuration()).context("write the configuration")?;
    let readings = Readings::default();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also when this ends by an error.
        let _over = Over(&is_over);
        for index in 0..N_APPLICATIONS {
            let (sender, readings, is_over, seed) = (&sender, &readings, &is_over, random.u64(..));
            scope.spawn(move || readings.post_until(&sender.socket, index, seed, is_over));
        }
        let mut agent = Some(sender.start()?);
        // From here on it is known which value it counts from.
        endpoint.wait_until_read()?;
        let mut collector: Option<Collector> = None;
        for _ in 0..n_cycles {
            if agent.is_none() {
                agent = Some(sender.start()?);
            }
            if collector.is_none() {
                let started = program.start(&ledger)?;
                proxy.lead_to(Some(started.listen));
                collector = Some(started);
            }
            thread::sleep(moment(&mut random));
            let which = random.u32(..3);
            if which != 1
                && let Some(killed) = agent.take()
            {
                killed.kill(&sender)?;
                report.n_agents_killed += 1;
            }
            if which != 0
                && let Some(killed) = collector.take()
            {
                proxy.lead_to(None);
                killed.kill()?;
                report.n_collectors_killed += 1;
            }
            report.n_cycles += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        drop((agent, collector));
        Ok::<_, anyhow::Error>(())
    })?;
    // Now with a good network.
    let collector = program.start(&ledger)?;
    let url = format!("http://{}", collector.listen);
    endpoint.stand_still();
    deliver_rest(&program, &sender, &endpoint, &url)?;
    collector.stop()?;
    let exported = program.output(&["export".as_ref(), ledger.as_os_str()])?;
    readings.check(&exported, endpoint.grown(), report)?;
    let figures = proxy.figures();
    let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    report.n_connections += figure(&figures.n_connections);
    report.n_broken += figure(&figures.n_refused) + figure(&figures.n_cut) + figure(&figures.n_dropped);
    Ok(())
}

/// Delivers what is left: an agent makes batches of the last readings, and a sender takes them to the collector.
fn deliver_rest(program: &Program, sender: &AgentProgram, endpoint: &Endpoint, url: &str) -> Result<()> {
    let agent = sender.start()?;
    endpoint.wait_until_read()?;
    let started = Instant::now();
    while !ask(&sender.socket, "GET", "/spool", "").is_ok_and(|answer| answer.contains("\"readings\":0,")) {
        if DELIVERED_WITHIN < started.elapsed() {
            bail!("readings wait for a batch for too long");
        }
        thread::sleep(Duration::from_millis(5));
    }
    agent.kill(sender)?;
    let spool = sender.spool.as_os_str();
    let words = ["send".as_ref(), "--for".as_ref(), "60".as_ref(), "--to".as_ref(), url.as_ref()];
    program.output(&[&words[..], &["--spool".as_ref(), spool]].concat()).map(drop)
}

/// Sets a flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As likely in the first milliseconds as in the tenths of a second.
fn moment(random: &mut Rng) -> Duration {
    Duration::from_secs_f64(0.5 * f64::powf(200.0, random.f64()) / 1e3)
}

/// How an agent is run.
struct AgentProgram {
    binary: PathBuf,
    spool: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    configuration: PathBuf,
    to: String,
}

/// A running agent. Killed when it is dropped.
struct Agent(Child);

impl AgentProgram {
    fn new(binary: &Path, work: &Path, proxy: &Proxy) -> Self {
        Self {
            binary: binary.to_owned(),
            spool: work.join("spool"),
            socket: work.join("socket"),
            log: work.join("agent.log"),
            configuration: work.join("agent.toml"),
            to: format!("http://{}", proxy.address),
        }
    }

    /// Starts an agent and waits until it is ready.
    fn start(&self) -> Result<Agent> {
        let log =
            File::options().create(true).append(true).open(&self.log).context("open the agent's log")?;
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"TOLLGATE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let child = command
            .args(["agent", "--config"])
            .arg(&self.configuration)
            .env("TOLLGATE_SENDER_SPOOL", &self.spool)
            .env("TOLLGATE_SENDER_TO", &self.to)
            // So quick that every cycle has rounds, and requests that time out.
            .env("TOLLGATE_SENDER_EVERY_MS", "5")
            .env("TOLLGATE_SENDER_REQUEST_TIMEOUT_SECONDS", "1")
            .env("TOLLGATE_AGENT_SOCKET", &self.socket)
            .env("TOLLGATE_AGENT_MODEL", "deadbeef-0bad-400d-8000-4b1d0d06f00d")
            .env("TOLLGATE_AGENT_BATCH_AGE_MS", "4")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("start an agent")?;
        let mut agent = Agent(child);
        let stdout = agent.0.stdout.take().context("pipe the agent's output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("read the ready line")?;
        if !line.starts_with("ready ") {
            bail!("the agent did not get ready:\n{}", self.end_of_log());
        }
        Ok(agent)
    }

    fn end_of_log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Agent {
    fn kill(mut self, program: &AgentProgram) -> Result<()> {
        if let Some(status) = self.0.try_wait().context("look for the agent")? {
            bail!("the agent ended by itself, with {status}:\n{}", program.end_of_log());
        }
        self.0.kill().context("kill the agent")?;
        self.0.wait().context("wait for the end of the agent")?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The readings that applications posted, by their value.
#[derive(Debug, Default)]
struct Readings {
    recorded: std::sync::Mutex<BTreeSet<u64>>,
    /// Posted and not answered: the agent was killed before or after it kept them.
    unknown: std::sync::Mutex<BTreeSet<u64>>,
}

impl Readings {
    /// Posts readings until it is over, each with another value.
    fn post_until(&self, socket: &Path, index: usize, seed: u64, is_over: &AtomicBool) {
        let mut random = Rng::with_seed(seed);
        let mut next = index as u64;
        while !is_over.load(Ordering::Relaxed) {
            let values: Vec<u64> = (0..random.u64(1..5)).map(|n| next + n * N_APPLICATIONS as u64).collect();
            next += values.len() as u64 * N_APPLICATIONS as u64;
            let unit = random.u32(..3);
            let readings =
                values.iter().map(|value| format!(r#"{{"meter":"n","value":{value},"unit":"u/{unit}"}}"#));
            let body = format!("[{}]", readings.collect::<Vec<_>>().join(","));
            let is_recorded = ask(socket, "POST", "/readings", &body)
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "));
            let whose = if is_recorded { &self.recorded } else { &self.unknown };
            whose.lock().expect("no application panics").extend(values);
            if !is_recorded {
                // Nobody is there.
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Compares with the batches that a ledger exported, and with how far the endpoint's counter has grown.
    fn check(&self, exported: &[u8], grown: u64, report: &mut Report) -> Result<()> {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let mut counted = 0;
        for line in exported.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            report.n_batches += 1;
            let batch: MetricBatch = tollgate_wire::from_slice(line).context("decode an exported batch")?;
            for metric in batch.metrics.into_iter().flatten() {
                let value: u64 = metric.value.parse().context("read an exported value")?;
                if metric.key == COUNTER {
                    counted += value;
                    continue;
                }
                *found.entry(value).or_default() += 1;
            }
        }
        if counted != grown {
            bail!("a counter grew by {grown}, and {counted} are there");
        }
        report.n_counted += counted;
        let recorded = self.recorded.lock().expect("no application panics");
        let unknown = self.unknown.lock().expect("no application panics");
        report.n_recorded += recorded.len() as u64;
        report.n_unknown += unknown.len() as u64;
        let lost: Vec<u64> = recorded.iter().filter(|value| !found.contains_key(value)).copied().collect();
        if !lost.is_empty() {
            bail!(
                "{} of {} recorded readings are LOST, such as {:?}",
                lost.len(),
                recorded.len(),
                &lost[..lost.len().min(5)]
            );
        }
        if let Some((value, n_times)) = found.iter().find(|(_, n_times)| 1 < **n_times) {
            bail!("reading {value} is there {n_times} times");
        }
        if let Some(value) = found.keys().find(|value| !recorded.contains(value) && !unknown.contains(value))
        {
            bail!("reading {value} is there, and nobody posted it");
        }
        Ok(())
    }
}

/// Asks an agent; the whole answer as it comes.
fn ask(socket: &Path, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cycles, with {} kills of the agent and {} of the collector; {} readings recorded, and {} posted without an answer; \
             counters that grew by {}; {} batches there; {} connections, of which {} were refused, cut or lost their answer",
            self.n_cycles,
            self.n_agents_killed,
            self.n_collectors_killed,
            self.n_recorded,
            self.n_unknown,
            self.n_counted,
            self.n_batches,
            self.n_connections,
            self.n_broken
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks readings 1 to 3, of which 3 was not answered, against a ledger with these values.
    fn check(values: &[&[u64]]) -> Result<()> {
        let readings = Readings::default();
        readings.recorded.lock().expect("no panic").extend([1, 2]);
        readings.unknown.lock().expect("no panic").insert(3);
        let lines = values.iter().map(|values| {
            let metrics = values.iter().map(|value| format!(r#"{{"key":"n","value":"{value}"}}"#));
            format!(r#"{{"uuid":"b","metrics":[{}]}}"#, metrics.collect::<Vec<_>>().join(","))
        });
        readings.check(lines.collect::<Vec<_>>().join("\n").as_bytes(), 0, &mut Report::default())
    }

    #[test]
    fn a_counter_that_is_not_all_there_is_noticed() {
        let batch =
            br#"{"uuid":"b","metrics":[{"key":"counted","value":"3"},{"key":"counted","value":"4"}]}"#;
        let check = |grown| Readings::default().check(batch, grown, &mut Report::default());
        check(7).expect("all there");
        assert_eq!(check(8).expect_err("lost").to_string(), "a counter grew by 8, and 7 are there");
    }

    #[test]
    fn whatever_is_not_delivered_once_is_noticed() {
        for good in [&[&[1, 2][..]][..], &[&[2], &[1]], &[&[3, 1], &[2]]] {
            check(good).expect("delivered");
        }
        for (bad, expected) in [
            (&[&[1][..]][..], "1 of 2 recorded readings are LOST, such as [2]"),
            (&[&[1, 2], &[2]], "reading 2 is there 2 times"),
            (&[&[1, 2], &[3, 3]], "reading 3 is there 2 times"),
            (&[&[1, 2, 4]], "reading 4 is there, and nobody posted it"),
        ] {
            assert_eq!(check(bad).expect_err("noticed").to_string(), expected);
        }
    }
}

//! `kill -9` of `tollgate migrate` on its way from a folder into PostgreSQL.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tollgate_ledger::{Entry, Outcome};
use tollgate_ledger_embedded::EmbeddedLedger;
use tollgate_ledger_postgres::PostgresLedger;
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_rules::{BatchId, Digest, judge};
use tollgate_wire::{Document, Timestamp};

use crate::batches::{Batch, Batches};

/// Kills on the way.
const N_KILLS: u64 = 3;

/// How often a move is begun anew that was over before its last kill.
const TRIES_MAX: u32 = 5;

/// Elements of a group of the ledger.
const GROUP_ELEMENTS: usize = 1_000;

/// Batches that are read whole, and sent once more, in the end.
const N_SAMPLES: usize = 1_000;

/// A move that comes no further within this time hangs.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Debug)]
pub struct Report {
    n_batches: u64,
    n_quarantined: u64,
    n_sums: usize,
    /// Batches that were there after each kill.
    kills: Vec<u64>,
    moving: Duration,
    /// Of the last run alone, without the comparison.
    records_a_second: f64,
}

/// Makes a ledger of so many batches, moves it with three kills on the way, and compares what is there with what was recorded.
///
/// # Errors
///
/// At the first violation, or when a program cannot be run.
pub fn run(program: &Path, folder: &Path, n_batches: u64, seed: u64) -> Result<Report> {
    let work = tempfile::tempdir_in(folder).context("make a folder for a ledger")?;
    let (dir, mut random) = (work.path().join("ledger"), Rng::with_seed(seed));
    let recorded = Recorded::make(&dir, n_batches, seed).context("make a ledger")?;
    let cluster = Cluster::start_in(folder, &[]).context("start PostgreSQL")?;
    let started = Instant::now();
    let mut n_tries = 1;
    let kills = loop {
        let kills = kill_on_the_way(program, &dir, &cluster, n_batches, &mut random)?;
        if kills.iter().all(|n| *n < n_batches) {
            break kills;
        }
        // It was at its end before it was killed: the whole of it again.
        ensure!(n_tries < TRIES_MAX, "kill it on the way: {kills:?} of {n_batches} were there; give it more");
        n_tries += 1;
        cluster.psql("DROP SCHEMA tollgate CASCADE").context("begin anew")?;
    };
    let output = start(program, &dir, &cluster)?.wait_with_output().context("wait for it")?;
    let moving = started.elapsed();
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "move all of it: it ended with {}: {printed}", output.status);
    let printed: serde_json::Value = serde_json::from_str(&printed).context("read what it printed")?;
    let work = &printed["work"];
    let figure = |name: &str| work[name].as_f64().unwrap_or_default();
    let records_a_second = figure("n_records") / figure("seconds");
    recorded.check(&cluster, &mut random)?;
    let Recorded { n_quarantined, sums, .. } = recorded;
    Ok(Report { n_batches, n_quarantined, n_sums: sums.len(), kills, moving, records_a_second })
}

/// Gives how many batches were there after each kill.
fn kill_on_the_way(
    program: &Path,
    dir: &Path,
    cluster: &Cluster,
    n_batches: u64,
    random: &mut Rng,
) -> Result<Vec<u64>> {
    let mut kills = Vec::new();
    for kill in 0..N_KILLS {
        // One in the first half of each part of the way: it goes on while it is looked at.
        let part = n_batches / N_KILLS;
        let place = (part * kill + random.u64(0..=part / 2)).max(1);
        let mut child = start(program, dir, cluster)?;
        wait_until_there(&mut child, cluster, place)?;
        thread::sleep(Duration::from_millis(random.u64(0..100)));
        child.kill().and_then(|()| child.wait()).context("kill it")?;
        kills.push(n_moved(cluster)?);
    }
    Ok(kills)
}

fn start(program: &Path, dir: &Path, cluster: &Cluster) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg("migrate").arg("--from").arg(dir).args(["--to", &cluster.url(), "--format", "json"]);
    command.stdout(Stdio::piped()).spawn().context("start it")
}

/// Batches that are in the database; none when there is not even a table.
fn n_moved(cluster: &Cluster) -> Result<u64> {
    match cluster.psql("SELECT n_batches FROM tollgate.moved") {
        Ok(printed) if !printed.trim().is_empty() => {
            printed.trim().parse().context("read how far it has come")
        }
        _ => Ok(0),
    }
}

fn wait_until_there(child: &mut Child, cluster: &Cluster, n_batches: u64) -> Result<()> {
    let (mut there, mut since) = (0, Instant::now());
    loop {
        let now = n_moved(cluster)?;
        if n_batches <= now {
            return Ok(());
        }
        if let Some(status) = child.try_wait().context("look at it")? {
            ensure!(status.success(), "it ended with {status} when {now} batches were there");
            return Ok(());
        }
        if there < now {
            (there, since) = (now, Instant::now());
        }
        ensure!(since.elapsed() < STEP_TIMEOUT, "it comes no further than {now} batches");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a ledger was made of.
struct Recorded {
    batches: Batches,
    /// The digest of each batch, in order, and its index.
    digests: Vec<(Digest, usize)>,
    n_quarantined: u64,
    /// By model and meter, in thousandths.
    sums: BTreeMap<(String, &'static str), u128>,
}

impl Recorded {
    fn make(dir: &Path, n_batches: u64, seed: u64) -> Result<Self> {
        let (mut ledger, _) = EmbeddedLedger::open(dir, tollgate_ledger_embedded::Options::default())?;
        let batches = Batches { seed };
        let mut made = Self { batches, digests: Vec::new(), n_quarantined: 0, sums: BTreeMap::new() };
        let mut index = 0;
        while (made.digests.len() as u64) < n_batches {
            let mut group = Vec::with_capacity(GROUP_ELEMENTS);
            while group.len() < GROUP_ELEMENTS && (made.digests.len() as u64) < n_batches {
                let batch = batches.at(index);
                group.push(entry(&batch)?);
                made.add(&batch, index);
                index += 1;
            }
            // Not a whole number of microseconds.
            let received =
                Timestamp::from_unix(1_767_323_045 + index as i64, 123_456_789).context("a time")?;
            ledger.writer.record(group, received)?;
        }
        ledger.writer.close()?;
        Ok(made)
    }

    fn add(&mut self, batch: &Batch, index: usize) {
        if batch.is_hopeless {
            self.n_quarantined += 1;
            return;
        }
        self.digests.push((Digest::of(batch.body.as_bytes()), index));
        for (meter, thousandths) in &batch.readings {
            *self.sums.entry((batch.model.clone(), meter)).or_default() += u128::from(*thousandths);
        }
    }

    /// Whether the database has exactly this, by its tables and by what a ledger on them answers.
    fn check(&self, cluster: &Cluster, random: &mut Rng) -> Result<()> {
        const DIGESTS: &str = "SELECT encode(digest, 'hex') FROM tollgate.batches ORDER BY place";
        let printed = cluster.psql(DIGESTS).context("read the digests")?;
        let mut found = printed.lines();
        for (place, (digest, _)) in self.digests.iter().enumerate() {
            let expected: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
            ensure!(found.next() == Some(&*expected), "batch {place} is LOST, or another one");
        }
        ensure!(found.next().is_none(), "there are batches that nobody recorded, or some are there twice");

        const TOTALS: &str = "SELECT uuid, meter, (sum * 1000)::numeric(40, 0) FROM tollgate.totals JOIN tollgate.models USING (model)
            WHERE sum <> 0 ORDER BY 1, 2";
        const USAGE: &str = "SELECT uuid, meter, (sum(sum) * 1000)::numeric(40, 0) FROM tollgate.usage JOIN tollgate.models USING (model)
            GROUP BY 1, 2 ORDER BY 1, 2";
        let expected = self.sums.iter().map(|((model, meter), sum)| (format!("{model}|{meter}|"), sum));
        let mut expected: Vec<String> = expected.map(|(key, sum)| format!("{key}{sum}")).collect();
        expected.sort_unstable();
        for statement in [TOTALS, USAGE] {
            let printed = cluster.psql(statement).context("read the sums")?;
            let mut found: Vec<&str> = printed.lines().collect();
            found.sort_unstable();
            ensure!(found == expected, "the sums are {found:?} and not {expected:?}");
        }

        let (mut ledger, _) =
            PostgresLedger::open(&cluster.url(), tollgate_ledger_postgres::Options::default())?;
        let counts = ledger.reader.counts();
        ensure!(counts.n_quarantined == self.n_quarantined, "the quarantine has {}", counts.n_quarantined);
        let mut again = Vec::with_capacity(N_SAMPLES);
        for _ in 0..N_SAMPLES {
            let (_, index) = self.digests[random.usize(0..self.digests.len())];
            let batch = self.batches.at(index);
            let id =
                BatchId { model_uuid: batch.model.as_str().into(), batch_uuid: batch.uuid.as_str().into() };
            let body = ledger.reader.batch(&id)?;
            ensure!(body.as_deref() == Some(batch.body.as_bytes()), "batch {index} has another body");
            again.push(entry(&batch)?);
        }
        let received = Timestamp::from_unix(1_800_000_000, 0).context("a time")?;
        let outcomes = ledger.writer.record(again, received)?;
        let n_duplicates = outcomes.iter().filter(|outcome| **outcome == Outcome::Duplicate).count();
        ensure!(n_duplicates == N_SAMPLES, "{n_duplicates} of {N_SAMPLES} copies are duplicates");
        ensure!(ledger.reader.counts() == counts, "copies were counted");
        Ok(())
    }
}

fn entry(batch: &Batch) -> Result<Entry> {
    let posted = format!("[{}]", batch.body);
    let document = Document::new(posted.as_bytes());
    Ok(judge(document.batches()?.first().context("one element")?).into())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self.kills.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{} kills, when {} of {} batches were there; {} elements in quarantine and {} exact sums with them; {:.0} s in all, \
             the last run {:.0} records a second",
            self.kills.len(),
            kills.join(", "),
            self.n_batches,
            self.n_quarantined,
            self.n_sums,
            self.moving.as_secs_f64(),
            self.records_a_second
        )
    }
}

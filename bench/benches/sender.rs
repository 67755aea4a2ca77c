//! The sending side: recording in a spool beside what the disk takes, and draining it to a collector on the same machine.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tollgate_bench::server::{Program, Server};
use tollgate_sender::{HttpTransport, Sender, Settings, Spool, SpoolOptions, SystemClock};
use tollgate_wire::{Metric, MetricBatch, Timestamp};

/// Rounds of each contender, in turns.
const N_ROUNDS: usize = 5;

/// How long a round records.
const ROUND: Duration = Duration::from_secs(2);

const HELP: &str = "\
Recording in a spool, and draining it.

cargo build --release && cargo bench -p tollgate-bench --bench sender -- [--batches N] [--dir DIR] [--tollgate FILE]

  --batches   how many are spooled and drained [1000000]
  --dir       a folder on the disk to be measured [the folder for temporary files]
  --tollgate  the built program [target/release/tollgate]";

struct Arguments {
    n_batches: u64,
    dir: PathBuf,
    tollgate: PathBuf,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let dir = tempfile::Builder::new().prefix("tollgate-bench-sender-").tempdir_in(&arguments.dir)?;
    record(dir.path())?;
    drain(dir.path(), &arguments)
}

fn arguments() -> Result<Arguments> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Arguments {
        n_batches: 1_000_000,
        dir: std::env::temp_dir(),
        tollgate: root.join("target/release/tollgate"),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--batches", Some(n)) => found.n_batches = n.parse().context("read --batches")?,
            ("--dir", Some(dir)) => found.dir = dir.into(),
            ("--tollgate", Some(path)) => found.tollgate = path.into(),
            // Given by cargo.
            ("--bench", None) => {}
            _ => bail!("{HELP}"),
        }
    }
    Ok(found)
}

/// As a unit reports: three meters.
fn batch() -> MetricBatch {
    let time = Timestamp::from_unix(1_800_000_000, 123_000_000).expect("a time");
    let metric = |key: &str, value: &str| Metric {
        key: key.to_owned(),
        value: value.to_owned(),
        time,
        ..Metric::default()
    };
    MetricBatch {
        model_uuid: "deadbeef-0bad-400d-8000-4b1d0d06f00d".to_owned(),
        model_name: "team/production".to_owned(),
        unit_name: "web/0".to_owned(),
        charm_url: "ch:amd64/jammy/web-7".to_owned(),
        created: time,
        metrics: Some(vec![
            metric("requests", "1234"),
            metric("storage-gib", "12.5"),
            metric("egress-gib", "0.3"),
        ]),
        credentials: Some(Vec::new()),
        ..MetricBatch::default()
    }
}

fn spool(folder: &Path) -> Result<Spool> {
    let options = SpoolOptions { bytes_max: u64::MAX, ..SpoolOptions::default() };
    Ok(Spool::open(folder, options, Arc::new(SystemClock))?.0)
}

/// One way to record.
struct Way {
    n_writers: usize,
    /// Batches that one call records.
    n_each: usize,
}

fn record(dir: &Path) -> Result<()> {
    let ways = [
        Way { n_writers: 1, n_each: 1 },
        Way { n_writers: 64, n_each: 1 },
        Way { n_writers: 64, n_each: 16 },
        Way { n_writers: 1, n_each: 1_000 },
    ];
    println!(
        "recording, durable when it returns; {N_ROUNDS} rounds of {} s in turns, medians\n\n\
         {:>8} {:>12} {:>12} {:>22} {:>6}",
        ROUND.as_secs(),
        "writers",
        "each call",
        "batches/s",
        "append + sync, same/s",
        "of it"
    );
    let mut rates = vec![(Vec::new(), Vec::new()); ways.len()];
    for round in 0..N_ROUNDS {
        for (way, rates) in ways.iter().zip(&mut rates) {
            let folder = dir.join(format!("record-{round}-{}-{}", way.n_writers, way.n_each));
            rates.0.push(record_round(&folder, way)?);
            std::fs::remove_dir_all(&folder)?;
            rates.1.push(append_round(dir, way.n_writers * way.n_each)?);
        }
    }
    for (way, (recorded, limit)) in ways.iter().zip(rates) {
        let (recorded, limit) = (median(recorded), median(limit));
        println!(
            "{:>8} {:>12} {recorded:>12.0} {limit:>22.0} {:>6.2}",
            way.n_writers,
            way.n_each,
            recorded / limit
        );
    }
    Ok(())
}

/// Batches a second into a new spool, and that they are there.
fn record_round(folder: &Path, way: &Way) -> Result<f64> {
    let spool = spool(folder)?;
    let started = Instant::now();
    let counts: Vec<Result<u64>> = thread::scope(|scope| {
        let write = || {
            let mut n_recorded = 0;
            while started.elapsed() < ROUND {
                let batches = vec![batch(); way.n_each];
                n_recorded += spool.record_all(batches)?.len() as u64;
            }
            Ok(n_recorded)
        };
        let writers: Vec<_> = (0..way.n_writers).map(|_| scope.spawn(write)).collect();
        writers.into_iter().map(|writer| writer.join().expect("no writer panics")).collect()
    });
    let took = started.elapsed();
    let n_recorded = counts.into_iter().sum::<Result<u64>>()?;
    ensure!(spool.summary().n_pending == n_recorded, "what was recorded is there");
    Ok(n_recorded as f64 / took.as_secs_f64())
}

/// The same bytes appended to a file and synced, `n_batches` with each sync.
fn append_round(dir: &Path, n_batches: usize) -> Result<f64> {
    let mut batch = batch();
    batch.uuid = "6f7c6a30-5b8e-4c8e-9d3c-5f6f2f8a1b11".to_owned();
    let bytes = tollgate_wire::to_vec(&batch)?.repeat(n_batches);
    let path = dir.join("plain");
    let mut file = File::create(&path)?;
    let (started, mut n_written) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        file.write_all(&bytes)?;
        #[expect(clippy::disallowed_methods, reason = "the disk itself is what is measured")]
        file.sync_data()?;
        n_written += n_batches;
    }
    let rate = n_written as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

fn drain(dir: &Path, arguments: &Arguments) -> Result<()> {
    let folder = dir.join("drained");
    let (mut n_left, started) = (arguments.n_batches, Instant::now());
    {
        let spool = spool(&folder)?;
        while 0 < n_left {
            let n_now = n_left.min(1_000);
            spool.record_all(vec![batch(); usize::try_from(n_now)?])?;
            n_left -= n_now;
        }
    }
    let filled = started.elapsed();
    let started = Instant::now();
    let spool = spool(&folder)?;
    let opened = started.elapsed();
    let n_bytes = spool.summary().n_bytes;

    let program = Program {
        path: arguments.tollgate.clone(),
        arguments: ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger"]
            .map(str::to_owned)
            .into(),
        location: None,
        counted_by: "tollgate_ledger_batches ",
    };
    let server = Server::start(&program, &arguments.dir)?;
    let settings = Settings { to: format!("http://{}", server.listen), ..Settings::default() };
    let transport = HttpTransport::new(&settings)?;
    let mut sender = Sender::new(spool.clone(), transport, &settings, fastrand::Rng::with_seed(1));
    let before = resident_bytes()?;
    let mut highest = before;
    let started = Instant::now();
    let round = sender.round(|_| {
        highest = highest.max(resident_bytes().unwrap_or(0));
        true
    })?;
    let took = started.elapsed();
    ensure!(round.error.is_none(), "{:?}", round.error);
    ensure!(round.n_acknowledged == arguments.n_batches, "all of it is acknowledged");
    ensure!(server.n_recorded()? == arguments.n_batches, "the collector has all of it");
    println!(
        "\ndraining {} batches of {} bytes in {} requests, to a collector on the same machine\n\n\
         {:.0} batches/s; spooled at {:.0}/s, opened in {:.2} s, {:.1} bytes a batch on the disk\n\
         memory of the sender {} MiB before, {} MiB at its highest; {} bytes left on the disk",
        arguments.n_batches,
        tollgate_wire::to_vec(&batch())?.len() + 36,
        round.n_requests,
        arguments.n_batches as f64 / took.as_secs_f64(),
        arguments.n_batches as f64 / filled.as_secs_f64(),
        opened.as_secs_f64(),
        n_bytes as f64 / arguments.n_batches as f64,
        before >> 20,
        highest >> 20,
        spool.summary().n_bytes,
    );
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("find the resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

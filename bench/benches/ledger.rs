//! The embedded ledger as it grows: what it records a second beside what the disk takes, memory, disk and restart.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tollgate_bench::disk::folder_bytes;
use tollgate_bench::process::resident_bytes;
use tollgate_bench::stream::{GROUP_BATCHES, Stream};
use tollgate_ledger::{Ledger, Outcome};
use tollgate_ledger_embedded::{EmbeddedLedger, Options};
use tollgate_wire::Timestamp;

/// Groups that are made before they are timed: their memory is counted as the ledger's.
const ROUND_GROUPS: usize = 20;

/// Rounds of each contender at each size.
const N_ROUNDS: usize = 25;

const HELP: &str = "\
How the embedded ledger does as it grows.

cargo bench -p tollgate-bench --bench ledger -- [--ids N,N,…] [--dir DIR]

  --ids   sizes to measure at, in batches, each larger than the one before [1000000,10000000]
  --dir   a folder on the disk to be measured [the folder for temporary files]";

fn main() -> Result<(), Box<dyn Error>> {
    let (sizes, parent) = arguments()?;
    let dir = tempfile::Builder::new().prefix("tollgate-bench-ledger-").tempdir_in(parent)?;
    measure(dir.path(), &sizes)
}

fn arguments() -> Result<(Vec<u64>, PathBuf), Box<dyn Error>> {
    let (mut sizes, mut parent) = (vec![1_000_000, 10_000_000], std::env::temp_dir());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--ids", Some(list)) => sizes = list.split(',').map(str::parse).collect::<Result<_, _>>()?,
            ("--dir", Some(dir)) => parent = dir.into(),
            // Given by cargo.
            ("--bench", None) => {}
            _ => return Err(HELP.into()),
        }
    }
    Ok((sizes, parent))
}

fn measure(dir: &Path, sizes: &[u64]) -> Result<(), Box<dyn Error>> {
    let folder = dir.join("ledger");
    let mut bench = Bench {
        stream: Stream::new(),
        ledger: EmbeddedLedger::open(&folder, Options::default())?.0,
        plain: Plain::new(&dir.join("plain"))?,
        n_recorded: 0,
    };
    println!(
        "groups of {GROUP_BATCHES} batches, {N_ROUNDS} rounds of {ROUND_GROUPS} groups in turns; medians\n\n\
         {:>9} {:>12} {:>12} {:>7} {:>8} {:>9} {:>10} {:>9} {:>9}",
        "ids", "recorded/s", "limit/s", "of it", "of empty", "memory", "disk/batch", "of JSON", "restart"
    );
    let empty = bench.rates()?;
    row(0, &empty, &empty, None);
    for &size in sizes {
        bench.fill(size)?;
        let rates = bench.rates()?;
        let state = bench.state(&folder)?;
        row(size, &rates, &empty, Some(&state));
    }
    Ok(())
}

struct Bench {
    stream: Stream,
    ledger: Ledger,
    plain: Plain,
    n_recorded: u64,
}

/// The time that some groups took, and the JSON of each.
type Round = (Duration, Vec<Vec<u8>>);

/// Batches a second.
struct Rates {
    recorded: f64,
    limit: f64,
    /// The median of the rounds' own ratios: what happened to the machine in one round happened to both.
    ratio: f64,
}

/// What a size takes.
struct State {
    memory_bytes: u64,
    disk_bytes: f64,
    json_bytes: f64,
    restart: Duration,
}

impl Bench {
    /// Records until the ledger holds `size` batches.
    fn fill(&mut self, size: u64) -> Result<(), Box<dyn Error>> {
        while self.n_recorded < size {
            self.record(1)?;
            if self.n_recorded.is_multiple_of(1_000_000) {
                eprintln!("  {} million", self.n_recorded / 1_000_000);
            }
        }
        Ok(())
    }

    fn rates(&mut self) -> Result<Rates, Box<dyn Error>> {
        let (mut recorded, mut limits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..N_ROUNDS {
            let (ledger, bodies) = self.record(ROUND_GROUPS)?;
            let plain = self.plain.append(&bodies)?;
            let rate = |took: Duration| (ROUND_GROUPS * GROUP_BATCHES) as f64 / took.as_secs_f64();
            recorded.push(rate(ledger));
            limits.push(rate(plain));
            ratios.push(rate(ledger) / rate(plain));
        }
        Ok(Rates { recorded: median(recorded), limit: median(limits), ratio: median(ratios) })
    }

    /// Records some groups; gives the time that it took, and the JSON of each group.
    fn record(&mut self, n_groups: usize) -> Result<Round, Box<dyn Error>> {
        let (mut groups, mut bodies) = (Vec::new(), Vec::new());
        for _ in 0..n_groups {
            let (entries, json) = self.stream.group();
            groups.push(self.ledger.preparer.prepare(entries, Timestamp::default()));
            bodies.push(json);
        }
        let started = Instant::now();
        for group in groups {
            let outcomes = self.ledger.writer.record_prepared(vec![group])?;
            assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Recorded), "every batch is new");
        }
        let took = started.elapsed();
        self.n_recorded += (n_groups * GROUP_BATCHES) as u64;
        assert_eq!(self.ledger.reader.counts().n_batches, self.n_recorded, "every batch counts");
        Ok((took, bodies))
    }

    /// What the ledger takes now. It is dropped without being closed, as when the process is killed, and opened again.
    fn state(&mut self, folder: &Path) -> Result<State, Box<dyn Error>> {
        let memory_bytes = resident_bytes()?;
        let disk_bytes = folder_bytes(folder)? as f64 / self.n_recorded as f64;
        // Another one takes its place, for there is always one.
        let aside = tempfile::tempdir()?;
        let other = EmbeddedLedger::open(aside.path().join("ledger"), Options::default())?.0;
        drop(std::mem::replace(&mut self.ledger, other));
        let started = Instant::now();
        self.ledger = EmbeddedLedger::open(folder, Options::default())?.0;
        let restart = started.elapsed();
        assert_eq!(self.ledger.reader.counts().n_batches, self.n_recorded, "everything is there again");
        Ok(State { memory_bytes, disk_bytes, json_bytes: self.stream.mean_bytes(), restart })
    }
}

/// The disk alone: the same groups, compressed as the ledger does it, appended to a file with one sync each. The
/// compressing is not timed.
struct Plain {
    file: File,
    level: i32,
}

impl Plain {
    fn new(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self { file, level: Options::default().compression.unwrap_or_default() })
    }

    fn append(&mut self, groups: &[Vec<u8>]) -> Result<Duration, Box<dyn Error>> {
        let packed = groups.iter().map(|group| zstd::bulk::compress(group, self.level));
        let packed = packed.collect::<Result<Vec<_>, _>>()?;
        let started = Instant::now();
        for group in packed {
            self.file.write_all(&group)?;
            #[expect(clippy::disallowed_methods, reason = "the disk alone, to compare the ledger with")]
            self.file.sync_data()?;
        }
        Ok(started.elapsed())
    }
}

fn row(size: u64, rates: &Rates, empty: &Rates, state: Option<&State>) {
    let Rates { recorded, limit, ratio } = rates;
    let of_empty = ratio / empty.ratio;
    print!("{size:>9} {recorded:>12.0} {limit:>12.0} {:>6.0}% {:>7.0}%", ratio * 100.0, of_empty * 100.0);
    if let Some(State { memory_bytes, disk_bytes, json_bytes, restart }) = state {
        print!(
            " {:>6} MB {disk_bytes:>10.0} {:>8.0}% {:>6.2} s",
            memory_bytes / 1_000_000,
            disk_bytes / json_bytes * 100.0,
            restart.as_secs_f64()
        );
    }
    println!();
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

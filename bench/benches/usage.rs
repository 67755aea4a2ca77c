//! What was used, asked of an embedded ledger with a year of readings: how long a month takes, of one model and of all.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_bench::disk::folder_bytes;
use tollgate_bench::process::resident_bytes;
use tollgate_bench::server::{Program, Server};
use tollgate_ledger::{Ledger, Outcome, Prepared, Preparer, Reader};
use tollgate_ledger_embedded::{EmbeddedLedger, Options};
use tollgate_rules::{Rollup, Select, Series, Sum, Visitor, hour_of, judge};
use tollgate_wire::{Document, Timestamp};

/// Series of a model: units by meters.
const N_UNITS: u32 = 4;
const METERS: [&str; 5] = ["requests", "stored-gib", "juju-units", "egress-gib", "cpu-seconds"];
const SERIES_PER_MODEL: u32 = N_UNITS * METERS.len() as u32;

/// 2025-01-01T00:00:00Z.
const START: i64 = 1_735_689_600;
const N_DAYS: i64 = 365;
/// The month that is asked for, in days of the year: July.
const MONTH: std::ops::Range<i64> = 181..212;

const N_ROUNDS: usize = 25;

const HELP: &str = "\
How long an embedded ledger takes to say what was used.

cargo bench -p tollgate-bench --bench usage -- [--series N,N,…] [--readings N] [--dir DIR] [--tollgate PATH]

  --series    series of the ledgers, in twenties [100,1000,2000]
  --readings  readings of a series in an hour [12]
  --dir       a folder on the disk to be measured [the folder for temporary files]
  --tollgate  the program that is asked over HTTP [this workspace's, built now]";

struct Arguments {
    sizes: Vec<u32>,
    n_readings: u32,
    dir: PathBuf,
    tollgate: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { sizes, n_readings, dir, tollgate } = arguments()?;
    println!(
        "a year of {n_readings} readings an hour; a month asked for, of one model and of all; medians of {N_ROUNDS} rounds, and the \
         fastest\n\n{:>7} {:>10} {:>8} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "series",
        "rollups",
        "filled",
        "memory",
        "bytes each",
        "model ms",
        "fastest",
        "all ms",
        "fastest",
        "ns each"
    );
    let tollgate = Program::tollgate(tollgate)?;
    let mut over_http = format!(
        "\nover HTTP, with rows as JSON\n\n{:>7} {:>15} {:>9} {:>15} {:>9}\n",
        "series", "model by day ms", "fastest", "all by day ms", "fastest"
    );
    for n_series in sizes {
        let dir = tempfile::Builder::new().prefix("tollgate-bench-usage-").tempdir_in(&dir)?;
        let year = Year { n_series, n_readings };
        measure(&dir.path().join("ledger"), &year)?;
        over_http += &year.ask_over_http(&Server::over(&tollgate, dir)?)?;
    }
    print!("{over_http}");
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments {
        sizes: vec![100, 1_000, 2_000],
        n_readings: 12,
        dir: std::env::temp_dir(),
        tollgate: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--series", Some(list)) => {
                found.sizes = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            ("--readings", Some(n)) => found.n_readings = n.parse()?,
            ("--dir", Some(dir)) => found.dir = dir.into(),
            ("--tollgate", Some(path)) => found.tollgate = Some(path.into()),
            // Given by cargo.
            ("--bench", None) => {}
            _ => return Err(HELP.into()),
        }
    }
    Ok(found)
}

fn measure(folder: &Path, year: &Year) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut ledger = EmbeddedLedger::open(folder, Options::default())?.0;
    year.record(&mut ledger)?;
    let filled = started.elapsed();
    // Closed and opened, so that everything is on the disk and nothing is being merged.
    ledger.writer.close()?;
    drop(ledger.reader);
    let ledger = EmbeddedLedger::open(folder, Options::default())?.0;
    let index_bytes = folder_bytes(&folder.join("index"))?;
    let n_rollups = i64::from(year.n_series) * N_DAYS * 24;

    let model = model_uuid(0);
    let hour = |day: i64| hour_of(time(day * 86_400));
    let month = Select { from_hour: hour(MONTH.start), to_hour: hour(MONTH.end), ..Select::ALL };
    let of_model = Select { model_uuid: Some(&model), ..month };
    let of_model = year.ask(&*ledger.reader, &of_model, SERIES_PER_MODEL)?;
    let all = year.ask(&*ledger.reader, &month, year.n_series)?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{:>7} {n_rollups:>10} {:>6.0} s {:>6} MB {:>10.1} {:>9.3} {:>9.3} {:>9.2} {:>9.2} {:>9.1}",
        year.n_series,
        filled.as_secs_f64(),
        resident_bytes()? / 1_000_000,
        index_bytes as f64 / n_rollups as f64,
        milliseconds(of_model.median),
        milliseconds(of_model.fastest),
        milliseconds(all.median),
        milliseconds(all.fastest),
        milliseconds(all.fastest) * 1e6 / all.n_rollups as f64,
    );
    Ok(())
}

/// What is recorded: of each unit one batch a day.
struct Year {
    n_series: u32,
    n_readings: u32,
}

impl Year {
    /// Records all of it, day by day, while the next groups are made.
    fn record(&self, ledger: &mut Ledger) -> Result<(), Box<dyn Error>> {
        let n_models = self.n_series / SERIES_PER_MODEL;
        let preparer = &ledger.preparer;
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Prepared>(4);
            scope.spawn(move || {
                for day in 0..N_DAYS {
                    for model in 0..n_models {
                        if sender.send(self.group(preparer, day, model)).is_err() {
                            return;
                        }
                    }
                    if day % 73 == 72 {
                        eprintln!("  {} series: {} days", self.n_series, day + 1);
                    }
                }
            });
            for group in receiver {
                let outcomes = ledger.writer.record_prepared(vec![group])?;
                assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Recorded), "every batch is new");
            }
            Ok(())
        })
    }

    /// The batches of a model's units of one day.
    fn group(&self, preparer: &Arc<dyn Preparer>, day: i64, model: u32) -> Prepared {
        let mut json = "[".to_owned();
        for unit in 0..N_UNITS {
            let separator = if unit == 0 { "" } else { "," };
            let uuid = model_uuid(model);
            write!(
                json,
                r#"{separator}{{"uuid":"{uuid}-{unit}-{day}","env-uuid":"{uuid}","unit-name":"app/{unit}","charm-url":"ch:app-7","created":"{}","metrics":["#,
                time((day + 1) * 86_400)
            )
            .expect("memory can be written to");
            let n_of_day = 24 * i64::from(self.n_readings);
            for number in 0..n_of_day {
                let number = day * n_of_day + number;
                let time = time(number * 3600 / i64::from(self.n_readings));
                for (meter, key) in (0..).zip(METERS) {
                    let thousandths =
                        thousandths((model * N_UNITS + unit) * METERS.len() as u32 + meter, number);
                    let separator = if json.ends_with('[') { "" } else { "," };
                    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
                    write!(
                        json,
                        r#"{separator}{{"key":"{key}","value":"{whole}.{rest:03}","time":"{time}"}}"#
                    )
                    .expect("memory can be written to");
                }
            }
            json.push_str("]}");
        }
        json.push(']');
        let document = Document::new(json.as_bytes());
        let elements = document.elements().map(|element| judge(&element.expect("JSON")).into());
        preparer.prepare(elements.collect(), time((day + 1) * 86_400))
    }

    /// Asks again and again, and compares what comes with what was recorded.
    fn ask(&self, reader: &dyn Reader, select: &Select<'_>, n_series: u32) -> Result<Asked, Box<dyn Error>> {
        let n_readings = 24 * i64::from(self.n_readings);
        let numbers = MONTH.start * n_readings..MONTH.end * n_readings;
        let amounts = (0..n_series).flat_map(|series| numbers.clone().map(move |number| (series, number)));
        let expected: u64 = amounts.map(|(series, number)| thousandths(series, number)).sum();
        let mut times = Vec::new();
        let mut n_rollups = 0;
        for _ in 0..N_ROUNDS {
            let mut total = Total::default();
            let started = Instant::now();
            reader.usage(select, &mut total)?;
            times.push(started.elapsed());
            let n_expected = u64::from(n_series) * (numbers.end - numbers.start) as u64;
            assert_eq!((total.n_series, total.n_readings), (n_series, n_expected), "every reading is there");
            assert_eq!(
                total.sum,
                format!("{}.{:03}", expected / 1_000, expected % 1_000).parse()?,
                "exactly"
            );
            n_rollups = total.n_rollups;
        }
        times.sort_unstable();
        Ok(Asked { median: times[N_ROUNDS / 2], fastest: times[0], n_rollups })
    }
}

impl Year {
    /// Asks a collector for July by day, of one model by unit and of all by model, and counts the readings in its answers.
    fn ask_over_http(&self, server: &Server) -> Result<String, Box<dyn Error>> {
        let month = "window=day&from=2025-07-01T00:00:00Z&to=2025-08-01T00:00:00Z";
        let n_readings = u64::from(self.n_readings) * 24 * 31;
        let ask = |query: &str, n_series: u32| -> Result<[f64; 2], Box<dyn Error>> {
            let mut times = Vec::new();
            for _ in 0..N_ROUNDS {
                let started = Instant::now();
                let answer = server.ask(&format!("/api/v1/usage?{month}&limit=100000&{query}"))?;
                times.push(started.elapsed());
                let counts = answer.split(r#""count":""#).skip(1).filter_map(|rest| rest.split('"').next());
                let counted = counts.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
                assert_eq!(counted, n_readings * u64::from(n_series), "every reading is there");
            }
            times.sort_unstable();
            Ok([times[N_ROUNDS / 2], times[0]].map(|time| time.as_secs_f64() * 1e3))
        };
        let model = ask(&format!("group_by=unit&model={}", model_uuid(0)), SERIES_PER_MODEL)?;
        let all = ask("group_by=model", self.n_series)?;
        let n_series = self.n_series;
        Ok(format!("{n_series:>7} {:>15.2} {:>9.2} {:>15.1} {:>9.1}\n", model[0], model[1], all[0], all[1]))
    }
}

/// What a question took.
struct Asked {
    median: Duration,
    fastest: Duration,
    n_rollups: u64,
}

/// What is left of all rollups.
#[derive(Default)]
struct Total {
    n_series: u32,
    n_rollups: u64,
    n_readings: u64,
    sum: Sum,
}

impl Visitor for Total {
    fn series(&mut self, _: &Series<'_>) -> bool {
        self.n_series += 1;
        true
    }

    fn rollup(&mut self, _: i64, rollup: &Rollup) {
        self.n_rollups += 1;
        self.n_readings += rollup.count;
        self.sum.merge(&rollup.sum);
    }
}

/// What a series reads at its reading with this number: amounts of one to six digits before the point.
fn thousandths(series: u32, number: i64) -> u64 {
    let mixed = (u64::from(series) << 32 ^ number.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) >> (mixed >> 20 & 7)
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_unix(START + second, 0).expect("a time in this century")
}

fn model_uuid(model: u32) -> String {
    format!("deadbeef-0bad-400d-8000-{model:012x}")
}

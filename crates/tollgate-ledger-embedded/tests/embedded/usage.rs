//! What was used, held to a plain sum of everything that was recorded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Ledger, Outcome};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, UpkeepMode, verify_disk};
use tollgate_rules::Select;

use crate::common::{batch, chain, entries, open, received, used, uuid};

const START: i64 = 1_767_312_000;
const N_HOURS: i64 = 40;

/// A reading as it was made: of which unit and meter, when, and how many thousandths.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Made {
    unit: u32,
    meter: u32,
    second: i64,
    thousandths: u64,
}

/// A batch and what it counts when it is new.
struct Sample {
    body: String,
    made: Vec<Made>,
}

fn sample(random: &mut fastrand::Rng, uuid: &str) -> Sample {
    let unit = random.u32(0..4);
    let made: Vec<Made> = (0..random.usize(0..6))
        .map(|_| Made {
            unit,
            meter: random.u32(0..3),
            // Now and then the very same instant.
            second: random.i64(0..N_HOURS * 4) * 900,
            thousandths: random.u64(..) >> random.u32(25..64),
        })
        .collect();
    let metrics: Vec<String> = made
        .iter()
        .map(|Made { meter, second, thousandths, .. }| {
            let time =
                tollgate_wire::Timestamp::from_unix(START + second, 0).expect("a time in this century");
            let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
            format!(r#"{{"key":"meter {meter}","value":"{whole}.{rest:03}","time":"{time}"}}"#)
        })
        .collect();
    // Some are long enough to be compressed before they have an order.
    let credentials = "bWFj".repeat(if random.u32(0..20) == 0 { 20_000 } else { 1 });
    let body = format!(
        r#"{{"uuid":"{uuid}","env-uuid":"m","unit-name":"u/{unit}","metrics":[{}],"credentials":"{credentials}"}}"#,
        metrics.join(",")
    );
    Sample { body, made }
}

/// What readings of one series and hour come to: how many, thousandths in all, least and most, the first and the last with
/// their times.
#[derive(Debug, PartialEq)]
struct Sum {
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
    first: (i64, u64),
    last: (i64, u64),
}

fn by_hand(made: &[Made]) -> BTreeMap<(String, String, i64), Sum> {
    let mut by_cell = BTreeMap::<_, Vec<Made>>::new();
    for reading in made {
        let cell = (
            format!("u/{}", reading.unit),
            format!("meter {}", reading.meter),
            (START + reading.second).div_euclid(3_600),
        );
        by_cell.entry(cell).or_default().push(*reading);
    }
    let sum = |readings: &[Made]| {
        let amounts = || readings.iter().map(|reading| reading.thousandths);
        let points = || readings.iter().map(|reading| (START + reading.second, reading.thousandths));
        Some(Sum {
            count: readings.len() as u64,
            sum: amounts().map(u128::from).sum(),
            min: amounts().min()?,
            max: amounts().max()?,
            first: points().min()?,
            last: points().max()?,
        })
    };
    by_cell.into_iter().filter_map(|(cell, readings)| Some((cell, sum(&readings)?))).collect()
}

/// As many as the text says.
fn thousandths(text: &str) -> u128 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{places:0<3}").parse().expect("a number with three places at most")
}

fn as_found(ledger: &Ledger) -> BTreeMap<(String, String, i64), Sum> {
    let amount = |decimal: tollgate_rules::Decimal| thousandths(&decimal.to_string()) as u64;
    let found = used(&*ledger.reader, &Select::ALL).map_err(|error| chain(&error)).expect("usage");
    let cells = found.into_iter().map(|(([_, unit, _, meter, _], hour), rollup)| {
        let sum = Sum {
            count: rollup.count,
            sum: thousandths(&rollup.sum.to_string()),
            min: amount(rollup.min),
            max: amount(rollup.max),
            first: (rollup.first.unix_seconds, amount(rollup.first.amount)),
            last: (rollup.last.unix_seconds, amount(rollup.last.amount)),
        };
        ((unit, meter, hour), sum)
    });
    cells.collect()
}

#[test]
fn every_rollup_is_the_sum_of_what_was_recorded() {
    for seed in 1..=8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::new();
        let mut ledger = open(&disk).0;
        let (mut samples, mut recorded) = (Vec::<Sample>::new(), Vec::<Made>::new());
        let mut n_batches = 0;
        for n in 0..150 {
            let mut group = Vec::new();
            let mut counted = Vec::new();
            for element in 0..random.usize(1..6) {
                match random.u32(0..8) {
                    0 => group.push("7".to_owned()),
                    // A copy, or other content under the same id.
                    1 if !samples.is_empty() => {
                        let earlier = &samples[random.usize(0..samples.len())].body;
                        group.push(match random.bool() {
                            true => earlier.clone(),
                            false => earlier.replace("\"unit-name\":\"u/", "\"unit-name\":\"v/"),
                        });
                    }
                    _ => {
                        let sample = sample(&mut random, &format!("{n}-{element}"));
                        group.push(sample.body.clone());
                        counted.extend_from_slice(&sample.made);
                        samples.push(sample);
                        n_batches += 1;
                    }
                }
            }
            let group = entries(&format!("[{}]", group.join(",")));
            match random.bool() {
                true => ledger.writer.record(group, received()).expect("record"),
                false => {
                    let prepared = ledger.preparer.prepare(group, received());
                    ledger.writer.record_prepared(vec![prepared]).expect("record")
                }
            };
            recorded.append(&mut counted);
            match random.u32(0..40) {
                0 => {
                    ledger.writer.close().expect("close");
                    ledger = open(&disk).0;
                }
                1 => {
                    drop(ledger);
                    disk.cut_power(disk.n_changes());
                    ledger = open(&disk).0;
                }
                2 => assert_eq!(as_found(&ledger), by_hand(&recorded), "seed {seed}, group {n}"),
                _ => {}
            }
        }
        assert_eq!(ledger.reader.counts().n_batches, n_batches);
        assert_eq!(as_found(&ledger), by_hand(&recorded), "seed {seed}");
        ledger.writer.close().expect("close");
        verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
        // And from the journal alone.
        disk.shared().subfolder("index").expect("the index").remove("checkpoint").expect("remove");
        assert_eq!(as_found(&open(&disk).0), by_hand(&recorded), "seed {seed}");
    }
}

#[test]
fn each_reading_is_shown_once_while_runs_are_written_and_merged() {
    const N_GROUPS: u64 = 1_500;
    /// Recording goes on until there were as many, however slow they are beside it.
    const N_LOOKS: u64 = 20;
    let options =
        Options { upkeep: UpkeepMode::Threads, run_ids: 20, compression: None, ..Options::for_testing() };
    let options = Options { segment_bytes_max: 16 << 20, ..options };
    let mut ledger = EmbeddedLedger::open_disk(SimDisk::new().shared(), options, |_| {}).expect("open").0;
    let reader = ledger.reader.clone();
    let [begun, acknowledged, n_looks] = [const { AtomicU64::new(0) }; 3];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let before = acknowledged.load(Ordering::SeqCst);
                let found = used(&*reader, &Select::ALL).expect("usage");
                let n_found: u64 = found.values().map(|rollup| rollup.count).sum();
                let after = begun.load(Ordering::SeqCst);
                assert!((before..=after).contains(&n_found), "{n_found}, not within {before} to {after}");
                n_looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut numbers = 0_u64..;
        while !looking.is_finished()
            && (acknowledged.load(Ordering::SeqCst) < N_GROUPS || n_looks.load(Ordering::SeqCst) < N_LOOKS)
        {
            let number = numbers.next().expect("there are enough");
            begun.fetch_add(1, Ordering::SeqCst);
            let hour = format!("2026-01-{:02}T{:02}", 1 + number / 24 % 28, number % 24);
            let posted = batch("m", &uuid(number), "1").replace("2026-01-02T03", &hour);
            let posted = posted.replace("u/0", &format!("u/{}", number % 2));
            let outcomes = ledger.writer.record(entries(&format!("[{posted}]")), received()).expect("record");
            assert_eq!(outcomes, [Outcome::Recorded]);
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::SeqCst);
        looking.join().expect("every look was right");
    });
}

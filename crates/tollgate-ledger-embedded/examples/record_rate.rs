//! How many batches a second the ledger records, beside what the disk can do: the same bytes appended to a plain file
//! with one sync for each group, in the same run and in turns.
//!
//! `cargo run --release -p tollgate-ledger-embedded --example record_rate [FOLDER]`

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tollgate_ledger::{Entry, Outcome};
use tollgate_ledger_embedded::{EmbeddedLedger, Options};
use tollgate_rules::judge;
use tollgate_wire::{Document, Timestamp};

const N_ROUNDS: u64 = 5;
const N_GROUPS: u64 = 100;
const N_BATCHES: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("record-rate-{}", std::process::id()));
    fs::create_dir(&dir)?;
    let outcome = measure(&dir);
    fs::remove_dir_all(&dir)?;
    outcome
}

fn measure(dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let (mut ledger, _) = EmbeddedLedger::open(dir.join("ledger"), Options::default())?;
    let mut plain = OpenOptions::new().create_new(true).append(true).open(dir.join("plain"))?;
    let (mut n_recorded, mut n_bytes) = (0, 0);
    for round in 0..N_ROUNDS {
        let groups: Vec<Vec<Entry>> =
            (0..N_GROUPS).map(|group| make_group(round * N_GROUPS + group)).collect();
        let bodies: Vec<Vec<u8>> = groups.iter().map(|group| concatenate(group)).collect();
        n_bytes += bodies.iter().map(Vec::len).sum::<usize>();

        let took_plain = append_plainly(&mut plain, &bodies)?;
        let started = Instant::now();
        for group in groups {
            let outcomes = ledger.writer.record(group, Timestamp::default())?;
            n_recorded += outcomes.iter().filter(|outcome| **outcome == Outcome::Recorded).count() as u64;
        }
        println!(
            "recorded {:7.0} batches/s   appended plainly {:7.0} batches/s",
            per_second(started.elapsed()),
            per_second(took_plain),
        );
    }
    assert_eq!(n_recorded, N_ROUNDS * N_GROUPS * N_BATCHES, "every batch counts");
    assert_eq!(ledger.reader.counts().n_batches, n_recorded);
    ledger.writer.close()?;
    let started = Instant::now();
    let (_, report) = EmbeddedLedger::open(dir.join("ledger"), Options::default())?;
    let took = started.elapsed();
    println!(
        "opened {} batches of {} bytes in {took:.2?}",
        report.counts.n_batches,
        n_bytes as u64 / n_recorded
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(took: Duration) -> f64 {
    (N_GROUPS * N_BATCHES) as f64 / took.as_secs_f64()
}

fn append_plainly(file: &mut File, groups: &[Vec<u8>]) -> std::io::Result<Duration> {
    let started = Instant::now();
    for group in groups {
        file.write_all(group)?;
        #[expect(clippy::disallowed_methods, reason = "the disk alone, to compare the ledger with")]
        file.sync_data()?;
    }
    Ok(started.elapsed())
}

fn concatenate(group: &[Entry]) -> Vec<u8> {
    let bodies = group.iter().map(|entry| match entry {
        Entry::Batch(batch) => batch.body(),
        Entry::Quarantine(element) => &element.body,
    });
    bodies.collect::<Vec<_>>().concat()
}

/// Batches as a charm's unit sends them, with new ids that are as good as random, of 50 models with 10 units each.
fn make_group(group: u64) -> Vec<Entry> {
    (group * N_BATCHES..(group + 1) * N_BATCHES).map(make_batch).collect()
}

fn make_batch(number: u64) -> Entry {
    let id = scatter(number);
    let unit = id % 500;
    let (model, minute, second) = (unit % 50, number / 60 % 60, number % 60);
    let credentials: String = (0..22).map(|part| format!("{:016x}", scatter(unit * 100 + part))).collect();
    let posted = format!(
        r#"[{{"uuid":"{:08x}-{:04x}-4000-8000-{:012x}","env-uuid":"deadbeef-0bad-400d-8000-{model:012x}","model-name":"model-{model}","unit-name":"metered/{unit}","charm-url":"cs:~someone/jammy/metered-{}","created":"2026-11-22T10:{minute:02}:{second:02}Z","metrics":[{{"key":"pings","value":"{}.5","time":"2026-11-22T10:{minute:02}:00Z"}},{{"key":"juju-units","value":"1","time":"2026-11-22T10:{minute:02}:00Z"}}],"credentials":"{credentials}","reseller-credentials":null,"sla-credentials":null}}]"#,
        id >> 32,
        id >> 16 & 0xFFFF,
        number,
        unit % 7,
        id % 100_000,
    );
    let document = Document::new(posted.as_bytes());
    let element = document.elements().next().expect("one element").expect("JSON");
    judge(&element).into()
}

/// A number that looks random, another one for each.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

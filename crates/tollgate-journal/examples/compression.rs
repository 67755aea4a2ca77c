//! What compressing costs and saves: groups of batches appended to one journal for each level, in turns.
//!
//! `cargo run --release -p tollgate-journal --example compression [FOLDER]`

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_journal::{Journal, Kind, Options, Packer, Reader, RealDisk, RecordPosition, Records};
use zstd::bulk::Compressor;

const LEVELS: [Option<i32>; 7] = [None, Some(-7), Some(-5), Some(-3), Some(-1), Some(1), Some(3)];

/// Batches a group, and how many groups of them.
const SIZES: [(u64, u64); 3] = [(1000, 60), (64, 400), (1, 1000)];

/// Records found by their position alone, for each level.
const N_LOOKUPS: u64 = 200;

const N_ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("compression-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let outcome = SIZES.iter().try_for_each(|&(n_batches, n_groups)| measure(&folder, n_batches, n_groups));
    fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path, n_batches: u64, n_groups: u64) -> Result<(), Box<dyn Error>> {
    let groups: Vec<Records> = (0..n_groups).map(|group| make_group(group, n_batches)).collect();
    let plain_bytes: u64 = groups.iter().map(Records::n_bytes).sum();
    let mut took = [const { Vec::new() }; LEVELS.len()];
    let mut read = [const { Vec::new() }; LEVELS.len()];
    let mut found = [const { Vec::new() }; LEVELS.len()];
    let mut n_bytes = [0; LEVELS.len()];
    for round in 0..N_ROUNDS {
        for (index, compression) in LEVELS.into_iter().enumerate() {
            let disk =
                Arc::new(RealDisk::open_or_create(folder.join(format!("{n_batches}-{round}-{index}")))?);
            let options = Options { compression, ..Options::new(Kind::new("measured")) };
            let (mut journal, _) = Journal::open(disk.clone(), options)?;
            let started = Instant::now();
            for group in &groups {
                journal.append(group)?;
            }
            took[index].push(started.elapsed());
            let reader = Reader::open(disk)?;
            n_bytes[index] = reader.n_bytes()?;
            let started = Instant::now();
            let n_read = reader
                .groups()?
                .map(|group| Ok(group?.records().len() as u64))
                .sum::<Result<u64, Box<dyn Error>>>()?;
            read[index].push(started.elapsed());
            assert_eq!(n_read, n_groups * n_batches, "every record is there");
            let started = Instant::now();
            for number in 0..N_LOOKUPS {
                let sequence = 1 + scatter(number) % n_groups;
                let index = u32::try_from(scatter(number + 1) % n_batches)?;
                assert!(!reader.record(RecordPosition { sequence, index })?.is_empty());
            }
            found[index].push(started.elapsed());
        }
    }
    println!("{n_batches} batches a group, {} bytes each", plain_bytes / (n_groups * n_batches));
    for (index, level) in LEVELS.into_iter().enumerate() {
        let level = level.map_or("none".to_owned(), |level| level.to_string());
        println!(
            "  level {level:>4}: append {:7.3} ms a group, read {:7.3} ms, find a record {:7.3} ms, {:6.1} bytes a batch, {:4.1} %",
            millis(median(&mut took[index]), n_groups),
            millis(median(&mut read[index]), n_groups),
            millis(median(&mut found[index]), N_LOOKUPS),
            share(n_bytes[index], n_groups * n_batches),
            100.0 * share(n_bytes[index], plain_bytes),
        );
    }
    compress_alone(&groups[0], n_batches)
}

/// Level 1 as zstd has it, and as the journal does: what is compressed is the same, and nothing is written.
fn compress_alone(group: &Records, n_batches: u64) -> Result<(), Box<dyn Error>> {
    let payload: Vec<u8> = group.iter().collect::<Vec<_>>().concat();
    let (mut own, mut packer) = (Compressor::new(1)?, Packer::new(1)?);
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(payload.len()));
    let (mut of_zstd, mut of_journal) = (Vec::new(), Vec::new());
    for _ in 0..20 * N_ROUNDS {
        packed.clear();
        let started = Instant::now();
        own.compress_to_buffer(&payload, &mut packed)?;
        of_zstd.push(started.elapsed());
        let started = Instant::now();
        std::hint::black_box(packer.pack_records(group));
        of_journal.push(started.elapsed());
    }
    let [of_zstd, of_journal] =
        [of_zstd, of_journal].map(|mut times| 1000.0 * millis(median(&mut times), n_batches));
    println!("  level 1 alone: zstd's own {of_zstd:6.3} µs a batch, the journal's {of_journal:6.3} µs");
    println!("  zstd's own gives {:.1} %", 100.0 * share(packed.len() as u64, payload.len() as u64));
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn millis(took: Duration, n_groups: u64) -> f64 {
    took.as_secs_f64() * 1000.0 / n_groups as f64
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Batches as the units of a charm send them: of 50 models with 10 units each, every unit with its own credentials, and with
/// ids that are as good as random.
fn make_group(group: u64, n_batches: u64) -> Records {
    let mut records = Records::default();
    (group * n_batches..(group + 1) * n_batches)
        .for_each(|number| records.push(make_batch(number).as_bytes()));
    records
}

fn make_batch(number: u64) -> String {
    let id = scatter(number);
    let unit = id % 500;
    let (model, minute, second) = (unit % 50, number / 60 % 60, number % 60);
    let credentials: String = (0..22).map(|part| format!("{:016x}", scatter(unit * 100 + part))).collect();
    format!(
        r#"{{"uuid":"{:08x}-{:04x}-4000-8000-{:012x}","env-uuid":"deadbeef-0bad-400d-8000-{model:012x}","model-name":"model-{model}","unit-name":"metered/{unit}","charm-url":"cs:~someone/jammy/metered-{}","created":"2026-11-22T10:{minute:02}:{second:02}Z","metrics":[{{"key":"pings","value":"{}.5","time":"2026-11-22T10:{minute:02}:00Z"}},{{"key":"juju-units","value":"1","time":"2026-11-22T10:{minute:02}:00Z"}}],"credentials":"{credentials}","reseller-credentials":null,"sla-credentials":null}}"#,
        id >> 32,
        id >> 16 & 0xFFFF,
        scatter(id) & 0xFFFF_FFFF_FFFF,
        unit % 7,
        id % 100_000,
    )
}

/// A number that looks random, another one for each.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

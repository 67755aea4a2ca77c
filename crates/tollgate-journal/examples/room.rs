//! What room behind small groups saves: one journal for each length of it, appended to in turns.
//!
//! `cargo run --release -p tollgate-journal --example room [FOLDER]`

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_journal::{Journal, Kind, Options, RealDisk, Records};

const ROOMS: [u32; 6] = [0, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Bytes a group.
const SIZES: [usize; 3] = [600, 3_000, 12_000];

const N_ROUNDS: usize = 5;
const N_GROUPS: usize = 3_000;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("room-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let outcome = SIZES.iter().try_for_each(|&n_bytes| measure(&folder, n_bytes));
    fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path, n_bytes: usize) -> Result<(), Box<dyn Error>> {
    let mut took = [const { Vec::new() }; ROOMS.len()];
    let mut group = Records::default();
    group.push(&vec![b'x'; n_bytes]);
    for round in 0..N_ROUNDS {
        for (room_bytes, took) in ROOMS.into_iter().zip(&mut took) {
            let disk = RealDisk::open_or_create(folder.join(format!("{n_bytes}-{round}-{room_bytes}")))?;
            let options = Options { compression: None, room_bytes, ..Options::new(Kind::new("measured")) };
            let (mut journal, _) = Journal::open(Arc::new(disk), options)?;
            for _ in 0..N_GROUPS {
                let started = Instant::now();
                journal.append(&group)?;
                took.push(started.elapsed());
            }
        }
    }
    println!("groups of {n_bytes} bytes");
    for (room_bytes, mut took) in ROOMS.into_iter().zip(took) {
        took.sort_unstable();
        let quantile = |percent: usize| took[took.len() * percent / 100].as_micros();
        let mean = took.iter().sum::<Duration>().as_micros() / took.len() as u128;
        let (half, most) = (quantile(50), quantile(99));
        println!(
            "  room {:>4} KiB: append {mean:4} µs on average, half within {half:4}, 99 of 100 within {most:4}",
            room_bytes >> 10
        );
    }
    Ok(())
}

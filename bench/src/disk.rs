//! What a folder takes on the disk; and the limit that no collector passes: the same bytes appended to a file and synced, and
//! nothing else.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::chunk::Chunk;
use crate::load::{Load, MOST_SINGLES, Pace};

/// Appends the text of `chunk` and syncs, again and again for `time`.
///
/// # Errors
///
/// When the disk refuses.
pub fn append_and_sync(parent: &Path, chunk: &mut Chunk, time: Duration) -> Result<Load> {
    let mut file = tempfile::tempfile_in(parent).context("make a file")?;
    let started = Instant::now();
    let mut latencies = Vec::new();
    for n in 0.. {
        chunk.number(0, n * chunk.n_batches() as u64);
        let began = Instant::now();
        file.write_all(chunk.text()).context("append")?;
        #[expect(clippy::disallowed_methods, reason = "the disk itself is what is measured")]
        file.sync_data().context("sync")?;
        latencies.push(began.elapsed());
        if time <= started.elapsed() {
            break;
        }
    }
    latencies.sort_unstable();
    let n_batches = (latencies.len() * chunk.n_batches()) as u64;
    Ok(Load { n_batches_each: vec![n_batches], n_untimed: 0, took: latencies.iter().sum(), latencies })
}

/// As [`append_and_sync`] of batches that come at a pace: those that came during one sync go into the next. Latencies are from when
/// each was due, so what the disk does now and then shows as it does to whoever waits for it.
///
/// # Errors
///
/// When the disk refuses.
pub fn append_and_sync_at(parent: &Path, single: &mut Chunk, pace: u32, time: Duration) -> Result<Load> {
    let mut file = tempfile::tempfile_in(parent).context("make a file")?;
    let pace = Pace::PerSecond(pace);
    let started = Instant::now();
    let (mut latencies, mut group) = (Vec::with_capacity(MOST_SINGLES), Vec::new());
    let mut n_batches = 0;
    while started.elapsed() < time {
        let first = n_batches;
        let now = Instant::now();
        let due = |n| pace.due(started, n).unwrap_or(now);
        if now < due(first) {
            thread::sleep(due(first) - now);
            continue;
        }
        group.clear();
        while due(n_batches) <= now {
            single.number(0, n_batches);
            group.extend_from_slice(single.text());
            n_batches += 1;
        }
        file.write_all(&group).context("append")?;
        #[expect(clippy::disallowed_methods, reason = "the disk itself is what is measured")]
        file.sync_data().context("sync")?;
        latencies.extend((first..n_batches).map(|n| due(n).elapsed()));
    }
    latencies.sort_unstable();
    Ok(Load { n_batches_each: vec![n_batches], n_untimed: 0, took: started.elapsed(), latencies })
}

/// Bytes of the files in a folder and below it.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut n_bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        n_bytes +=
            if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(n_bytes)
}

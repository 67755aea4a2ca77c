//! What a process takes.

use std::fs;

use anyhow::{Context as _, Result};

/// Bytes of memory that this process has.
///
/// # Errors
///
/// Where the system does not say.
pub fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("read how much memory there is in use")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("read VmRSS")?;
    Ok(kibibytes * 1024)
}

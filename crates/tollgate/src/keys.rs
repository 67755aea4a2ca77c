//! The key file: who can read it can make credentials.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use tollgate_rules::KeyRing;

/// Bytes of a key file. A key has some 80.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Others may do nothing with it, and the group may only read it: services are often given their secrets by group.
const FORBIDDEN_MODE: u32 = 0o027;

/// Reads the keys in a file, which only its owner and group may be able to read.
pub(crate) fn read(path: &Path) -> anyhow::Result<KeyRing> {
    read_text(path)
        .and_then(|text| Ok(KeyRing::parse(&text)?))
        .with_context(|| format!("read the keys in {}", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path)?;
    // Of the file that is open, not of what has its name by now.
    let mode = file.metadata()?.permissions().mode();
    if mode & FORBIDDEN_MODE != 0 {
        bail!(
            "others than its owner and group can read it, or others than its owner change it (mode {:03o}), and so make credentials: run `chmod 600 {}`, and make new \
             keys if they may have",
            mode & 0o777,
            path.display()
        );
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

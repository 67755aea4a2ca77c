//! A folder as a value: every file in it and below, with its bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The bytes of each file, by its path below the ledger's folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a folder.
pub(crate) fn read_all(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                files.insert(path.strip_prefix(dir)?.to_owned(), bytes);
            }
        }
    }
    Ok(files)
}

/// Makes a folder have exactly these files.
pub(crate) fn write_all(dir: &Path, files: &Files) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    fs::create_dir(dir)?;
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().context("it is below the folder")?)?;
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

//! A real file system on a file, whose power can be cut: what it did not write yet is gone for good.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Enough for either file system; the file has no more than is written to it.
const IMAGE_BYTES: u64 = 512 << 20;

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 as `mkfs.ext4` makes it.
    Ext4,
    /// XFS as `mkfs.xfs` makes it.
    Xfs,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "XFS",
        })
    }
}

/// A mounted file system. Unmounted when it is dropped.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    mounted: PathBuf,
}

impl LoopDisk {
    /// Makes and mounts an empty one below `folder`.
    ///
    /// # Errors
    ///
    /// When this machine or this user cannot.
    pub fn new(folder: &Path, file_system: FileSystem) -> Result<Self> {
        let (image, mounted) = (folder.join("image"), folder.join("mounted"));
        let file = File::create(&image).with_context(|| format!("make {}", image.display()))?;
        file.set_len(IMAGE_BYTES).with_context(|| format!("make {} long enough", image.display()))?;
        let make: &[&str] = match file_system {
            FileSystem::Ext4 => &["mkfs.ext4", "-q", "-F"],
            FileSystem::Xfs => &["mkfs.xfs", "-q", "-f"],
        };
        run(make, &[image.as_os_str()])?;
        fs::create_dir_all(&mounted).with_context(|| format!("make {}", mounted.display()))?;
        let disk = Self { image, mounted };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.mounted
    }

    /// Makes ready to cut its power at a moment's notice.
    ///
    /// # Errors
    ///
    /// When there is no `xfs_io`, which can.
    pub fn switch(&self) -> Result<Switch> {
        let mut command = Command::new("xfs_io");
        command
            .arg("-x")
            .arg(&self.mounted)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Ok(Switch(command.spawn().context("run xfs_io")?))
    }

    /// Gives it power again, once nobody uses it any more.
    ///
    /// # Errors
    ///
    /// When somebody does, or it does not mount.
    pub fn restore_power(&self) -> Result<()> {
        run(&["umount"], &[self.mounted.as_os_str()])?;
        self.mount()
    }

    fn mount(&self) -> Result<()> {
        run(&["mount", "-o", "loop"], &[self.image.as_os_str(), self.mounted.as_os_str()])
    }
}

/// A hand at the switch.
#[derive(Debug)]
pub struct Switch(Child);

impl Switch {
    /// Cuts the power: from now on nothing is written to the disk any more, and nothing that was not written counts. Who
    /// uses it gets errors.
    ///
    /// # Errors
    ///
    /// When the kernel does not.
    pub fn cut_power(mut self) -> Result<()> {
        let mut stdin = self.0.stdin.take().context("pipe a command to xfs_io")?;
        stdin.write_all(b"shutdown\n").context("write a command to xfs_io")?;
        drop(stdin);
        let output = self.0.wait_with_output().context("wait for xfs_io")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && said.is_empty(),
            "cut the power: xfs_io ended with {}: {said}",
            output.status
        );
        Ok(())
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // The last resort of a run that failed: whoever still uses it does not keep it.
        drop(run(&["umount", "--lazy"], &[self.mounted.as_os_str()]));
    }
}

/// Whether this machine and this user can do all of it.
///
/// # Errors
///
/// What is in the way.
pub fn try_out(folder: &Path) -> Result<()> {
    for file_system in [FileSystem::Ext4, FileSystem::Xfs] {
        let work = tempfile::tempdir_in(folder).context("make a folder for a disk")?;
        let disk = LoopDisk::new(work.path(), file_system)?;
        let file = disk.folder().join("unsynced");
        fs::write(&file, b"unsynced").context("write to the disk")?;
        disk.switch()?.cut_power()?;
        disk.restore_power()?;
        let is_kept = fs::read(&file).is_ok_and(|bytes| bytes == b"unsynced");
        ensure!(!is_kept, "cut the power of {file_system}: what was never synced is still there");
    }
    Ok(())
}

fn run(words: &[&str], arguments: &[&OsStr]) -> Result<()> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("run {}", words[0]))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", words.join(" "), output.status, said.trim());
    }
    Ok(())
}

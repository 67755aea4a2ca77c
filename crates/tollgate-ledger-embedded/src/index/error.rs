//! How the index fails.

use std::io;

use rustix::io::Errno;

/// Why the index cannot be used. What the journal holds is not at risk.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IndexError {
    /// The disk refused a step.
    #[error("{step} {file} of the index")]
    Disk {
        step: &'static str,
        file: String,
        /// Shared, because it may be reported more than once.
        source: std::sync::Arc<io::Error>,
    },
    /// A thread that writes it panicked.
    #[error("write the index: a bug ended it")]
    Bug,
    /// Damage was met: nothing more is written to it.
    #[error("write the index: it was given up, and the next start makes it anew")]
    GivenUp,
    /// What is stored is not what was written.
    #[error("read {file} of the index at offset {offset}: it was changed since it was written")]
    Damaged { file: String, offset: u64 },
}

impl IndexError {
    pub(super) fn disk(step: &'static str, file: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { step, file: file.into(), source: source.into() }
    }

    /// There is too little room to merge runs into one of `n_bytes`.
    pub(super) fn no_room(n_bytes: u64) -> Self {
        let text = format!("merging takes {n_bytes} bytes besides the reserve");
        Self::disk("merge", "runs")(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    /// Whether there is too little room.
    pub(crate) fn is_full(&self) -> bool {
        let Self::Disk { source, .. } = self else { return false };
        // A disk that took a part of what was written had no room for the rest.
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero
        )
    }

    /// Whether the same step may succeed later: there is too little room, or too many files are open.
    pub(crate) fn may_pass(&self) -> bool {
        let Self::Disk { source, .. } = self else { return false };
        let too_many_open = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        self.is_full() || too_many_open.contains(&source.raw_os_error())
    }

    /// Whether a file is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether what is stored is of no use: changed, missing, or in a place that the disk does not read any more. Without it
    /// the index can be made again.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Disk { step, .. } => READING.contains(step) && !self.may_pass(),
            Self::Bug | Self::GivenUp => false,
        }
    }
}

/// Steps that only read.
const READING: [&str; 3] = ["open", "read", "measure"];

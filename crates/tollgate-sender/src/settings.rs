//! How a sender sends.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chunk::Limits;
use crate::encoding::Compression;
use crate::spool::SpoolOptions;

/// The section `[sender]` of a configuration. The default works without one, but for `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The folder in which batches wait.
    pub spool: PathBuf,
    /// The collector, without `/metrics` at the end. Nothing is sent while it is empty.
    pub to: String,
    /// How long after one round the next begins, a fifth more or less.
    pub every_ms: u64,
    /// How long one request may take, from the first byte to the last of the answer. A chunk of 8 MiB passes at 600 kbit/s.
    pub request_timeout_seconds: u64,
    /// How long connecting may take.
    pub connect_timeout_seconds: u64,
    /// Batches in one request, at most: as many as a Juju controller sends.
    pub request_batches_max: usize,
    /// Bytes of one request before it is compressed, at most.
    pub request_bytes_max: usize,
    /// Whether requests are compressed; `auto` when the collector says that it takes it.
    pub compression: Compression,
    /// What the spool's folder may take, at most; more is refused, and nothing older dropped.
    pub spool_bytes_max: u64,
    /// Free bytes that recording leaves on the disk.
    pub free_bytes_min: u64,
    /// A file with what every batch that has none is given as `credentials`. Empty for none.
    pub credentials: PathBuf,
    /// A file with the certificates of authorities to trust in place of the system's. Empty for the system's.
    pub authorities: PathBuf,
    /// A file with a certificate and its chain to show the collector. Empty for none.
    pub certificate: PathBuf,
    /// The file with the key of that certificate.
    pub certificate_key: PathBuf,
    /// A command that runs when the meter status changes; the shell runs it. Empty for none.
    pub hook: String,
    /// How long the hook may run before it is killed.
    pub hook_timeout_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let spool = SpoolOptions::default();
        Self {
            spool: "tollgate-spool".into(),
            to: String::new(),
            every_ms: 60_000,
            request_timeout_seconds: 120,
            connect_timeout_seconds: 10,
            request_batches_max: 1_000,
            request_bytes_max: 8 << 20,
            compression: Compression::Auto,
            spool_bytes_max: spool.bytes_max,
            free_bytes_min: spool.free_bytes_min,
            credentials: PathBuf::new(),
            authorities: PathBuf::new(),
            certificate: PathBuf::new(),
            certificate_key: PathBuf::new(),
            hook: String::new(),
            hook_timeout_seconds: 60,
        }
    }
}

impl Settings {
    /// The same for the spool.
    #[must_use]
    pub fn spool_options(&self) -> SpoolOptions {
        let options = SpoolOptions::default();
        SpoolOptions {
            bytes_max: self.spool_bytes_max,
            free_bytes_min: self.free_bytes_min,
            batch_bytes_max: options.batch_bytes_max.min(self.request_bytes_max),
            ..options
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { n_batches: self.request_batches_max.max(1), bytes: self.request_bytes_max }
    }

    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }
}

//! Why a collector does not start, or stops.

use std::io;
use std::net::SocketAddr;

use tollgate_ledger::LedgerError;

/// Why a collector does not start, or stops. The text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The admin listener would be open to a network without a token and TLS.
    #[error(
        "bind the admin listener to {admin}: it has neither token nor TLS, so only a loopback address such as \
         127.0.0.1:{} is allowed; reach it from elsewhere through an SSH tunnel or an authenticating proxy on \
         this host",
        admin.port()
    )]
    AdminExposed {
        /// The address asked for.
        admin: SocketAddr,
    },
    /// A setting cannot work.
    #[error("use the setting {key}: {why}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// What is wrong with its value and what is allowed.
        why: String,
    },
    /// A plan cannot work.
    #[error("use the plan {url:?}: {why}")]
    Plan {
        /// The plan's url.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A listener could not be bound.
    #[error("bind the {listener} listener to {address}")]
    Bind {
        /// `wire` or `admin`.
        listener: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that owns the ledger could not be started.
    #[error("start the thread that records batches")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The ledger closed itself for writing. Nothing that was acknowledged is at risk; restarting recovers.
    #[error("record batches: the ledger is closed until the process restarts")]
    Ledger {
        /// What failed.
        source: LedgerError,
    },
    /// The thread that owns the ledger panicked: a bug. Every waiting request was answered 503.
    #[error("record batches: the recording thread panicked; what it acknowledged is durable")]
    Committer,
    /// A listener's task panicked: a bug.
    #[error("serve the {listener} listener: its task panicked")]
    Listener {
        /// `wire` or `admin`.
        listener: &'static str,
    },
}

//! How many files may be open: each connection is one, and so is each file of the ledger.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Besides connections: segments and runs of the ledger, what is being read or merged, logs.
const OTHERS: u64 = 512;

/// Raises the soft limit as far as the hard one lets, and warns when that is too little for `connections_max`.
///
/// The usual soft limit is 1,024, for programs that use `select`; this one does not.
pub(crate) fn allow(connections_max: usize) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        warn!(%error, "the limit of open files could not be raised");
    }
    let Rlimit { current, .. } = getrlimit(Resource::Nofile);
    let wanted = OTHERS + connections_max as u64;
    if let Some(allowed) = current.filter(|&allowed| allowed < wanted) {
        warn!(
            allowed,
            wanted,
            "fewer files may be open than connections_max and the ledger take: raise the hard limit (`ulimit -Hn`, \
             systemd's LimitNOFILE), or lower connections_max"
        );
    }
}

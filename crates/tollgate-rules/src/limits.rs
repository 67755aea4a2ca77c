//! How much of everything is admitted. What exceeds a limit goes to quarantine; it is neither cut nor refused.
//!
//! The limits are far beyond what any known sender writes. They are there so that every store can key its rows by these
//! strings. They may grow and never shrink: a recorded batch is admitted again whenever a ledger recovers.

/// Bytes of `uuid` and of `env-uuid`, each. A uuid has 36; together they must fit an index entry of PostgreSQL, which
/// ends at 2,704 bytes.
pub const ID_BYTES_MAX: usize = 512;

/// Bytes of `model-name`, `unit-name`, `charm-url` and a metric's `key`, each. Juju's own are below 300.
pub const NAME_BYTES_MAX: usize = 1024;

/// Bytes of one metric's labels as canonical JSON. With the names around them a series still fits the 64 KiB that the key
/// of an embedded store can have.
pub const LABELS_BYTES_MAX: usize = 16 * 1024;

/// Metrics in one batch. Juju puts some tens into one; a batch is recorded and counted in one piece, which this bounds.
pub const METRICS_PER_BATCH_MAX: usize = 10_000;

/// Bytes of a quarantined element that are kept, from its start. Who looks at it sees what it was; a batch of all that is admitted is
/// shorter, so what is cut was hopeless.
pub const QUARANTINED_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a credential, as it comes in a batch. Juju's have 0.5 to 3 KB, and so have ours when every text in them is long.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// Macaroons in one credential. Juju's are lists of one.
pub const CREDENTIAL_MACAROONS_MAX: usize = 8;

/// Conditions in one credential, of all of its macaroons. We write seven at most; each takes a hash to verify.
pub const CREDENTIAL_CAVEATS_MAX: usize = 64;

/// An id or a name as far as it is one: what is over its limit names nothing and is filed as if it were missing. Kept as it
/// came, it would take whatever memory its sender likes, in every index and every answer.
pub(crate) fn within_or_none(n_bytes_max: usize, text: &str) -> &str {
    if text.len() <= n_bytes_max { text } else { "" }
}

//! The limits and addresses of a collector.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_wire::Nanoseconds;

use crate::CollectorError;

/// How a collector listens and how much it takes on. The default works without any configuration.
///
/// Times are in milliseconds unless the name says otherwise; sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where senders post. Port 0 takes a free one. Loopback by default, because the format has no transport
    /// authentication: opening it to a network is a decision.
    pub listen: SocketAddr,
    /// Where operators look. Must be a loopback address: this listener shows what every model uses.
    pub admin: SocketAddr,
    /// A request's body after decompression, at most. A controller posts up to 1,000 batches of 0.5 to 4 KB each,
    /// and a JIMM its whole backlog at once: 32 MiB holds both many times over.
    pub body_bytes_max: usize,
    /// A compressed body as it came, at most. Batches shrink at least to a quarter, so half of `body_bytes_max`
    /// is generous.
    pub compressed_bytes_max: usize,
    /// Batches in one request, at most. A batch that says anything has hundreds of bytes; this is for those that do not.
    pub request_batches_max: usize,
    /// What all requests together hold, at most: bodies, what is decoded from them, and answers that are not read yet.
    /// Beyond that a request is answered 503, and one that alone would need more 413. The largest body of a controller
    /// needs some 140 MiB for a moment, so the default lets it pass beside others. The process takes up to twice this,
    /// besides what the ledger keeps: 480 MiB at its highest, with the embedded ledger, when sixteen bodies of 31 MiB of
    /// metrics of 14 bytes came at once.
    pub in_flight_bytes_max: usize,
    /// How long a connection may take to send a request's head, and how long it may idle between requests. Senders
    /// post every five minutes, so nothing is gained by waiting longer.
    pub header_timeout_ms: u64,
    /// How long a request's body may take in all. A post of 1,000 batches passes at 120 kbit/s.
    pub body_timeout_ms: u64,
    /// How long an answer may take to be read, from when its reader first makes it wait until the last of it is taken. An
    /// answer mostly fits the kernel's buffer; one of 1 MB passes at 140 kbit/s.
    pub write_timeout_ms: u64,
    /// Open connections of senders, at most; more wait in the kernel's queue. Each takes a file and some 20 KiB.
    pub connections_max: usize,
    /// Open connections of one address, at most; one more is closed unanswered. Of IPv6 a /64 counts as one address: it is one
    /// network's, which can use all of it. Every sender behind one proxy has the proxy's: raise it to `connections_max` there.
    pub address_connections_max: usize,
    /// Batches made durable with one sync, at most. Larger is faster; each waits for the slowest. A request with more
    /// is a group of its own.
    pub group_batches_max: usize,
    /// Batches that may wait for their group, at most; beyond that a request is answered 503. Some groups' worth:
    /// enough to keep the disk busy, little enough that nobody waits long. A request with more than a quarter of it waits
    /// beside the others instead, for up to `turn_timeout_ms`, and such requests take turns: one at a time.
    pub queue_batches_max: usize,
    /// How long a request with more than a quarter of `queue_batches_max` waits for its turn, with its body in memory; then it is
    /// answered 503. Some groups' time: a disk that takes longer does not take what comes.
    pub turn_timeout_ms: u64,
    /// How long requests in flight may take to end after the collector was told to stop. Below the 90 seconds after
    /// which a service manager kills.
    pub drain_timeout_ms: u64,
    /// What answers carry as `new-grace-period`: how long, in seconds, a sender may go without contact before it
    /// shows RED. 0 leaves the sender's own.
    pub grace_period_seconds: u64,
    /// Whether a batch counts only when its credential covers it. What does not goes to quarantine, is acknowledged, and its unit
    /// shows RED.
    pub require_credentials: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8480).into(),
            admin: (Ipv4Addr::LOCALHOST, 8481).into(),
            body_bytes_max: 32 << 20,
            compressed_bytes_max: 16 << 20,
            request_batches_max: 100_000,
            in_flight_bytes_max: 256 << 20,
            header_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            write_timeout_ms: 60_000,
            connections_max: 4_096,
            address_connections_max: 1_024,
            group_batches_max: 10_000,
            queue_batches_max: 50_000,
            turn_timeout_ms: 10_000,
            drain_timeout_ms: 30_000,
            grace_period_seconds: 0,
            require_credentials: false,
        }
    }
}

impl Settings {
    /// Free ports and limits small enough to be reached by a test.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            admin: (Ipv4Addr::LOCALHOST, 0).into(),
            body_bytes_max: 1 << 20,
            compressed_bytes_max: 256 << 10,
            request_batches_max: 1_000,
            in_flight_bytes_max: 4 << 20,
            header_timeout_ms: 300,
            body_timeout_ms: 600,
            write_timeout_ms: 1_000,
            connections_max: 64,
            address_connections_max: 64,
            group_batches_max: 100,
            queue_batches_max: 200,
            turn_timeout_ms: 10_000,
            drain_timeout_ms: 5_000,
            grace_period_seconds: 0,
            require_credentials: false,
        }
    }

    /// The grace period as the wire format has it.
    #[must_use]
    pub fn grace_period(&self) -> Nanoseconds {
        let nanoseconds = Duration::from_secs(self.grace_period_seconds).as_nanos();
        Nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
    }

    /// Checks all settings together, as [`crate::Collector::bind`] does.
    ///
    /// # Errors
    ///
    /// [`CollectorError::Setting`] or [`CollectorError::AdminExposed`]: which setting cannot work, and why.
    pub fn check(&self) -> Result<(), CollectorError> {
        if !self.admin.ip().is_loopback() {
            return Err(CollectorError::AdminExposed { admin: self.admin });
        }
        let refuse = |key: &'static str, why: String| Err(CollectorError::Setting { key, why });
        for (key, value) in [
            ("body_bytes_max", self.body_bytes_max),
            ("compressed_bytes_max", self.compressed_bytes_max),
            ("request_batches_max", self.request_batches_max),
            ("connections_max", self.connections_max),
            ("address_connections_max", self.address_connections_max),
            ("group_batches_max", self.group_batches_max),
            ("queue_batches_max", self.queue_batches_max),
        ] {
            if value == 0 || u32::MAX as usize <= value {
                return refuse(key, format!("{value} is outside 1 to {}", u32::MAX - 1));
            }
        }
        if BODY_BYTES_LIMIT < self.body_bytes_max {
            return refuse(
                "body_bytes_max",
                format!(
                    "{} is above {BODY_BYTES_LIMIT} (64 MiB): a body may hold a single batch, and a ledger has to \
                     take that in one record",
                    self.body_bytes_max
                ),
            );
        }
        for (key, value) in [
            ("header_timeout_ms", self.header_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("write_timeout_ms", self.write_timeout_ms),
            ("turn_timeout_ms", self.turn_timeout_ms),
            ("drain_timeout_ms", self.drain_timeout_ms),
        ] {
            if value == 0 || DAY_MS < value {
                return refuse(key, format!("{value} is outside 1 to {DAY_MS} (a day)"));
            }
        }
        let body_and_source = self.body_bytes_max + self.compressed_bytes_max;
        if self.in_flight_bytes_max < body_and_source {
            return refuse(
                "in_flight_bytes_max",
                format!(
                    "{} is below body_bytes_max + compressed_bytes_max = {body_and_source}, \
                     so the largest request could never be taken",
                    self.in_flight_bytes_max
                ),
            );
        }
        if i64::MAX as u64 / 1_000_000_000 < self.grace_period_seconds {
            return refuse(
                "grace_period_seconds",
                format!("{} is more than the wire format can say", self.grace_period_seconds),
            );
        }
        Ok(())
    }
}

const DAY_MS: u64 = 86_400_000;

/// What `body_bytes_max` may be, at most. A batch can be six times as long in the canonical form that is recorded as it
/// came (`<` becomes `\u003c`), and a record of the embedded ledger's journal ends at 512 MiB.
const BODY_BYTES_LIMIT: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Settings), expected: &str) {
        let mut settings = Settings::default();
        change(&mut settings);
        let refusal = settings.check().expect_err("refused").to_string();
        assert_eq!(refusal, expected);
    }

    #[test]
    fn the_defaults_and_the_test_limits_work() {
        Settings::default().check().expect("the defaults");
        Settings::for_testing().check().expect("the test limits");
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        check_refused(
            |settings| settings.admin = "0.0.0.0:8481".parse().expect("an address"),
            "bind the admin listener to 0.0.0.0:8481: it has neither token nor TLS, so only a loopback address \
             such as 127.0.0.1:8481 is allowed; reach it from elsewhere through an SSH tunnel or an \
             authenticating proxy on this host",
        );
        check_refused(
            |settings| settings.group_batches_max = 0,
            "use the setting group_batches_max: 0 is outside 1 to 4294967294",
        );
        check_refused(
            |settings| settings.body_bytes_max = (64 << 20) + 1,
            "use the setting body_bytes_max: 67108865 is above 67108864 (64 MiB): a body may hold a single batch, \
             and a ledger has to take that in one record",
        );
        check_refused(
            |settings| settings.body_timeout_ms = 0,
            "use the setting body_timeout_ms: 0 is outside 1 to 86400000 (a day)",
        );
        check_refused(
            |settings| settings.in_flight_bytes_max = 1,
            "use the setting in_flight_bytes_max: 1 is below body_bytes_max + compressed_bytes_max = 50331648, \
             so the largest request could never be taken",
        );
        check_refused(
            |settings| settings.grace_period_seconds = u64::MAX,
            "use the setting grace_period_seconds: 18446744073709551615 is more than the wire format can say",
        );
    }

    #[test]
    fn an_unknown_key_is_refused_and_a_missing_one_has_its_default() {
        let settings: Settings = serde_json::from_str(r#"{"listen":"[::1]:1"}"#).expect("one key");
        assert_eq!(settings.listen.to_string(), "[::1]:1");
        assert_eq!(settings.body_bytes_max, Settings::default().body_bytes_max);
        let refusal = serde_json::from_str::<Settings>(r#"{"body_max":1}"#).expect_err("unknown").to_string();
        assert!(refusal.starts_with("unknown field `body_max`"), "{refusal}");
    }
}

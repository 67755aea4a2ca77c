//! Everything that a collector counts about itself, in one place.
//!
//! No label ever holds what a sender wrote: the number of series is fixed by this file.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tollgate_ledger::{Counts, Outcome};

/// The media type of [`Metrics::render`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Which of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum ListenerName {
    /// Where senders post.
    #[expect(non_camel_case_types, reason = "the label's value is the variant's name")]
    wire,
    /// Where operators look.
    #[expect(non_camel_case_types, reason = "the label's value is the variant's name")]
    admin,
}

impl ListenerName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::wire => "wire",
            Self::admin => "admin",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: ListenerName,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    listener: ListenerName,
    /// The pattern of the route, never the path that was asked for.
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// The counters of one collector.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    received_bytes: Counter,
    body_bytes: Counter,
    batches: Family<OutcomeLabel, Counter>,
    metrics_recorded: Counter,
    group_batches: Histogram,
    record_seconds: Histogram,
    record_failures: Counter,
    queue_batches: Gauge,
    in_flight_bytes: Gauge,
    connections: Family<ListenerLabel, Gauge>,
    connection_refusals: Counter,
    accept_failures: Counter,
    ledger_batches: Gauge,
    ledger_metrics: Gauge,
    ledger_models: Gauge,
    ledger_quarantined: Gauge,
}

/// What is read at the moment of a scrape rather than counted as it happens.
pub(crate) struct Levels {
    /// Batches waiting for their group.
    pub(crate) queue_batches: usize,
    /// Bytes of bodies held by requests.
    pub(crate) in_flight_bytes: usize,
    /// What the ledger holds.
    pub(crate) ledger: Counts,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tollgate"),
            requests: Family::default(),
            // 0.5 ms to 16 s: from a duplicate on a fast disk to a sync on a dying one.
            request_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            received_bytes: Counter::default(),
            body_bytes: Counter::default(),
            batches: Family::default(),
            metrics_recorded: Counter::default(),
            group_batches: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            record_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            record_failures: Counter::default(),
            queue_batches: Gauge::default(),
            in_flight_bytes: Gauge::default(),
            connections: Family::default(),
            connection_refusals: Counter::default(),
            accept_failures: Counter::default(),
            ledger_batches: Gauge::default(),
            ledger_metrics: Gauge::default(),
            ledger_models: Gauge::default(),
            ledger_quarantined: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let bytes = || Unit::Bytes;
        let registry = &mut self.registry;
        registry.register("requests", "Requests by route and status", self.requests.clone());
        registry.register_with_unit(
            "request",
            "From a post's head to its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register_with_unit("received", "Bodies as they came", bytes(), self.received_bytes.clone());
        registry.register_with_unit("body", "Bodies after decompression", bytes(), self.body_bytes.clone());
        registry.register("batches", "Elements of posts by what became of them", self.batches.clone());
        registry.register("metrics_recorded", "Metrics in recorded batches", self.metrics_recorded.clone());
        registry.register("group_batches", "Elements made durable with one sync", self.group_batches.clone());
        registry.register_with_unit(
            "record",
            "Making one group durable",
            Unit::Seconds,
            self.record_seconds.clone(),
        );
        registry.register(
            "record_failures",
            "Groups that could not be made durable",
            self.record_failures.clone(),
        );
        registry.register("queue_batches", "Elements waiting for their group", self.queue_batches.clone());
        registry.register_with_unit(
            "in_flight",
            "Bodies held by requests",
            bytes(),
            self.in_flight_bytes.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connection_refusals",
            "Connections closed unanswered because their address had too many",
            self.connection_refusals.clone(),
        );
        registry.register(
            "accept_failures",
            "Times that no connection could be accepted",
            self.accept_failures.clone(),
        );
        registry.register("ledger_batches", "Batches that count", self.ledger_batches.clone());
        registry.register("ledger_metrics", "Metrics that count", self.ledger_metrics.clone());
        registry.register("ledger_models", "Models with a batch that counts", self.ledger_models.clone());
        registry.register("ledger_quarantined", "Elements in quarantine", self.ledger_quarantined.clone());
    }

    pub(crate) fn count_request(&self, listener: ListenerName, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { listener, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        if listener == ListenerName::wire {
            self.request_seconds.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn count_received(&self, n_bytes: usize) {
        self.received_bytes.inc_by(n_bytes as u64);
    }

    pub(crate) fn count_body(&self, n_bytes: usize) {
        self.body_bytes.inc_by(n_bytes as u64);
    }

    /// Counts a group that is durable. `n_metrics_each` are those of each entry, `None` of one that nobody posted.
    pub(crate) fn count_group(&self, outcomes: &[Outcome], n_metrics_each: &[Option<usize>], took: Duration) {
        // Counted here first: finding a counter by its label takes longer than all else that is done for one outcome.
        let [mut n_recorded, mut n_duplicate, mut n_conflict, mut n_quarantined] = [0; 4];
        let mut n_metrics = 0;
        for (outcome, n_its_metrics) in outcomes.iter().zip(n_metrics_each) {
            let Some(n_its_metrics) = n_its_metrics else { continue };
            match outcome {
                Outcome::Recorded => {
                    n_recorded += 1;
                    n_metrics += n_its_metrics;
                }
                Outcome::Duplicate => n_duplicate += 1,
                Outcome::Conflict { .. } => n_conflict += 1,
                Outcome::Quarantined { .. } => n_quarantined += 1,
            }
        }
        for (outcome, n_batches) in [
            ("recorded", n_recorded),
            ("duplicate", n_duplicate),
            ("conflict", n_conflict),
            ("quarantined", n_quarantined),
        ] {
            if n_batches != 0 {
                self.batches.get_or_create(&OutcomeLabel { outcome }).inc_by(n_batches);
            }
        }
        self.metrics_recorded.inc_by(n_metrics as u64);
        self.group_batches.observe(outcomes.len() as f64);
        self.record_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_record_failure(&self) {
        self.record_failures.inc();
    }

    pub(crate) fn count_accept_failure(&self) {
        self.accept_failures.inc();
    }

    pub(crate) fn count_connection_refusal(&self) {
        self.connection_refusals.inc();
    }

    /// Counts a connection for as long as the answer lives.
    pub(crate) fn count_connection(&self, listener: ListenerName) -> OpenConnection {
        let connections = self.connections.get_or_create_owned(&ListenerLabel { listener });
        connections.inc();
        OpenConnection(connections)
    }

    /// The page that Prometheus scrapes, in the OpenMetrics text format.
    pub(crate) fn render(&self, levels: &Levels) -> String {
        let set = |gauge: &Gauge, level: u64| {
            gauge.set(i64::try_from(level).unwrap_or(i64::MAX));
        };
        set(&self.queue_batches, levels.queue_batches as u64);
        set(&self.in_flight_bytes, levels.in_flight_bytes as u64);
        set(&self.ledger_batches, levels.ledger.n_batches);
        set(&self.ledger_metrics, levels.ledger.n_metrics);
        set(&self.ledger_models, levels.ledger.n_models);
        set(&self.ledger_quarantined, levels.ledger.n_quarantined);
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string cannot fail");
        page
    }
}

/// One open connection, counted until this is dropped.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

//! What the tests share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate_journal::sim::SimDisk;
use tollgate_sender::{
    Answer, Clock, Encoding, NoAnswer, Opened, Reading, Sender, Settings, Source, Spool, SpoolError,
    SpoolOptions, Transport,
};
use tollgate_wire::{Metric, MetricBatch, Response};

/// A clock that stands until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct SimClock(Arc<Mutex<SystemTime>>);

impl SimClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000))))
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.0.lock().expect("no panic") += time;
    }
}

impl Clock for SimClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().expect("no panic")
    }
}

pub(crate) const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";

pub(crate) fn batch(id: impl Into<String>) -> MetricBatch {
    let metric = Metric { key: "pings".to_owned(), value: "5".to_owned(), ..Metric::default() };
    MetricBatch {
        uuid: id.into(),
        model_uuid: MODEL.to_owned(),
        unit_name: "web/0".to_owned(),
        metrics: Some(vec![metric]),
        ..MetricBatch::default()
    }
}

/// A reading by whose value it is known again.
pub(crate) fn reading(value: impl Into<String>) -> Reading {
    Reading {
        source: Source { model: "m".to_owned(), ..Source::default() },
        metric: Metric { key: "readings".to_owned(), value: value.into(), ..Metric::default() },
        recorded_ms: 0,
    }
}

pub(crate) fn try_open(disk: &SimDisk, clock: &SimClock) -> Result<(Spool, Opened), SpoolError> {
    Spool::open_on(disk.shared(), SpoolOptions::for_testing(), Arc::new(clock.clone()))
}

#[track_caller]
pub(crate) fn open(disk: &SimDisk, clock: &SimClock) -> Spool {
    try_open(disk, clock).expect("open the spool").0
}

/// A spool with batches `b1` to `b<n>`, each in a group of its own.
pub(crate) fn spool_of(n: u64) -> (SimDisk, SimClock, Spool) {
    let (disk, clock) = (SimDisk::new(), SimClock::new());
    let spool = open(&disk, &clock);
    for n in 1..=n {
        spool.record(batch(format!("b{n}"))).expect("record");
    }
    (disk, clock, spool)
}

pub(crate) fn settings() -> Settings {
    Settings { request_batches_max: 4, ..Settings::default() }
}

/// What a collector does with the next request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Takes it and answers.
    Answer,
    /// Takes it, and the answer is lost.
    LoseAnswer,
    /// Takes it, and answers with this in place of what it should.
    Say(u16, &'static str),
    /// Is not there.
    Refuse,
    /// As an answer with this status and header.
    Busy(u16, Option<&'static str>),
    /// Takes it if the status says so, and tells which encodings it would take.
    Teach(u16, &'static str),
}

/// A collector that does as it is told.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// What it does with the next requests; afterwards it answers.
    pub(crate) acts: Vec<Act>,
    /// Ids that it never acknowledges.
    pub(crate) refused: BTreeSet<String>,
    /// Ids whose requests it cannot take.
    pub(crate) poison: BTreeSet<String>,
    /// What it acknowledges besides, under the model.
    pub(crate) strangers: Vec<String>,
    pub(crate) grace_period: i64,
    pub(crate) unit_status: Option<(&'static str, &'static str)>,
    /// How many seconds each batch takes on its way, as this clock goes.
    pub(crate) slow: Option<(SimClock, u64)>,
    /// Whether it is away, whatever the acts say.
    pub(crate) is_down: bool,
    /// The ids of each request, in order.
    pub(crate) requests: Vec<Vec<String>>,
    /// How often each batch was taken, by id, and its bytes.
    pub(crate) taken: BTreeMap<String, (u64, Vec<u8>)>,
}

/// A collector that test and sender share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Script>>);

impl Collector {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.0.lock().expect("no panic"))
    }

    /// The ids of the requests so far, joined; and forgets them.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.with(|script| std::mem::take(&mut script.requests).iter().map(|ids| ids.join(" ")).collect())
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.with(|script| script.taken.keys().cloned().collect())
    }

    /// The values of the readings in all batches that were taken.
    pub(crate) fn readings(&self) -> Vec<String> {
        let batches =
            self.with(|script| script.taken.values().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>());
        let batches =
            batches.iter().map(|bytes| tollgate_wire::from_slice::<MetricBatch>(bytes).expect("a batch"));
        let metrics = batches.flat_map(|batch| batch.metrics.into_iter().flatten());
        metrics.filter(|metric| metric.key == "readings").map(|metric| metric.value).collect()
    }

    /// Another one that has taken the same so far.
    pub(crate) fn copy(&self) -> Self {
        let taken = self.with(|script| script.taken.clone());
        Self(Arc::new(Mutex::new(Script { taken, ..Script::default() })))
    }
}

impl Transport for Collector {
    fn post(&mut self, body: Vec<u8>, encoding: Encoding) -> Result<Answer, NoAnswer> {
        let mut script = self.0.lock().expect("no panic");
        let body = match encoding {
            Encoding::Identity => body,
            Encoding::Gzip | Encoding::Zstd => return Ok(Answer { status: 415, ..Answer::default() }),
        };
        let batches: Vec<MetricBatch> = tollgate_wire::from_slice(&body).expect("a request");
        script.requests.push(batches.iter().map(|batch| batch.uuid.clone()).collect());
        if let Some((clock, seconds)) = &script.slow {
            // A request that takes too long is given up by the client.
            let seconds = seconds * batches.len() as u64;
            clock.pass(Duration::from_secs(seconds.min(120)));
            if 120 <= seconds {
                return Err(NoAnswer { why: "timed out".to_owned(), is_cut: true });
            }
        }
        let act = if script.acts.is_empty() { Act::Answer } else { script.acts.remove(0) };
        if script.is_down || matches!(act, Act::Refuse) {
            return Err(NoAnswer { why: "connection refused".to_owned(), is_cut: false });
        }
        if let Act::Teach(status, header) = act
            && status != 200
        {
            let accept_encoding = Some(header.to_owned());
            return Ok(Answer { status, accept_encoding, ..Answer::default() });
        }
        if let Act::Busy(status, retry_after) = act {
            return Ok(Answer { status, retry_after: retry_after.map(str::to_owned), ..Answer::default() });
        }
        if batches.iter().any(|batch| script.poison.contains(&batch.uuid)) {
            return Ok(Answer { status: 400, body: b"no".to_vec(), ..Answer::default() });
        }
        let mut response = Response::default();
        let mut responses = tollgate_wire::EnvironmentResponses::default();
        for batch in &batches {
            if script.refused.contains(&batch.uuid) {
                continue;
            }
            let bytes = tollgate_wire::to_vec(batch).expect("encodes");
            let taken = script.taken.entry(batch.uuid.clone()).or_insert((0, bytes.clone()));
            taken.0 += 1;
            assert_eq!(taken.1, bytes, "{} changed on its way", batch.uuid);
            responses.ack(&batch.model_uuid, &batch.uuid);
        }
        script.strangers.iter().for_each(|id| responses.ack(MODEL, id));
        if let Some((status, info)) = script.unit_status {
            responses.set_unit_status(MODEL, "web/0", status, info);
        }
        response.env_responses = Some(responses);
        response.new_grace_period.0 = script.grace_period;
        let body = match act {
            Act::LoseAnswer => return Err(NoAnswer { why: "connection reset".to_owned(), is_cut: true }),
            Act::Say(status, text) => return Ok(Answer { status, body: text.into(), ..Answer::default() }),
            _ => tollgate_wire::to_vec(&response).expect("encodes"),
        };
        let accept_encoding = if let Act::Teach(_, header) = act { Some(header.to_owned()) } else { None };
        Ok(Answer { status: 200, body, accept_encoding, ..Answer::default() })
    }
}

pub(crate) fn sender(spool: &Spool, collector: &Collector) -> Sender<Collector> {
    Sender::new(spool.clone(), collector.clone(), &settings(), fastrand::Rng::with_seed(1))
}

/// One round to its end: its requests and acknowledgements.
#[track_caller]
pub(crate) fn round(sender: &mut Sender<Collector>) -> (u64, u64) {
    let round = sender.round(|_| true).expect("the spool holds");
    (round.n_requests, round.n_acknowledged)
}

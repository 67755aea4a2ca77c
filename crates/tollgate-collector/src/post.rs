//! The way of one post: bytes in, durable, bytes out.

use std::sync::Arc;
use std::thread::available_parallelism;

use axum::body::Bytes;
use axum::extract::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tollgate_ledger::{Outcome, Preparer, Reader};
use tollgate_wire::Timestamp;
use tracing::{debug, error, info};
use uuid::Uuid;

use crate::act::now;
use crate::body::{self, BodyLimits, Received};
use crate::budget::{Budget, Reservation};
use crate::claims::Claiming;
use crate::commit::{CommitQueue, Recorded, Unrecorded};
use crate::decode::{Decoded, Intake, decode};
use crate::decompress::{Encoding, decompress};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::reply::{AnswerShape, Beyond, reply};
use crate::standings::Standings;
use crate::terms::{CurrentTerms, Terms};
use crate::{Settings, jimm};

/// Up to this size a document is decoded where it was read: handing it over takes longer than 40 batches do.
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// Up to this many elements an answer is written where its outcomes arrived.
const AT_ONCE_BATCHES_MAX: usize = 1_000;

/// A body of more bytes is decoded alone among its like. Two that grow at the same time, each beyond half of the budget, would
/// both be refused, and again when they come again.
const TOGETHER_BYTES_MAX: usize = 4 << 20;

/// How many times its size a compressed body is taken for, before it is decompressed.
const USUAL_RATIO: usize = 8;

/// What answers posts.
pub(crate) struct Post {
    pub(crate) budget: Budget,
    pub(crate) queue: CommitQueue,
    pub(crate) metrics: Arc<Metrics>,
    preparer: Arc<dyn Preparer>,
    /// As many as there are cores: what decodes beyond that only takes memory.
    workers: Arc<Semaphore>,
    /// One permit: large bodies are decoded one after the other.
    large: Arc<Semaphore>,
    body_limits: BodyLimits,
    batches_max: usize,
    terms: Arc<CurrentTerms>,
    reader: Arc<dyn Reader>,
}

impl Post {
    pub(crate) fn new(
        settings: &Settings,
        terms: Arc<CurrentTerms>,
        preparer: Arc<dyn Preparer>,
        reader: Arc<dyn Reader>,
        queue: CommitQueue,
        metrics: Arc<Metrics>,
    ) -> Self {
        let n_workers = available_parallelism().map_or(1, usize::from);
        Self {
            budget: Budget::new(settings.in_flight_bytes_max),
            queue,
            metrics,
            preparer,
            workers: Arc::new(Semaphore::new(n_workers)),
            large: Arc::new(Semaphore::new(1)),
            body_limits: BodyLimits::of(settings),
            batches_max: settings.request_batches_max,
            terms,
            reader,
        }
    }

    /// What counts now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.get()
    }

    /// Records what was posted and gives the body of the answer, which counts as held until it has been written.
    pub(crate) async fn answer(&self, request: Request, shape: AnswerShape) -> Result<Bytes, Problem> {
        let (head, body) = request.into_parts();
        if let Some(unrecorded) = self.queue.refuses(body::announced_length(&head.headers).unwrap_or(1)) {
            body::throw_away(&head.headers, body);
            return Err(unrecorded.into());
        }
        let received = body::receive(&head.headers, body, &self.budget, self.body_limits).await?;
        self.metrics.count_received(received.bytes.len());

        let is_small = received.encoding == Encoding::Identity && received.bytes.len() <= AT_ONCE_BYTES_MAX;
        let turn = self.turn_if_large(&received).await;
        let terms = self.terms.get();
        let decider = Decider {
            body_bytes_max: self.body_limits.body_bytes_max,
            batches_max: self.batches_max,
            shape,
            terms: terms.clone(),
            preparer: self.preparer.clone(),
            reader: self.reader.clone(),
            metrics: self.metrics.clone(),
        };
        let decide = move || {
            let _turn = turn;
            decider.decide(received)
        };
        let Decided { decoded, received, reservation } = self.work(is_small, decide).await??;
        let Decoded { request, n_metrics, claim, posted } = decoded;

        let Recorded { outcomes, standings, reservation } = if posted.is_empty() {
            // Nothing to promise, so nothing to wait for.
            Recorded { outcomes: Vec::new(), standings: Standings::default(), reservation }
        } else {
            self.queue.commit(request, n_metrics, claim, reservation).await?
        };
        log(&outcomes);

        let is_small = posted.len() <= AT_ONCE_BATCHES_MAX;
        let reader = self.reader.clone();
        let uuid = Uuid::new_v4().to_string();
        let answer = move || {
            let beyond = Beyond { reader: &*reader, terms: &terms, standings, now: received };
            reply(uuid, posted, &outcomes, shape, &beyond)
        };
        let answer = self.work(is_small, answer).await?;
        let answer = answer.map_err(|error| {
            error!(%error, "an answer cannot be written: a bug");
            Problem::Bug
        })?;
        Ok(reservation.cover(answer))
    }

    async fn turn_if_large(&self, received: &Received) -> Option<OwnedSemaphorePermit> {
        let ratio = if received.encoding == Encoding::Identity { 1 } else { USUAL_RATIO };
        let is_large = TOGETHER_BYTES_MAX / ratio < received.bytes.len();
        if !is_large {
            return None;
        }
        Some(self.large.clone().acquire_owned().await.expect("the semaphore is never closed"))
    }

    /// Does what takes the processor for a while: small things here, others on a thread of their own, so that the
    /// connections go on meanwhile.
    async fn work<T: Send + 'static>(
        &self,
        is_small: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        if is_small {
            return Ok(work());
        }
        let worker = self.workers.clone().acquire_owned().await.expect("the semaphore is never closed");
        let worked = spawn_blocking(move || {
            // Goes along: the thread goes on even when nobody waits for it any more.
            let _worker = worker;
            work()
        });
        worked.await.map_err(|error| {
            error!(%error, "the work on a request panicked: a bug");
            Problem::Bug
        })
    }
}

/// A request on its way into the ledger.
struct Decided {
    decoded: Decoded,
    /// When it came.
    received: Timestamp,
    /// What it holds of the budget.
    reservation: Reservation,
}

/// What it takes to decide on a request.
struct Decider {
    body_bytes_max: usize,
    batches_max: usize,
    shape: AnswerShape,
    terms: Arc<Terms>,
    preparer: Arc<dyn Preparer>,
    reader: Arc<dyn Reader>,
    metrics: Arc<Metrics>,
}

impl Decider {
    /// From the bytes that came to what is recorded of them.
    fn decide(self, received: Received) -> Result<Decided, Problem> {
        let mut reservation = received.reservation;
        let document = decompress(received.bytes, received.encoding, self.body_bytes_max)?;
        self.metrics.count_body(document.len());
        let document = match self.shape {
            AnswerShape::Jimm => jimm::translate(&document, self.batches_max, &mut reservation)?,
            AnswerShape::ByContent | AnswerShape::Users => document,
        };
        // One time for the whole request.
        let received = now();
        let gate = Gate::new(&self.terms, &*self.reader, received);
        let claiming = Claiming::new(self.terms.policy.clone(), received);
        let intake = Intake::new(gate, self.preparer.begin(received), claiming);
        let decoded = decode(&document, self.batches_max, intake, &mut reservation)?;
        Ok(Decided { decoded, received, reservation })
    }
}

impl From<Unrecorded> for Problem {
    fn from(unrecorded: Unrecorded) -> Self {
        match unrecorded {
            Unrecorded::QueueFull => Self::Overloaded { what: "batches" },
            Unrecorded::Busy => Self::LedgerBusy,
            Unrecorded::DiskFull => Self::DiskFull,
            Unrecorded::Never => Self::Unrecordable,
            Unrecorded::Closed => Self::LedgerClosed,
        }
    }
}

fn log(outcomes: &[Outcome]) {
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    let n_conflicts = count(|outcome| matches!(outcome, Outcome::Conflict { .. }));
    let n_quarantined = count(|outcome| matches!(outcome, Outcome::Quarantined { .. }));
    let n_batches = outcomes.len();
    if n_conflicts + n_quarantined == 0 {
        debug!(n_batches, "a post is durable");
    } else {
        info!(n_batches, n_conflicts, n_quarantined, "a post is durable, part of it in quarantine");
    }
}

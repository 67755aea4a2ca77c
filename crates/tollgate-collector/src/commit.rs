//! Group commit: many requests, one sync, an answer for each.
//!
//! One thread owns the ledger's write half. It takes what waits, makes it durable in one group and answers each waiter.
//! A waiter that has gone changes nothing for the others: what it sent is recorded and its answer is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio::time::timeout;
use tollgate_ledger::{LedgerError, Outcome, Prepared, Remedy, Writer, chain};
use tracing::{debug, error, warn};

use crate::budget::Reservation;
use crate::claims::Claim;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::standings::{Keeper, Standings};
use crate::{CollectorError, Settings};

/// Why the entries of one request are not acknowledged. Some of them may be written all the same; the sender sends them
/// again and they come back as duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrecorded {
    /// As many batches wait as are allowed.
    QueueFull,
    /// It did not work this time.
    Busy,
    /// There is no room on the disk.
    DiskFull,
    /// It cannot be recorded, now or later.
    Never,
    /// The ledger is closed for writing.
    Closed,
}

/// Where requests hand their entries in.
#[derive(Clone)]
pub(crate) struct CommitQueue {
    jobs: mpsc::UnboundedSender<Message>,
    /// One permit a batch that may wait: this, with `turn`, is what bounds `jobs`.
    room: Arc<Semaphore>,
    /// One permit: large requests wait beside the room, one at a time. In the room they would find place only when nobody
    /// else waits, which beside steady small senders is never.
    turn: Arc<Semaphore>,
    /// Batches in `jobs`.
    n_waiting: Arc<AtomicUsize>,
    /// How long a large request waits for its turn, at most, with its body in memory.
    turn_wait: Duration,
    /// A request with more batches than this is a large one.
    room_share_max: usize,
}

/// Part of the room that one request may take. The rest is for others.
const ROOM_SHARE: usize = 4;

/// A body has at least one batch for so many bytes: the longest that controllers send.
const LONG_BATCH_BYTES: usize = 4 << 10;

/// After a group of several requests could never be recorded, how long each request is a group of its own. One of them is to
/// blame and comes again, with many senders after five minutes; then it is alone, and told so.
const APART_MS: u64 = 600_000;

/// The thread that owns the ledger's write half, seen from outside.
pub(crate) struct Committer {
    ended: oneshot::Receiver<Result<(), LedgerError>>,
}

enum Message {
    Record(Box<Job>),
    Close,
}

/// The entries of one request on their way into the ledger.
struct Job {
    request: Prepared,
    /// Of each entry; `None` of one that nobody posted.
    n_metrics: Vec<Option<usize>>,
    claim: Claim,
    answer: oneshot::Sender<Result<Recorded, Unrecorded>>,
    /// Given back when the job is taken into a group.
    place: Place,
    /// What the request holds of the budget. It comes back with the outcomes: the answer is still to be written.
    reservation: Reservation,
}

/// The entries of one request are durable.
pub(crate) struct Recorded {
    /// What became of each, in the same order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Where its models stand with it.
    pub(crate) standings: Standings,
    /// The request's part of the budget.
    pub(crate) reservation: Reservation,
}

/// The place of a job in the queue, given back when this is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    n_batches: usize,
    n_waiting: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.n_waiting.fetch_sub(self.n_batches, Ordering::SeqCst);
    }
}

/// Starts the thread that owns `writer`.
pub(crate) fn start(
    writer: Box<dyn Writer>,
    keeper: Keeper,
    settings: &Settings,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
) -> Result<(CommitQueue, Committer), CollectorError> {
    #[expect(clippy::disallowed_methods, reason = "`room` bounds it, by batches instead of jobs")]
    let (jobs, waiting) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel();
    let queue = CommitQueue {
        jobs,
        room: Arc::new(Semaphore::new(settings.queue_batches_max)),
        turn: Arc::new(Semaphore::new(1)),
        n_waiting: Arc::default(),
        turn_wait: Duration::from_millis(settings.turn_timeout_ms),
        room_share_max: (settings.queue_batches_max / ROOM_SHARE).max(1),
    };
    let group_batches_max = settings.group_batches_max;
    let mut committer = CommitterThread { keeper, group_batches_max, apart_until: None, metrics, health };
    thread::Builder::new()
        .name("committer".to_owned())
        .spawn(move || {
            // When the committer panics, `end` is dropped unsent, and so is every job: all waiters are answered.
            let end_of_ledger = committer.run(writer, waiting);
            end.send(end_of_ledger).ok();
        })
        .map_err(|source| CollectorError::Thread { source })?;
    Ok((queue, Committer { ended }))
}

impl CommitQueue {
    /// Makes a request's entries durable and says what became of each, in the same order.
    ///
    /// A request is let in at once or not at all, except for a large one, which waits for its turn. When the answer is
    /// dropped half-way by then, the entries are recorded all the same.
    pub(crate) async fn commit(
        &self,
        request: Prepared,
        n_metrics: Vec<Option<usize>>,
        claim: Claim,
        reservation: Reservation,
    ) -> Result<Recorded, Unrecorded> {
        let place = self.place(request.n_entries).await?;
        let (answer, outcomes) = oneshot::channel();
        let job = Job { request, n_metrics, claim, answer, place, reservation };
        self.jobs.send(Message::Record(Box::new(job))).map_err(|_| Unrecorded::Closed)?;
        // A job that the committer drops unanswered was not recorded: the ledger is closed.
        outcomes.await.unwrap_or(Err(Unrecorded::Closed))
    }

    async fn place(&self, n_batches: usize) -> Result<Place, Unrecorded> {
        let permit = if n_batches <= self.room_share_max {
            let n_permits = u32::try_from(n_batches).map_err(|_| Unrecorded::QueueFull)?;
            self.room.clone().try_acquire_many_owned(n_permits).map_err(|refused| match refused {
                TryAcquireError::NoPermits => Unrecorded::QueueFull,
                TryAcquireError::Closed => Unrecorded::Closed,
            })?
        } else {
            // In the order in which they came.
            let turn = self.turn.clone().acquire_owned();
            match timeout(self.turn_wait, turn).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_closed)) => return Err(Unrecorded::Closed),
                Err(_elapsed) => return Err(Unrecorded::QueueFull),
            }
        };
        self.n_waiting.fetch_add(n_batches, Ordering::SeqCst);
        Ok(Place { _permit: permit, n_batches, n_waiting: self.n_waiting.clone() })
    }

    /// Whether a request with a body of about so many bytes would be refused just now: worth knowing before the body is read.
    pub(crate) fn refuses(&self, n_body_bytes: usize) -> Option<Unrecorded> {
        // Of a large request, which does not need the room, no more is asked than of a middling one: else it would never be read.
        let n_batches = (n_body_bytes / LONG_BATCH_BYTES).min(self.room_share_max / 8).max(1);
        if self.room.is_closed() || self.jobs.is_closed() {
            Some(Unrecorded::Closed)
        } else if self.room.available_permits() < n_batches {
            Some(Unrecorded::QueueFull)
        } else {
            None
        }
    }

    /// How many batches wait.
    pub(crate) fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::SeqCst)
    }

    /// Lets nothing more in. What waits is recorded, then the ledger is closed.
    pub(crate) fn close(&self) {
        self.room.close();
        self.turn.close();
        // When nobody receives, the committer has ended already.
        self.jobs.send(Message::Close).ok();
    }
}

impl Committer {
    /// Waits for the end of the committer: after [`CommitQueue::close`], or when the ledger failed for good.
    pub(crate) async fn ended(&mut self) -> Result<(), CollectorError> {
        match (&mut self.ended).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(CollectorError::Ledger { source }),
            Err(_panicked) => Err(CollectorError::Committer),
        }
    }
}

/// What the committer's thread owns besides the writer.
struct CommitterThread {
    keeper: Keeper,
    group_batches_max: usize,
    /// Until then each request is a group of its own.
    apart_until: Option<Instant>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl CommitterThread {
    /// Records group after group until the queue is closed or the ledger fails for good. Whatever is still in the queue
    /// when this returns is dropped with it, which answers its waiters that the ledger is closed.
    fn run(
        &mut self,
        mut writer: Box<dyn Writer>,
        mut waiting: mpsc::UnboundedReceiver<Message>,
    ) -> Result<(), LedgerError> {
        let mut queue = Queue { waiting: &mut waiting, held: None, open: true };
        loop {
            let apart = self.apart_until.is_some_and(|until| Instant::now() < until);
            let batches_max = if apart { 1 } else { self.group_batches_max };
            let Some(group) = queue.next_group(batches_max) else { break };
            if let Err(end) = self.record(writer.as_mut(), group) {
                error!(error = %chain(&end), "the ledger failed: nothing more is acknowledged until a restart");
                return Err(end);
            }
        }
        if let Err(failure) = writer.close() {
            warn!(error = %chain(&failure), "the ledger did not close cleanly: the next start takes longer");
        }
        Ok(())
    }

    /// Makes one group durable and answers its waiters. An error is the end of the ledger.
    fn record(&mut self, writer: &mut dyn Writer, group: Vec<Job>) -> Result<(), LedgerError> {
        let mut requests = Vec::with_capacity(group.len());
        let mut waiters = Vec::with_capacity(group.len());
        let mut n_metrics_each = Vec::new();
        for Job { request, n_metrics, claim, answer, place, reservation } in group {
            drop(place);
            waiters.push((request.n_entries, claim, answer, reservation));
            n_metrics_each.extend(n_metrics);
            requests.push(request);
        }
        let n_entries: usize = requests.iter().map(|request| request.n_entries).sum();
        let before = self.keeper.before(waiters.iter().map(|(_, claim, ..)| claim));
        let started = Instant::now();

        // IMPORTANT: nothing is answered before this returned; an acknowledgement is a promise that survives power loss.
        let recorded = writer.record_prepared(requests);

        let took = started.elapsed();
        match recorded {
            Ok(outcomes) => {
                assert_eq!(outcomes.len(), n_entries, "a ledger gives one outcome for each entry");
                self.metrics.count_group(&outcomes, &n_metrics_each, took);
                self.health.set_recorded();
                debug!(
                    n_batches = n_entries,
                    n_requests = waiters.len(),
                    took_us = took.as_micros(),
                    "recorded a group"
                );
                let mut rest = &outcomes[..];
                let of_each = waiters.iter().map(|(n_entries, claim, ..)| {
                    let (own, others) = rest.split_at(*n_entries);
                    rest = others;
                    (claim, own)
                });
                let of_each: Vec<_> = of_each.collect();
                let standings = self.keeper.settle(&before, &of_each);
                let mut outcomes = outcomes.iter().copied();
                for ((n_entries, _, answer, reservation), standings) in waiters.into_iter().zip(standings) {
                    let outcomes = outcomes.by_ref().take(n_entries).collect();
                    // A waiter that has gone does not hear of it.
                    answer.send(Ok(Recorded { outcomes, standings, reservation })).ok();
                }
                Ok(())
            }
            Err(failure) => {
                self.metrics.count_record_failure();
                // Some of the group may be recorded all the same.
                self.keeper.forget();
                let unrecorded = match failure.remedy() {
                    Remedy::Retry => Unrecorded::Busy,
                    Remedy::FreeSpace => Unrecorded::DiskFull,
                    Remedy::Repair if waiters.len() == 1 => Unrecorded::Never,
                    // Most of them are innocent: they come again, each by itself.
                    Remedy::Repair => Unrecorded::Busy,
                    Remedy::Restart => Unrecorded::Closed,
                };
                if failure.remedy() == Remedy::Repair {
                    self.apart_until = Some(Instant::now() + Duration::from_millis(APART_MS));
                }
                match unrecorded {
                    Unrecorded::DiskFull => self.health.set_disk_full(),
                    Unrecorded::Closed => self.health.set_ledger_closed(),
                    Unrecorded::QueueFull | Unrecorded::Busy | Unrecorded::Never => {}
                }
                warn!(
                    n_batches = n_entries,
                    n_requests = waiters.len(),
                    error = %chain(&failure),
                    "a group was not recorded"
                );
                for (_, _, answer, _reservation) in waiters {
                    answer.send(Err(unrecorded)).ok();
                }
                if unrecorded == Unrecorded::Closed { Err(failure) } else { Ok(()) }
            }
        }
    }
}

/// The waiting jobs in the order in which they came.
struct Queue<'a> {
    waiting: &'a mut mpsc::UnboundedReceiver<Message>,
    /// Taken from `waiting` but too large for the group that was being filled: it begins the next one.
    held: Option<Job>,
    open: bool,
}

impl Queue<'_> {
    /// All that waits, up to `batches_max`; blocks until there is something. A request is never split: one with more
    /// than `batches_max` is a group of its own. `None` when the queue is closed and empty.
    fn next_group(&mut self, batches_max: usize) -> Option<Vec<Job>> {
        let first = match self.held.take() {
            Some(job) => job,
            None => self.wait()?,
        };
        let mut n_batches = first.request.n_entries;
        let mut group = vec![first];
        while n_batches < batches_max
            && let Some(job) = self.take_waiting()
        {
            if batches_max < n_batches + job.request.n_entries {
                self.held = Some(job);
                break;
            }
            n_batches += job.request.n_entries;
            group.push(job);
        }
        Some(group)
    }

    fn wait(&mut self) -> Option<Job> {
        let message = if self.open { self.waiting.blocking_recv() } else { None };
        self.accept(message)
    }

    fn take_waiting(&mut self) -> Option<Job> {
        let message = if self.open { self.waiting.try_recv().ok() } else { None };
        message.and_then(|message| self.accept(Some(message)))
    }

    fn accept(&mut self, message: Option<Message>) -> Option<Job> {
        match message {
            Some(Message::Record(job)) => Some(*job),
            Some(Message::Close) | None => {
                self.open = false;
                None
            }
        }
    }
}

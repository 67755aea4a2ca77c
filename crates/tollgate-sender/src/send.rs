//! The send loop, one round at a time: what a spool holds goes to a collector.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use tollgate_wire::Response;
use tracing::{debug, warn};

use crate::SpoolError;
use crate::chunk::{Chunk, Limits};
use crate::clock::milliseconds;
use crate::core::Core;
use crate::encoding::{Compression, Encoding};
use crate::feeder::{Feeder, Filled};
use crate::hook::Hook;
use crate::pace;
use crate::ranges::Ranges;
use crate::record::Event;
use crate::settings::Settings;
use crate::spool::Spool;
use crate::transport::{Transport, Verdict, judge};

/// Refusals after which a batch is passed by.
const REFUSALS_MAX: u32 = 3;

/// How long a batch that is passed by stays so before it is tried once more.
const PASSED_BY_MS: i64 = 3600 * 1000;

/// Requests in succession that nothing of was acknowledged, after which a round ends. The next one goes on behind them.
const STALLED_MAX: u32 = 8;

/// Sends what a spool holds. One for each spool.
#[derive(Debug)]
pub struct Sender<T> {
    spool: Spool,
    transport: T,
    every: Duration,
    request_timeout: Duration,
    limits: Limits,
    compression: Compression,
    /// What the collector said that it takes.
    taught: Encoding,
    rng: Rng,
    feeder: Feeder,
    /// What was read and is still to be sent: after an error the same request again.
    unsent: VecDeque<Chunk>,
    /// Batches of one request now: fewer than allowed after one was unacceptable, or did not get through.
    n_batches_now: usize,
    n_failures: u32,
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Round {
    /// Requests that were made.
    pub n_requests: u64,
    /// Batches that were acknowledged.
    pub n_acknowledged: u64,
    /// Times that a batch was sent and not acknowledged in an answer.
    pub n_refused: u64,
    /// What ended it, when that was an error.
    pub error: Option<String>,
    /// How long to wait before the next.
    pub next_in: Duration,
}

impl<T: Transport> Sender<T> {
    /// A sender of `spool`. The random numbers only spread rounds in time.
    pub fn new(spool: Spool, transport: T, settings: &Settings, rng: Rng) -> Self {
        let limits = settings.limits();
        Self {
            feeder: spool.feeder(),
            spool,
            transport,
            every: settings.every(),
            request_timeout: Duration::from_secs(settings.request_timeout_seconds),
            limits,
            compression: settings.compression,
            taught: Encoding::Identity,
            rng,
            unsent: VecDeque::new(),
            n_batches_now: limits.n_batches,
            n_failures: 0,
        }
    }

    /// The spool that it sends.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The way to the collector.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Sends all that waits, each batch once, oldest first; ends early at an error. `progress` is shown how many were acknowledged
    /// after each request, and ends the round when it gives `false`.
    ///
    /// # Errors
    ///
    /// When the spool fails. What was acknowledged and could not be noted is sent again, which the collector takes as what it is.
    pub fn round(&mut self, mut progress: impl FnMut(u64) -> bool) -> Result<Round, SpoolError> {
        let mut round =
            Round { n_requests: 0, n_acknowledged: 0, n_refused: 0, error: None, next_in: Duration::ZERO };
        let mut lap = Lap { ends_at: self.feeder.sequence, is_second: false, given: Ranges::default() };
        let mut n_stalled = 0;
        let mut retry_after = None;
        while n_stalled < STALLED_MAX
            && let Some(chunk) = self.next_chunk(&mut lap)?
        {
            round.n_requests += 1;
            let n_batches = chunk.len() as u64;
            let started = self.spool.clock().now();
            let (verdict, sent_as) = self.post(&chunk);
            let took = self.spool.clock().now().duration_since(started).unwrap_or_default();
            // One of double the size gets through in time too.
            let is_quick = took < self.request_timeout / 3;
            match verdict {
                Verdict::Answered(response) => {
                    let n_acknowledged = self.take_in(&chunk, &response)?;
                    round.n_acknowledged += n_acknowledged;
                    round.n_refused += n_batches - n_acknowledged;
                    if n_acknowledged == 0 {
                        n_stalled += 1;
                    } else {
                        n_stalled = 0;
                        if is_quick {
                            self.n_batches_now =
                                self.n_batches_now.saturating_mul(2).min(self.limits.n_batches);
                        }
                    }
                }
                Verdict::Unacceptable { why } if chunk.len() == 1 => {
                    warn!(why, "a batch is not taken and passed by");
                    self.refuse(&chunk, &why)?;
                    round.n_refused += 1;
                    round.error = Some(why);
                    n_stalled += 1;
                }
                Verdict::Unacceptable { why } => {
                    debug!(why, n_batches, "a request is not taken and divided");
                    self.n_batches_now = chunk.len() / 2;
                    self.unsent.push_front(chunk);
                }
                Verdict::Encoding { why } if sent_as != Encoding::Identity => {
                    debug!(why, "requests are not compressed any more");
                    self.compression = Compression::None;
                    self.unsent.push_front(chunk);
                }
                Verdict::Encoding { why } => {
                    self.unsent.push_front(chunk);
                    round.error = Some(why);
                    break;
                }
                Verdict::Failed { why, retry_after: after, is_cut } => {
                    if is_cut {
                        self.n_batches_now = (chunk.len() / 2).max(1);
                    }
                    self.unsent.push_front(chunk);
                    retry_after = after;
                    round.error = Some(why);
                    break;
                }
            }
            if !progress(round.n_acknowledged) {
                break;
            }
        }
        self.conclude(&mut round, retry_after)?;
        Ok(round)
    }

    /// Notes how it went, and says when to go on.
    fn conclude(&mut self, round: &mut Round, retry_after: Option<Duration>) -> Result<(), SpoolError> {
        // What one batch has done wrong is not the connection's fault.
        let error = round.error.clone().filter(|_| !self.unsent.is_empty() || round.n_acknowledged == 0);
        round.error.clone_from(&error);
        let Some(error) = error else {
            self.n_failures = 0;
            round.next_in = pace::after_success(self.every, &mut self.rng);
            return Ok(());
        };
        self.n_failures = self.n_failures.saturating_add(1);
        round.next_in = pace::after_failure(self.every, self.n_failures, retry_after, &mut self.rng);
        let now_ms = self.spool.now_ms();
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        self.spool.with_core(|core| {
            let link = core.state.link.failed(&error, now_ms, every_ms);
            // The text alone is not worth a write.
            if link.n_errors == core.state.link.n_errors {
                core.state.link = link;
                return Ok(());
            }
            core.append_events(vec![Event::Link(link)])
        })
    }

    /// What goes out next; `None` when everything has been sent once in this round.
    fn next_chunk(&mut self, lap: &mut Lap) -> Result<Option<Chunk>, SpoolError> {
        let chunk = self.find_chunk(lap)?;
        chunk.iter().flat_map(Chunk::numbers).for_each(|number| lap.given.add(number, number));
        Ok(chunk)
    }

    fn find_chunk(&mut self, lap: &mut Lap) -> Result<Option<Chunk>, SpoolError> {
        while let Some(chunk) = self.unsent.pop_front() {
            // Somebody may have given some up since they were read.
            let chunk = self.spool.with_core(|core| chunk.without(|number| core.state.done.contains(number)));
            if chunk.is_empty() {
                continue;
            }
            if chunk.len() <= self.n_batches_now {
                return Ok(Some(chunk));
            }
            let [first, rest] = chunk.split_at(self.n_batches_now);
            self.unsent.push_front(rest);
            return Ok(Some(first));
        }
        let limits = Limits { n_batches: self.n_batches_now, ..self.limits };
        let now_ms = self.spool.now_ms();
        let given = &lap.given;
        let is_due = |core: &Core, number| {
            let refusal = core.state.refused.get(&number);
            !given.contains(number)
                && refusal.is_none_or(|refusal| {
                    let has_waited = refusal.last_ms.saturating_add(PASSED_BY_MS) <= now_ms;
                    refusal.n_times < REFUSALS_MAX || has_waited || now_ms < refusal.last_ms
                })
        };
        let mut chunk = Chunk::default();
        loop {
            let until = if lap.is_second { lap.ends_at } else { u64::MAX };
            let filled = self.feeder.fill(&self.spool, &mut chunk, limits, until, is_due)?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            if filled == Filled::End {
                // What is before the place where the round began was passed in an earlier one, and may be due again.
                let has_more = 0 < lap.ends_at && self.spool.with_core(|core| 0 < core.state.n_pending());
                if lap.is_second || !has_more {
                    return Ok(None);
                }
                lap.is_second = true;
                self.feeder.rewind();
            }
        }
    }

    fn encoding(&self) -> Encoding {
        match self.compression {
            Compression::Auto => self.taught,
            Compression::None => Encoding::Identity,
            Compression::Gzip => Encoding::Gzip,
            Compression::Zstd => Encoding::Zstd,
        }
    }

    /// What came of a request, and how it was sent.
    fn post(&mut self, chunk: &Chunk) -> (Verdict, Encoding) {
        let (encoding, body) = match self.encoding().encode(chunk.body()) {
            Ok(encoded) => encoded,
            Err(error) => {
                let why = format!("could not compress the request: {error}");
                return (Verdict::failed(why), Encoding::Identity);
            }
        };
        let answer = match self.transport.post(body, encoding) {
            Ok(answer) => answer,
            Err(no_answer) => return (no_answer.into(), encoding),
        };
        if let Some(header) = &answer.accept_encoding {
            self.taught = Encoding::accepted(header);
        }
        (judge(&answer, self.spool.clock().now()), encoding)
    }

    /// Notes durably what an answer says. Gives how many batches it acknowledges that were not before.
    fn take_in(&mut self, chunk: &Chunk, response: &Response) -> Result<u64, SpoolError> {
        let (mut acknowledged, refused) = chunk.split(response);
        let subjects = chunk.subjects();
        let now_ms = milliseconds(self.spool.clock().now());
        self.spool.with_core(|core| {
            // Somebody may have given some up meanwhile: they do not count as progress.
            acknowledged = acknowledged
                .iter()
                .flat_map(|(first, last)| first..=last)
                .filter(|&number| !core.state.done.contains(number))
                .collect();
            let n_acknowledged = acknowledged.iter().map(|(first, last)| last - first + 1).sum();
            let mut events = Vec::new();
            if !acknowledged.is_empty() || !refused.is_empty() {
                let (why, last_batched) = (None, core.state.last_batched);
                events.push(Event::Answered { acknowledged, refused, why, at_ms: now_ms, last_batched });
            }
            let mut link = core.state.link.with_grace_period(response.new_grace_period.0);
            // An answer without progress is neither success nor error, as for a Juju controller.
            if 0 < n_acknowledged {
                link = link.succeeded(now_ms);
            }
            let mut standings = core.state.standings.clone();
            standings.take_in(response, &subjects);
            if standings != core.state.standings {
                events.push(Event::Standings(standings));
            }
            if link != core.state.link {
                events.push(Event::Link(link));
            }
            // IMPORTANT: durable before the batches are given up. Without this they are sent again, which costs nothing but time.
            core.append_events(events)?;
            core.tidy()?;
            Ok(n_acknowledged)
        })
    }

    fn refuse(&mut self, chunk: &Chunk, why: &str) -> Result<(), SpoolError> {
        let refused: Ranges = chunk.numbers().collect();
        let why = Some(why.to_owned());
        let at_ms = self.spool.now_ms();
        let acknowledged = Ranges::default();
        self.spool.with_core(|core| {
            let last_batched = core.state.last_batched;
            core.append_events(vec![Event::Answered { acknowledged, refused, why, at_ms, last_batched }])
        })
    }
}

/// Where a round began, so that it goes over everything once.
#[derive(Debug)]
struct Lap {
    ends_at: u64,
    /// Whether the end was reached, and the beginning of the spool is gone over.
    is_second: bool,
    /// The batches that went out: of the group that it began in, those behind the place are met twice.
    given: Ranges,
}

impl Spool {
    /// Runs `hook` when the meter status of everything has changed since it ran last, or when it is not known whether it ran to its end
    /// for the last change: then once more with the same number. Gives whether it ran.
    ///
    /// # Errors
    ///
    /// When the spool fails; then the hook did not run, or will run again.
    pub fn run_hook(&self, hook: &mut impl Hook) -> Result<bool, SpoolError> {
        let standing = self.meter_status(None, None);
        let due = self.with_core(|core| {
            let change = core.state.hook.change;
            if core.state.hook.is_running && core.hooked == change {
                // It ran to its end, and there was no room to note it.
                core.append_events(vec![Event::HookEnded { change }])?;
            }
            let known = &core.state.hook;
            if known.is_running {
                return Ok(known.told.clone().map(|told| (told, known.change)));
            }
            if known.told.as_ref() == Some(&standing) {
                return Ok(None);
            }
            let change = known.change + 1;
            // IMPORTANT: noted before it runs, so that it is never lost.
            core.append_events(vec![Event::HookBegins { standing: standing.clone(), change }])?;
            Ok::<_, SpoolError>(Some((standing.clone(), change)))
        })?;
        let Some((told, change)) = due else { return Ok(false) };
        hook.run(&told, change);
        // IMPORTANT: noted after it ran, so that it does not run twice for the same change.
        self.with_core(|core| {
            core.hooked = change;
            core.append_events(vec![Event::HookEnded { change }])
        })?;
        Ok(true)
    }
}

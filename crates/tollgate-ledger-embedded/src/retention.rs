//! Dropping what is not needed of old batches, beside the recording.
//!
//! Whole segments are compacted, one at a time. What a batch counts is never dropped, nor its id and digest: a copy of it that
//! comes later is a duplicate for ever.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tollgate_journal::{Compactor, JournalError, Keep, Reader, SealedSegment};
use tollgate_ledger::chain;
use tollgate_wire::Timestamp;
use tracing::{info, warn};

use crate::error::Unusable;
use crate::record::{Record, encode_reduced};
use crate::reduce::{Reduced, reduce};

/// Between two looks for segments that have become old enough: short beside a day.
const PAUSE: Duration = Duration::from_secs(3600);

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// When of a batch only what counts is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days for which batches are kept whole, from when they were received.
    pub days: u32,
    /// Tells the time, in the same clock as that of [`tollgate_ledger::Received`].
    pub now: fn() -> Timestamp,
}

impl Retention {
    /// Batches received before that are old, in Unix seconds.
    fn limit(&self) -> i64 {
        (self.now)().unix_seconds() - i64::from(self.days) * DAY_SECONDS
    }
}

/// Reduces the old batches of one ledger.
#[derive(Debug)]
pub(crate) struct Reducer {
    pub(crate) retention: Retention,
    pub(crate) compactor: Compactor,
    pub(crate) reader: Reader,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Reducer {
    /// Reduces all that is old enough. What fails is logged and tried again in the next round: nothing is at risk.
    pub(crate) fn round(&self) {
        if let Err(error) = self.try_round() {
            warn!(error = %chain(&error), "old batches are kept whole for now: they could not be reduced");
        }
    }

    fn try_round(&self) -> Result<(), JournalError> {
        let limit = self.retention.limit();
        for segment in self.compactor.segments()? {
            if self.is_stopped() {
                break;
            }
            if segment.is_compacted {
                continue;
            }
            match self.reduce_old(&segment, limit) {
                // Those behind it are younger still; unless the clock was set back, and then they have their turn later.
                Ok(Age::Young) => break,
                Ok(Age::Old) => {}
                // It is named, and what is behind it need not wait for its repair.
                Err(error @ JournalError::Damaged { .. }) => {
                    warn!(error = %chain(&error), "old batches are kept whole: their segment is damaged");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the last group of the segment was received before `limit`: a look that spares reading all of it.
    fn ends_before(&self, segment: &SealedSegment, limit: i64) -> Result<bool, JournalError> {
        let group = self.reader.group(segment.last_sequence)?;
        let is_old = |record: &[u8]| {
            Record::decode(record).is_ok_and(|record| record.received().unix_seconds() < limit)
        };
        Ok(group.records().all(|(_, record)| is_old(record)))
    }

    /// Reduces the segment, if it is old.
    fn reduce_old(&self, segment: &SealedSegment, limit: i64) -> Result<Age, JournalError> {
        if !self.ends_before(segment, limit)? {
            return Ok(Age::Young);
        }
        let mut n_reduced = 0_u64;
        let mut unusable = None;
        let replace = |position, record: &[u8], buffer: &mut Vec<u8>| {
            if self.is_stopped() {
                return Keep::Abandon;
            }
            match replaced(record, limit, buffer) {
                Ok(keep) => {
                    n_reduced += u64::from(keep == Keep::Replaced);
                    keep
                }
                Err(why) => {
                    unusable = Some((position, why));
                    Keep::Abandon
                }
            }
        };
        let n_bytes = match self.compactor.compact(segment.number, replace) {
            Ok(n_bytes) => n_bytes,
            Err(JournalError::Abandoned { .. }) => {
                if let Some((position, why)) = unusable {
                    warn!(error = %chain(&why), ?position, "old batches are kept whole: a record of their segment makes no sense");
                }
                return Ok(Age::Old);
            }
            Err(error) => return Err(error),
        };
        info!(
            segment = format_args!("{:016x}", segment.number),
            n_batches = n_reduced,
            n_bytes_before = segment.bytes,
            n_bytes,
            "dropped the credentials of old batches"
        );
        Ok(Age::Old)
    }
}

/// Whether the end of a segment is old enough.
enum Age {
    Old,
    Young,
}

/// What becomes of a record, when batches received before `limit` are old. A younger batch keeps its whole segment.
fn replaced(record: &[u8], limit: i64, buffer: &mut Vec<u8>) -> Result<Keep, Unusable> {
    let Record::Batch { received, body } = Record::decode(record)? else { return Ok(Keep::Whole) };
    if limit <= received.unix_seconds() {
        return Ok(Keep::Abandon);
    }
    Ok(match reduce(body)? {
        Some(Reduced { digest, body }) => {
            encode_reduced(buffer, received, digest, &body);
            Keep::Replaced
        }
        None => Keep::Whole,
    })
}

/// Reduces now and then, until it is dropped.
#[derive(Debug)]
pub(crate) struct RetentionThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RetentionThread {
    pub(crate) fn start(reducer: Reducer) -> io::Result<Self> {
        let stop = reducer.stop.clone();
        let work = move || {
            step_back();
            while !reducer.is_stopped() {
                reducer.round();
                if !reducer.is_stopped() {
                    thread::park_timeout(PAUSE);
                }
            }
        };
        let thread = thread::Builder::new().name("retention".to_owned()).spawn(work)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for RetentionThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // One that panicked has said so.
            thread.join().ok();
        }
    }
}

/// Gives this thread the lowest priority. Where it cannot, it works at the usual one.
fn step_back() {
    // Elsewhere it would be that of the process.
    #[cfg(target_os = "linux")]
    {
        let _: rustix::io::Result<()> = rustix::process::setpriority_process(None, 19);
    }
}

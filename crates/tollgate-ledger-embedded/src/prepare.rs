//! What is worked out of a request's entries before they have an order.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use tollgate_journal::{Packed, Packer, Records};
use tollgate_ledger::{Entry, Prepared, Preparer, Received};
use tracing::warn;

use crate::index::{Catalogue, Key, KeyMaker};
use crate::record::encode_batch;

/// Requests with fewer bytes of bodies are compressed together, as a group: alone they would hardly become smaller.
const PACKED_BYTES_MIN: usize = 64 << 10;

/// Hashes, adds up and compresses, on any thread.
pub(crate) struct EmbeddedPreparer {
    keys: KeyMaker,
    compression: Option<i32>,
    /// Not in use; kept for their memory. As many as requests were ever prepared at a time.
    benches: Mutex<Vec<Bench>>,
}

/// What a request's entries become.
#[derive(Debug)]
pub(crate) struct Work {
    /// Of each entry.
    pub(crate) keys: Vec<Key>,
    /// All entries, when they are batches and all new.
    pub(crate) whole: Option<Whole>,
}

/// A request's batches, to be recorded as they are when none of them is known.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) records: Packed,
    pub(crate) usage: Catalogue,
}

struct Bench {
    packer: Packer,
    records: Records,
}

impl EmbeddedPreparer {
    pub(crate) fn new(keys: KeyMaker, compression: Option<i32>) -> Self {
        Self { keys, compression, benches: Mutex::default() }
    }

    /// The entries as they are recorded when all of them are new; `None` when this is not worth while.
    fn whole(&self, entries: &[Entry], received: Received) -> io::Result<Option<Whole>> {
        let Some(level) = self.compression else { return Ok(None) };
        let batches = || entries.iter().filter_map(Entry::batch);
        let n_bytes: usize = batches().map(|batch| batch.body().len()).sum();
        if n_bytes < PACKED_BYTES_MIN || batches().count() < entries.len() {
            return Ok(None);
        }
        let kept = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bench = match kept {
            Some(bench) => bench,
            None => Bench { packer: Packer::new(level)?, records: Records::default() },
        };
        bench.records.clear();
        let mut usage = Catalogue::default();
        for batch in batches() {
            bench.records.push_with(|bytes| encode_batch(bytes, batch, received));
            usage.add(batch);
        }
        let records = bench.packer.pack_records(&bench.records)?;
        self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
        Ok(Some(Whole { records, usage }))
    }
}

impl Preparer for EmbeddedPreparer {
    fn prepare(&self, entries: Vec<Entry>, received: Received) -> Prepared {
        let keys = entries.iter().map(|entry| self.keys.entry(entry)).collect();
        // Without it the writer does the same later.
        let whole = self.whole(&entries, received).unwrap_or_else(|error| {
            warn!(%error, "a request could not be compressed");
            None
        });
        Prepared { entries, received, work: Some(Box::new(Work { keys, whole })) }
    }
}

impl fmt::Debug for EmbeddedPreparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPreparer").finish_non_exhaustive()
    }
}

//! What is worked out of a request's entries before they have an order.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::io;
use std::sync::{Mutex, PoisonError};

use tollgate_journal::{Packed, Packer, Records};
use tollgate_ledger::{Content, Entry, LedgerError, Prepared, Preparer, Received, Remedy};
use tollgate_rules::{Admitted, Digest};
use tracing::warn;

use crate::error::Unusable;
use crate::index::{Adder, Already, Key, KeyMaker, Usage};
use crate::record::{Record, RecordError, encode_batch};

type KeySet = HashSet<Key, BuildHasherDefault<Already>>;

/// Requests with fewer bytes of bodies are compressed together, as a group: alone they would hardly become smaller.
const PACKED_BYTES_MIN: usize = 64 << 10;

/// Hashes, adds up and compresses, on any thread.
pub(crate) struct EmbeddedPreparer {
    keys: KeyMaker,
    compression: Option<i32>,
    /// Not in use; kept for their memory. As many as requests were ever prepared at a time.
    benches: Mutex<Vec<Bench>>,
}

/// A request's entries, prepared.
#[derive(Debug)]
pub(crate) enum Request {
    /// As they are, each with its key.
    Entries { entries: Vec<Entry>, keys: Vec<Key> },
    /// Batches with ids that differ.
    Packed(PackedBatches),
}

/// A request's batches, to be recorded as they are when none of them is known.
#[derive(Debug)]
pub(crate) struct PackedBatches {
    pub(crate) ids: Vec<(Key, Digest)>,
    pub(crate) records: Packed,
    /// What they add up to.
    pub(crate) usage: Usage,
}

impl Request {
    /// Of what any preparer, or none, made.
    pub(crate) fn new(keys: &KeyMaker, content: Content) -> Result<Self, LedgerError> {
        match content {
            Content::Entries(entries) => Ok(Self::keyed(keys, entries)),
            Content::Own(own) => own.downcast().map(|request| *request).map_err(|_| {
                LedgerError::new(Remedy::Repair, "record a request that was prepared for another ledger")
            }),
        }
    }

    fn keyed(keys: &KeyMaker, entries: Vec<Entry>) -> Self {
        let keys = entries.iter().map(|entry| keys.entry(entry)).collect();
        Self::Entries { entries, keys }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let (keys, ids) = match self {
            Self::Entries { keys, .. } => (&keys[..], &[][..]),
            Self::Packed(batches) => (&[][..], &batches.ids[..]),
        };
        keys.iter().copied().chain(ids.iter().map(|(key, _)| *key))
    }
}

impl PackedBatches {
    /// The batches again, each with its key, when they cannot be recorded as they are.
    pub(crate) fn unpack(&self) -> Result<Request, LedgerError> {
        let failed = |why: Unusable| LedgerError::new(Remedy::Repair, "read a request back").because(why);
        let lost = |error| LedgerError::new(Remedy::Retry, "unpack a request").because(error);
        let records = self.records.unpack().map_err(lost)?;
        let batch = |bytes| match Record::decode(bytes)? {
            Record::Batch { body, .. } => Ok(Entry::Batch(Admitted::from_canonical(body)?)),
            Record::Quarantined(_) | Record::Reduced { .. } | Record::Act { .. } => {
                Err(RecordError::UnknownKind { kind: 0 }.into())
            }
        };
        let entries = records.iter().map(batch).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(Request::Entries { entries, keys: self.ids.iter().map(|(key, _)| *key).collect() })
    }
}

struct Bench {
    packer: Packer,
    records: Records,
}

impl EmbeddedPreparer {
    pub(crate) fn new(keys: KeyMaker, compression: Option<i32>) -> Self {
        Self { keys, compression, benches: Mutex::default() }
    }

    /// The entries as they are recorded when all of them are new; `None` when they cannot be, or it is not worth while.
    fn pack(&self, entries: &[Entry], received: Received) -> io::Result<Option<PackedBatches>> {
        let Some(level) = self.compression else { return Ok(None) };
        let batches = || entries.iter().filter_map(Entry::batch);
        let n_bytes: usize = batches().map(|batch| batch.body().len()).sum();
        if n_bytes < PACKED_BYTES_MIN || batches().count() < entries.len() {
            return Ok(None);
        }
        let ids: Vec<_> = batches().map(|batch| (self.keys.batch(batch.id()), batch.digest())).collect();
        let mut seen = KeySet::with_capacity_and_hasher(ids.len(), BuildHasherDefault::default());
        if !ids.iter().all(|(key, _)| seen.insert(*key)) {
            return Ok(None);
        }
        let kept = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bench = match kept {
            Some(bench) => bench,
            None => Bench { packer: Packer::new(level)?, records: Records::default() },
        };
        let mut adder = Adder::default();
        for batch in batches() {
            bench.records.push_with(|bytes| encode_batch(bytes, batch, received));
            adder.add(&self.keys, batch);
        }
        let records = bench.packer.pack_records(&bench.records);
        bench.records.clear();
        self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
        Ok(Some(PackedBatches { ids, records, usage: adder.finish() }))
    }
}

impl Preparer for EmbeddedPreparer {
    fn prepare(&self, entries: Vec<Entry>, received: Received) -> Prepared {
        let n_entries = entries.len();
        let packed = self.pack(&entries, received).unwrap_or_else(|error| {
            // The writer does it later, with all others of its group.
            warn!(%error, "a request could not be compressed");
            None
        });
        let request = packed.map_or_else(|| Request::keyed(&self.keys, entries), Request::Packed);
        Prepared { n_entries, received, content: Content::Own(Box::new(request)) }
    }
}

impl fmt::Debug for EmbeddedPreparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPreparer").finish_non_exhaustive()
    }
}

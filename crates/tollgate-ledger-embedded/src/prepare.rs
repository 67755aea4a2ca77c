//! What is worked out of a request's entries before they have an order.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

use tollgate_journal::{Packed, Packer, Records};
use tollgate_ledger::{Content, Entry, LedgerError, Prepared, Preparer, Preparing, Received, Remedy};
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

/// Entries of a request that follow each other, prepared.
#[derive(Debug)]
pub(crate) enum Piece {
    /// As they are, each with its key.
    Entries { entries: Vec<Entry>, keys: Vec<Key> },
    /// Batches with ids that differ.
    Packed(PackedBatches),
}

/// Batches to be recorded as they are when none of them is known.
#[derive(Debug)]
pub(crate) struct PackedBatches {
    pub(crate) ids: Vec<(Key, Digest)>,
    pub(crate) records: Packed,
    /// What they add up to.
    pub(crate) usage: Usage,
}

impl Piece {
    /// Those of a request, in order; of what any preparer, or none, made.
    pub(crate) fn of(keys: &KeyMaker, content: Content) -> Result<Vec<Self>, LedgerError> {
        match content {
            Content::Entries(entries) => Ok(vec![Self::keyed(keys, entries)]),
            Content::Own(own) => own.downcast().map(|pieces| *pieces).map_err(|_| {
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
    pub(crate) fn unpack(&self) -> Result<Piece, LedgerError> {
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
        Ok(Piece::Entries { entries, keys: self.ids.iter().map(|(key, _)| *key).collect() })
    }
}

/// Where batches are put together.
struct Bench {
    packer: Packer,
    records: Records,
    seen: KeySet,
}

/// Keys that a bench has room for when it is not in use, at most.
const SEEN_KEPT: usize = 16 << 10;

impl EmbeddedPreparer {
    pub(crate) fn new(keys: KeyMaker, compression: Option<i32>) -> Self {
        Self { keys, compression, benches: Mutex::default() }
    }

    /// `None` when nothing is to be compressed, or cannot be.
    fn take_bench(&self) -> Option<Bench> {
        let level = self.compression?;
        let kept = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.or_else(|| {
            let new = |packer| Bench { packer, records: Records::default(), seen: KeySet::default() };
            let made: io::Result<Bench> = Packer::new(level).map(new);
            // The writer does it later, with all others of its group.
            made.inspect_err(|error| warn!(%error, "a request could not be compressed")).ok()
        })
    }

    fn give_back(&self, mut bench: Bench) {
        bench.records.clear();
        bench.seen.clear();
        bench.seen.shrink_to(SEEN_KEPT);
        self.benches.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
    }
}

impl Preparer for EmbeddedPreparer {
    fn begin(&self, received: Received) -> Box<dyn Preparing + '_> {
        Box::new(EmbeddedPreparing {
            preparer: self,
            received,
            n_entries: 0,
            pieces: Vec::new(),
            waiting: Vec::new(),
            run_start: 0,
            run_bytes: 0,
            packing: None,
            may_pack: self.compression.is_some(),
        })
    }
}

/// A request that is being prepared. Batches that follow each other are packed, as soon as there are enough of them.
struct EmbeddedPreparing<'p> {
    preparer: &'p EmbeddedPreparer,
    received: Received,
    n_entries: usize,
    /// What is finished, in order.
    pieces: Vec<Piece>,
    /// What comes after that, as long as nothing is packed.
    waiting: Vec<Entry>,
    /// Where in `waiting` the batches begin that are its end, and how long their bodies are.
    run_start: usize,
    run_bytes: usize,
    packing: Option<Packing>,
    may_pack: bool,
}

/// Batches that are being packed; their ids differ.
struct Packing {
    bench: Bench,
    ids: Vec<(Key, Digest)>,
    adder: Adder,
}

impl Packing {
    /// Adds a batch, or gives it back when its id is among them.
    fn add(&mut self, keys: &KeyMaker, batch: Admitted, received: Received) -> Result<(), Admitted> {
        let key = keys.batch(batch.id());
        if !self.bench.seen.insert(key) {
            return Err(batch);
        }
        self.ids.push((key, batch.digest()));
        self.bench.records.push_with(|bytes| encode_batch(bytes, &batch, received));
        self.adder.add(keys, &batch);
        Ok(())
    }
}

impl EmbeddedPreparing<'_> {
    fn take(&mut self, entry: Entry) {
        let keys = &self.preparer.keys;
        let entry = match (entry, &mut self.packing) {
            (Entry::Batch(batch), Some(packing)) => match packing.add(keys, batch, self.received) {
                Ok(()) => return,
                Err(again) => {
                    // Who repeats one id may repeat many, and pieces of a few batches are not worth while.
                    self.may_pack = false;
                    Entry::Batch(again)
                }
            },
            (entry, _) => entry,
        };
        self.end_packing();
        match &entry {
            Entry::Batch(batch) => self.run_bytes += batch.body().len(),
            Entry::Refused(..) | Entry::Quarantine(_) | Entry::Act(_) => {
                (self.run_start, self.run_bytes) = (self.waiting.len() + 1, 0);
            }
        }
        self.waiting.push(entry);
        if self.may_pack && PACKED_BYTES_MIN <= self.run_bytes {
            self.begin_packing();
        }
    }

    /// Packs the batches that are the end of what waits.
    fn begin_packing(&mut self) {
        let Some(bench) = self.preparer.take_bench() else {
            self.may_pack = false;
            return;
        };
        let run = self.waiting.split_off(self.run_start);
        self.end_waiting();
        self.packing = Some(Packing { bench, ids: Vec::new(), adder: Adder::default() });
        run.into_iter().for_each(|entry| self.take(entry));
    }

    fn end_waiting(&mut self) {
        (self.run_start, self.run_bytes) = (0, 0);
        if !self.waiting.is_empty() {
            self.pieces.push(Piece::keyed(&self.preparer.keys, mem::take(&mut self.waiting)));
        }
    }

    fn end_packing(&mut self) {
        let Some(Packing { mut bench, ids, adder }) = self.packing.take() else { return };
        let records = bench.packer.pack_records(&bench.records);
        self.preparer.give_back(bench);
        self.pieces.push(Piece::Packed(PackedBatches { ids, records, usage: adder.finish() }));
    }
}

impl Preparing for EmbeddedPreparing<'_> {
    fn add(&mut self, entry: Entry) {
        self.n_entries += 1;
        self.take(entry);
    }

    fn finish(mut self: Box<Self>) -> Prepared {
        self.end_packing();
        self.end_waiting();
        let Self { n_entries, received, pieces, .. } = *self;
        Prepared { n_entries, received, content: Content::Own(Box::new(pieces)) }
    }
}

impl fmt::Debug for EmbeddedPreparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPreparer").finish_non_exhaustive()
    }
}

//! The write half.

use std::any::Any;
use std::sync::Arc;

use tollgate_rules::{Admitted, Quarantined, Reason, Verdict};
use tollgate_wire::Timestamp;

use crate::{Act, LedgerError, Outcome, Reader, Remedy};

/// One element of a group, in the order of its request.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A batch that counts if its id is new.
    Batch(Admitted),
    /// A batch that would count but for this reason: it is set aside, unless the very same is recorded already.
    Refused(Admitted, Reason),
    /// Something to set aside.
    Quarantine(Quarantined),
    /// What an operator decided, or a credential said.
    Act(Act),
}

impl Entry {
    /// The batch, if it is one that counts.
    #[must_use]
    pub fn batch(&self) -> Option<&Admitted> {
        match self {
            Self::Batch(batch) => Some(batch),
            Self::Refused(..) | Self::Quarantine(_) | Self::Act(_) => None,
        }
    }
}

impl From<Verdict> for Entry {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Admitted(admitted) => Self::Batch(admitted),
            Verdict::Quarantined(quarantined) => Self::Quarantine(quarantined),
        }
    }
}

/// When the collector took the group in, by its own clock.
pub type Received = Timestamp;

/// The entries of one request, ready to be recorded.
pub struct Prepared {
    /// How many they are.
    pub n_entries: usize,
    /// When the collector took the request in.
    pub received: Received,
    /// The entries.
    pub content: Content,
}

/// What a request's entries were made into.
pub enum Content {
    /// Nothing: these are they, in the order of the request.
    Entries(Vec<Entry>),
    /// What the ledger whose [`Preparer`] made it wants; no other knows what it is.
    Own(Box<dyn Any + Send>),
}

impl Prepared {
    /// With nothing worked out.
    #[must_use]
    pub fn plain(entries: Vec<Entry>, received: Received) -> Self {
        Self { n_entries: entries.len(), received, content: Content::Entries(entries) }
    }
}

/// The part of recording that needs neither an order nor what is recorded: hashing, encoding, compressing. It is done by each
/// request's own task, so that the one task that owns the [`Writer`] has little left to do.
pub trait Preparer: Send + Sync {
    /// Begins with a request that came at this time.
    fn begin(&self, received: Received) -> Box<dyn Preparing + '_>;

    /// Prepares a request whose entries are all there.
    fn prepare(&self, entries: Vec<Entry>, received: Received) -> Prepared {
        let mut preparing = self.begin(received);
        entries.into_iter().for_each(|entry| preparing.add(entry));
        preparing.finish()
    }
}

/// A request that is being prepared. It takes one entry after the other, so that an entry need not be kept until the last one is
/// there.
pub trait Preparing {
    /// Adds the next entry.
    fn add(&mut self, entry: Entry);

    /// The request, after its last entry.
    fn finish(self: Box<Self>) -> Prepared;
}

/// Has nothing to prepare.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingToPrepare;

impl Preparer for NothingToPrepare {
    fn begin(&self, received: Received) -> Box<dyn Preparing + '_> {
        Box::new(AsTheyAre { entries: Vec::new(), received })
    }
}

struct AsTheyAre {
    entries: Vec<Entry>,
    received: Received,
}

impl Preparing for AsTheyAre {
    fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    fn finish(self: Box<Self>) -> Prepared {
        Prepared::plain(self.entries, self.received)
    }
}

/// The write half of a ledger. One task owns it.
pub trait Writer: Send {
    /// Makes a group durable and says what became of each element, in the same order.
    ///
    /// Elements are taken in order, each as if it were alone: the second of two equal batches in one group is a duplicate
    /// of the first. Identity is the pair of model uuid and batch uuid, as the exact strings sent.
    ///
    /// - A batch is recorded when its id is new, whatever quarantine holds under that id.
    /// - A batch whose id is recorded with the same digest is a duplicate. With another digest it is a conflict: the
    ///   newcomer goes to quarantine ([`Quarantined::conflict`]) and nothing of what is recorded changes.
    /// - A refused batch whose id is recorded is a duplicate or a conflict like any other. One whose id is new goes to
    ///   quarantine with its reason ([`Quarantined::refused`]).
    /// - An act that changes something is recorded; one that finds everything as it wants it is a duplicate. A release whose
    ///   batch is a conflict changes nothing, and has the id of the element that it leaves in quarantine.
    /// - Quarantine holds each element once: an element with the id and the digest of one that is already there is not
    ///   stored again and has that one's quarantine id, for ever.
    ///
    /// Blocks until all of the group is on stable storage, duplicates' first copies included.
    ///
    /// # Errors
    ///
    /// On any error acknowledge none of the group, though some of it may have been written: its senders send it
    /// again and it comes back as [`Outcome::Duplicate`]. After [`Remedy::Restart`] every further call fails.
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError>;

    /// Records the entries of several requests as one group: as [`Writer::record`] of all of them, one request after the
    /// other.
    ///
    /// # Errors
    ///
    /// As [`Writer::record`].
    fn record_prepared(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        let Some(received) = requests.first().map(|request| request.received) else { return Ok(Vec::new()) };
        let mut group = Vec::with_capacity(requests.iter().map(|request| request.n_entries).sum());
        for request in requests {
            match request.content {
                Content::Entries(entries) => group.extend(entries),
                Content::Own(_) => {
                    let step = "record a request that was prepared for another ledger";
                    return Err(LedgerError::new(Remedy::Repair, step));
                }
            }
        }
        self.record(group, received)
    }

    /// Answers questions of whoever owns this, between two groups, and waits for nobody who asks elsewhere. `None` when the
    /// ledger's reader does as well.
    fn reader(&self) -> Option<Arc<dyn Reader>> {
        None
    }

    /// Writes what makes the next start quick, and closes.
    ///
    /// # Errors
    ///
    /// Nothing that was recorded is at risk when this fails.
    fn close(self: Box<Self>) -> Result<(), LedgerError>;
}

/// An open ledger: its two halves, and what goes before the first.
pub struct Ledger {
    /// Prepares; as many as wanted, at any time.
    pub preparer: Arc<dyn Preparer>,
    /// Records; exactly one.
    pub writer: Box<dyn Writer>,
    /// Answers questions; as many as wanted, at any time.
    pub reader: Arc<dyn Reader>,
}

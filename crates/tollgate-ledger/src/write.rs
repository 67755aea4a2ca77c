//! The write half.

use std::sync::Arc;

use tollgate_rules::{Admitted, Quarantined, Verdict};
use tollgate_wire::Timestamp;

use crate::{LedgerError, Outcome, Reader};

/// One element of a group, in the order of its request.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A batch that counts if its id is new.
    Batch(Admitted),
    /// Something to set aside.
    Quarantine(Quarantined),
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
    /// - Quarantine holds each element once: an element with the id and the digest of one that is already there is not
    ///   stored again and has that one's quarantine id, for ever.
    ///
    /// Blocks until all of the group is on stable storage, duplicates' first copies included.
    ///
    /// # Errors
    ///
    /// On any error acknowledge none of the group, though some of it may have been written: its senders send it
    /// again and it comes back as [`Outcome::Duplicate`]. After [`crate::Remedy::Restart`] every further call fails.
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError>;

    /// Writes what makes the next start quick, and closes.
    ///
    /// # Errors
    ///
    /// Nothing that was recorded is at risk when this fails.
    fn close(self: Box<Self>) -> Result<(), LedgerError>;
}

/// An open ledger: its two halves.
pub struct Ledger {
    /// Records; exactly one.
    pub writer: Box<dyn Writer>,
    /// Answers questions; as many as wanted, at any time.
    pub reader: Arc<dyn Reader>,
}

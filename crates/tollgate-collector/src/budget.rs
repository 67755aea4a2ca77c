//! The memory that all requests together may hold.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all requests together may hold: bodies, what is decoded from them, and answers. It refuses rather than waits: a request that waited for others
/// with its own body half read could wait for requests that wait for it.
#[derive(Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    bytes_max: usize,
}

/// Part of a budget, given back when it is dropped. It goes where the content goes: with the request, through the queue of
/// the ledger even when the request's client is long gone, and with the answer until all of it has been written.
#[must_use]
pub(crate) struct Reservation {
    budget: Budget,
    held: OwnedSemaphorePermit,
}

/// Why no more is reserved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BudgetError {
    /// Others hold it just now.
    Spent,
    /// It is more than all there is.
    NeverEnough {
        /// All there is.
        bytes_max: usize,
    },
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }

    /// Nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        let held = self.take(0).expect("nothing can always be taken");
        Reservation { budget: self.clone(), held }
    }

    /// Whether this much could be reserved just now.
    pub(crate) fn has_room(&self, n_bytes: usize) -> bool {
        n_bytes <= self.free.available_permits()
    }

    /// How much is reserved.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.free.available_permits())
    }

    fn take(&self, n_bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(u32::try_from(n_bytes).ok()?).ok()
    }
}

impl Reservation {
    /// Reserves until this much is held.
    pub(crate) fn grow_to(&mut self, n_bytes: usize) -> Result<(), BudgetError> {
        let more = n_bytes.saturating_sub(self.held.num_permits());
        match self.budget.take(more) {
            Some(taken) => self.held.merge(taken),
            None if self.budget.bytes_max < n_bytes => {
                return Err(BudgetError::NeverEnough { bytes_max: self.budget.bytes_max });
            }
            None => return Err(BudgetError::Spent),
        }
        Ok(())
    }

    /// Reserves so much more.
    pub(crate) fn grow_by(&mut self, n_bytes: usize) -> Result<(), BudgetError> {
        self.grow_to(self.held.num_permits().saturating_add(n_bytes))
    }

    /// Gives back until no more than this is held.
    pub(crate) fn shrink_to(&mut self, n_bytes: usize) {
        let surplus = self.held.num_permits().saturating_sub(n_bytes);
        drop(self.held.split(surplus));
    }

    /// Bytes that count as held until the last reference to them is gone.
    pub(crate) fn cover(mut self, bytes: Vec<u8>) -> Bytes {
        // What they took while they were made was reserved before; should they be more, refusing them frees nothing.
        self.grow_to(bytes.len()).ok();
        self.shrink_to(bytes.len());
        Bytes::from_owner(Covered { bytes, _reservation: self })
    }
}

struct Covered {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Covered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back_whole() {
        let budget = Budget::new(100);
        let mut first = budget.reservation();
        let mut second = budget.reservation();
        assert_eq!(first.grow_to(60), Ok(()));
        assert_eq!(first.grow_to(50), Ok(()), "less than held changes nothing");
        assert_eq!(second.grow_to(41), Err(BudgetError::Spent));
        assert_eq!(second.grow_to(101), Err(BudgetError::NeverEnough { bytes_max: 100 }));
        assert_eq!(second.grow_to(40), Ok(()));
        assert!(!budget.has_room(1));
        assert_eq!(budget.held_bytes(), 100);
        drop(first);
        assert_eq!(second.grow_to(100), Ok(()));
        second.shrink_to(100);
        assert_eq!(budget.held_bytes(), 100);
        second.shrink_to(30);
        assert_eq!(budget.held_bytes(), 30);
        let whole = second.cover(vec![7; 20]);
        assert_eq!(budget.held_bytes(), 20);
        let part = whole.slice(5..7);
        drop(whole);
        assert_eq!((budget.held_bytes(), &*part), (20, &[7, 7][..]));
        drop(part);
        assert_eq!(budget.held_bytes(), 0);
    }
}

//! The bytes that all requests together may hold.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all requests together may hold of posted bodies. It refuses rather than waits: a request that waited for others
/// with its own body half read could wait for requests that wait for it.
#[derive(Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    bytes_max: usize,
}

/// Part of a budget, given back when it is dropped. It goes where the body's content goes: with the request, and into
/// the queue of the ledger when the request's client is long gone.
#[must_use]
pub(crate) struct Reservation {
    free: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
}

/// There is not that much left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BudgetSpent;

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }

    /// Nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        let held = take(&self.free, 0).expect("nothing can always be taken");
        Reservation { free: self.free.clone(), held }
    }

    /// Whether this much could be reserved just now.
    pub(crate) fn has_room(&self, n_bytes: usize) -> bool {
        n_bytes <= self.free.available_permits()
    }

    /// How much is reserved.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.free.available_permits())
    }
}

impl Reservation {
    /// Reserves until this much is held.
    pub(crate) fn grow_to(&mut self, n_bytes: usize) -> Result<(), BudgetSpent> {
        let more = n_bytes.saturating_sub(self.held.num_permits());
        self.held.merge(take(&self.free, more).ok_or(BudgetSpent)?);
        Ok(())
    }
}

fn take(free: &Arc<Semaphore>, n_bytes: usize) -> Option<OwnedSemaphorePermit> {
    free.clone().try_acquire_many_owned(u32::try_from(n_bytes).ok()?).ok()
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
        assert_eq!(second.grow_to(41), Err(BudgetSpent));
        assert_eq!(second.grow_to(40), Ok(()));
        assert!(!budget.has_room(1));
        assert_eq!(budget.held_bytes(), 100);
        drop(first);
        assert_eq!(second.grow_to(100), Ok(()));
        drop(second);
        assert_eq!(budget.held_bytes(), 0);
    }
}

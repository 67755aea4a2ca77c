//! What can change while a collector runs.

use std::sync::{Arc, PoisonError, RwLock};

use tollgate_rules::Policy;
use tollgate_wire::Nanoseconds;

use crate::Credentials;

/// What operators decide and may decide anew at any time: each request is answered under what counts when it comes.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Meters, users and allowances.
    pub policy: Arc<Policy>,
    /// What answers carry as `new-grace-period`; 0 leaves the sender's own.
    pub grace_period: Nanoseconds,
    /// The keys of credentials, what is handed out with them, and whether a batch needs one.
    pub credentials: Arc<Credentials>,
}

/// The terms that count now.
#[derive(Debug, Default)]
pub struct CurrentTerms(RwLock<Arc<Terms>>);

impl CurrentTerms {
    /// These count from the start.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self(RwLock::new(Arc::new(terms)))
    }

    /// What counts now.
    #[must_use]
    pub fn get(&self) -> Arc<Terms> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these count.
    pub fn replace(&self, terms: Terms) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }
}

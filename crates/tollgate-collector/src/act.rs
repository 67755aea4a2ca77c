//! What operators decide, made durable before it is answered.

use std::sync::Arc;
use std::time::SystemTime;

use tollgate_ledger::{Act, Entry, LedgerError, Outcome, Prepared, Remedy};
use tollgate_wire::Timestamp;
use tracing::error;

use crate::admin_routes::Admin;
use crate::claims::Claim;
use crate::problem::Problem;

/// The collector's clock.
#[expect(clippy::disallowed_methods, reason = "the edge: when an operator asked")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

impl Admin {
    /// Records an act together with whatever else waits, and says what became of it.
    pub(crate) async fn act(self: Arc<Self>, act: Act) -> Result<Outcome, Problem> {
        let received = now();
        let entries = vec![Entry::Act(act)];
        let post = &self.post;
        let claim = Claim::new(post.terms().policy.clone(), &entries, received);
        let request = Prepared::plain(entries, received);
        let recorded = post.queue.commit(request, vec![None], claim, post.budget.reservation()).await?;
        recorded.outcomes.first().copied().ok_or_else(|| {
            let missing = LedgerError::new(Remedy::Repair, "say what became of an act");
            error!(error = %missing, "an act has no outcome: a bug");
            Problem::Bug
        })
    }
}

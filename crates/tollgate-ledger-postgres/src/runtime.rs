//! Where the connections live. The contract of a ledger is calls that block; this is the way from them to connections, which
//! do not.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tollgate_ledger::{LedgerError, Remedy};

/// How long a call may take in all. Every statement has a shorter limit of its own, which the server keeps; this is for a server
/// that does not answer.
const CALL_TIME_MAX: Duration = Duration::from_secs(90);

/// How long a call may take that looks at all rows of a table, however many there are.
const LONG_CALL_TIME_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// Threads of a ledger. They wait for the server, and put together what is sent to it.
const N_THREADS: usize = 2;

/// Runs calls.
pub(crate) struct Calls {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Calls {
    pub(crate) fn start() -> Result<Self, LedgerError> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(N_THREADS).thread_name("ledger").enable_all().build();
        let failed = |error| LedgerError::new(Remedy::Restart, "start the ledger's threads").because(error);
        Ok(Self { runtime: Some(runtime.map_err(failed)?) })
    }

    /// Runs a call to its end, from any thread.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        step: &'static str,
        call: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.call_within(CALL_TIME_MAX, step, call)
    }

    /// As [`Calls::call`], for what takes the longer the more there is.
    pub(crate) fn long_call<T: Send + 'static>(
        &self,
        step: &'static str,
        call: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.call_within(LONG_CALL_TIME_MAX, step, call)
    }

    fn call_within<T: Send + 'static>(
        &self,
        time_max: Duration,
        step: &'static str,
        call: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = sync_channel(1);
        self.spawn(async move {
            let outcome = within(time_max, step, call).await;
            // Who asked waits below.
            answer.send(outcome).ok();
        });
        answered.recv().unwrap_or_else(|error| Err(LedgerError::new(Remedy::Restart, step).because(error)))
    }

    /// Runs something beside the calls, until the ledger is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.runtime.as_ref().expect("it is taken only by drop");
        runtime.spawn(task);
    }
}

/// Does something, and gives it up when it takes longer than a call may.
pub(crate) async fn in_time<T>(
    step: &'static str,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    within(CALL_TIME_MAX, step, work).await
}

async fn within<T>(
    time_max: Duration,
    step: &'static str,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    let outcome = timeout(time_max, work).await;
    outcome.unwrap_or_else(|elapsed| Err(LedgerError::new(Remedy::Retry, step).because(elapsed)))
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops the last half of a ledger may be on a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

//! Connections that are kept, and what happens while there are none to be had.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres_rustls::MakeRustlsConnect;
use tollgate_ledger::{LedgerError, Remedy, chain};
use tracing::{info, warn};

use crate::location::Location;
use crate::session::Session;

/// After a failed try to connect, how long nobody tries again: doubled with each failure, with a part of it random, so that
/// many collectors do not come back at the same instant.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Makes connections to one database.
pub(crate) struct Connector {
    location: Location,
    tls: MakeRustlsConnect,
    outage: Mutex<Option<Outage>>,
}

/// The database cannot be reached.
struct Outage {
    since: Instant,
    until: Instant,
    pause: Duration,
    why: String,
}

impl Connector {
    pub(crate) fn new(location: Location, tls: MakeRustlsConnect) -> Self {
        Self { location, tls, outage: Mutex::new(None) }
    }

    /// Connects, unless that failed just now.
    pub(crate) async fn connect(&self) -> Result<Session, LedgerError> {
        if let Some(outage) = &*self.outage()
            && Instant::now() < outage.until
        {
            return Err(LedgerError::new(Remedy::Retry, format!("reach the database: {}", outage.why)));
        }
        match Session::connect(&self.location, self.tls.clone()).await {
            Ok(session) => {
                if let Some(outage) = self.outage().take() {
                    info!(away_ms = outage.since.elapsed().as_millis(), "the database can be reached again");
                }
                Ok(session)
            }
            Err(error) => {
                self.note_outage(&error);
                Err(error)
            }
        }
    }

    fn note_outage(&self, error: &LedgerError) {
        let now = Instant::now();
        let mut outage = self.outage();
        let (since, pause) = match &*outage {
            Some(outage) => (outage.since, (outage.pause * 2).min(PAUSE_MAX)),
            None => (now, PAUSE_MIN),
        };
        let why = chain(error);
        if outage.is_none() {
            warn!(error = %why, "the database cannot be reached: nothing is acknowledged until it can");
        }
        let until = now + pause.mul_f64(fastrand::f64().midpoint(1.0));
        *outage = Some(Outage { since, until, pause, why });
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some connections for one purpose.
pub(crate) struct Pool {
    connector: Arc<Connector>,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>, n_sessions_max: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(n_sessions_max));
        Arc::new(Self { connector, idle: Mutex::default(), permits })
    }

    /// A connection, as soon as one is free.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, LedgerError> {
        let permit = self.permits.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let session = loop {
            let idle = self.idle().pop();
            match idle {
                // One that the server closed in the meantime.
                Some(session) if session.is_closed() => {}
                Some(session) => break session,
                None => break self.connector.connect().await?,
            }
        };
        Ok(Lease { session, pool: self.clone(), _permit: permit })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped, it is closed, whatever its transaction was about: only who is done with it gives it back.
pub(crate) struct Lease {
    pub(crate) session: Session,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// No transaction is open on it.
    pub(crate) fn give_back(self) {
        self.pool.idle().push(self.session);
    }
}

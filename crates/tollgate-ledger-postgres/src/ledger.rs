//! Opening.

use std::sync::Arc;

use tollgate_ledger::{Ledger, LedgerError, NothingToPrepare, chain};
use tracing::warn;

use crate::fold;
use crate::location::{Location, redacted};
use crate::pool::{Connector, Pool};
use crate::reader::PostgresReader;
use crate::record::PostgresWriter;
use crate::runtime::Calls;
use crate::server::{self, Server};
use crate::{schema, target, tls};

/// A ledger in PostgreSQL. Any number of processes may have the same one open.
#[derive(Debug)]
pub struct PostgresLedger;

/// How a ledger uses its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Connections that record one group, at most. A group is split over them, and the slowest decides.
    pub n_recording_max: usize,
    /// Connections that answer questions, at most; more questions wait.
    pub n_reading_max: usize,
    /// Whether this process folds what was recorded into the tables that answer questions quickly. Of all that do, one at a time
    /// has work.
    pub folds: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { n_recording_max: 4, n_reading_max: 4, folds: true }
    }
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The tables were made just now.
    pub is_new: bool,
    /// PostgreSQL's version.
    pub server_version: String,
    /// Whether the tables are distributed over a Citus cluster.
    pub is_citus: bool,
    /// What a commit waits for, by PostgreSQL's setting of that name: never `off`.
    pub synchronous_commit: String,
}

/// What the halves of a ledger share.
pub(crate) struct Database {
    pub(crate) calls: Calls,
    pub(crate) writing: Arc<Pool>,
    pub(crate) reading: Arc<Pool>,
    pub(crate) n_lanes: usize,
}

impl PostgresLedger {
    /// Opens the ledger at `url`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and makes its tables when they are not there.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, would not keep what it acknowledges, or has tables that this version does not know.
    pub fn open(url: &str, options: Options) -> Result<(Ledger, OpenReport), LedgerError> {
        let (location, calls, connector) = connect(url)?;
        let pool = |n_sessions_max| Pool::new(connector.clone(), n_sessions_max);
        let writing = pool(options.n_recording_max.max(1));
        let opening = writing.clone();
        let name = location.schema.clone();
        let (server, is_new) = calls.call("open the ledger", async move {
            let mut lease = opening.lease().await?;
            let server = server::check(&mut lease.session).await?;
            let is_new = schema::migrate(&mut lease.session, &name, server.is_citus).await?;
            target::check_whole(&mut lease.session).await?;
            lease.give_back();
            Ok((server, is_new))
        })?;
        if options.folds {
            let folding = pool(1);
            calls.spawn(async move { fold::run(&folding, &location.schema).await });
        }
        let reading = pool(options.n_reading_max.max(1));
        let n_lanes = options.n_recording_max.max(1);
        let database = Arc::new(Database { calls, writing, reading, n_lanes });
        let reader = PostgresReader::new(database.clone());
        if let Err(error) = reader.refresh_counts() {
            warn!(error = %chain(&error), ledger.url = redacted(url), "the ledger's counts cannot be read yet");
        }
        let ledger = Ledger {
            preparer: Arc::new(NothingToPrepare),
            writer: Box::new(PostgresWriter { database }),
            reader: Arc::new(reader),
        };
        let Server { version, synchronous_commit, is_citus } = server;
        Ok((ledger, OpenReport { is_new, server_version: version, is_citus, synchronous_commit }))
    }
}

/// What is needed to reach the database, and nothing done with it yet.
pub(crate) fn connect(url: &str) -> Result<(Location, Calls, Arc<Connector>), LedgerError> {
    let location: Location = url.parse()?;
    let connector = Arc::new(Connector::new(location.clone(), tls::connector(&location)?));
    Ok((location, Calls::start()?, connector))
}

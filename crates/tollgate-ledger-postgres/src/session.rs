//! One connection to the database.

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tollgate_ledger::{LedgerError, Remedy};
use tracing::debug;

use crate::error::failed;
use crate::location::Location;

/// How long one statement may run, how long it may wait for another's lock, and how long a transaction may be left open. A
/// statement of a group is done within a second; one that is not is given up and its senders send again.
const STATEMENT_MS_MAX: u32 = 30_000;
const LOCK_MS_MAX: u32 = 10_000;
const IDLE_MS_MAX: u32 = 60_000;

/// Statements that a connection keeps prepared, at most. There are some dozens.
const STATEMENTS_MAX: usize = 200;

/// Each statement has to see what others committed until then: that is how a duplicate finds its first copy.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// IMPORTANT: whoever moves a ledger into this one takes the sequence away first, and waits for all whose transaction drew from it.
/// The number of a group may have been drawn long before, on another connection, and says nothing. This one is not used.
const BEGIN_RECORDING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT nextval('groups')";

pub(crate) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// One connection, set up.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// Connects.
    pub(crate) async fn connect(location: &Location, tls: MakeRustlsConnect) -> Result<Self, LedgerError> {
        let (client, connection) =
            location.config.connect(tls).await.map_err(failed("connect to the database"))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Whoever uses the connection is told as well.
                debug!(%error, "a connection to the database ended");
            }
        });
        let session = Self { client, statements: HashMap::new() };
        // IMPORTANT: a commit that was answered has to be on stable storage, whatever the role's or the database's settings say.
        // Any value but `off` is: how many servers it waits for is for the operator to choose.
        session
            .batch(&format!(
                "SET search_path TO {};
                 SET statement_timeout TO {STATEMENT_MS_MAX};
                 SET lock_timeout TO {LOCK_MS_MAX};
                 SET idle_in_transaction_session_timeout TO {IDLE_MS_MAX};
                 SELECT set_config('synchronous_commit', 'on', false)
                 WHERE current_setting('synchronous_commit') = 'off'",
                location.schema
            ))
            .await
            .map_err(failed("set a connection up"))?;
        Ok(session)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn batch(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    async fn statement(&mut self, step: &'static str, sql: &str) -> Result<Statement, LedgerError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if STATEMENTS_MAX <= self.statements.len() {
            self.statements.clear();
        }
        let statement = self.client.prepare(sql).await.map_err(failed(step))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, step: &'static str, sql: &str) -> Result<(), LedgerError> {
        self.batch(sql).await.map_err(failed(step))
    }

    /// All rows of a query.
    pub(crate) async fn query(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LedgerError> {
        let statement = self.statement(step, sql).await?;
        self.client.query(&statement, parameters).await.map_err(failed(step))
    }

    /// The rows of a query, each as it comes.
    pub(crate) async fn stream(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Rows, LedgerError> {
        let statement = self.statement(step, sql).await?;
        let rows =
            self.client.query_raw(&statement, parameters.iter().copied()).await.map_err(failed(step))?;
        Ok(Rows { step, rows: Box::pin(rows) })
    }

    /// The only row of a query.
    pub(crate) async fn row(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Row, LedgerError> {
        let mut rows = self.query(step, sql, parameters).await?;
        rows.pop().ok_or_else(|| LedgerError::new(Remedy::Repair, step))
    }

    /// How many rows a statement changed. Not for an `INSERT … SELECT … ON CONFLICT`: of that a cluster counts the rows selected;
    /// the rows that it returns are those that were inserted.
    pub(crate) async fn execute(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, LedgerError> {
        let statement = self.statement(step, sql).await?;
        self.client.execute(&statement, parameters).await.map_err(failed(step))
    }

    /// Begins a transaction with its first statement, in one round trip, and gives the rows of that.
    pub(crate) async fn begin(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LedgerError> {
        self.begin_by(BEGIN, step, sql, parameters).await
    }

    /// As [`Session::begin`], a transaction that records. It cannot begin while a ledger is moved into this one, and no move
    /// begins before its end.
    pub(crate) async fn begin_recording(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LedgerError> {
        self.begin_by(BEGIN_RECORDING, step, sql, parameters).await
    }

    async fn begin_by(
        &mut self,
        begin: &str,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, LedgerError> {
        let statement = self.statement(step, sql).await?;
        let begin = self.batch(begin);
        in_order(begin, self.client.query(&statement, parameters))
            .await
            .map(|((), rows)| rows)
            .map_err(failed(step))
    }

    /// Ends a transaction with its last statement, in one round trip.
    pub(crate) async fn commit_with(
        &mut self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, LedgerError> {
        let statement = self.statement(step, sql).await?;
        let commit = self.batch("COMMIT");
        in_order(self.client.execute(&statement, parameters), commit)
            .await
            .map(|(n, ())| n)
            .map_err(failed(step))
    }

    /// Ends a transaction.
    pub(crate) async fn commit(&self, step: &'static str) -> Result<(), LedgerError> {
        self.run(step, "COMMIT").await
    }

    /// Ends a transaction as if it had not been.
    pub(crate) async fn roll_back(&self) -> Result<(), LedgerError> {
        self.run("roll a transaction back", "ROLLBACK").await
    }
}

/// Rows on their way.
pub(crate) struct Rows {
    step: &'static str,
    rows: Pin<Box<RowStream>>,
}

impl Rows {
    /// `None` behind the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Row>, LedgerError> {
        self.rows.try_next().await.map_err(failed(self.step))
    }
}

/// Sends both requests before it waits for the answer to the first.
async fn in_order<A, B>(
    first: impl Future<Output = Result<A, tokio_postgres::Error>>,
    second: impl Future<Output = Result<B, tokio_postgres::Error>>,
) -> Result<(A, B), tokio_postgres::Error> {
    try_join(first, second).await
}

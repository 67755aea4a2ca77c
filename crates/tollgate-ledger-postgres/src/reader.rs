//! The read half. Every question is one statement, so that it sees each batch either as a delta or folded, never as both.

mod batches;
mod models;
mod ownership;
mod quarantined;
mod statuses;
mod usage;

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use models::count_all;
use tollgate_ledger::{
    BatchPage, BatchSelect, Counts, HandStatus, LedgerError, ModelSummary, Ownership, Page, QuarantineItem,
    Reader, chain,
};
use tollgate_rules::{BatchId, Select, Visitor};
use tracing::debug;

use crate::key;
use crate::ledger::Database;
use crate::pool::Pool;
use crate::session::Session;

/// The read half of a ledger in PostgreSQL.
pub(crate) struct PostgresReader {
    database: Arc<Database>,
    /// Whose connections the questions are asked on.
    pool: Arc<Pool>,
    /// What was counted last, for while the database is away.
    counts: Mutex<Counts>,
}

impl PostgresReader {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        let pool = database.reading.clone();
        Self { database, pool, counts: Mutex::default() }
    }

    /// One for the thread that records: it asks between two groups, when nobody else is on these connections.
    pub(crate) fn of_writer(database: Arc<Database>) -> Self {
        let pool = database.writing.clone();
        Self { database, pool, counts: Mutex::default() }
    }

    /// Asks the database something.
    fn ask<T: Send + 'static>(
        &self,
        step: &'static str,
        question: impl AsyncQuestion<T>,
    ) -> Result<T, LedgerError> {
        let pool = self.pool.clone();
        self.database.calls.call(step, async move {
            let mut lease = pool.lease().await?;
            let answer = question.ask(&mut lease.session).await?;
            lease.give_back();
            Ok(answer)
        })
    }

    /// Counts what the ledger holds.
    pub(crate) fn refresh_counts(&self) -> Result<Counts, LedgerError> {
        let counts = self.ask("count what the ledger holds", models::CountAll)?;
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        Ok(counts)
    }
}

/// Something to ask on a connection.
trait AsyncQuestion<T>: Send + 'static {
    fn ask(self, session: &mut Session) -> impl Future<Output = Result<T, LedgerError>> + Send;
}

impl Reader for PostgresReader {
    fn reachable(&self) -> Result<(), LedgerError> {
        self.ask("reach the database", models::Nothing)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn counts(&self) -> Counts {
        self.refresh_counts().unwrap_or_else(|error| {
            debug!(error = %chain(&error), "the counts are those of before");
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        self.ask("list the models", models::List(page.clone()))
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        self.ask("read a model", models::One(model_uuid.to_owned()))
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        self.ask("read a batch", batches::One(id.clone()))
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        self.ask("list the quarantine", quarantined::List(page.clone()))
    }

    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError> {
        self.ask("list the batches", batches::List { select: select.clone(), page: page.clone() })
    }

    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        usage::show((&self.database, &self.pool), select, visitor)
    }

    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError> {
        let statuses = statuses::Statuses::of_unit(model_uuid, unit_name);
        Ok(self.ask("read a status set by hand", statuses)?.pop())
    }

    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError> {
        self.ask("list the statuses set by hand", statuses::Statuses::of_model(model_uuid))
    }

    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError> {
        self.ask("look whether a credential was revoked", statuses::IsRevoked(credential_id.to_owned()))
    }

    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError> {
        self.ask("read who owns a model", statuses::DeclaredUser(model_uuid.to_owned()))
    }

    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        let models = model_uuids.iter().map(|uuid| key::pack(uuid)).collect();
        self.ask("read who owns models", ownership::Of(models))
    }

    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        self.ask("list who owns models", ownership::List(page.clone()))
    }
}

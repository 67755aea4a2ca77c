//! Recorded batches.

use std::time::SystemTime;

use tokio_postgres::Row;
use tollgate_ledger::{BadCursor, BatchItem, BatchPage, BatchSelect, BodyDropped, LedgerError, Page, Remedy};
use tollgate_rules::{Admitted, BatchId, Digest};
use tollgate_wire::Timestamp;

use super::AsyncQuestion;
use crate::error::damaged;
use crate::quarantine::digest;
use crate::session::{Parameter, Session};
use crate::{key, text};

/// Bodies on one page, at most: a page is built in memory.
const PAGE_BODIES_MAX: i64 = 1_000;

/// The body of a batch.
pub(super) struct One(pub(super) BatchId);

impl AsyncQuestion<Option<Vec<u8>>> for One {
    async fn ask(self, session: &mut Session) -> Result<Option<Vec<u8>>, LedgerError> {
        const FIND: &str = "SELECT digest, body, is_reduced FROM batches WHERE model = $1 AND batch = $2";
        let Self(id) = self;
        let (model, batch) = (key::pack(&id.model_uuid), key::pack(&id.batch_uuid));
        let rows = session.query("read a batch", FIND, &[&model, &batch]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.get(2) {
            let step = format!("read batch {:?} of model {:?}", id.batch_uuid, id.model_uuid);
            return Err(LedgerError::new(Remedy::Repair, step).because(BodyDropped));
        }
        let body: Vec<u8> = row.get(1);
        if Digest::of(&body) != digest(row.get(0))? {
            return Err(damaged(format!("read batch {id:?}: its body is not the one that was recorded")));
        }
        Ok(Some(body))
    }
}

/// A page of batches.
pub(super) struct List {
    pub(super) select: BatchSelect,
    pub(super) page: Page,
}

impl AsyncQuestion<BatchPage> for List {
    async fn ask(self, session: &mut Session) -> Result<BatchPage, LedgerError> {
        const STEP: &str = "list the batches";
        let Self { select, page } = self;
        let bad = || LedgerError::new(Remedy::Repair, STEP).because(BadCursor);
        let after: Option<i64> = page.cursor.as_deref().unwrap_or("0").parse().ok();
        let after = after.filter(|after| 0 <= *after).ok_or_else(bad)?;
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).min(PAGE_BODIES_MAX);
        let model = select.model_uuid.as_deref().map(key::pack);
        let unit = select.unit_name.as_deref().map(text::stored);
        let more = limit + 1;

        let mut parameters: Vec<Parameter<'_>> = vec![&after, &more];
        let mut sql = "-- list the batches
            SELECT place, received, body FROM batches WHERE place > $1"
            .to_owned();
        for (column, value) in [
            ("model", model.as_ref().map(|model| model as Parameter<'_>)),
            ("unit", unit.as_ref().map(|unit| unit as Parameter<'_>)),
        ] {
            if let Some(value) = value {
                parameters.push(value);
                sql.push_str(&format!(" AND {column} = ${}", parameters.len()));
            }
        }
        sql.push_str(" ORDER BY place LIMIT $2");
        let rows = session.query(STEP, &sql, &parameters).await?;
        let taken = &rows[..rows.len().min(limit as usize)];
        let end = taken.last().map_or(after, |row| row.get(0));
        let has_more = taken.len() < rows.len();
        Ok(BatchPage {
            batches: taken.iter().map(item).collect::<Result<_, _>>()?,
            next_cursor: has_more.then(|| end.to_string()),
        })
    }
}

fn item(row: &Row) -> Result<BatchItem, LedgerError> {
    let received: SystemTime = row.get(1);
    let batch =
        Admitted::from_canonical(row.get(2)).map_err(|error| damaged("list the batches").because(error))?;
    Ok(BatchItem::new(&batch, Timestamp::from_system_time(received)))
}

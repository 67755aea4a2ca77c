//! What was set aside.

use std::time::SystemTime;

use tokio_postgres::Row;
use tollgate_ledger::{LedgerError, Page, QuarantineItem};
use tollgate_wire::Timestamp;

use super::AsyncQuestion;
use crate::session::Session;
use crate::{key, text};

/// Bytes of bodies on one page, at most, but for a single one: a page is built in memory.
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// Elements on one page, at most.
const PAGE_ELEMENTS_MAX: i64 = 10_000;

/// A page of the quarantine.
pub(super) struct List(pub(super) Page);

impl AsyncQuestion<Vec<QuarantineItem>> for List {
    async fn ask(self, session: &mut Session) -> Result<Vec<QuarantineItem>, LedgerError> {
        const STEP: &str = "list the quarantine";
        let Self(page) = self;
        let after = i64::try_from(page.after_id()).unwrap_or(i64::MAX);
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).min(PAGE_ELEMENTS_MAX);
        const MEASURE: &str =
            "SELECT id, octet_length(body)::bigint FROM quarantine WHERE id > $1 ORDER BY id LIMIT $2";
        let mut n_bytes = 0;
        let mut end = None;
        for row in session.query(STEP, MEASURE, &[&after, &limit]).await? {
            n_bytes += row.get::<_, i64>(1);
            if end.is_some() && PAGE_BYTES_MAX < n_bytes {
                break;
            }
            end = Some(row.get::<_, i64>(0));
        }
        let Some(end) = end else { return Ok(Vec::new()) };
        const LIST: &str = "-- list the quarantine
            SELECT id, model, batch, unit, code, reason, received, is_released, body FROM quarantine
            WHERE id > $1 AND id <= $2 ORDER BY id";
        session.query(STEP, LIST, &[&after, &end]).await?.iter().map(item).collect()
    }
}

fn item(row: &Row) -> Result<QuarantineItem, LedgerError> {
    let received: SystemTime = row.get(6);
    Ok(QuarantineItem {
        id: row.get::<_, i64>(0) as u64,
        model_uuid: key::unpack(row.get(1))?,
        batch_uuid: key::unpack(row.get(2))?,
        unit_name: text::read(row.get(3)),
        code: row.get(4),
        reason: text::read(row.get(5)),
        received: Timestamp::from_system_time(received).to_string(),
        is_released: row.get(7),
        body: String::from_utf8_lossy(row.get(8)).into_owned(),
    })
}

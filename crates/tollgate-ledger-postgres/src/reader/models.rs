//! Models, and what all of them come to.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tollgate_ledger::{Counts, LedgerError, MeterTotal, ModelSummary, Page};
use tollgate_rules::Sum;
use tollgate_wire::Timestamp;

use super::AsyncQuestion;
use crate::delta::Content;
use crate::error::damaged;
use crate::session::Session;
use crate::{key, text};

/// Models on one page, at most: a page is built in memory.
const PAGE_MODELS_MAX: i64 = 10_000;

/// Whether there is an answer.
pub(super) struct Nothing;

impl AsyncQuestion<()> for Nothing {
    async fn ask(self, session: &mut Session) -> Result<(), LedgerError> {
        session.run("reach the database", "SELECT FROM versions").await
    }
}

/// What the ledger holds.
pub(super) struct CountAll;

impl AsyncQuestion<Counts> for CountAll {
    async fn ask(self, session: &mut Session) -> Result<Counts, LedgerError> {
        count_all(session).await
    }
}

/// Counts what the ledger holds, in two statements.
pub(crate) async fn count_all(session: &mut Session) -> Result<Counts, LedgerError> {
    const STEP: &str = "count what the ledger holds";
    const COUNT: &str = "-- count what the ledger holds
            SELECT coalesce(sum(n_batches), 0)::bigint, coalesce(sum(n_metrics), 0)::bigint, count(DISTINCT model)
            FROM (SELECT model, n_batches, n_metrics FROM models
                UNION ALL SELECT model, n_batches, n_metrics FROM deltas) q";
    let row = session.row(STEP, COUNT, &[]).await?;
    let quarantine = session.row(STEP, "SELECT count(*) FROM quarantine", &[]).await?;
    let n_quarantined = quarantine.get::<_, i64>(0) as u64;
    let count = |place: usize| row.get::<_, i64>(place) as u64;
    Ok(Counts { n_batches: count(0), n_metrics: count(1), n_models: count(2), n_quarantined })
}

/// A page of models.
pub(super) struct List(pub(super) Page);

impl AsyncQuestion<Vec<ModelSummary>> for List {
    async fn ask(self, session: &mut Session) -> Result<Vec<ModelSummary>, LedgerError> {
        let models = on_page(session, &self.0).await?;
        summaries(session, models).await
    }
}

/// The keys of the models on a page, in the order of their uuids.
pub(super) async fn on_page(session: &mut Session, page: &Page) -> Result<Vec<Vec<u8>>, LedgerError> {
    // Each half is cut before they are put together: otherwise every page would read all models behind it.
    const FIND: &str = "-- list the models
        SELECT model, uuid FROM (
            (SELECT model, uuid FROM models WHERE uuid > $1 ORDER BY uuid LIMIT $2)
            UNION (SELECT DISTINCT model, uuid FROM deltas WHERE uuid > $1 ORDER BY uuid LIMIT $2)) q
        ORDER BY uuid LIMIT $2";
    const FIRST: &str = "-- list the models
        SELECT model, uuid FROM (
            (SELECT model, uuid FROM models ORDER BY uuid LIMIT $1)
            UNION (SELECT DISTINCT model, uuid FROM deltas ORDER BY uuid LIMIT $1)) q
        ORDER BY uuid LIMIT $1";
    const STEP: &str = "list the models";
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).min(PAGE_MODELS_MAX);
    let rows = match &page.cursor {
        Some(cursor) => session.query(STEP, FIND, &[&text::stored(cursor), &limit]).await?,
        None => session.query(STEP, FIRST, &[&limit]).await?,
    };
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// One model.
pub(super) struct One(pub(super) String);

impl AsyncQuestion<Option<ModelSummary>> for One {
    async fn ask(self, session: &mut Session) -> Result<Option<ModelSummary>, LedgerError> {
        Ok(summaries(session, vec![key::pack(&self.0)]).await?.pop())
    }
}

/// Those of the models that have a batch, in the order of their uuids.
async fn summaries(session: &mut Session, models: Vec<Vec<u8>>) -> Result<Vec<ModelSummary>, LedgerError> {
    const STEP: &str = "read models";
    const READ: &str = "-- read models
        SELECT model, kind, n, content, second, nanosecond, place, name, amount FROM (
            SELECT model, 0 AS kind, n_batches AS n, NULL::bytea AS content, created_second AS second,
                created_nanosecond AS nanosecond, created_place AS place, name, created AS amount
            FROM models WHERE model = ANY ($1)
            UNION ALL
            SELECT model, 1, 0, NULL, 0, 0, 0, unit, NULL FROM units WHERE model = ANY ($1)
            UNION ALL
            SELECT model, 2, n_readings, NULL, 0, 0, 0, meter, sum::text FROM totals WHERE model = ANY ($1)
            UNION ALL
            SELECT model, 3, n_batches, content, 0, 0, 0, NULL, NULL FROM deltas WHERE model = ANY ($1)
        ) q";
    let mut building = BTreeMap::<Vec<u8>, Building>::new();
    for row in session.query(STEP, READ, &[&models]).await? {
        building.entry(row.get(0)).or_default().add(&row)?;
    }
    let finished = building.into_iter().map(|(model, building)| building.finish(&model));
    let mut summaries: Vec<ModelSummary> = finished.collect::<Result<_, _>>()?;
    summaries.sort_by(|left, right| left.model_uuid.cmp(&right.model_uuid));
    Ok(summaries)
}

/// A summary in the making.
#[derive(Default)]
struct Building {
    n_batches: i64,
    newest: Option<Newest>,
    units: BTreeSet<String>,
    meters: BTreeMap<String, (i64, Sum)>,
}

/// The batch that was created last. Of several, the place tells which was recorded last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newest {
    second: i64,
    nanosecond: i32,
    place: i64,
    pub(super) model_name: String,
    created: String,
}

impl Newest {
    /// Of a row of `models`, from its column `first` on: second, nanosecond, place, name, created.
    pub(super) fn stored(row: &Row, first: usize) -> Self {
        Self {
            second: row.get(first),
            nanosecond: row.get(first + 1),
            place: row.get(first + 2),
            model_name: text::read(row.get(first + 3)),
            created: row.get(first + 4),
        }
    }

    pub(super) fn of(content: &Content) -> Result<Self, LedgerError> {
        let created: Timestamp = content.created()?;
        Ok(Self {
            second: created.unix_seconds(),
            nanosecond: created.nanoseconds() as i32,
            place: content.place,
            model_name: content.model_name.clone(),
            created: content.created.clone(),
        })
    }
}

impl Building {
    fn add(&mut self, row: &Row) -> Result<(), LedgerError> {
        let n: i64 = row.get(2);
        match row.get::<_, i32>(1) {
            0 => {
                self.n_batches += n;
                self.newest = self.newest.take().max(Some(Newest::stored(row, 4)));
            }
            1 => {
                self.units.insert(text::read(row.get(7)));
            }
            2 => {
                let sum: Sum = row
                    .get::<_, &str>(8)
                    .parse()
                    .map_err(|error| damaged("read what a meter comes to").because(error))?;
                self.add_total(text::read(row.get(7)), n, &sum);
            }
            _ => {
                self.n_batches += n;
                self.add_delta(Content::read(row.get(3))?)?;
            }
        }
        Ok(())
    }

    fn add_total(&mut self, meter: String, n_readings: i64, sum: &Sum) {
        let total = self.meters.entry(meter).or_default();
        total.0 += n_readings;
        total.1.merge(sum);
    }

    fn add_delta(&mut self, content: Content) -> Result<(), LedgerError> {
        for series in &content.series {
            for (_, rollup) in series.rollups()? {
                self.add_total(series.meter.clone(), rollup.count as i64, &rollup.sum);
            }
        }
        self.newest = self.newest.take().max(Some(Newest::of(&content)?));
        self.units.extend(content.units);
        Ok(())
    }

    fn finish(self, model: &[u8]) -> Result<ModelSummary, LedgerError> {
        let newest = self.newest.ok_or_else(|| damaged("read a model: none of its batches is the newest"))?;
        Ok(ModelSummary {
            model_uuid: key::unpack(model)?,
            model_name: newest.model_name,
            units: self.units.into_iter().collect(),
            n_batches: self.n_batches as u64,
            last_created: newest.created,
            meters: self
                .meters
                .into_iter()
                .map(|(key, (n_metrics, sum))| MeterTotal {
                    key,
                    n_metrics: n_metrics as u64,
                    sum: sum.to_string(),
                })
                .collect(),
        })
    }
}

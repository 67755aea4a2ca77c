//! Folding: what deltas say moves into tables that answer quickly, beside the recording and in no hurry.
//!
//! A delta is deleted in the transaction that adds it up, so it counts once, whoever folds it and however often that is cut
//! short. The lock only keeps collectors from doing the same work; none of the sums depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Row;
use tollgate_ledger::{LedgerError, chain};
use tollgate_rules::{Rollup, Series, Sum};
use tollgate_wire::Timestamp;
use tracing::{debug, warn};

use crate::delta::{self, Content};
use crate::error::damaged;
use crate::pool::Pool;
use crate::session::Session;
use crate::text;

/// Deltas that are folded in one transaction, at most. Several of one model are one change of each of its rows.
const DELTAS_MAX: i64 = 2_000;

/// How long to wait when there was little to fold, and after a failure.
const PAUSE: Duration = Duration::from_secs(1);

const HOURS_A_DAY: i64 = 24;

/// Folds for ever.
pub(crate) async fn run(pool: &Arc<Pool>, schema: &str) {
    let mut after = Cursor::default();
    let mut failed = false;
    loop {
        let has_more = match pass(pool, schema, &mut after).await {
            Ok(has_more) => {
                failed = false;
                has_more
            }
            Err(error) => {
                // While the database is away, who cannot reach it says so.
                if failed {
                    debug!(error = %chain(&error), "what was recorded is not folded");
                } else {
                    warn!(error = %chain(&error), "what was recorded is not folded just now; answers take longer");
                }
                failed = true;
                false
            }
        };
        if !has_more {
            sleep(PAUSE).await;
        }
    }
}

/// The delta that was folded last. The next ones are those behind it, and behind the last of all the first.
#[derive(Default)]
pub(crate) struct Cursor {
    model: Vec<u8>,
    place: i64,
}

/// Folds some deltas. `true` when there are probably more.
pub(crate) async fn pass(pool: &Arc<Pool>, schema: &str, after: &mut Cursor) -> Result<bool, LedgerError> {
    const STEP: &str = "fold what was recorded";
    const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('tollgate fold ' || $1, 0))";
    let mut lease = pool.lease().await?;
    let session = &mut lease.session;
    session.run(STEP, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    if !session.row(STEP, LOCK, &[&schema]).await?.get::<_, bool>(0) {
        session.roll_back().await?;
        lease.give_back();
        return Ok(false);
    }
    const FIND: &str = "-- find deltas
        SELECT model, place, uuid, n_batches, n_metrics, content FROM deltas
        WHERE model > $1 OR (model = $1 AND place > $2) ORDER BY model, place LIMIT $3";
    let rows = session.query(STEP, FIND, &[&after.model, &after.place, &DELTAS_MAX]).await?;
    let is_full = rows.len() as i64 == DELTAS_MAX;
    if !rows.is_empty() {
        fold(session, &rows).await?;
    }
    session.commit(STEP).await?;
    lease.give_back();
    *after = match rows.last() {
        Some(last) if is_full => Cursor { model: last.get(0), place: last.get(1) },
        _ => Cursor::default(),
    };
    Ok(is_full)
}

/// Whether there is anything to fold.
pub(crate) async fn is_any_left(pool: &Arc<Pool>) -> Result<bool, LedgerError> {
    let mut lease = pool.lease().await?;
    let step = "look whether all is folded";
    let rows = lease.session.query(step, "SELECT 1 FROM deltas LIMIT 1", &[]).await?;
    lease.give_back();
    Ok(!rows.is_empty())
}

async fn fold(session: &mut Session, rows: &[Row]) -> Result<(), LedgerError> {
    const STEP: &str = "take deltas";
    const TAKE: &str = "-- take deltas
        DELETE FROM deltas d USING unnest($1::bytea[], $2::bigint[]) AS w (model, place)
        WHERE d.model = w.model AND d.place = w.place RETURNING d.model, d.place";
    let models: Vec<&[u8]> = rows.iter().map(|row| row.get(0)).collect();
    let places: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
    let taken = session.query(STEP, TAKE, &[&models, &places]).await?;
    // What somebody else took first is theirs.
    let ours: BTreeSet<(&[u8], i64)> = taken.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut by_model = BTreeMap::<&[u8], Folded>::new();
    for row in rows {
        let model: &[u8] = row.get(0);
        if ours.contains(&(model, row.get(1))) {
            by_model.entry(model).or_default().add(row)?;
        }
    }
    let by_model: Vec<(&[u8], Folded)> = by_model.into_iter().collect();
    put_models(session, &by_model).await?;
    put_units(session, &by_model).await?;
    put_series(session, &by_model).await?;
    put_totals(session, &by_model).await?;
    put_usage(session, &by_model).await
}

/// Deltas of one model, added up.
#[derive(Default)]
struct Folded {
    uuid: String,
    n_batches: i64,
    n_metrics: i64,
    newest: Option<(Timestamp, i64, Content)>,
    units: BTreeSet<String>,
    series: BTreeMap<[u8; 16], FoldedSeries>,
}

struct FoldedSeries {
    unit_name: String,
    charm_url: String,
    meter: String,
    labels: String,
    by_day: BTreeMap<i32, BTreeMap<i64, Rollup>>,
}

impl Folded {
    fn add(&mut self, row: &Row) -> Result<(), LedgerError> {
        self.uuid = row.get(2);
        self.n_batches += row.get::<_, i64>(3);
        self.n_metrics += row.get::<_, i64>(4);
        let mut content = Content::read(row.get(5))?;
        for stored in &content.series {
            let series: Series<'_> = stored.of("");
            let folded = self.series.entry(delta::series_key(&series)).or_insert_with(|| FoldedSeries {
                unit_name: text::stored(series.unit_name).into_owned(),
                charm_url: text::stored(series.charm_url).into_owned(),
                meter: text::stored(series.meter).into_owned(),
                labels: text::stored(series.labels).into_owned(),
                by_day: BTreeMap::new(),
            });
            for (hour, rollup) in stored.rollups()? {
                merge(folded.by_day.entry(day_of(hour)?).or_default(), hour, &rollup);
            }
        }
        self.units
            .extend(std::mem::take(&mut content.units).iter().map(|unit| text::stored(unit).into_owned()));
        let created = content.created()?;
        if self.newest.as_ref().is_none_or(|(newest, place, _)| (*newest, *place) <= (created, content.place))
        {
            self.newest = Some((created, content.place, content));
        }
        Ok(())
    }
}

fn merge(rollups: &mut BTreeMap<i64, Rollup>, hour: i64, rollup: &Rollup) {
    rollups.entry(hour).and_modify(|all| all.merge(rollup)).or_insert(*rollup);
}

/// The day that an hour belongs to.
pub(crate) fn day_of(hour: i64) -> Result<i32, LedgerError> {
    let outside = |error| damaged("read the hour of a reading").because(error);
    i32::try_from(hour.div_euclid(HOURS_A_DAY)).map_err(outside)
}

type ByModel<'a> = [(&'a [u8], Folded)];

async fn put_models(session: &mut Session, by_model: &ByModel<'_>) -> Result<(), LedgerError> {
    const PUT: &str = "-- fold models
        INSERT INTO models AS m (model, uuid, n_batches, n_metrics, name, created, created_second, created_nanosecond,
            created_place)
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
            $8::integer[], $9::bigint[])
        ON CONFLICT (model) DO UPDATE SET
            n_batches = m.n_batches + excluded.n_batches,
            n_metrics = m.n_metrics + excluded.n_metrics,
            (name, created, created_second, created_nanosecond, created_place) = (SELECT
                CASE WHEN is_newer THEN excluded.name ELSE m.name END,
                CASE WHEN is_newer THEN excluded.created ELSE m.created END,
                CASE WHEN is_newer THEN excluded.created_second ELSE m.created_second END,
                CASE WHEN is_newer THEN excluded.created_nanosecond ELSE m.created_nanosecond END,
                CASE WHEN is_newer THEN excluded.created_place ELSE m.created_place END
                FROM (SELECT (m.created_second, m.created_nanosecond, m.created_place)
                    < (excluded.created_second, excluded.created_nanosecond, excluded.created_place) AS is_newer) q)";
    let newest = by_model.iter().filter_map(|(model, folded)| Some((model, folded, folded.newest.as_ref()?)));
    let newest: Vec<_> = newest.collect();
    let models: Vec<&[u8]> = newest.iter().map(|(model, ..)| **model).collect();
    let uuids: Vec<&str> = newest.iter().map(|(_, folded, _)| &*folded.uuid).collect();
    let n_batches: Vec<i64> = newest.iter().map(|(_, folded, _)| folded.n_batches).collect();
    let n_metrics: Vec<i64> = newest.iter().map(|(_, folded, _)| folded.n_metrics).collect();
    let names: Vec<_> =
        newest.iter().map(|(.., (_, _, content))| text::stored(&content.model_name)).collect();
    let created: Vec<&str> = newest.iter().map(|(.., (_, _, content))| &*content.created).collect();
    let seconds: Vec<i64> = newest.iter().map(|(.., (created, ..))| created.unix_seconds()).collect();
    let nanoseconds: Vec<i32> =
        newest.iter().map(|(.., (created, ..))| created.nanoseconds() as i32).collect();
    let places: Vec<i64> = newest.iter().map(|(.., (_, place, _))| *place).collect();
    session
        .execute(
            "fold models",
            PUT,
            &[&models, &uuids, &n_batches, &n_metrics, &names, &created, &seconds, &nanoseconds, &places],
        )
        .await
        .map(drop)
}

async fn put_units(session: &mut Session, by_model: &ByModel<'_>) -> Result<(), LedgerError> {
    const PUT: &str = "-- fold units
        INSERT INTO units (model, unit) SELECT * FROM unnest($1::bytea[], $2::text[])
        ON CONFLICT (model, unit) DO NOTHING";
    let units =
        by_model.iter().flat_map(|(model, folded)| folded.units.iter().map(move |unit| (*model, &**unit)));
    let (models, units): (Vec<&[u8]>, Vec<&str>) = units.unzip();
    session.execute("fold units", PUT, &[&models, &units]).await.map(drop)
}

async fn put_series(session: &mut Session, by_model: &ByModel<'_>) -> Result<(), LedgerError> {
    const PUT: &str = "-- fold series
        INSERT INTO series (model, series, unit, charm, meter, labels)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
        ON CONFLICT (model, series) DO NOTHING";
    let all: Vec<(&[u8], &[u8; 16], &FoldedSeries)> = all_series(by_model).collect();
    let models: Vec<&[u8]> = all.iter().map(|(model, ..)| *model).collect();
    let keys: Vec<&[u8]> = all.iter().map(|(_, key, _)| &key[..]).collect();
    let units: Vec<&str> = all.iter().map(|(.., series)| &*series.unit_name).collect();
    let charms: Vec<&str> = all.iter().map(|(.., series)| &*series.charm_url).collect();
    let meters: Vec<&str> = all.iter().map(|(.., series)| &*series.meter).collect();
    let labels: Vec<&str> = all.iter().map(|(.., series)| &*series.labels).collect();
    session.execute("fold series", PUT, &[&models, &keys, &units, &charms, &meters, &labels]).await.map(drop)
}

fn all_series<'a>(
    by_model: &'a ByModel<'a>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8; 16], &'a FoldedSeries)> {
    by_model
        .iter()
        .flat_map(|(model, folded)| folded.series.iter().map(move |(key, series)| (*model, key, series)))
}

async fn put_totals(session: &mut Session, by_model: &ByModel<'_>) -> Result<(), LedgerError> {
    const PUT: &str = "-- fold totals
        INSERT INTO totals AS t (model, meter, n_readings, sum)
        SELECT model, meter, n_readings, sum::numeric
        FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::text[]) AS w (model, meter, n_readings, sum)
        ON CONFLICT (model, meter) DO UPDATE
        SET n_readings = t.n_readings + excluded.n_readings, sum = t.sum + excluded.sum";
    let mut totals = BTreeMap::<(&[u8], &str), (i64, Sum)>::new();
    for (model, _, series) in all_series(by_model) {
        let (n_readings, sum) = totals.entry((model, &series.meter)).or_default();
        for rollup in series.by_day.values().flat_map(BTreeMap::values) {
            *n_readings += rollup.count as i64;
            sum.merge(&rollup.sum);
        }
    }
    let models: Vec<&[u8]> = totals.keys().map(|(model, _)| *model).collect();
    let meters: Vec<&str> = totals.keys().map(|(_, meter)| *meter).collect();
    let n_readings: Vec<i64> = totals.values().map(|(n_readings, _)| *n_readings).collect();
    let sums: Vec<String> = totals.values().map(|(_, sum)| sum.to_string()).collect();
    session.execute("fold totals", PUT, &[&models, &meters, &n_readings, &sums]).await.map(drop)
}

/// What one series came to on one day, and how often that was changed before.
struct Day<'a> {
    model: &'a [u8],
    day: i32,
    series: &'a [u8],
    meter: &'a str,
    hours: BTreeMap<i64, Rollup>,
    n_folds: i64,
}

async fn put_usage(session: &mut Session, by_model: &ByModel<'_>) -> Result<(), LedgerError> {
    const STEP: &str = "fold usage";
    let mut days: Vec<Day<'_>> = Vec::new();
    for (model, series, folded) in all_series(by_model) {
        days.extend(folded.by_day.iter().map(|(day, hours)| Day {
            model,
            day: *day,
            series,
            meter: &folded.meter,
            hours: hours.clone(),
            n_folds: 0,
        }));
    }
    days.sort_by_key(|day| (day.model, day.day, day.series));
    add_what_is_there(session, &mut days).await?;

    const PUT: &str = "-- fold usage
        INSERT INTO usage AS u (model, day, series, meter, n_readings, sum, min, max, hours, n_folds)
        SELECT model, day, series, meter, n_readings, sum::numeric, min::numeric, max::numeric, hours, n_folds
        FROM unnest($1::bytea[], $2::integer[], $3::bytea[], $4::text[], $5::bigint[], $6::text[], $7::text[],
            $8::text[], $9::bytea[], $10::bigint[])
            AS w (model, day, series, meter, n_readings, sum, min, max, hours, n_folds)
        ON CONFLICT (model, day, series) DO UPDATE
        SET n_readings = excluded.n_readings, sum = excluded.sum, min = excluded.min, max = excluded.max,
            hours = excluded.hours, n_folds = excluded.n_folds
        WHERE u.n_folds + 1 = excluded.n_folds
        RETURNING u.day";
    let whole: Vec<Rollup> = days.iter().filter_map(|day| whole(&day.hours)).collect();
    let models: Vec<&[u8]> = days.iter().map(|day| day.model).collect();
    let numbers: Vec<i32> = days.iter().map(|day| day.day).collect();
    let series: Vec<&[u8]> = days.iter().map(|day| day.series).collect();
    let meters: Vec<&str> = days.iter().map(|day| day.meter).collect();
    let n_readings: Vec<i64> = whole.iter().map(|rollup| rollup.count as i64).collect();
    let sums: Vec<String> = whole.iter().map(|rollup| rollup.sum.to_string()).collect();
    let mins: Vec<String> = whole.iter().map(|rollup| rollup.min.to_string()).collect();
    let maxs: Vec<String> = whole.iter().map(|rollup| rollup.max.to_string()).collect();
    let hours: Vec<Vec<u8>> = days.iter().map(|day| delta::seal_hours(&day.hours)).collect();
    let n_folds: Vec<i64> = days.iter().map(|day| day.n_folds + 1).collect();
    let put = session
        .query(
            STEP,
            PUT,
            &[&models, &numbers, &series, &meters, &n_readings, &sums, &mins, &maxs, &hours, &n_folds],
        )
        .await?;
    if put.len() != days.len() {
        // Somebody else changed a row since it was read. All of this is done again, later.
        return Err(LedgerError::new(
            tollgate_ledger::Remedy::Retry,
            "fold usage: another collector folds the same",
        ));
    }
    Ok(())
}

async fn add_what_is_there(session: &mut Session, days: &mut [Day<'_>]) -> Result<(), LedgerError> {
    const FIND: &str = "-- find usage to fold into
        SELECT u.model, u.day, u.series, u.hours, u.n_folds FROM usage u
        JOIN unnest($1::bytea[], $2::integer[], $3::bytea[]) AS w (model, day, series)
        ON u.model = w.model AND u.day = w.day AND u.series = w.series";
    let models: Vec<&[u8]> = days.iter().map(|day| day.model).collect();
    let numbers: Vec<i32> = days.iter().map(|day| day.day).collect();
    let series: Vec<&[u8]> = days.iter().map(|day| day.series).collect();
    let rows = session.query("find usage to fold into", FIND, &[&models, &numbers, &series]).await?;
    for row in rows {
        let key: (&[u8], i32, &[u8]) = (row.get(0), row.get(1), row.get(2));
        let place = days.binary_search_by_key(&key, |day| (day.model, day.day, day.series));
        let Ok(place) = place else { return Err(damaged("find usage to fold into")) };
        let day = &mut days[place];
        for (hour, rollup) in delta::open_hours(row.get(3))? {
            merge(&mut day.hours, hour, &rollup);
        }
        day.n_folds = row.get(4);
    }
    Ok(())
}

fn whole(hours: &BTreeMap<i64, Rollup>) -> Option<Rollup> {
    hours.values().copied().reduce(|mut all, rollup| {
        all.merge(&rollup);
        all
    })
}

//! Usage: what readings come to by series and hour.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_postgres::Row;
use tollgate_ledger::LedgerError;
use tollgate_rules::{Rollup, Select, Series, Visitor};

use crate::delta::{self, Content};
use crate::error::damaged;
use crate::fold::day_of;
use crate::ledger::Database;
use crate::pool::Pool;
use crate::runtime::in_time;
use crate::session::Parameter;
use crate::{key, text};

/// Models that are read ahead of what is shown.
const MODELS_AHEAD: usize = 4;

const STEP: &str = "read usage";

/// What readings of one model come to.
#[derive(Default)]
struct ModelUsage {
    model_uuid: String,
    series: HashMap<[u8; 16], SeriesUsage>,
}

#[derive(Default)]
struct SeriesUsage {
    names: Option<Names>,
    rollups: Vec<(i64, Rollup)>,
}

struct Names {
    unit_name: String,
    charm_url: String,
    meter: String,
    labels: String,
}

/// Shows `visitor` what is asked for, model by model.
pub(super) fn show(
    (database, pool): (&Database, &Arc<Pool>),
    select: &Select<'_>,
    visitor: &mut dyn Visitor,
) -> Result<(), LedgerError> {
    let question = Question {
        model_uuid: select.model_uuid.map(str::to_owned),
        meter: select.meter.map(str::to_owned),
        from_hour: select.from_hour,
        to_hour: select.to_hour,
    };
    let (models, mut shown) = mpsc::channel(MODELS_AHEAD);
    let pool = pool.clone();
    database.calls.spawn(async move {
        if let Err(error) = read(&pool, &question, &models).await {
            // Who asked waits below.
            models.send(Err(error)).await.ok();
        }
    });
    while let Some(model) = shown.blocking_recv() {
        model?.show(visitor)?;
    }
    Ok(())
}

struct Question {
    model_uuid: Option<String>,
    meter: Option<String>,
    from_hour: i64,
    to_hour: i64,
}

async fn read(
    pool: &Arc<Pool>,
    question: &Question,
    models: &mpsc::Sender<Result<ModelUsage, LedgerError>>,
) -> Result<(), LedgerError> {
    let Question { model_uuid, meter, from_hour, to_hour } = question;
    if to_hour <= from_hour {
        return Ok(());
    }
    // Days far outside of those that readings can have are all the same.
    let day = |hour: i64| day_of(hour).unwrap_or(if hour < 0 { i32::MIN } else { i32::MAX });
    let (from_day, to_day) = (day(*from_hour), day(*to_hour - 1));
    let model = model_uuid.as_deref().map(key::pack);
    let stored_meter = meter.as_deref().map(text::stored);
    let mut parameters: Vec<Parameter<'_>> = vec![&from_day, &to_day];
    let of_model = match &model {
        Some(model) => {
            parameters.push(model);
            format!("model = ${}", parameters.len())
        }
        None => "true".to_owned(),
    };
    let of_meter = match &stored_meter {
        Some(meter) => {
            parameters.push(meter);
            format!("meter = ${}", parameters.len())
        }
        None => "true".to_owned(),
    };
    let sql = format!(
        "-- read usage
        SELECT model, kind, series, unit, charm, meter, labels, content FROM (
            SELECT model, 0 AS kind, series, unit, charm, meter, labels, NULL::bytea AS content
            FROM series WHERE {of_model} AND {of_meter}
            UNION ALL
            SELECT model, 1, series, NULL, NULL, NULL, NULL, hours
            FROM usage WHERE {of_model} AND {of_meter} AND day BETWEEN $1 AND $2
            UNION ALL
            SELECT model, 2, NULL, NULL, NULL, NULL, NULL, content FROM deltas WHERE {of_model}
        ) q ORDER BY model"
    );
    // Each step by itself: whoever is shown the rows may take its time.
    let mut lease = in_time(STEP, pool.lease()).await?;
    let mut current: Option<(Vec<u8>, ModelUsage)> = None;
    let has_hour = |hour: i64| (*from_hour..*to_hour).contains(&hour);
    let mut rows = in_time(STEP, lease.session.stream(STEP, &sql, &parameters)).await?;
    while let Some(row) = in_time(STEP, rows.next()).await? {
        let its: &[u8] = row.get(0);
        if current.as_ref().is_none_or(|(model, _)| model != its) {
            let next = ModelUsage { model_uuid: key::unpack(its)?, ..ModelUsage::default() };
            if let Some((_, finished)) = current.replace((its.to_vec(), next))
                && models.send(Ok(finished)).await.is_err()
            {
                // Nobody listens. The connection is not given back: the rest of the rows is still on its way.
                return Ok(());
            }
        }
        let (_, usage) = current.as_mut().expect("it was set above");
        usage.add(&row, meter.as_deref(), has_hour)?;
    }
    lease.give_back();
    if let Some((_, finished)) = current {
        models.send(Ok(finished)).await.ok();
    }
    Ok(())
}

impl ModelUsage {
    fn add(
        &mut self,
        row: &Row,
        meter: Option<&str>,
        has_hour: impl Fn(i64) -> bool,
    ) -> Result<(), LedgerError> {
        match row.get::<_, i32>(1) {
            0 => {
                let names = Names {
                    unit_name: text::read(row.get(3)),
                    charm_url: text::read(row.get(4)),
                    meter: text::read(row.get(5)),
                    labels: text::read(row.get(6)),
                };
                self.series.entry(series_key(row)?).or_default().names = Some(names);
            }
            1 => {
                let rollups = delta::open_hours(row.get(7))?.into_iter().filter(|(hour, _)| has_hour(*hour));
                self.series.entry(series_key(row)?).or_default().rollups.extend(rollups);
            }
            _ => {
                for stored in Content::read(row.get(7))?.series {
                    if meter.is_some_and(|meter| meter != stored.meter) {
                        continue;
                    }
                    let rollups = stored.rollups()?.into_iter().filter(|(hour, _)| has_hour(*hour));
                    let usage = match self.series.entry(delta::series_key(&stored.of(""))) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(SeriesUsage::default()),
                    };
                    usage.rollups.extend(rollups);
                    usage.names.get_or_insert_with(|| Names {
                        unit_name: stored.unit_name.clone(),
                        charm_url: stored.charm_url.clone(),
                        meter: stored.meter.clone(),
                        labels: stored.labels.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn show(self, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        for SeriesUsage { names, rollups } in self.series.into_values() {
            if rollups.is_empty() {
                continue;
            }
            let names = names.ok_or_else(|| damaged("read usage: a series has no names"))?;
            let series = Series {
                model_uuid: &self.model_uuid,
                unit_name: &names.unit_name,
                charm_url: &names.charm_url,
                meter: &names.meter,
                labels: &names.labels,
            };
            if visitor.series(&series) {
                rollups.iter().for_each(|(hour, rollup)| visitor.rollup(*hour, rollup));
            }
        }
        Ok(())
    }
}

fn series_key(row: &Row) -> Result<[u8; 16], LedgerError> {
    row.get::<_, &[u8]>(2).try_into().map_err(|error| damaged("read usage").because(error))
}

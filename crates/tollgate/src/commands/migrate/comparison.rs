//! Whether two ledgers hold the same, by what they answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use tollgate_ledger::{Counts, LedgerError, ModelSummary, Page, QuarantineItem, Reader};
use tollgate_ledger_postgres::{Readings, Uneven};
use tollgate_wire::Timestamp;

/// Rows that are asked for at once.
const PAGE_ROWS: usize = 1_000;

/// A ledger, and of what was decided in it what its reader does not list.
pub(super) struct Side<'a> {
    pub(super) reader: &'a dyn Reader,
    /// Counted, not remembered: a reader that cannot count gives what it has.
    pub(super) counts: Counts,
    /// So many batches are there themselves, whatever the counts say.
    pub(super) n_batch_rows: u64,
    /// By model.
    pub(super) users: BTreeMap<Box<str>, Box<str>>,
    pub(super) revoked: BTreeSet<Box<str>>,
}

/// What both hold.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Sums of all readings of one meter in one model.
    pub(super) n_meters: u64,
    pub(super) n_released: u64,
    pub(super) n_statuses: u64,
    pub(super) n_users: u64,
    pub(super) n_revoked: u64,
}

/// The first thing in which they differ.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) here: String,
    pub(super) there: String,
}

/// Compares both, and hears how many batches the models have that were compared.
///
/// # Errors
///
/// When one of them cannot be read.
pub(super) fn compare(
    here: &Side<'_>,
    there: &Side<'_>,
    mut progress: impl FnMut(u64),
) -> Result<Result<Figures, Difference>, LedgerError> {
    let mut figures = Figures {
        counts: here.counts,
        n_meters: 0,
        n_released: 0,
        n_statuses: 0,
        n_users: here.users.len() as u64,
        n_revoked: here.revoked.len() as u64,
    };
    let mut n_batches = 0;
    let each_model = |model: &ModelSummary| {
        figures.n_meters += model.meters.len() as u64;
        n_batches += model.n_batches;
        progress(n_batches);
    };
    let models =
        in_step("model", models(here.reader), models(there.reader), |model| &model.model_uuid, each_model)?;
    let each_element = |element: &QuarantineItem| figures.n_released += u64::from(element.is_released);
    let elements = in_step(
        "quarantined element",
        elements(here.reader),
        elements(there.reader),
        |element| &element.id,
        each_element,
    )?;
    let statuses = (here.reader.hand_statuses(None)?, there.reader.hand_statuses(None)?);
    figures.n_statuses = statuses.0.len() as u64;
    let difference = models
        .or(elements)
        .or_else(|| difference("count", &here.counts, &there.counts))
        .or_else(|| difference("batches themselves", &here.n_batch_rows, &there.n_batch_rows))
        .or_else(|| difference("statuses by hand", &statuses.0, &statuses.1))
        .or_else(|| difference("users of models", &here.users, &there.users))
        .or_else(|| difference("revoked credentials", &here.revoked, &there.revoked));
    Ok(difference.map_or(Ok(figures), Err))
}

/// As a difference: what the model's sum says, which is what the other ledger has, and what its usage comes to.
pub(super) fn uneven(uneven: Uneven) -> Difference {
    let Uneven { model_uuid, meter, in_all, by_series } = uneven;
    let shown = |readings: Option<Readings>| {
        readings.map_or_else(|| "nothing".to_owned(), |(n, sum)| format!("{n} readings of {sum}"))
    };
    Difference {
        what: format!("model {model_uuid}, meter {meter}, usage"),
        here: shown(in_all),
        there: shown(by_series),
    }
}

/// Walks two listings that are in one order to the first difference.
fn in_step<T: PartialEq + Serialize, K: ToString>(
    what: &str,
    mut here: impl Iterator<Item = Result<T, LedgerError>>,
    mut there: impl Iterator<Item = Result<T, LedgerError>>,
    key: impl Fn(&T) -> &K,
    mut each: impl FnMut(&T),
) -> Result<Option<Difference>, LedgerError> {
    loop {
        let (here, there) = (here.next().transpose()?, there.next().transpose()?);
        let Some(row) = here.as_ref().or(there.as_ref()) else { return Ok(None) };
        let difference = difference(&format!("{what} {}", key(row).to_string()), &here, &there);
        if difference.is_some() {
            return Ok(difference);
        }
        each(row);
    }
}

fn models(reader: &dyn Reader) -> impl Iterator<Item = Result<ModelSummary, LedgerError>> {
    rows(|page| reader.models(page), |model| model.model_uuid.clone())
}

fn elements(reader: &dyn Reader) -> impl Iterator<Item = Result<QuarantineItem, LedgerError>> {
    let to_the_microsecond = |page: &Page| {
        let mut elements = reader.quarantine(page)?;
        elements.iter_mut().for_each(|element| element.received = to_the_microsecond(&element.received));
        Ok(elements)
    };
    rows(to_the_microsecond, |element| element.id.to_string())
}

/// All rows of a listing, of which a page begins after a row of the one before.
fn rows<T>(
    mut page: impl FnMut(&Page) -> Result<Vec<T>, LedgerError>,
    cursor: impl Fn(&T) -> String,
) -> impl Iterator<Item = Result<T, LedgerError>> {
    let mut next = Page { cursor: None, limit: PAGE_ROWS };
    let mut read = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if read.len() == 0 {
            match page(&next) {
                Ok(rows) => {
                    next.cursor = rows.last().map(&cursor).or(next.cursor.take());
                    read = rows.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
        read.next().map(Ok)
    })
}

/// PostgreSQL has no finer times.
fn to_the_microsecond(time: &str) -> String {
    let rounded = Timestamp::parse(time)
        .ok()
        .and_then(|time| Timestamp::from_unix(time.unix_seconds(), time.nanoseconds() / 1_000 * 1_000));
    rounded.map_or_else(|| time.to_owned(), |time| time.to_string())
}

fn difference<T: PartialEq + Serialize>(what: &str, here: &T, there: &T) -> Option<Difference> {
    if here == there {
        return None;
    }
    let json = |value: &T| serde_json::to_value(value).unwrap_or(Value::Null);
    Some(first(what.to_owned(), &json(here), &json(there)))
}

/// The first place in which two values differ, which do.
fn first(what: String, here: &Value, there: &Value) -> Difference {
    let inner = match (here, there) {
        (Value::Object(here), Value::Object(there)) => {
            let mut names = here.iter().chain(there).map(|(name, _)| name);
            names.find_map(|name| {
                let value =
                    |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                let (here, there) = (value(here), value(there));
                (here != there).then(|| first(format!("{what}, {name}"), &here, &there))
            })
        }
        (Value::Array(here), Value::Array(there)) => {
            let place = here.iter().zip(there).position(|(here, there)| here != there);
            let place = place.unwrap_or(here.len().min(there.len()));
            let element = |list: &[Value]| list.get(place).cloned().unwrap_or(Value::Null);
            let (here, there) = (element(here), element(there));
            // A meter is known by its key, and whatever has none by its number.
            let key =
                [&here, &there].into_iter().find_map(|value| Some(value.get("key")?.as_str()?.to_owned()));
            Some(first(format!("{what} {}", key.unwrap_or_else(|| (place + 1).to_string())), &here, &there))
        }
        _ => None,
    };
    inner.unwrap_or_else(|| Difference { what, here: shown(here), there: shown(there) })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(here: &Value, there: &Value, expected: &str) {
        let found = difference("model m", here, there)
            .map(|Difference { what, here, there }| format!("{what}: {here} / {there}"));
        assert_eq!(found.unwrap_or_default(), expected);
    }

    #[test]
    fn the_first_difference_is_named() {
        let model = |n: u64, sum: &str| json!({"n_batches": n, "meters": [{"key": "a", "sum": "1"}, {"key": "b", "sum": sum}]});
        check(&model(1, "2"), &model(1, "2"), "");
        check(&model(1, "2"), &model(2, "2"), "model m, n_batches: 1 / 2");
        check(&model(1, "2"), &model(1, "3"), "model m, meters b, sum: 2 / 3");
        check(&model(1, "2"), &Value::Null, &format!("model m: {} / nothing", model(1, "2")));
        check(&json!({"m": "bob"}), &json!({}), "model m, m: bob / nothing");
        check(&json!(["x"]), &json!(["x", "y"]), "model m 2: nothing / y");
    }

    #[test]
    fn times_are_compared_as_far_as_both_have_them() {
        for (time, expected) in [
            ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("", ""),
        ] {
            assert_eq!(to_the_microsecond(time), expected);
        }
    }
}

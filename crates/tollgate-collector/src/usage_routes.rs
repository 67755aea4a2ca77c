//! How much was used, as operators ask for it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tollgate_ledger::{LedgerError, Reader, chain};
use tollgate_rules::{Calendar, Dimension, Usage, UsageError, UsageQuery, UsageRow, Window, hour_of};
use tollgate_wire::Timestamp;
use tracing::error;

use crate::admin_routes::{Admin, in_query};
use crate::format::{self, Format};
use crate::owners::{each_owner, owner};
use crate::problem::Problem;
use crate::terms::Terms;

/// Rows when nothing is said.
const ROWS: usize = 10_000;

/// Rows of one answer, at most: a day each of a month for thousands of models.
const ROWS_MAX: usize = 100_000;

/// All parameters, for who wrote one that is none of them.
const PARAMETERS: &str = "meter, model, unit, charm, user, label.NAME, from, to, window, group_by, aggregate, across, tz, \
                          limit, cursor and format";

pub(crate) type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(crate) async fn usage(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let pairs = in_query(pairs)?;
    let Asked { query, limit, cursor, format } = Asked::read(&pairs)?;
    let format = Format::asked(format.as_deref(), &headers)?;
    let calendar = Calendar::new(query.window, &query.tz).map_err(|error| bad(&error))?;
    let after = cursor.map(|cursor| Cursor::read(&cursor, &query)).transpose()?;
    let terms = admin.post.terms();
    // Writing a hundred thousand rows takes long enough to do it there, too.
    let answer = admin.read(move |admin| {
        let mut rest = query.clone();
        if let (Some(after), true) = (&after, query.window != Window::Total) {
            rest.span.start = rest.span.start.max(after.place.0);
        }
        let rows = match rows(&*admin.reader, &terms, &rest) {
            Ok(rows) => rows,
            Err(Failed::Ledger(error)) => return Err(error),
            Err(Failed::Usage(error)) => return Ok(Err(beyond(&error))),
        };
        let first = after.map_or(0, |after| rows.partition_point(|row| Cursor::of(&query, row) <= after));
        let rows = &rows[first..];
        let next = rows.get(limit).map(|_| Cursor::of(&query, &rows[limit - 1]).to_string());
        let rows = &rows[..limit.min(rows.len())];
        Ok(match format {
            Format::Json => json(&query, &calendar, rows, next.as_deref()),
            Format::Csv => csv(&query, &calendar, rows, next.as_deref()),
        })
    });
    answer.await?
}

enum Failed {
    Ledger(LedgerError),
    Usage(UsageError),
}

fn rows(reader: &dyn Reader, terms: &Terms, query: &UsageQuery) -> Result<Vec<UsageRow>, Failed> {
    // Before the question: a ledger may answer only so many at a time.
    let owners = owners(reader, terms, query).map_err(Failed::Ledger)?;
    let user_of = |model_uuid: &str| owners.get(model_uuid).cloned();
    let mut usage =
        Usage::new(query, &terms.policy.meters, user_of).map_err(|error| Failed::Usage(error.into()))?;
    reader.usage(&query.select(), &mut usage).map_err(Failed::Ledger)?;
    usage.finish().map_err(Failed::Usage)
}

/// The owners of the models that a question is about, where they make a difference.
fn owners(
    reader: &dyn Reader,
    terms: &Terms,
    query: &UsageQuery,
) -> Result<HashMap<Box<str>, Box<str>>, LedgerError> {
    let mut owners = HashMap::new();
    let mut take = |model_uuid, owner: Option<_>| {
        if let Some(owner) = owner {
            owners.insert(model_uuid, owner);
        }
    };
    match &query.model_uuid {
        _ if !query.asks_for_users() => {}
        Some(model_uuid) => {
            for ownership in reader.ownership(&[model_uuid])? {
                take(model_uuid.clone(), owner(terms, model_uuid, &ownership));
            }
        }
        None => each_owner(reader, terms, take)?,
    }
    Ok(owners)
}

/// What the parameters ask for.
struct Asked {
    query: UsageQuery,
    limit: usize,
    cursor: Option<String>,
    format: Option<String>,
}

impl Asked {
    fn read(pairs: &[(String, String)]) -> Result<Self, Problem> {
        let mut asked = Self { query: UsageQuery::all(), limit: ROWS, cursor: None, format: None };
        let mut seen = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) && name != "group_by" {
                return Err(refuse(format!("{name} is given twice.")));
            }
            seen.push(name);
            asked.set(name, value)?;
        }
        if asked.query.span.end <= asked.query.span.start {
            return Err(refuse("from is not before to.".to_owned()));
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let query = &mut self.query;
        let text = || Some(value.into());
        match name {
            "meter" => query.meter = text(),
            "model" => query.model_uuid = text(),
            "unit" => query.unit_name = text(),
            "charm" => query.charm_url = text(),
            "user" => query.user = text(),
            "from" => query.span.start = hour("from", value)?,
            "to" => query.span.end = hour("to", value)?,
            "window" => query.window = value.parse().map_err(|error| bad(&error))?,
            "group_by" => {
                for word in value.split(',').filter(|word| !word.is_empty()) {
                    let dimension: Dimension = word.parse().map_err(|error| bad(&error))?;
                    if query.group_by.contains(&dimension) {
                        return Err(refuse(format!("group_by has {word} twice.")));
                    }
                    query.group_by.push(dimension);
                }
            }
            "aggregate" => query.aggregate = Some(value.parse().map_err(|error| bad(&error))?),
            "across" => query.across = value.parse().map_err(|error| bad(&error))?,
            "tz" => query.tz = value.into(),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=ROWS_MAX).contains(limit));
                self.limit =
                    limit.ok_or_else(|| refuse(format!("limit {value} is outside 1 to {ROWS_MAX}.")))?;
            }
            "cursor" => self.cursor = Some(value.to_owned()),
            "format" => self.format = Some(value.to_owned()),
            other => match other.strip_prefix("label.").filter(|label| !label.is_empty()) {
                Some(label) => query.labels.push((label.into(), value.into())),
                None => return Err(refuse(format!("{other:?} is no parameter: there are {PARAMETERS}."))),
            },
        }
        Ok(())
    }
}

/// The hour that begins at a time.
fn hour(name: &str, value: &str) -> Result<i64, Problem> {
    // In a query a plus sign is a space, unless it is escaped.
    let text = value.replace(' ', "+");
    let time = Timestamp::parse(&text)
        .map_err(|_| refuse(format!("{name} {text:?} is no RFC 3339 time, such as 2026-11-01T00:00:00Z.")))?;
    if time.unix_seconds().rem_euclid(3_600) != 0 || time.nanoseconds() != 0 {
        let reason =
            format!("{name} {text} is not the beginning of an hour of UTC: usage is kept by the hour.");
        return Err(refuse(reason));
    }
    Ok(hour_of(time))
}

fn refuse(reason: String) -> Problem {
    Problem::BadParameter { reason }
}

fn beyond(error: &UsageError) -> Problem {
    let advice = match error {
        // Such as those without a time, which are of the year 1.
        UsageError::Calendar(_) => "from and to can leave out the readings at that time",
        UsageError::TooManyRows => "from and to can ask for less at once, window and group_by for fewer rows",
    };
    refuse(format!("Failed to {error}. {advice}."))
}

fn bad(error: &dyn std::error::Error) -> Problem {
    refuse(format!("Failed to {}.", chain(error)))
}

/// The place of a row among all of the same question: the start of its window, its meter and its group.
#[derive(PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
struct Cursor {
    /// Of what was asked: the place means nothing among other rows.
    query: u64,
    place: (i64, Box<str>, Box<[Box<str>]>),
}

impl Cursor {
    fn of(query: &UsageQuery, row: &UsageRow) -> Self {
        // Of a total without a beginning the row has that of the readings, which an earlier one that comes between two pages moves.
        let start = if query.window == Window::Total { i64::MIN } else { row.span.start };
        Self { query: digest(query), place: (start, row.meter.clone(), row.group.clone()) }
    }

    fn read(text: &str, query: &UsageQuery) -> Result<Self, Problem> {
        let unknown = || {
            let reason = "cursor is not one that this very question gave: start without one.";
            refuse(reason.to_owned())
        };
        let bytes = text
            .len()
            .is_multiple_of(2)
            .then(|| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()));
        let bytes: Vec<u8> = bytes.and_then(Iterator::collect).ok_or_else(unknown)?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| unknown())?;
        if cursor.query == digest(query) { Ok(cursor) } else { Err(unknown()) }
    }
}

/// The same for the same question, as long as the program is the same.
fn digest(query: &UsageQuery) -> u64 {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    hasher.finish()
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_vec(self).expect("numbers and texts can be written");
        json.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The times of windows, each written once.
struct Times<'a> {
    calendar: &'a Calendar,
    written: HashMap<i64, String>,
}

impl<'a> Times<'a> {
    fn of(calendar: &'a Calendar, rows: &[UsageRow]) -> Self {
        let mut times = Self { calendar, written: HashMap::new() };
        for row in rows {
            times.write(row.span.start);
            times.write(row.span.end);
        }
        times
    }

    fn write(&mut self, hour: i64) {
        self.written.entry(hour).or_insert_with(|| self.calendar.text(hour).unwrap_or_default());
    }

    fn text(&self, hour: i64) -> &str {
        self.written.get(&hour).map_or("", String::as_str)
    }
}

/// A row with the names of its query.
struct Named<'a> {
    row: &'a UsageRow,
    names: &'a [String],
    times: &'a Times<'a>,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let UsageRow { span, meter, group, value, count } = self.row;
        let mut map = to.serialize_map(Some(5 + group.len()))?;
        map.serialize_entry("start", self.times.text(span.start))?;
        map.serialize_entry("end", self.times.text(span.end))?;
        map.serialize_entry("meter", meter)?;
        for (name, value) in self.names.iter().zip(group) {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("value", &Displayed(value))?;
        map.serialize_entry("count", &Displayed(count))?;
        map.end()
    }
}

/// A number as text.
struct Displayed<'a, T>(&'a T);

impl<T: std::fmt::Display> Serialize for Displayed<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self.0)
    }
}

#[derive(serde::Serialize)]
struct Page<'a> {
    rows: Vec<Named<'a>>,
    next_cursor: Option<&'a str>,
}

fn names(query: &UsageQuery) -> Vec<String> {
    query.group_by.iter().map(ToString::to_string).collect()
}

fn json(
    query: &UsageQuery,
    calendar: &Calendar,
    rows: &[UsageRow],
    next_cursor: Option<&str>,
) -> Result<Response, Problem> {
    let (names, times) = (names(query), Times::of(calendar, rows));
    let rows = rows.iter().map(|row| Named { row, names: &names, times: &times }).collect();
    let body = serde_json::to_vec(&Page { rows, next_cursor }).map_err(|error| {
        error!(%error, "usage cannot be written: a bug");
        Problem::Bug
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

fn csv(
    query: &UsageQuery,
    calendar: &Calendar,
    rows: &[UsageRow],
    next_cursor: Option<&str>,
) -> Result<Response, Problem> {
    let mut columns: Vec<String> = ["start", "end", "meter"].map(str::to_owned).to_vec();
    columns.extend(names(query));
    columns.extend(["value", "count"].map(str::to_owned));
    let times = Times::of(calendar, rows);
    let lines = rows.iter().map(|UsageRow { span, meter, group, value, count }| {
        let mut line =
            vec![times.text(span.start).to_owned(), times.text(span.end).to_owned(), meter.to_string()];
        line.extend(group.iter().map(ToString::to_string));
        line.extend([value.to_string(), count.to_string()]);
        line
    });
    format::csv(columns, lines, next_cursor)
}

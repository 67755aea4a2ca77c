//! What was set aside, as operators see it: the list with the beginning of each element, and one element whole.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollgate_ledger::{Act, LedgerError, Outcome, Page, QuarantineItem, Reader};
use tollgate_rules::{Admitted, Verdict, judge};
use tollgate_wire::Document;

use crate::admin_routes::{Admin, PathResult, Rows, in_path, in_query, limit_of};
use crate::format::{self, CsvRow, Format};
use crate::problem::Problem;

/// Characters of an element's body in a listing, at most: enough for most batches, and a page stays small.
const EXCERPT_CHARACTERS_MAX: usize = 1_000;

/// Elements read at once with all of their bodies, at most, whatever the page: this bounds what a listing holds.
const READ_AT_ONCE: usize = 8;

/// Elements looked at for one page, at most, whether they are asked for or not: this bounds how long a listing takes.
const LOOKED_AT_MAX: usize = 4_000;

/// An element in quarantine.
#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    item: QuarantineItem,
    /// How long its body is; in a listing `body` may be its beginning only.
    body_bytes: usize,
}

/// Which elements are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Released {
    /// Those that are in quarantine.
    #[default]
    False,
    /// Those that were released from it.
    True,
    /// Both.
    All,
}

impl Released {
    fn has(self, item: &QuarantineItem) -> bool {
        match self {
            Self::False => !item.is_released,
            Self::True => item.is_released,
            Self::All => true,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    released: Released,
    limit: Option<usize>,
    cursor: Option<String>,
    format: Option<String>,
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let parameters = in_query(query)?;
    let format = Format::asked(parameters.format.as_deref(), &headers)?;
    let released = parameters.released;
    let page = Page { cursor: parameters.cursor, limit: limit_of(parameters.limit)? };
    if let Some(cursor) = &page.cursor
        && cursor.parse::<u64>().is_err()
    {
        let reason = format!("cursor {cursor:?} is not one that this listing gave: start without one.");
        return Err(Problem::BadParameter { reason });
    }
    let rows = admin.read(move |admin| excerpts(&*admin.reader, released, page)).await?;
    format::page(format, rows)
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Shown>, Problem> {
    Ok(Json(whole(item(admin, path).await?)))
}

async fn item(admin: Arc<Admin>, path: PathResult<String>) -> Result<QuarantineItem, Problem> {
    let id = in_path(path)?;
    let id: u64 = id.parse().map_err(|_| Problem::BadParameter {
        reason: format!("{id:?} is not the id of an element: a number."),
    })?;
    let before = id.checked_sub(1).map(|before| before.to_string());
    let page = Page { cursor: before, limit: 1 };
    let found = admin.read(move |admin| admin.reader.quarantine(&page)).await?;
    let item = found.into_iter().find(|item| item.id == id);
    item.ok_or(Problem::NoSuchItem { what: "element in quarantine" })
}

/// What is to become of a released element.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Whether it is to count; otherwise it only leaves the quarantine.
    count: bool,
}

/// Takes an element out of the quarantine: its batch counts from now on, or, when that is asked for, nothing does.
pub(crate) async fn release(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
    body: Bytes,
) -> Result<Json<Shown>, Problem> {
    let Wanted { count } = if body.is_empty() {
        Wanted { count: true }
    } else {
        serde_json::from_slice(&body).map_err(|error| Problem::BadParameter {
            reason: format!(
                "The body is neither empty nor {{\"count\":true}} nor {{\"count\":false}}: {error}."
            ),
        })?
    };
    let item = item(admin.clone(), path).await?;
    let batch = if count { Some(counting(&item.body)?) } else { None };
    let outcome = if item.is_released {
        Outcome::Duplicate
    } else {
        admin.clone().act(Act::Release { quarantine_id: item.id, batch: batch.clone() }).await?
    };
    let refusal = match (outcome, batch) {
        (Outcome::Conflict { .. }, _) => Some(
            "a batch with this id and other content is recorded, and stands; send this one under a uuid of its own, or \
             release it with {\"count\":false}",
        ),
        (Outcome::Duplicate, Some(batch)) if !is_recorded(&admin, batch.clone()).await? => Some(
            "it was released before without counting, which is for ever; send it under a uuid of its own",
        ),
        _ => None,
    };
    match refusal {
        Some(reason) => Err(Problem::CannotCount { reason: reason.to_owned() }),
        None => Ok(Json(whole(QuarantineItem { is_released: true, ..item }))),
    }
}

/// Whether this very batch is recorded. One whose body was dropped can only be told by its id.
async fn is_recorded(admin: &Arc<Admin>, batch: Admitted) -> Result<bool, Problem> {
    let read = move |admin: &Admin| {
        Ok(admin.reader.batch(&batch.id().owned())?.is_some_and(|body| body == batch.body()))
    };
    match admin.clone().read(read).await {
        Err(Problem::BodyDropped) => Ok(true),
        known => known,
    }
}

/// The batch that an element is, when it can be counted by itself.
fn counting(body: &str) -> Result<Admitted, Problem> {
    let refuse = |reason: String| Problem::CannotCount { reason };
    let array = format!("[{body}]");
    let document = Document::new(array.as_bytes());
    let elements = document.batches().map_err(|error| refuse(format!("failed to {error}")))?;
    let [element] = &elements[..] else { return Err(refuse("it is not one batch".to_owned())) };
    match judge(element) {
        Verdict::Admitted(batch) => Ok(batch),
        Verdict::Quarantined(element) => Err(refuse(element.reason.to_string())),
    }
}

/// A page of elements with the beginnings of their bodies, of which only a few are held whole at any time. Where few are asked for
/// among many, it ends early: behind it there may be more.
fn excerpts(reader: &dyn Reader, released: Released, page: Page) -> Result<Rows<Shown>, LedgerError> {
    let mut shown = Vec::new();
    let mut next = page.cursor;
    for _ in 0..LOOKED_AT_MAX / READ_AT_ONCE {
        let items = reader.quarantine(&Page { cursor: next.clone(), limit: READ_AT_ONCE })?;
        if items.is_empty() {
            return Ok(Rows { rows: shown, next_cursor: None });
        }
        for item in items {
            let id = item.id.to_string();
            if released.has(&item) {
                if shown.len() == page.limit {
                    return Ok(Rows { rows: shown, next_cursor: next });
                }
                shown.push(excerpt(whole(item)));
            }
            next = Some(id);
        }
    }
    Ok(Rows { rows: shown, next_cursor: next })
}

impl CsvRow for Shown {
    fn columns() -> Vec<&'static str> {
        vec![
            "id",
            "model_uuid",
            "batch_uuid",
            "unit_name",
            "code",
            "reason",
            "received",
            "is_released",
            "body_bytes",
            "body",
        ]
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let Self { item, body_bytes } = self;
        vec![vec![
            item.id.to_string(),
            item.model_uuid.clone(),
            item.batch_uuid.clone(),
            item.unit_name.clone(),
            item.code.clone(),
            item.reason.clone(),
            item.received.clone(),
            item.is_released.to_string(),
            body_bytes.to_string(),
            item.body.clone(),
        ]]
    }
}

fn whole(item: QuarantineItem) -> Shown {
    Shown { body_bytes: item.body.len(), item }
}

fn excerpt(mut shown: Shown) -> Shown {
    if let Some((end, _)) = shown.item.body.char_indices().nth(EXCERPT_CHARACTERS_MAX) {
        // Made anew: cutting it would keep its memory.
        shown.item.body = shown.item.body[..end].to_owned();
    }
    shown
}

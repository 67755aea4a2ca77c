//! What was set aside, as operators see it: the list with the beginning of each element, and one element whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_ledger::{LedgerError, Page, QuarantineItem, Reader};

use crate::admin_routes::{Admin, PageQuery, PathResult, Rows, in_path, one_more, page, rows};
use crate::problem::Problem;

/// Characters of an element's body in a listing, at most: enough for most batches, and a page stays small.
const EXCERPT_CHARACTERS_MAX: usize = 1_000;

/// Elements read at once with all of their bodies, at most, whatever the page: this bounds what a listing holds.
const READ_AT_ONCE: usize = 8;

/// An element in quarantine.
#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    item: QuarantineItem,
    /// How long its body is; in a listing `body` may be its beginning only.
    body_bytes: usize,
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    query: PageQuery,
) -> Result<Json<Rows<Shown>>, Problem> {
    let page = page(query)?;
    if let Some(cursor) = &page.cursor
        && cursor.parse::<u64>().is_err()
    {
        let reason = format!("cursor {cursor:?} is not one that this listing gave: start without one.");
        return Err(Problem::BadParameter { reason });
    }
    let limit = page.limit;
    let found = admin.read(move |admin| excerpts(&*admin.reader, one_more(page))).await?;
    Ok(Json(rows(found, limit, |shown| shown.item.id.to_string())))
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Shown>, Problem> {
    let id = in_path(path)?;
    let id: u64 = id.parse().map_err(|_| Problem::BadParameter {
        reason: format!("{id:?} is not the id of an element: a number."),
    })?;
    let before = id.checked_sub(1).map(|before| before.to_string());
    let page = Page { cursor: before, limit: 1 };
    let found = admin.read(move |admin| admin.reader.quarantine(&page)).await?;
    let item = found.into_iter().find(|item| item.id == id);
    item.map(|item| Json(whole(item))).ok_or(Problem::NoSuchItem { what: "element in quarantine" })
}

/// A page of elements with the beginnings of their bodies, of which only a few are held whole at any time.
fn excerpts(reader: &dyn Reader, page: Page) -> Result<Vec<Shown>, LedgerError> {
    let mut shown = Vec::new();
    let mut next = page.cursor;
    while shown.len() < page.limit {
        let limit = READ_AT_ONCE.min(page.limit - shown.len());
        let items = reader.quarantine(&Page { cursor: next.take(), limit })?;
        let Some(last) = items.last() else { break };
        next = Some(last.id.to_string());
        shown.extend(items.into_iter().map(|item| excerpt(whole(item))));
    }
    Ok(shown)
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

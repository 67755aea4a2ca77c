//! Where operators look.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tollgate_ledger::{BodyDropped, LedgerError, ModelSummary, Page, Reader, Remedy, chain};
use tollgate_rules::BatchId;
use tracing::error;

use crate::health::Health;
use crate::metrics::{Levels, MEDIA_TYPE};
use crate::post::Post;
use crate::problem::Problem;
use crate::quarantine_routes;

/// Rows on a page when nothing is said.
const ROWS: usize = 100;

/// Rows on a page, at most: a page is built in memory.
const ROWS_MAX: usize = 1_000;

/// What the admin listener looks at.
pub(crate) struct Admin {
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) health: Arc<Health>,
    pub(crate) post: Arc<Post>,
}

/// All that the admin listener answers.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/api/v1/models", get(models))
        .route("/api/v1/models/{model}", get(model))
        .route("/api/v1/batches/{model}/{batch}", get(batch))
        .route("/api/v1/quarantine", get(quarantine_routes::list))
        .route("/api/v1/quarantine/{id}", get(quarantine_routes::one))
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .with_state(admin)
}

async fn index() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("index.html"))).into_response()
}

async fn ready(State(admin): State<Arc<Admin>>) -> Result<&'static str, Problem> {
    match admin.health.not_ready() {
        None => Ok("ready\n"),
        Some(reason) => Err(Problem::NotReady { reason }),
    }
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

async fn version() -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION") })
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response, Problem> {
    let page = admin
        .read(|admin| {
            let levels = Levels {
                queue_batches: admin.post.queue.n_waiting(),
                in_flight_bytes: admin.post.budget.held_bytes(),
                ledger: admin.reader.counts(),
            };
            Ok(admin.post.metrics.render(&levels))
        })
        .await?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], page).into_response())
}

/// Which stretch of a listing is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageParameters {
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) type PathResult<T> = Result<Path<T>, PathRejection>;
pub(crate) type PageQuery = Result<Query<PageParameters>, QueryRejection>;

/// A stretch of a listing.
#[derive(Serialize)]
pub(crate) struct Rows<T> {
    rows: Vec<T>,
    next_cursor: Option<String>,
}

async fn models(
    State(admin): State<Arc<Admin>>,
    query: PageQuery,
) -> Result<Json<Rows<ModelSummary>>, Problem> {
    let page = page(query)?;
    let limit = page.limit;
    let found = admin.read(move |admin| admin.reader.models(&one_more(page))).await?;
    Ok(Json(rows(found, limit, |model| model.model_uuid.clone())))
}

async fn model(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<ModelSummary>, Problem> {
    let model_uuid = in_path(path)?;
    let found = admin.read(move |admin| admin.reader.model(&model_uuid)).await?;
    found.map(Json).ok_or(Problem::NoSuchItem { what: "model" })
}

async fn batch(
    State(admin): State<Arc<Admin>>,
    path: PathResult<(String, String)>,
) -> Result<Response, Problem> {
    let (model_uuid, batch_uuid) = in_path(path)?;
    let id = BatchId { model_uuid: model_uuid.into(), batch_uuid: batch_uuid.into() };
    let found = admin.read(move |admin| admin.reader.batch(&id)).await?;
    let canonical = found.ok_or(Problem::NoSuchItem { what: "batch" })?;
    Ok(([(CONTENT_TYPE, "application/json")], canonical).into_response())
}

impl Admin {
    /// Asks the ledger, on a thread where that may take its time.
    pub(crate) async fn read<T: Send + 'static>(
        self: Arc<Self>,
        question: impl FnOnce(&Self) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Problem> {
        let answer = spawn_blocking(move || question(&self)).await.map_err(|error| {
            error!(%error, "reading the ledger panicked: a bug");
            Problem::Bug
        })?;
        answer.map_err(|failure| {
            if std::error::Error::source(&failure).is_some_and(<dyn std::error::Error>::is::<BodyDropped>) {
                return Problem::BodyDropped;
            }
            error!(error = %chain(&failure), "the ledger cannot be read");
            match failure.remedy() {
                Remedy::Retry | Remedy::FreeSpace => Problem::LedgerBusy,
                Remedy::Restart => Problem::LedgerClosed,
                Remedy::Repair => Problem::Damaged,
            }
        })
    }
}

pub(crate) fn in_path<T>(path: PathResult<T>) -> Result<T, Problem> {
    let Path(parameters) =
        path.map_err(|rejection| Problem::BadParameter { reason: format!("{}.", chain(&rejection)) })?;
    Ok(parameters)
}

pub(crate) fn page(query: PageQuery) -> Result<Page, Problem> {
    let Query(parameters) =
        query.map_err(|rejection| Problem::BadParameter { reason: format!("{}.", chain(&rejection)) })?;
    let limit = parameters.limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&limit) {
        let reason = format!("limit {limit} is outside 1 to {ROWS_MAX}.");
        return Err(Problem::BadParameter { reason });
    }
    Ok(Page { cursor: parameters.cursor, limit })
}

/// A row more than wanted tells whether there is another page.
pub(crate) fn one_more(page: Page) -> Page {
    Page { limit: page.limit + 1, ..page }
}

pub(crate) fn rows<T>(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Rows<T> {
    let there_are_more = limit < rows.len();
    rows.truncate(limit);
    let next_cursor = if there_are_more { rows.last().map(cursor) } else { None };
    Rows { rows, next_cursor }
}

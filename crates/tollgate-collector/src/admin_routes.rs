//! Where operators look.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tollgate_ledger::{BadCursor, BodyDropped, LedgerError, Page, Reader, Remedy, chain};
use tower_http::csrf::CsrfLayer;
use tracing::error;

use crate::format::Format;
use crate::health::Health;
use crate::metrics::{Levels, MEDIA_TYPE};
use crate::post::Post;
use crate::problem::Problem;
use crate::{
    batch_routes, host, model_routes, quarantine_routes, revocation_routes, status_routes, usage_routes,
};

/// Rows on a page when nothing is said.
const ROWS: usize = 100;

/// Rows on a page, at most: a page is built in memory.
const ROWS_MAX: usize = 1_000;

/// Where whoever asks for something else finds what there is.
pub(crate) const NO_SUCH_PATH: Problem = Problem::NoSuchPath {
    instead: "GET /openapi.json says what there is; senders post to the other listener.",
};

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
        .route("/openapi.json", get(openapi))
        .route("/api/v1/usage", get(usage_routes::usage))
        .route("/api/v1/models", get(model_routes::list))
        .route("/api/v1/models/{model}", get(model_routes::one))
        .route(
            "/api/v1/models/{model}/status",
            get(status_routes::of_model)
                .put(status_routes::set_for_model)
                .delete(status_routes::clear_of_model),
        )
        .route(
            "/api/v1/models/{model}/units/{*unit}",
            get(status_routes::of_unit).put(status_routes::set_for_unit).delete(status_routes::clear_of_unit),
        )
        .route("/api/v1/statuses", get(status_routes::list))
        .route("/api/v1/batches", get(batch_routes::list))
        .route("/api/v1/batches/{model}/{batch}", get(batch_routes::one))
        .route("/api/v1/quarantine", get(quarantine_routes::list))
        .route("/api/v1/quarantine/{id}", get(quarantine_routes::one))
        .route("/api/v1/quarantine/{id}/release", post(quarantine_routes::release))
        .route("/api/v1/credentials/{id}", get(revocation_routes::one))
        .route("/api/v1/credentials/{id}/revoke", post(revocation_routes::revoke))
        // A page that the operator's browser happens to show must not decide anything here.
        .layer(CsrfLayer::new().with_rejection_response(|_| Problem::CrossSite.into_response()))
        .fallback(async || NO_SUCH_PATH)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn(host::check))
        .with_state(admin)
}

async fn index() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("index.html"))).into_response()
}

/// All of both listeners, for programs.
async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

async fn ready(State(admin): State<Arc<Admin>>) -> Result<&'static str, Problem> {
    if let Some(reason) = admin.health.not_ready() {
        return Err(Problem::NotReady { reason: reason.into() });
    }
    let reader = admin.reader.clone();
    let reachable = spawn_blocking(move || reader.reachable()).await.map_err(|_panicked| Problem::Bug)?;
    let reason = |error| format!("the ledger does not answer: failed to {}", chain(&error)).into();
    reachable.map(|()| "ready\n").map_err(|error| Problem::NotReady { reason: reason(error) })
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

/// Which stretch of a listing is asked for, and in which form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParameters {
    limit: Option<usize>,
    cursor: Option<String>,
    format: Option<String>,
}

pub(crate) type PathResult<T> = Result<Path<T>, PathRejection>;
pub(crate) type ListQuery = Result<Query<ListParameters>, QueryRejection>;

/// A stretch of a listing.
#[derive(Serialize)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next_cursor: Option<String>,
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
        answer.map_err(|failure| unreadable(&failure))
    }
}

/// What is answered when the ledger cannot say.
pub(crate) fn unreadable(failure: &LedgerError) -> Problem {
    if let Some(cause) = std::error::Error::source(failure) {
        if cause.is::<BodyDropped>() {
            return Problem::BodyDropped;
        }
        if let Some(bad) = cause.downcast_ref::<BadCursor>() {
            return Problem::BadParameter { reason: format!("{bad}.") };
        }
    }
    error!(error = %chain(failure), "the ledger cannot be read");
    match failure.remedy() {
        Remedy::Retry | Remedy::FreeSpace => Problem::LedgerBusy,
        Remedy::Restart => Problem::LedgerClosed,
        Remedy::Repair => Problem::Damaged,
    }
}

pub(crate) fn in_path<T>(path: PathResult<T>) -> Result<T, Problem> {
    let Path(parameters) =
        path.map_err(|rejection| Problem::BadParameter { reason: format!("{}.", chain(&rejection)) })?;
    Ok(parameters)
}

pub(crate) fn in_query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(parameters) =
        query.map_err(|rejection| Problem::BadParameter { reason: format!("{}.", chain(&rejection)) })?;
    Ok(parameters)
}

pub(crate) fn list_page(query: ListQuery, headers: &HeaderMap) -> Result<(Page, Format), Problem> {
    let parameters = in_query(query)?;
    let format = Format::asked(parameters.format.as_deref(), headers)?;
    Ok((Page { cursor: parameters.cursor, limit: limit_of(parameters.limit)? }, format))
}

/// How many rows, when so many or nothing was said.
pub(crate) fn limit_of(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&limit) {
        let reason = format!("limit {limit} is outside 1 to {ROWS_MAX}.");
        return Err(Problem::BadParameter { reason });
    }
    Ok(limit)
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

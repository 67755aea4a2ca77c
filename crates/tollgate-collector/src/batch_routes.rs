//! Recorded batches, as operators look at them.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tollgate_ledger::{BatchItem, BatchPage, BatchSelect, Page};
use tollgate_rules::BatchId;

use crate::admin_routes::{Admin, PathResult, Rows, in_path, in_query, limit_of};
use crate::format::{self, CsvRow, Format};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    model: Option<String>,
    unit: Option<String>,
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
    let page = Page { cursor: parameters.cursor, limit: limit_of(parameters.limit)? };
    let select = BatchSelect {
        model_uuid: parameters.model.map(Into::into),
        unit_name: parameters.unit.map(Into::into),
    };
    let found = admin.read(move |admin| admin.reader.batches(&select, &page)).await?;
    let BatchPage { batches: rows, next_cursor } = found;
    format::page(format, Rows { rows, next_cursor })
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<(String, String)>,
) -> Result<Response, Problem> {
    let (model_uuid, batch_uuid) = in_path(path)?;
    let id = BatchId { model_uuid: model_uuid.into(), batch_uuid: batch_uuid.into() };
    let found = admin.read(move |admin| admin.reader.batch(&id)).await?;
    let canonical = found.ok_or(Problem::NoSuchItem { what: "batch" })?;
    Ok(([(CONTENT_TYPE, "application/json")], canonical).into_response())
}

impl CsvRow for BatchItem {
    fn columns() -> Vec<&'static str> {
        vec![
            "model_uuid",
            "batch_uuid",
            "model_name",
            "unit_name",
            "charm_url",
            "created",
            "received",
            "n_metrics",
        ]
    }

    fn lines(&self) -> Vec<Vec<String>> {
        vec![vec![
            self.model_uuid.clone(),
            self.batch_uuid.clone(),
            self.model_name.clone(),
            self.unit_name.clone(),
            self.charm_url.clone(),
            self.created.clone(),
            self.received.clone(),
            self.n_metrics.to_string(),
        ]]
    }
}

//! Models, as operators look at them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tollgate_ledger::{HandStatus, LedgerError, ModelSummary, Reader};

use crate::act::now;
use crate::admin_routes::{Admin, ListQuery, PathResult, in_path, list_page, one_more, rows};
use crate::format::{self, CsvRow};
use crate::owners::owner;
use crate::problem::Problem;
use crate::terms::Terms;

/// A model and who owns it.
#[derive(Serialize)]
pub(crate) struct Owned {
    #[serde(flatten)]
    model: ModelSummary,
    /// Empty when nobody is known to own it.
    user: String,
}

impl Owned {
    fn of(reader: &dyn Reader, terms: &Terms, models: Vec<ModelSummary>) -> Result<Vec<Self>, LedgerError> {
        let model_uuids: Vec<&str> = models.iter().map(|model| &*model.model_uuid).collect();
        let found = reader.ownership(&model_uuids)?;
        let owned = models.into_iter().zip(found).map(|(model, ownership)| {
            let user = owner(terms, &model.model_uuid, &ownership).unwrap_or_default().into();
            Self { model, user }
        });
        Ok(owned.collect())
    }
}

/// A model, who owns it, and what operators have set for it.
#[derive(Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    owned: Owned,
    /// Those that count: the model's own first, then by unit.
    statuses: Vec<HandStatus>,
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: ListQuery,
) -> Result<Response, Problem> {
    let (page, format) = list_page(query, &headers)?;
    let limit = page.limit;
    let terms = admin.post.terms();
    let found = admin
        .read(move |admin| Owned::of(&*admin.reader, &terms, admin.reader.models(&one_more(page))?))
        .await?;
    format::page(format, rows(found, limit, |owned| owned.model.model_uuid.clone()))
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Whole>, Problem> {
    let model_uuid = in_path(path)?;
    let (terms, now) = (admin.post.terms(), now());
    let found = admin
        .read(move |admin| {
            let model = admin.reader.model(&model_uuid)?.into_iter().collect();
            let Some(owned) = Owned::of(&*admin.reader, &terms, model)?.pop() else { return Ok(None) };
            let mut statuses = admin.reader.hand_statuses(Some(&model_uuid))?;
            statuses.retain(|status| status.standing(now).is_some());
            Ok(Some(Whole { owned, statuses }))
        })
        .await?;
    found.map(Json).ok_or(Problem::NoSuchItem { what: "model" })
}

impl CsvRow for Owned {
    fn columns() -> Vec<&'static str> {
        vec![
            "model_uuid",
            "model_name",
            "user",
            "n_units",
            "n_batches",
            "last_created",
            "meter",
            "n_metrics",
            "sum",
        ]
    }

    /// A line for each meter.
    fn lines(&self) -> Vec<Vec<String>> {
        let Self { model, user } = self;
        let line = |meter: &str, n_metrics: u64, sum: &str| {
            vec![
                model.model_uuid.clone(),
                model.model_name.clone(),
                user.clone(),
                model.units.len().to_string(),
                model.n_batches.to_string(),
                model.last_created.clone(),
                meter.to_owned(),
                n_metrics.to_string(),
                sum.to_owned(),
            ]
        };
        if model.meters.is_empty() {
            return vec![line("", 0, "")];
        }
        model.meters.iter().map(|meter| line(&meter.key, meter.n_metrics, &meter.sum)).collect()
    }
}

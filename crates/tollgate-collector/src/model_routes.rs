//! Models, as operators look at them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use tollgate_ledger::{HandStatus, LedgerError, ModelSummary, Reader};
use tollgate_rules::Policy;

use crate::act::now;
use crate::admin_routes::{Admin, ListQuery, PathResult, in_path, list_page, one_more, rows};
use crate::format::{self, CsvRow};
use crate::problem::Problem;

/// A model and who owns it.
#[derive(Serialize)]
pub(crate) struct Owned {
    #[serde(flatten)]
    model: ModelSummary,
    /// Empty when nobody is known to own it.
    user: String,
}

impl Owned {
    fn new(reader: &dyn Reader, policy: &Policy, model: ModelSummary) -> Result<Self, LedgerError> {
        let declared = reader.declared_user(&model.model_uuid)?;
        let user = policy.users.user_of(&model.model_uuid, declared.as_deref(), &model.model_name);
        let user = user.unwrap_or_default().to_owned();
        Ok(Self { model, user })
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
    let policy = admin.post.terms().policy.clone();
    let found = admin
        .read(move |admin| {
            let models = admin.reader.models(&one_more(page))?.into_iter();
            models.map(|model| Owned::new(&*admin.reader, &policy, model)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    format::page(format, rows(found, limit, |owned| owned.model.model_uuid.clone()))
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Whole>, Problem> {
    let model_uuid = in_path(path)?;
    let (policy, now) = (admin.post.terms().policy.clone(), now());
    let found = admin
        .read(move |admin| {
            let Some(model) = admin.reader.model(&model_uuid)? else { return Ok(None) };
            let owned = Owned::new(&*admin.reader, &policy, model)?;
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

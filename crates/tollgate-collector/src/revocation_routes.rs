//! Credentials, as operators take them back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_ledger::Act;
use tollgate_rules::limits::ID_BYTES_MAX;

use crate::admin_routes::{Admin, PathResult, in_path};
use crate::problem::Problem;

/// What is known of a credential: this collector keeps only those that are good no longer.
#[derive(Serialize)]
pub(crate) struct Shown {
    credential_id: String,
    is_revoked: bool,
}

pub(crate) async fn one(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Shown>, Problem> {
    let credential_id = in_path(path)?;
    let asked = credential_id.clone();
    let is_revoked = admin.read(move |admin| admin.reader.is_revoked(&asked)).await?;
    Ok(Json(Shown { credential_id, is_revoked }))
}

/// For ever. Once more is no mistake.
pub(crate) async fn revoke(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Json<Shown>, Problem> {
    let credential_id = in_path(path)?;
    if ID_BYTES_MAX < credential_id.len() {
        let reason = "The id is too long to be that of any credential.".to_owned();
        return Err(Problem::BadParameter { reason });
    }
    admin.act(Act::Revoke { credential_id: credential_id.as_str().into() }).await?;
    Ok(Json(Shown { credential_id, is_revoked: true }))
}

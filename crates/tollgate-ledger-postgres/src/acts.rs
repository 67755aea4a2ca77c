//! What operators decide.

use tollgate_ledger::{Act, HandStatus, LedgerError, Outcome, Remedy};

use crate::session::Session;
use crate::{key, text};

/// Carries an act out within the transaction that is open. A release is a matter of its own.
pub(crate) async fn carry_out(session: &mut Session, act: &Act) -> Result<Outcome, LedgerError> {
    let n_changed = match act {
        Act::SetStatus(status) => set_status(session, status).await?,
        Act::ClearStatus { model_uuid, unit_name } => {
            const CLEAR: &str = "DELETE FROM statuses WHERE model = $1 AND unit = $2";
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&key::pack(model_uuid), &text::stored(unit_name)];
            session.execute("clear a status", CLEAR, &parameters).await?
        }
        Act::Revoke { credential_id } => {
            const REVOKE: &str =
                "INSERT INTO revoked (credential) VALUES ($1) ON CONFLICT (credential) DO NOTHING";
            session.execute("revoke a credential", REVOKE, &[&text::stored(credential_id)]).await?
        }
        Act::Declare { model_uuid, user } => {
            const DECLARE: &str = "INSERT INTO declared AS d (model, owner) VALUES ($1, $2)
                ON CONFLICT (model) DO UPDATE SET owner = excluded.owner WHERE d.owner <> excluded.owner";
            let (model, user) = (key::pack(model_uuid), text::stored(user));
            session.execute("declare a model's user", DECLARE, &[&model, &user]).await?
        }
        Act::Release { .. } => {
            return Err(LedgerError::new(Remedy::Repair, "release an element beside others"));
        }
    };
    Ok(if n_changed == 0 { Outcome::Duplicate } else { Outcome::Recorded })
}

async fn set_status(session: &mut Session, status: &HandStatus) -> Result<u64, LedgerError> {
    const SET: &str = "INSERT INTO statuses AS s (model, unit, status, info, set_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (model, unit) DO UPDATE
        SET status = excluded.status, info = excluded.info, set_at = excluded.set_at, expires_at = excluded.expires_at
        WHERE (s.status, s.info, s.set_at, s.expires_at)
            IS DISTINCT FROM (excluded.status, excluded.info, excluded.set_at, excluded.expires_at)";
    let HandStatus { model_uuid, unit_name, status, info, set, expires } = status;
    let expires = expires.map(|expires| expires.to_string());
    session
        .execute(
            "set a status",
            SET,
            &[
                &key::pack(model_uuid),
                &text::stored(unit_name),
                &status.as_str(),
                &text::stored(info),
                &set.to_string(),
                &expires,
            ],
        )
        .await
}

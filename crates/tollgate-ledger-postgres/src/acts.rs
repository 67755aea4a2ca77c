//! What operators decide.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

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

/// Carries acts out that come from another ledger, in the transaction that is open: of those about the same thing the last. However
/// many they are, they are five statements.
pub(crate) async fn carry_out_moved(session: &mut Session, acts: &[&Act]) -> Result<(), LedgerError> {
    // In the order of their keys, as everything that two transactions may both want to write.
    let mut statuses = BTreeMap::<(Vec<u8>, Cow<'_, str>), Option<&HandStatus>>::new();
    let mut revoked = BTreeSet::new();
    let mut declared = BTreeMap::new();
    let mut released = Vec::new();
    for act in acts {
        match act {
            Act::SetStatus(status) => {
                let unit = (key::pack(&status.model_uuid), text::stored(&status.unit_name));
                statuses.insert(unit, Some(status));
            }
            Act::ClearStatus { model_uuid, unit_name } => {
                statuses.insert((key::pack(model_uuid), text::stored(unit_name)), None);
            }
            Act::Revoke { credential_id } => {
                revoked.insert(text::stored(credential_id));
            }
            Act::Declare { model_uuid, user } => {
                declared.insert(key::pack(model_uuid), text::stored(user));
            }
            Act::Release { quarantine_id, .. } => released.push(*quarantine_id as i64),
        }
    }
    put_statuses(session, &statuses).await?;
    if !revoked.is_empty() {
        const REVOKE: &str = "INSERT INTO revoked (credential) SELECT * FROM unnest($1::text[])
            ON CONFLICT (credential) DO NOTHING";
        let revoked: Vec<_> = revoked.into_iter().collect();
        session.execute("revoke credentials", REVOKE, &[&revoked]).await?;
    }
    if !declared.is_empty() {
        const DECLARE: &str =
            "INSERT INTO declared (model, owner) SELECT * FROM unnest($1::bytea[], $2::text[])
            ON CONFLICT (model) DO UPDATE SET owner = excluded.owner";
        let (models, users): (Vec<_>, Vec<_>) = declared.into_iter().unzip();
        session.execute("declare the users of models", DECLARE, &[&models, &users]).await?;
    }
    if !released.is_empty() {
        const RELEASE: &str = "UPDATE quarantine SET is_released = true WHERE id = ANY ($1)";
        session.execute("release elements", RELEASE, &[&released]).await?;
    }
    Ok(())
}

/// Sets statuses, and clears those that have none.
async fn put_statuses(
    session: &mut Session,
    statuses: &BTreeMap<(Vec<u8>, Cow<'_, str>), Option<&HandStatus>>,
) -> Result<(), LedgerError> {
    let cleared = statuses.iter().filter(|(_, status)| status.is_none()).map(|(unit, _)| unit);
    let (models, units): (Vec<&[u8]>, Vec<&str>) = cleared.map(|(model, unit)| (&**model, &**unit)).unzip();
    if !models.is_empty() {
        const CLEAR: &str = "DELETE FROM statuses s USING unnest($1::bytea[], $2::text[]) AS w (model, unit)
            WHERE s.model = w.model AND s.unit = w.unit";
        session.execute("clear statuses", CLEAR, &[&models, &units]).await?;
    }
    let set: Vec<_> = statuses.iter().filter_map(|(unit, status)| Some((unit, (*status)?))).collect();
    if set.is_empty() {
        return Ok(());
    }
    const SET: &str = "INSERT INTO statuses (model, unit, status, info, set_at, expires_at)
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        ON CONFLICT (model, unit) DO UPDATE
        SET status = excluded.status, info = excluded.info, set_at = excluded.set_at, expires_at = excluded.expires_at";
    let models: Vec<&[u8]> = set.iter().map(|((model, _), _)| &**model).collect();
    let units: Vec<&str> = set.iter().map(|((_, unit), _)| &**unit).collect();
    let values: Vec<&str> = set.iter().map(|(_, status)| status.status.as_str()).collect();
    let infos: Vec<_> = set.iter().map(|(_, status)| text::stored(&status.info)).collect();
    let set_at: Vec<String> = set.iter().map(|(_, status)| status.set.to_string()).collect();
    let expire: Vec<Option<String>> =
        set.iter().map(|(_, status)| Some(status.expires?.to_string())).collect();
    session
        .execute("set statuses", SET, &[&models, &units, &values, &infos, &set_at, &expire])
        .await
        .map(drop)
}

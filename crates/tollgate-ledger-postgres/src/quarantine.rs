//! Setting elements aside.

use std::collections::HashMap;
use std::time::SystemTime;

use tollgate_ledger::LedgerError;
use tollgate_rules::{Digest, Quarantined};

use crate::error::damaged;
use crate::session::Session;
use crate::{key, text};

/// What tells an element in quarantine from others: its ids as they are stored, and its digest.
type Key = (Vec<u8>, Vec<u8>, Digest);

fn key_of(element: &Quarantined) -> Key {
    (key::pack(&element.id.model_uuid), key::pack(&element.id.batch_uuid), element.digest)
}

/// Sets elements aside within the transaction that is open, and gives the quarantine id of each, in the same order.
pub(crate) async fn set_aside(
    session: &mut Session,
    elements: &[(Quarantined, SystemTime)],
) -> Result<Vec<i64>, LedgerError> {
    let keys: Vec<Key> = elements.iter().map(|(element, _)| key_of(element)).collect();
    let mut ids = find(session, keys.iter()).await?;
    let mut missing = Vec::new();
    for (place, key) in keys.iter().enumerate() {
        if !ids.contains_key(key) {
            // The first of several that are the same; the id comes below.
            ids.insert(key.clone(), 0);
            missing.push(place);
        }
    }
    if !missing.is_empty() {
        insert(session, elements, &keys, &missing, &mut ids).await?;
    }
    Ok(keys.iter().map(|key| ids[key]).collect())
}

async fn find(
    session: &mut Session,
    keys: impl Iterator<Item = &Key> + Clone,
) -> Result<HashMap<Key, i64>, LedgerError> {
    const FIND: &str = "-- find elements in quarantine
        SELECT q.model, q.batch, q.digest, q.id FROM quarantine q
        JOIN unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS w (model, batch, digest)
        ON q.model = w.model AND q.batch = w.batch AND q.digest = w.digest";
    let models: Vec<&[u8]> = keys.clone().map(|(model, _, _)| &**model).collect();
    let batches: Vec<&[u8]> = keys.clone().map(|(_, batch, _)| &**batch).collect();
    let digests: Vec<&[u8]> = keys.map(|(_, _, digest)| &digest.0[..]).collect();
    let rows = session.query("look into the quarantine", FIND, &[&models, &batches, &digests]).await?;
    rows.iter()
        .map(|row| Ok(((row.get(0), row.get(1), digest(row.get(2))?), row.get(3))))
        .collect::<Result<_, LedgerError>>()
}

async fn insert(
    session: &mut Session,
    elements: &[(Quarantined, SystemTime)],
    keys: &[Key],
    missing: &[usize],
    ids: &mut HashMap<Key, i64>,
) -> Result<(), LedgerError> {
    const STEP: &str = "set elements aside";
    // Drawn in the order of the group, so that ids go up with it.
    const DRAW: &str = "SELECT nextval('quarantine_ids') FROM generate_series(1, $1::bigint)";
    let drawn = session.query(STEP, DRAW, &[&(missing.len() as i64)]).await?;
    let mut rows: Vec<(usize, i64)> =
        missing.iter().zip(&drawn).map(|(&place, row)| (place, row.get(0))).collect();
    for (place, id) in &rows {
        ids.insert(keys[*place].clone(), *id);
    }
    // Sorted, as everything is that two transactions may both want to insert: neither waits for the other in turn.
    rows.sort_by(|left, right| keys[left.0].cmp(&keys[right.0]));

    const INSERT: &str = "-- set elements aside
        INSERT INTO quarantine (model, batch, digest, id, unit, code, reason, received, is_released, body)
        SELECT model, batch, digest, id, unit, code, reason, received, false, body
        FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::bytea[]) AS w (model, batch, digest, id, unit, code, reason, received, body)
        ON CONFLICT (model, batch, digest) DO NOTHING RETURNING id";
    let models: Vec<&[u8]> = rows.iter().map(|(place, _)| &*keys[*place].0).collect();
    let batches: Vec<&[u8]> = rows.iter().map(|(place, _)| &*keys[*place].1).collect();
    let digests: Vec<&[u8]> = rows.iter().map(|(place, _)| &keys[*place].2.0[..]).collect();
    let row_ids: Vec<i64> = rows.iter().map(|(_, id)| *id).collect();
    let element = |place: usize| &elements[place].0;
    let units: Vec<_> = rows.iter().map(|(place, _)| text::stored(&element(*place).unit_name)).collect();
    let codes: Vec<_> = rows.iter().map(|(place, _)| element(*place).reason.code()).collect();
    let reasons: Vec<String> = rows.iter().map(|(place, _)| element(*place).reason.to_string()).collect();
    let reasons: Vec<_> = reasons.iter().map(|reason| text::stored(reason)).collect();
    let received: Vec<SystemTime> = rows.iter().map(|(place, _)| elements[*place].1).collect();
    let bodies: Vec<&[u8]> = rows.iter().map(|(place, _)| &*element(*place).body).collect();
    let inserted = session
        .query(
            STEP,
            INSERT,
            &[&models, &batches, &digests, &row_ids, &units, &codes, &reasons, &received, &bodies],
        )
        .await?;
    if inserted.len() != rows.len() {
        // Another collector was quicker: its ids stand, and ours are gaps.
        let found = find(session, rows.iter().map(|(place, _)| &keys[*place])).await?;
        ids.extend(found);
    }
    Ok(())
}

/// A digest that was stored.
pub(crate) fn digest(stored: &[u8]) -> Result<Digest, LedgerError> {
    stored.try_into().map(Digest).map_err(|error| damaged("read a digest").because(error))
}

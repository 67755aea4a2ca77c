//! Setting elements aside.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use tollgate_ledger::{LedgerError, MovedElement};
use tollgate_rules::{Digest, Quarantined};

use crate::error::damaged;
use crate::session::Session;
use crate::{key, lane, text};

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
    let row = |(&place, drawn): (&usize, &tokio_postgres::Row)| {
        let (element, received) = &elements[place];
        Row {
            key: &keys[place],
            id: drawn.get(0),
            unit_name: &element.unit_name,
            code: element.reason.code(),
            reason: element.reason.to_string().into(),
            received: *received,
            body: &element.body,
        }
    };
    let rows: Vec<Row<'_>> = missing.iter().zip(&drawn).map(row).collect();
    ids.extend(rows.iter().map(|row| (row.key.clone(), row.id)));
    if put(session, rows).await? != missing.len() {
        // Another collector was quicker: its ids stand, and ours are gaps.
        let found = find(session, missing.iter().map(|place| &keys[*place])).await?;
        ids.extend(found);
    }
    Ok(())
}

/// Sets elements aside that come from another ledger, under the ids that they have there: so many are new.
pub(crate) async fn put_moved(
    session: &mut Session,
    elements: &[&MovedElement],
) -> Result<usize, LedgerError> {
    let key = |element: &&MovedElement| {
        (key::pack(&element.id.model_uuid), key::pack(&element.id.batch_uuid), element.digest)
    };
    let keys: Vec<Key> = elements.iter().map(key).collect();
    let row = |(key, element)| {
        let &MovedElement { quarantine_id, ref unit_name, ref code, ref reason, received, ref body, .. } =
            element;
        let (id, received) = (quarantine_id as i64, lane::time(received));
        Row { key, id, unit_name, code, reason: reason.as_ref().into(), received, body }
    };
    put(session, keys.iter().zip(elements.iter().copied()).map(row).collect()).await
}

/// An element as it is stored.
struct Row<'a> {
    key: &'a Key,
    id: i64,
    unit_name: &'a str,
    code: &'a str,
    reason: Cow<'a, str>,
    received: SystemTime,
    body: &'a [u8],
}

/// Inserts those that are not there: so many.
async fn put(session: &mut Session, mut rows: Vec<Row<'_>>) -> Result<usize, LedgerError> {
    // Sorted, as everything is that two transactions may both want to insert: neither waits for the other in turn.
    rows.sort_by(|left, right| left.key.cmp(right.key));
    const INSERT: &str = "-- set elements aside
        INSERT INTO quarantine (model, batch, digest, id, unit, code, reason, received, is_released, body)
        SELECT model, batch, digest, id, unit, code, reason, received, false, body
        FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::bytea[]) AS w (model, batch, digest, id, unit, code, reason, received, body)
        ON CONFLICT (model, batch, digest) DO NOTHING RETURNING id";
    let models: Vec<&[u8]> = rows.iter().map(|row| &*row.key.0).collect();
    let batches: Vec<&[u8]> = rows.iter().map(|row| &*row.key.1).collect();
    let digests: Vec<&[u8]> = rows.iter().map(|row| &row.key.2.0[..]).collect();
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let units: Vec<_> = rows.iter().map(|row| text::stored(row.unit_name)).collect();
    let codes: Vec<&str> = rows.iter().map(|row| row.code).collect();
    let reasons: Vec<_> = rows.iter().map(|row| text::stored(&row.reason)).collect();
    let received: Vec<SystemTime> = rows.iter().map(|row| row.received).collect();
    let bodies: Vec<&[u8]> = rows.iter().map(|row| row.body).collect();
    let inserted = session
        .query(
            "set elements aside",
            INSERT,
            &[&models, &batches, &digests, &ids, &units, &codes, &reasons, &received, &bodies],
        )
        .await?;
    Ok(inserted.len())
}

/// A digest that was stored.
pub(crate) fn digest(stored: &[u8]) -> Result<Digest, LedgerError> {
    stored.try_into().map(Digest).map_err(|error| damaged("read a digest").because(error))
}

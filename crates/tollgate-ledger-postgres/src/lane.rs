//! A part of a group that one connection records in one transaction.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tollgate_ledger::{Entry, LedgerError, MovedBatch, Outcome, Received};
use tollgate_rules::{Admitted, BatchIdRef, Digest, Quarantined};
use tollgate_wire::Timestamp;
use tracing::debug;

use crate::error::{damaged, is_collision};
use crate::session::Session;
use crate::{acts, delta, key, quarantine, text};

/// How often a transaction is run again that met another one in its way. With the pauses between it takes a second or two; then
/// the senders send again.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(5);

/// Bits of a place that number the entries of one group.
pub(crate) const INDEX_BITS: u32 = 20;

/// Entries of one group, at most.
pub(crate) const GROUP_ENTRIES_MAX: usize = 1 << INDEX_BITS;

/// Bytes of bodies in one statement, at most, but for a single one: PostgreSQL takes less than 1 GiB in one value.
const STATEMENT_BYTES_MAX: usize = 64 << 20;

/// An entry of a group.
pub(crate) struct Item {
    /// Its place in the group.
    pub(crate) index: usize,
    pub(crate) entry: Entry,
    pub(crate) received: Received,
}

/// Makes the items durable and says what became of each.
pub(crate) async fn record(
    session: &mut Session,
    items: &[Item],
    mut group: i64,
) -> Result<Vec<(usize, Outcome)>, LedgerError> {
    let mut n_tries = 1;
    loop {
        match attempt(session, items, group).await {
            Err(error) if n_tries < TRIES_MAX && is_collision(&error) => {
                debug!(n_tries, error = %tollgate_ledger::chain(&error), "a transaction met another one");
                session.roll_back().await?;
                tokio::time::sleep(PAUSE.mul_f64(f64::from(1 << n_tries) * fastrand::f64())).await;
                // IMPORTANT: a number that no transaction had before. Nobody knows of every failed one what became of it; its
                // rows, if there are any, must not pass for ours.
                group = next_group(session).await?;
                n_tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// A number for a group: larger than that of every group that was answered before.
pub(crate) async fn next_group(session: &mut Session) -> Result<i64, LedgerError> {
    Ok(session.row("number a group", "SELECT nextval('groups')", &[]).await?.get(0))
}

async fn attempt(
    session: &mut Session,
    items: &[Item],
    group: i64,
) -> Result<Vec<(usize, Outcome)>, LedgerError> {
    let place = |item: &Item| group << INDEX_BITS | item.index as i64;

    // Of several batches with one id, the first is the one that may be new.
    let mut firsts = HashMap::<BatchIdRef<'_>, usize>::new();
    for (at, item) in items.iter().enumerate() {
        if let Entry::Batch(batch) = &item.entry {
            firsts.entry(batch.id()).or_insert(at);
        }
    }
    let mut candidates: Vec<Candidate<'_>> =
        firsts.values().map(|&at| Candidate::new(&items[at], place(&items[at]))).collect();
    // Sorted, so that two transactions with the same ids never wait for each other in turn.
    candidates.sort_unstable_by(|left, right| left.key().cmp(&right.key()));

    let n_inserted = insert(session, &candidates, true).await?;

    // What was recorded before, of the ids that are not known to be new.
    let refused = items.iter().filter_map(|item| match &item.entry {
        Entry::Refused(batch, _) => Some(batch.id()),
        _ => None,
    });
    let mut in_doubt: Vec<BatchIdRef<'_>> = refused.collect();
    if n_inserted != candidates.len() {
        in_doubt.extend(firsts.keys());
    }
    let known = if in_doubt.is_empty() { HashMap::new() } else { find(session, &in_doubt).await? };
    let is_ours = |id: BatchIdRef<'_>, known_place: i64| {
        firsts.get(&id).is_some_and(|&at| place(&items[at]) == known_place)
    };
    let mut recorded: HashMap<BatchIdRef<'_>, Digest> = HashMap::new();
    for id in in_doubt {
        match known.get(&stored(id)) {
            Some((digest, known_place)) if !is_ours(id, *known_place) => {
                recorded.insert(id, *digest);
            }
            // Neither there before nor inserted: rows do not vanish.
            None if firsts.contains_key(&id) => {
                return Err(damaged("find a batch that is in the way of another"));
            }
            _ => {}
        }
    }

    // From here on as the contract says it: in order, each as if it were alone.
    let mut outcomes = Vec::with_capacity(items.len());
    let mut aside = Vec::new();
    let mut acts = Vec::new();
    let mut new = Vec::new();
    for item in items {
        let mut set_aside = |element: Quarantined, conflict_with: Option<Digest>| {
            aside.push((item.index, conflict_with, (element, time(item.received))));
        };
        match &item.entry {
            Entry::Batch(batch) => match recorded.get(&batch.id()) {
                None => {
                    recorded.insert(batch.id(), batch.digest());
                    new.push((batch, place(item)));
                    outcomes.push((item.index, Outcome::Recorded));
                }
                Some(digest) if *digest == batch.digest() => outcomes.push((item.index, Outcome::Duplicate)),
                Some(digest) => set_aside(Quarantined::conflict(batch.clone(), *digest), Some(*digest)),
            },
            Entry::Refused(batch, reason) => match recorded.get(&batch.id()) {
                None => set_aside(Quarantined::refused(batch.clone(), reason.clone()), None),
                Some(digest) if *digest == batch.digest() => outcomes.push((item.index, Outcome::Duplicate)),
                Some(digest) => set_aside(Quarantined::conflict(batch.clone(), *digest), Some(*digest)),
            },
            Entry::Quarantine(element) => set_aside(element.clone(), None),
            Entry::Act(act) => acts.push((item.index, act)),
        }
    }
    if !aside.is_empty() {
        let (places, elements): (Vec<_>, Vec<_>) = aside
            .into_iter()
            .map(|(index, conflict_with, element)| ((index, conflict_with), element))
            .unzip();
        let ids = quarantine::set_aside(session, &elements).await?;
        for ((index, conflict_with), id) in places.into_iter().zip(ids) {
            let quarantine_id = id as u64;
            outcomes.push(match conflict_with {
                Some(recorded) => (index, Outcome::Conflict { quarantine_id, recorded }),
                None => (index, Outcome::Quarantined { quarantine_id }),
            });
        }
    }
    for (index, act) in acts {
        outcomes.push((index, acts::carry_out(session, act).await?));
    }
    commit(session, &new).await?;
    Ok(outcomes)
}

/// A batch that is recorded if its id is new.
pub(crate) struct Candidate<'a> {
    pub(crate) batch: &'a Admitted,
    /// As it was recorded first, here or in the ledger that it comes from.
    digest: Digest,
    is_reduced: bool,
    model: Vec<u8>,
    batch_key: Vec<u8>,
    pub(crate) place: i64,
    received: SystemTime,
}

impl<'a> Candidate<'a> {
    fn new(item: &'a Item, place: i64) -> Self {
        let batch = item.entry.batch().expect("candidates are batches");
        let (model, batch_key) = stored(batch.id());
        let received = time(item.received);
        Self { batch, digest: batch.digest(), is_reduced: false, model, batch_key, place, received }
    }

    pub(crate) fn moved(moved: &'a MovedBatch, place: i64) -> Self {
        let MovedBatch { batch, digest, is_reduced, received } = moved;
        let (model, batch_key) = stored(batch.id());
        let received = time(*received);
        Self { batch, digest: *digest, is_reduced: *is_reduced, model, batch_key, place, received }
    }

    pub(crate) fn key(&self) -> (&[u8], &[u8]) {
        (&self.model, &self.batch_key)
    }
}

/// Begins a transaction, unless one is open, with the insertion of those that are new: so many.
pub(crate) async fn insert(
    session: &mut Session,
    candidates: &[Candidate<'_>],
    begin: bool,
) -> Result<usize, LedgerError> {
    const STEP: &str = "record batches";
    const INSERT: &str = "-- record batches
        INSERT INTO batches (model, batch, place, digest, received, unit, body, is_reduced)
        SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[], $5::timestamptz[], $6::text[],
            $7::bytea[], $8::boolean[])
        ON CONFLICT (model, batch) DO NOTHING RETURNING place";
    let mut n_inserted = 0;
    let mut must_begin = begin;
    let mut rest = candidates;
    // Also without any candidate: the transaction has to begin.
    while must_begin || !rest.is_empty() {
        let mut n_bytes = 0;
        let fits = |candidate: &&Candidate<'_>| {
            n_bytes += candidate.batch.body().len();
            n_bytes <= STATEMENT_BYTES_MAX
        };
        let n_fitting = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (chunk, behind) = rest.split_at(n_fitting);
        rest = behind;
        let models: Vec<&[u8]> = chunk.iter().map(|candidate| &*candidate.model).collect();
        let batches: Vec<&[u8]> = chunk.iter().map(|candidate| &*candidate.batch_key).collect();
        let places: Vec<i64> = chunk.iter().map(|candidate| candidate.place).collect();
        let digests: Vec<&[u8]> = chunk.iter().map(|candidate| &candidate.digest.0[..]).collect();
        let received: Vec<SystemTime> = chunk.iter().map(|candidate| candidate.received).collect();
        let units: Vec<_> = chunk.iter().map(|candidate| text::stored(candidate.batch.unit_name())).collect();
        let bodies: Vec<&[u8]> = chunk.iter().map(|candidate| candidate.batch.body()).collect();
        let are_reduced: Vec<bool> = chunk.iter().map(|candidate| candidate.is_reduced).collect();
        let parameters: [crate::session::Parameter<'_>; 8] =
            [&models, &batches, &places, &digests, &received, &units, &bodies, &are_reduced];
        n_inserted += if must_begin {
            session.begin_recording(STEP, INSERT, &parameters).await?.len()
        } else {
            session.query(STEP, INSERT, &parameters).await?.len()
        };
        must_begin = false;
    }
    Ok(n_inserted)
}

/// An id as it is stored.
fn stored(id: BatchIdRef<'_>) -> (Vec<u8>, Vec<u8>) {
    (key::pack(id.model_uuid), key::pack(id.batch_uuid))
}

/// Those of the ids that are recorded, each with its digest and its place.
async fn find(
    session: &mut Session,
    ids: &[BatchIdRef<'_>],
) -> Result<HashMap<(Vec<u8>, Vec<u8>), (Digest, i64)>, LedgerError> {
    const FIND: &str = "-- find recorded batches
        SELECT b.model, b.batch, b.digest, b.place FROM batches b
        JOIN unnest($1::bytea[], $2::bytea[]) AS w (model, batch) ON b.model = w.model AND b.batch = w.batch";
    let (models, batches): (Vec<_>, Vec<_>) = ids.iter().copied().map(stored).unzip();
    let rows = session.query("find recorded batches", FIND, &[&models, &batches]).await?;
    let found =
        rows.iter().map(|row| Ok(((row.get(0), row.get(1)), (quarantine::digest(row.get(2))?, row.get(3)))));
    found.collect()
}

/// Ends the transaction, with what the new batches come to. From then on all of it is durable.
pub(crate) async fn commit(session: &mut Session, new: &[(&Admitted, i64)]) -> Result<(), LedgerError> {
    const STEP: &str = "commit a group";
    if new.is_empty() {
        // IMPORTANT: also when nothing was written, so that whoever is acknowledged as a duplicate waited for its first copy.
        return session.commit(STEP).await;
    }
    const INSERT: &str = "-- add what new batches come to
        INSERT INTO deltas (model, place, uuid, n_batches, n_metrics, content)
        SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[])";
    let deltas = delta::deltas(new.iter().copied());
    let models: Vec<Vec<u8>> = deltas.iter().map(delta::model_key).collect();
    let places: Vec<i64> = deltas.iter().map(|delta| delta.place).collect();
    let uuids: Vec<_> = deltas.iter().map(|delta| text::stored(delta.model_uuid)).collect();
    let n_batches: Vec<i64> = deltas.iter().map(|delta| delta.n_batches).collect();
    let n_metrics: Vec<i64> = deltas.iter().map(|delta| delta.n_metrics).collect();
    let contents: Vec<Vec<u8>> = deltas.iter().map(delta::Delta::content).collect();
    // IMPORTANT: one transaction with the batches. They count exactly when they are recorded.
    session
        .commit_with(STEP, INSERT, &[&models, &places, &uuids, &n_batches, &n_metrics, &contents])
        .await
        .map(drop)
}

/// Releases an element that is in quarantine, with the batch that it is when it is to count.
pub(crate) async fn release(
    session: &mut Session,
    quarantine_id: u64,
    batch: Option<&Item>,
    group: i64,
) -> Result<Outcome, LedgerError> {
    const STEP: &str = "release an element";
    const FIND: &str = "SELECT model, batch, digest FROM quarantine WHERE id = $1";
    let rows = session.query(STEP, FIND, &[&(quarantine_id as i64)]).await?;
    let Some(row) = rows.first() else {
        return Err(damaged(format!(
            "release element {quarantine_id}: there is no such element in quarantine"
        )));
    };
    const RELEASE: &str = "UPDATE quarantine SET is_released = true
        WHERE model = $1 AND batch = $2 AND digest = $3 AND NOT is_released RETURNING id";
    let (model, batch_key, digest): (&[u8], &[u8], &[u8]) = (row.get(0), row.get(1), row.get(2));
    if session.begin_recording(STEP, RELEASE, &[&model, &batch_key, &digest]).await?.is_empty() {
        session.commit(STEP).await?;
        return Ok(Outcome::Duplicate);
    }
    let Some(item) = batch else {
        session.commit(STEP).await?;
        return Ok(Outcome::Recorded);
    };
    let candidate = Candidate::new(item, group << INDEX_BITS);
    let admitted = candidate.batch;
    if insert(session, &[candidate], false).await? == 0 {
        let known = find(session, &[admitted.id()]).await?;
        let (recorded, _) = known
            .get(&stored(admitted.id()))
            .ok_or_else(|| damaged("find a batch that is in the way of another"))?;
        if *recorded != admitted.digest() {
            session.roll_back().await?;
            return Ok(Outcome::Conflict { quarantine_id, recorded: *recorded });
        }
        session.commit(STEP).await?;
    } else {
        commit(session, &[(admitted, group << INDEX_BITS)]).await?;
    }
    Ok(Outcome::Recorded)
}

/// To the microsecond, as PostgreSQL has it, and always towards the past: what sends it would round towards the year 2000.
pub(crate) fn time(time: Timestamp) -> SystemTime {
    let epoch = SystemTime::UNIX_EPOCH;
    let seconds = Duration::from_secs(time.unix_seconds().unsigned_abs());
    let whole = if time.unix_seconds() < 0 { epoch - seconds } else { epoch + seconds };
    whole + Duration::from_micros((time.nanoseconds() / 1_000).into())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::{FromSql as _, ToSql as _, Type};

    use super::*;

    #[track_caller]
    fn check(stated: &str, expected: &str) {
        let mut sent = Default::default();
        let stated = Timestamp::parse(stated).expect("a time");
        time(stated).to_sql(&Type::TIMESTAMPTZ, &mut sent).expect("it can be sent");
        let stored = SystemTime::from_sql(&Type::TIMESTAMPTZ, &sent).expect("it can be read");
        assert_eq!(Timestamp::from_system_time(stored).to_string(), expected);
    }

    #[test]
    fn times_are_stored_to_the_microsecond_before_them() {
        check("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z");
        check("1999-12-31T23:59:58.123456789Z", "1999-12-31T23:59:58.123456Z");
        check("1969-12-31T23:59:58.999999999Z", "1969-12-31T23:59:58.999999Z");
        check("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z");
    }
}

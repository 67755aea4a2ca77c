//! A ledger that another one is moved into.
//!
//! How far the move has come is a row that is changed in the transaction that adds what it says: cut short at any moment, it goes on
//! from there, and nothing is there twice. Until all of it is there the sequence that numbers groups has another name, so that no
//! collector can record anything in between; and one that starts is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use tollgate_ledger::{Counts, LedgerError, Mark, Moved, MovedBatch, MovedGroups, Reader, Remedy};

use crate::error::damaged;
use crate::fold::{self, Cursor};
use crate::lane::{self, Candidate, INDEX_BITS};
use crate::ledger::{Database, Options, connect};
use crate::location::redacted;
use crate::pool::{Lease, Pool};
use crate::reader::{PostgresReader, count_all};
use crate::session::{BEGIN, Session};
use crate::{acts, key, quarantine, schema, server, text};

const STEP: &str = "move a ledger into the database";

/// For a statement that looks at all rows of a table.
const BEGIN_LONG: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout TO 0";

/// While somebody else folds, how long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything up to the mark is here.
    Begun(Mark),
    /// So is everything else, and collectors may have recorded since.
    Whole(Mark),
}

/// What readings come to: how many, and their sum.
pub type Readings = (u64, Box<str>);

/// A meter of a model that in two tables comes to two things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uneven {
    /// The model.
    pub model_uuid: Box<str>,
    /// The meter.
    pub meter: Box<str>,
    /// What the model's sum says.
    pub in_all: Option<Readings>,
    /// What those of its series and days come to.
    pub by_series: Option<Readings>,
}

/// A ledger in PostgreSQL that is made of another one.
pub struct Target {
    database: Arc<Database>,
    folding: Arc<Pool>,
    schema: String,
    /// The connection that writes, and has the lock.
    lease: Arc<Mutex<Lease>>,
    mark: Mark,
    n_batches: u64,
}

impl Target {
    /// Opens the ledger at `url` to move another one into it, and makes its tables when they are not there. It has to be empty, or
    /// what an earlier move left.
    ///
    /// # Errors
    ///
    /// [`Remedy::Retry`] while somebody else moves a ledger into it, [`Remedy::Repair`] when it holds a ledger of its own; and as
    /// [`crate::PostgresLedger::open`].
    pub fn open(url: &str) -> Result<(Self, Standing), LedgerError> {
        let (location, calls, connector) = connect(url)?;
        let Options { n_reading_max, .. } = Options::default();
        let pool = |n_sessions_max| Pool::new(connector.clone(), n_sessions_max);
        let (writing, reading, folding) = (pool(1), pool(n_reading_max), pool(1));
        let (opening, name, place) = (writing.clone(), location.schema.clone(), redacted(url));
        let (lease, (standing, n_batches)) =
            calls.call("open the database to move a ledger into it", async move {
                let mut lease = opening.lease().await?;
                let standing = begin(&mut lease.session, &name, &place).await?;
                Ok((lease, standing))
            })?;
        let mark = match standing {
            Standing::Begun(mark) => {
                let (folding, schema) = (folding.clone(), location.schema.clone());
                calls.spawn(async move { fold::run(&folding, &schema).await });
                mark
            }
            Standing::Whole(mark) => mark,
        };
        let database = Arc::new(Database { calls, writing, reading, n_lanes: 1 });
        let lease = Arc::new(Mutex::new(lease));
        Ok((Self { database, folding, schema: location.schema, lease, mark, n_batches }, standing))
    }

    /// So many batches are here.
    #[must_use]
    pub fn n_batches(&self) -> u64 {
        self.n_batches
    }

    /// Adds what comes next, all of it or nothing.
    ///
    /// # Errors
    ///
    /// When it is unknown whether it was added: only opening it anew can tell.
    pub fn put(&mut self, groups: MovedGroups) -> Result<(), LedgerError> {
        let (lease, after, end) = (self.lease.clone(), self.mark, groups.end);
        let call = async move { put(&mut lease.lock().await.session, after, groups).await };
        self.n_batches = self.database.calls.call(STEP, call)?;
        self.mark = end;
        Ok(())
    }

    /// Folds what is not folded yet, so that all questions are answered quickly from the beginning. `progress` hears of each part.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn fold(&self, mut progress: impl FnMut()) -> Result<(), LedgerError> {
        // Kept from one part to the next: those before it are looked for once more only behind the last.
        let mut cursor = Cursor::default();
        loop {
            let (pool, schema) = (self.folding.clone(), self.schema.clone());
            let mut after = std::mem::take(&mut cursor);
            let is_left;
            (is_left, cursor) = self.database.calls.call("fold what was moved", async move {
                if fold::pass(&pool, &schema, &mut after).await? {
                    return Ok((true, after));
                }
                let is_left = fold::is_any_left(&pool).await?;
                if is_left {
                    // Somebody else is at it.
                    sleep(PAUSE).await;
                }
                Ok((is_left, after))
            })?;
            if !is_left {
                return Ok(());
            }
            progress();
        }
    }

    /// Lets collectors have it: all of the other ledger is here.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn finish(self) -> Result<(), LedgerError> {
        let lease = self.lease.clone();
        let call = async move { finish(&mut lease.lock().await.session).await };
        self.database.calls.call("finish moving a ledger", call)
    }

    /// Answers about what is here.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(PostgresReader::new(self.database.clone()))
    }

    /// Counts what is here, however long it takes.
    ///
    /// # Errors
    ///
    /// When the database fails: never the counts of before.
    pub fn counts(&self) -> Result<Counts, LedgerError> {
        const STEP: &str = "count what was moved";
        let lease = self.lease.clone();
        self.database.calls.long_call(STEP, async move {
            let session = &mut lease.lock().await.session;
            session.run(STEP, BEGIN_LONG).await?;
            let counts = count_all(session).await?;
            session.commit(STEP).await?;
            Ok(counts)
        })
    }

    /// Counts the rows of batches, which what they come to is kept apart from.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn n_batch_rows(&self) -> Result<u64, LedgerError> {
        let rows = self.long_query("count the batches that were moved", "SELECT count(*) FROM batches")?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0) as u64))
    }

    /// The first meter of a model that by hour and series does not come to what it comes to in all. Only what is folded is
    /// looked at.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn uneven(&self) -> Result<Option<Uneven>, LedgerError> {
        const COMPARE: &str = "-- compare usage with totals
            SELECT model, meter, t.n_readings, t.sum::text, u.n_readings, u.sum::text FROM totals t
            FULL JOIN (SELECT model, meter, sum(n_readings)::bigint AS n_readings, sum(sum) AS sum
                FROM usage GROUP BY model, meter) u USING (model, meter)
            WHERE t.n_readings IS DISTINCT FROM u.n_readings OR t.sum IS DISTINCT FROM u.sum LIMIT 1";
        let rows = self.long_query("compare usage with totals", COMPARE)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let readings = |first: usize| {
            let n_readings: i64 = row.get::<_, Option<i64>>(first)?;
            Some((n_readings as u64, row.get::<_, &str>(first + 1).into()))
        };
        Ok(Some(Uneven {
            model_uuid: key::unpack(row.get(0))?.into(),
            meter: text::read(row.get(1)).into(),
            in_all: readings(2),
            by_series: readings(4),
        }))
    }

    /// The users that are declared, by model.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn users(&self) -> Result<BTreeMap<Box<str>, Box<str>>, LedgerError> {
        let rows = self.query("list the users of models", "SELECT model, owner FROM declared")?;
        rows.iter().map(|row| Ok((key::unpack(row.get(0))?.into(), text::read(row.get(1)).into()))).collect()
    }

    /// The ids of the credentials that are revoked.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn revoked(&self) -> Result<BTreeSet<Box<str>>, LedgerError> {
        let rows = self.query("list the credentials that are revoked", "SELECT credential FROM revoked")?;
        Ok(rows.iter().map(|row| text::read(row.get(0)).into()).collect())
    }

    fn long_query(
        &self,
        step: &'static str,
        sql: &'static str,
    ) -> Result<Vec<tokio_postgres::Row>, LedgerError> {
        let lease = self.lease.clone();
        self.database.calls.long_call(step, async move {
            let session = &mut lease.lock().await.session;
            session.run(step, BEGIN_LONG).await?;
            let rows = session.query(step, sql, &[]).await?;
            session.commit(step).await?;
            Ok(rows)
        })
    }

    fn query(&self, step: &'static str, sql: &'static str) -> Result<Vec<tokio_postgres::Row>, LedgerError> {
        let lease = self.lease.clone();
        self.database.calls.call(step, async move { lease.lock().await.session.query(step, sql, &[]).await })
    }
}

/// Whether a move into the ledger was begun, and how far it has come; so many batches are here.
async fn standing(session: &mut Session) -> Result<Option<(Standing, u64)>, LedgerError> {
    const FIND: &str = "SELECT sequence, chain, is_whole, n_batches FROM moved";
    let rows = session.query(STEP, FIND, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let chain: &[u8] = row.get(1);
    let chain = chain.try_into().map_err(|error| damaged("read how far a move has come").because(error))?;
    let mark = Mark { sequence: row.get::<_, i64>(0) as u64, chain };
    let standing = if row.get(2) { Standing::Whole(mark) } else { Standing::Begun(mark) };
    Ok(Some((standing, row.get::<_, i64>(3) as u64)))
}

/// Fails while a ledger is being moved into this one.
pub(crate) async fn check_whole(session: &mut Session) -> Result<(), LedgerError> {
    match standing(session).await? {
        None | Some((Standing::Whole(_), _)) => Ok(()),
        Some((Standing::Begun(_), _)) => Err(LedgerError::new(
            Remedy::Repair,
            "open the ledger: another one is being moved into it, and not all of that is here; let `tollgate migrate` come to \
             its end, and if it did not, do what it says, or give its command again",
        )),
    }
}

async fn begin(session: &mut Session, schema: &str, place: &str) -> Result<(Standing, u64), LedgerError> {
    let server = server::check(session).await?;
    // Held as long as the connection. What was killed has its own for a moment more.
    const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('tollgate move ' || $1, 0))::text";
    session.row(STEP, LOCK, &[&schema]).await.map_err(|error| {
        let step = format!("move a ledger into {place}: another process does that just now");
        LedgerError::new(Remedy::Retry, step).because(error)
    })?;
    let own = || {
        let step = format!(
            "move a ledger into {place}: it holds a ledger of its own; name another database, or another schema with \
             ?schema=NAME"
        );
        LedgerError::new(Remedy::Repair, step)
    };
    // What was named by mistake is not changed, not even to newer tables.
    if schema::has_table(session, schema, "batches").await?
        && !(schema::has_table(session, schema, "moved").await? && standing(session).await?.is_some())
        && !is_empty(session).await?
    {
        return Err(own());
    }
    schema::migrate(session, schema, server.is_citus).await?;
    if let Some(standing) = standing(session).await? {
        return Ok(standing);
    }
    session.run(STEP, BEGIN).await?;
    // IMPORTANT: in this order, and before anybody looks whether anything is there. Who records draws from the sequence in the same
    // transaction, and is waited for here; versions that do not are waited for by the tables, when they have written already.
    // Renamed, and not dropped: it keeps its owner, its grants, and which numbers it gave. It gives no more of them, also to one
    // that was about to draw.
    session
        .run(
            STEP,
            "SELECT setval('groups', greatest(2, nextval('groups')));
             ALTER SEQUENCE groups RENAME TO groups_before_move;
             DO $$ BEGIN
                 EXECUTE format('ALTER SEQUENCE groups_before_move MAXVALUE %s',
                     (SELECT last_value FROM groups_before_move));
             END $$;
             LOCK TABLE batches, quarantine, statuses, declared, revoked IN SHARE ROW EXCLUSIVE MODE",
        )
        .await?;
    if !is_empty(session).await? {
        session.roll_back().await?;
        return Err(own());
    }
    // Collectors that do not know the table `moved` go by this: they know up to version 1.
    session.run(STEP, "INSERT INTO versions (version, works_with) VALUES (0, 2)").await?;
    let mark = Mark { sequence: 0, chain: [0; 32] };
    const BEGIN_MOVE: &str =
        "INSERT INTO moved (sequence, chain, n_batches, is_whole) VALUES (0, $1, 0, false)";
    session.execute(STEP, BEGIN_MOVE, &[&&mark.chain[..]]).await?;
    session.commit(STEP).await?;
    Ok((Standing::Begun(mark), 0))
}

/// Whether nothing was ever recorded.
async fn is_empty(session: &mut Session) -> Result<bool, LedgerError> {
    // One table in a statement, and a column of it: a cluster takes that everywhere.
    for table in ["batches", "quarantine", "statuses", "declared", "revoked"] {
        let find = format!("SELECT 1 FROM {table} LIMIT 1");
        if !session.query(STEP, &find, &[]).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn put(session: &mut Session, after: Mark, groups: MovedGroups) -> Result<u64, LedgerError> {
    let MovedGroups { records, end } = groups;
    let (mut batches, mut elements, mut acts) = (Vec::<&MovedBatch>::new(), Vec::new(), Vec::new());
    for record in &records {
        match record {
            Moved::Batch(batch) => batches.push(batch),
            Moved::Quarantined(element) => elements.push(element),
            Moved::Act(act) => acts.push(act),
        }
    }
    const ADVANCE: &str = "-- advance a move
        UPDATE moved SET sequence = $1, chain = $2, n_batches = n_batches + $3
        WHERE sequence = $4 AND chain = $5 AND NOT is_whole RETURNING n_batches";
    let (sequence, n_batches) = (end.sequence as i64, batches.len() as i64);
    let (sequence_before, chain_before) = (after.sequence as i64, &after.chain[..]);
    let advanced = session
        .begin(STEP, ADVANCE, &[&sequence, &&end.chain[..], &n_batches, &sequence_before, &chain_before])
        .await?;
    let Some(row) = advanced.first() else {
        return Err(LedgerError::new(Remedy::Repair, format!("{STEP}: somebody else went on with it")));
    };
    let first = row.get::<_, i64>(0) - n_batches + 1;
    let mut candidates: Vec<Candidate<'_>> =
        (first..).zip(&batches).map(|(place, batch)| Candidate::moved(batch, place)).collect();
    let new: Vec<_> = candidates.iter().map(|candidate| (candidate.batch, candidate.place)).collect();
    // In the order of the index that they go into.
    candidates.sort_unstable_by(|left, right| left.key().cmp(&right.key()));
    let is_new = lane::insert(session, &candidates, false).await? == candidates.len()
        && (elements.is_empty() || quarantine::put_moved(session, &elements).await? == elements.len());
    if !is_new {
        return Err(LedgerError::new(
            Remedy::Repair,
            format!(
                "{STEP}: some of what follows group {} is there already, though it was not moved: a collector recorded it; \
                 save that with pg_dump, drop the schema and begin again",
                after.sequence
            ),
        ));
    }
    acts::carry_out_moved(session, &acts).await?;
    // IMPORTANT: one transaction with how far it has come.
    lane::commit(session, &new).await?;
    Ok(row.get::<_, i64>(0) as u64)
}

async fn finish(session: &mut Session) -> Result<(), LedgerError> {
    const STEP: &str = "finish moving a ledger";
    const WHOLE: &str = "UPDATE moved SET is_whole = true WHERE NOT is_whole RETURNING n_batches";
    let rows = session.begin(STEP, WHOLE, &[]).await?;
    let Some(row) = rows.first() else {
        return Err(LedgerError::new(Remedy::Repair, format!("{STEP}: somebody else did")));
    };
    // Its places are behind those of all batches that were moved.
    let group = (row.get::<_, i64>(0) >> INDEX_BITS) + 1;
    const LAST: &str = "SELECT coalesce(max(id), 0) + 1 FROM quarantine";
    let quarantine_id: i64 = session.row(STEP, LAST, &[]).await?.get(0);
    // What was recorded by a version that waits for no move has a place that none of the moved has.
    const STRAY: &str = "SELECT place FROM batches WHERE place > $1 LIMIT 1";
    let n_batches: i64 = row.get(0);
    if !session.query(STEP, STRAY, &[&n_batches]).await?.is_empty() {
        session.roll_back().await?;
        return Err(LedgerError::new(
            Remedy::Repair,
            format!(
                "{STEP}: a collector recorded batches in between; save them with pg_dump, drop the schema and begin again"
            ),
        ));
    }
    // A move that an earlier version began has dropped the sequence.
    session
        .run(
            STEP,
            &format!(
                "DELETE FROM versions WHERE version = 0;
                 CREATE SEQUENCE IF NOT EXISTS groups_before_move;
                 ALTER SEQUENCE groups_before_move RENAME TO groups;
                 ALTER SEQUENCE groups NO MAXVALUE;
                 SELECT setval('groups', greatest({group}, last_value + 1), false) FROM groups;
                 ALTER SEQUENCE quarantine_ids RESTART WITH {quarantine_id}"
            ),
        )
        .await?;
    session.commit(STEP).await
}

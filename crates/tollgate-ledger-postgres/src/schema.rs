//! The tables, made by migrations that only go forward.
//!
//! A migration runs in one transaction together with the note that it ran, under a lock that collectors which start at the
//! same time wait for. It has to leave the tables so that collectors of the version before still work on them; when that cannot
//! be, it names the first version that does, and older ones refuse to start.

use tollgate_ledger::{LedgerError, Remedy};
use tracing::info;

use crate::session::Session;

struct Migration {
    /// Counted from 1.
    version: i32,
    /// The first version whose collectors work on these tables.
    works_with: i32,
    sql: &'static str,
    /// What the migration made, for a cluster: tables distributed by model, and small ones that every node has.
    distributed: &'static [&'static str],
    everywhere: &'static [&'static str],
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        works_with: 1,
        sql: include_str!("migrations/0001.sql"),
        distributed: &[
            "batches",
            "deltas",
            "models",
            "units",
            "series",
            "usage",
            "totals",
            "quarantine",
            "statuses",
            "declared",
        ],
        everywhere: &["revoked"],
    },
    Migration {
        version: 2,
        works_with: 1,
        sql: include_str!("migrations/0002.sql"),
        distributed: &[],
        everywhere: &[],
    },
];

/// The version that this code knows.
fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

const STEP: &str = "make the ledger's tables";

/// Makes what is missing. `true` when everything was.
///
/// # Errors
///
/// When the tables are of a version that this collector does not know how to use.
pub(crate) async fn migrate(
    session: &mut Session,
    schema: &str,
    is_citus: bool,
) -> Result<bool, LedgerError> {
    let is_new = !has_table(session, schema, "versions").await?;
    if is_new {
        lock(session, schema).await?;
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE IF NOT EXISTS {schema}.versions (
                 version integer PRIMARY KEY,
                 works_with integer NOT NULL,
                 made timestamptz NOT NULL DEFAULT now()
             )"
        );
        session.run(STEP, &sql).await?;
        session.commit(STEP).await?;
    }
    for migration in MIGRATIONS {
        apply(session, schema, migration, is_citus).await?;
    }
    let (version, works_with) = versions(session).await?;
    check_known(version, works_with)?;
    Ok(is_new)
}

fn check_known(version: i32, works_with: i32) -> Result<(), LedgerError> {
    if newest() < works_with {
        return Err(LedgerError::new(
            Remedy::Repair,
            format!(
                "use the ledger's tables: they are of version {version}, which collectors work with that know version \
                 {works_with}; this one knows up to {}; start a newer one",
                newest()
            ),
        ));
    }
    Ok(())
}

/// Fails unless there are tables that this code can read.
pub(crate) async fn check_readable(session: &mut Session, schema: &str) -> Result<(), LedgerError> {
    let refused = |why: String| Err(LedgerError::new(Remedy::Repair, format!("read the ledger: {why}")));
    if !has_table(session, schema, "versions").await? {
        return refused(format!(
            "the database has none in the schema {schema}, or none that this role may use; name another with ?schema=NAME"
        ));
    }
    let (version, works_with) = versions(session).await?;
    if version < newest() {
        return refused(format!(
            "its tables are of version {version}, and this program reads version {}; start a collector of this version \
             on it first, or use the program of the collectors that it has",
            newest()
        ));
    }
    check_known(version, works_with)
}

/// The version of the tables, and the one that collectors have to know.
async fn versions(session: &mut Session) -> Result<(i32, i32), LedgerError> {
    const FIND: &str = "SELECT coalesce(max(version), 0), coalesce(max(works_with), 0) FROM versions";
    let row = session.row(STEP, FIND, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Whether a table is there.
pub(crate) async fn has_table(session: &mut Session, schema: &str, table: &str) -> Result<bool, LedgerError> {
    const FIND: &str = "SELECT to_regclass($1) IS NOT NULL";
    Ok(session.row(STEP, FIND, &[&format!("{schema}.{table}")]).await?.get(0))
}

/// Begins a transaction that others who want to change the same tables wait for.
async fn lock(session: &mut Session, schema: &str) -> Result<(), LedgerError> {
    session.run(STEP, "BEGIN").await?;
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('tollgate tables ' || $1, 0))";
    session.row(STEP, LOCK, &[&schema]).await.map(drop)
}

async fn apply(
    session: &mut Session,
    schema: &str,
    migration: &Migration,
    is_citus: bool,
) -> Result<(), LedgerError> {
    let Migration { version, works_with, sql, distributed, everywhere } = migration;
    const IS_THERE: &str = "SELECT EXISTS (SELECT FROM versions WHERE version = $1)";
    if session.row(STEP, IS_THERE, &[version]).await?.get(0) {
        return Ok(());
    }
    lock(session, schema).await?;
    // Somebody else may have made it while we waited.
    if !session.row(STEP, IS_THERE, &[version]).await?.get::<_, bool>(0) {
        session.run(STEP, sql).await?;
        if is_citus {
            distribute(session, distributed, everywhere).await?;
        }
        const NOTE: &str = "INSERT INTO versions (version, works_with) VALUES ($1, $2)";
        session.execute(STEP, NOTE, &[version, works_with]).await?;
        info!(schema, version, is_citus, "made the ledger's tables");
    }
    session.commit(STEP).await
}

/// Spreads the tables over a cluster. All about one model is in one shard of each table, and these are side by side.
async fn distribute(
    session: &mut Session,
    distributed: &[&str],
    everywhere: &[&str],
) -> Result<(), LedgerError> {
    const STEP: &str = "distribute the ledger's tables";
    let first = distributed.first().copied().unwrap_or_default();
    for table in distributed {
        let beside = if *table == first { "default" } else { first };
        let sql = format!("SELECT create_distributed_table('{table}', 'model', colocate_with => '{beside}')");
        session.run(STEP, &sql).await?;
    }
    for table in everywhere {
        session.run(STEP, &format!("SELECT create_reference_table('{table}')")).await?;
    }
    Ok(())
}

//! Whether the server keeps what it acknowledges.

use tollgate_ledger::{LedgerError, Remedy};

use crate::session::Session;

/// What an acknowledgement of this server means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) version: String,
    /// In the session's own setting: never `off`.
    pub(crate) synchronous_commit: String,
    pub(crate) is_citus: bool,
}

/// Looks at the settings that an acknowledgement depends on.
///
/// # Errors
///
/// When a commit that was answered could be lost, or texts would not stay what they are.
pub(crate) async fn check(session: &mut Session) -> Result<Server, LedgerError> {
    const STEP: &str = "look at the database's settings";
    const SETTINGS: &str = "SELECT current_setting('fsync'), current_setting('full_page_writes'),
        current_setting('synchronous_commit'), current_setting('server_encoding'), current_setting('server_version'),
        EXISTS (SELECT FROM pg_extension WHERE extname = 'citus'), pg_is_in_recovery()";
    let row = session.row(STEP, SETTINGS, &[]).await?;
    let setting = |place: usize| row.get::<_, String>(place);
    let refused = |why: &str| Err(LedgerError::new(Remedy::Repair, format!("use the database: {why}")));
    if row.get(6) {
        return refused("it is a replica, which takes no writes; name the primary");
    }
    if setting(0) != "on" {
        return refused(
            "its setting fsync is off, so that a crash can damage all of it; set fsync = on in postgresql.conf",
        );
    }
    if setting(1) != "on" {
        return refused(
            "its setting full_page_writes is off, so that a crash can damage pages; set full_page_writes = on in \
             postgresql.conf",
        );
    }
    if setting(2) == "off" {
        return refused("its setting synchronous_commit is off, and stays off when a session sets it");
    }
    if setting(3) != "UTF8" {
        return refused("its encoding is not UTF8; create the database with ENCODING 'UTF8'");
    }
    Ok(Server { version: setting(4), synchronous_commit: setting(2), is_citus: row.get(5) })
}

//! What an error of PostgreSQL means for who waits.

use tokio_postgres::error::SqlState;
use tollgate_ledger::{LedgerError, Remedy};

/// For `map_err`: an error of the database in this step.
pub(crate) fn failed(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> LedgerError {
    move |error| LedgerError::new(remedy(&error), step).because(error)
}

/// What is stored is not what was written.
pub(crate) fn damaged(step: impl Into<String>) -> LedgerError {
    LedgerError::new(Remedy::Repair, step)
}

/// Whether the same transaction may succeed at once: it met another, or nobody knows what became of it. Either is safe to
/// run again, because ids that are recorded are not recorded again.
pub(crate) fn is_collision(error: &LedgerError) -> bool {
    let Some(error) = std::error::Error::source(error) else { return false };
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code.is_some_and(|code| code.code().starts_with("40"))
}

fn remedy(error: &tokio_postgres::Error) -> Remedy {
    // Without a code it is the connection that failed.
    let Some(code) = error.code() else { return Remedy::Retry };
    if *code == SqlState::DISK_FULL {
        return Remedy::FreeSpace;
    }
    match &code.code()[..2] {
        // What was sent can never be stored: data, constraints, statements, limits; or what is stored is damaged.
        "0A" | "21" | "22" | "23" | "42" | "54" | "XX" => Remedy::Repair,
        _ => Remedy::Retry,
    }
}

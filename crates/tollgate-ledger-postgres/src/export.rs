//! Every recorded batch, once.

use std::sync::Arc;
use std::vec;

use tollgate_ledger::LedgerError;
use tollgate_rules::Digest;

use crate::error::damaged;
use crate::ledger::connect;
use crate::pool::Pool;
use crate::quarantine::digest;
use crate::runtime::Calls;
use crate::session::Session;
use crate::target::check_whole;

const STEP: &str = "export a ledger";

/// Batches that are read with one statement, at most. Their bodies are together in memory.
const PAGE_BATCHES: i64 = 1_000;

/// The canonical JSON of each recorded batch, in the order of recording; without credentials where retention dropped them before it was
/// moved here. Ends after an error.
pub struct Export {
    calls: Calls,
    pool: Arc<Pool>,
    after: i64,
    bodies: vec::IntoIter<Vec<u8>>,
    n_reduced: u64,
    is_finished: bool,
}

/// Reads the ledger at `url`, which collectors may have open: what they record meanwhile may be part of the export or not. Changes
/// nothing, and makes no tables.
///
/// # Errors
///
/// When the database cannot be reached or has no whole ledger there.
pub fn export(url: &str) -> Result<Export, LedgerError> {
    let (_, calls, connector) = connect(url)?;
    let pool = Pool::new(connector, 1);
    let opening = pool.clone();
    calls.call(STEP, async move {
        let mut lease = opening.lease().await?;
        check_whole(&mut lease.session).await?;
        lease.give_back();
        Ok(())
    })?;
    Ok(Export { calls, pool, after: 0, bodies: Vec::new().into_iter(), n_reduced: 0, is_finished: false })
}

impl Export {
    /// Of the batches that were read, those that were given and some more, how many are without their credentials.
    #[must_use]
    pub fn n_reduced(&self) -> u64 {
        self.n_reduced
    }

    fn next_page(&mut self) -> Result<Vec<Vec<u8>>, LedgerError> {
        let (pool, after) = (self.pool.clone(), self.after);
        let page = self.calls.call(STEP, async move {
            let mut lease = pool.lease().await?;
            let page = read(&mut lease.session, after).await?;
            lease.give_back();
            Ok(page)
        })?;
        let Page { end, bodies, n_reduced } = page;
        self.after = end;
        self.n_reduced += n_reduced;
        Ok(bodies)
    }
}

struct Page {
    end: i64,
    bodies: Vec<Vec<u8>>,
    n_reduced: u64,
}

/// Not one statement for all of it: a snapshot that is kept for hours would keep the database from tidying up.
async fn read(session: &mut Session, after: i64) -> Result<Page, LedgerError> {
    const READ: &str = "-- export batches
        SELECT place, digest, is_reduced, body FROM batches WHERE place > $1 ORDER BY place LIMIT $2";
    let rows = session.query(STEP, READ, &[&after, &PAGE_BATCHES]).await?;
    let mut page = Page { end: after, bodies: Vec::with_capacity(rows.len()), n_reduced: 0 };
    for row in rows {
        page.end = row.get(0);
        let (is_reduced, body): (bool, Vec<u8>) = (row.get(2), row.get(3));
        if !is_reduced && Digest::of(&body) != digest(row.get(1))? {
            let step = format!("{STEP}: the body at place {} is not the one that was recorded", page.end);
            return Err(damaged(step));
        }
        page.n_reduced += u64::from(is_reduced);
        page.bodies.push(body);
    }
    Ok(page)
}

impl Iterator for Export {
    type Item = Result<Vec<u8>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bodies.len() == 0 && !self.is_finished {
            match self.next_page() {
                Ok(bodies) => self.bodies = bodies.into_iter(),
                Err(error) => {
                    self.is_finished = true;
                    return Some(Err(error));
                }
            }
            self.is_finished = self.bodies.len() == 0;
        }
        self.bodies.next().map(Ok)
    }
}

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
use crate::schema;
use crate::session::Session;
use crate::target::check_whole;

const STEP: &str = "export a ledger";

/// Batches that are read with one statement, at most, and bytes of their bodies, but for a single one: these are together in
/// memory.
const PAGE_BATCHES: i64 = 1_000;
const PAGE_BYTES_MAX: i64 = 8 << 20;

/// The canonical JSON of each recorded batch, in the order of recording; without credentials where retention dropped them before it was
/// moved here. Ends after an error.
pub struct Export {
    calls: Calls,
    pool: Arc<Pool>,
    after: i64,
    /// The last place when it was begun: otherwise it might never come to an end.
    last: i64,
    bodies: vec::IntoIter<Vec<u8>>,
    n_reduced: u64,
    is_finished: bool,
}

/// Reads the ledger at `url`, which collectors may have open: what was acknowledged before is part of the export, and of what they record
/// meanwhile hardly anything. Changes
/// nothing, and makes no tables.
///
/// # Errors
///
/// When the database cannot be reached or has no whole ledger there.
pub fn export(url: &str) -> Result<Export, LedgerError> {
    let (location, calls, connector) = connect(url)?;
    let pool = Pool::new(connector, 1);
    let opening = pool.clone();
    let last = calls.call(STEP, async move {
        let mut lease = opening.lease().await?;
        let session = &mut lease.session;
        schema::check_readable(session, &location.schema).await?;
        check_whole(session).await?;
        const LAST: &str = "SELECT coalesce(max(place), 0) FROM batches";
        let last = session.row(STEP, LAST, &[]).await?.get(0);
        lease.give_back();
        Ok(last)
    })?;
    Ok(Export {
        calls,
        pool,
        after: 0,
        last,
        bodies: Vec::new().into_iter(),
        n_reduced: 0,
        is_finished: false,
    })
}

impl Export {
    /// Of the batches that were read, those that were given and some more, how many are without their credentials.
    #[must_use]
    pub fn n_reduced(&self) -> u64 {
        self.n_reduced
    }

    fn next_page(&mut self) -> Result<Vec<Vec<u8>>, LedgerError> {
        let (pool, after, last) = (self.pool.clone(), self.after, self.last);
        let page = self.calls.call(STEP, async move {
            let mut lease = pool.lease().await?;
            let page = read(&mut lease.session, after, last).await?;
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
async fn read(session: &mut Session, after: i64, last: i64) -> Result<Page, LedgerError> {
    const MEASURE: &str = "-- measure batches to export
        SELECT place, octet_length(body)::bigint FROM batches WHERE place > $1 AND place <= $2 ORDER BY place LIMIT $3";
    let mut n_bytes = 0;
    let mut end = after;
    for row in session.query(STEP, MEASURE, &[&after, &last, &PAGE_BATCHES]).await? {
        n_bytes += row.get::<_, i64>(1);
        if end != after && PAGE_BYTES_MAX < n_bytes {
            break;
        }
        end = row.get(0);
    }
    const READ: &str = "-- export batches
        SELECT place, digest, is_reduced, body FROM batches WHERE place > $1 AND place <= $2 ORDER BY place";
    let rows = if end == after { Vec::new() } else { session.query(STEP, READ, &[&after, &end]).await? };
    let mut page = Page { end, bodies: Vec::with_capacity(rows.len()), n_reduced: 0 };
    for row in rows {
        let place: i64 = row.get(0);
        let (is_reduced, body): (bool, Vec<u8>) = (row.get(2), row.get(3));
        if !is_reduced && Digest::of(&body) != digest(row.get(1))? {
            let step = format!("{STEP}: the body at place {place} is not the one that was recorded");
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

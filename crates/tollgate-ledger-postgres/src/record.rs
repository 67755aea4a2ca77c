//! The write half: groups are split into lanes, which are recorded at the same time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::task::JoinSet;
use tollgate_ledger::{
    Act, Content, Entry, LedgerError, Outcome, Prepared, Reader, Received, Remedy, Writer,
};

use crate::lane::{self, GROUP_ENTRIES_MAX, Item};
use crate::ledger::Database;
use crate::pool::{Lease, Pool};
use crate::reader::PostgresReader;

/// Entries of a lane, at least: a connection more has to be worth its round trips.
const LANE_ENTRIES_MIN: usize = 250;

/// The write half of a ledger in PostgreSQL.
pub(crate) struct PostgresWriter {
    pub(crate) database: Arc<Database>,
}

impl Writer for PostgresWriter {
    fn reader(&self) -> Option<Arc<dyn Reader>> {
        Some(Arc::new(PostgresReader::of_writer(self.database.clone())))
    }

    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        self.record_prepared(vec![Prepared::plain(group, received)])
    }

    fn record_prepared(&mut self, requests: Vec<Prepared>) -> Result<Vec<Outcome>, LedgerError> {
        let n_entries = requests.iter().map(|request| request.n_entries).sum();
        let mut outcomes = Vec::with_capacity(n_entries);
        let mut stretch = Vec::new();
        for Prepared { content, received, .. } in requests {
            let Content::Entries(entries) = content else {
                let step = "record a request that was prepared for another ledger";
                return Err(LedgerError::new(Remedy::Repair, step));
            };
            for entry in entries {
                match entry {
                    // What is set aside before it may be released by it, and what comes after it may be a duplicate of what it
                    // lets count.
                    Entry::Act(Act::Release { quarantine_id, batch }) => {
                        self.record_stretch(std::mem::take(&mut stretch), &mut outcomes)?;
                        let batch =
                            batch.map(|batch| Item { index: 0, entry: Entry::Batch(batch), received });
                        outcomes.push(self.release(quarantine_id, batch)?);
                    }
                    entry => stretch.push(Item { index: stretch.len(), entry, received }),
                }
                if stretch.len() == GROUP_ENTRIES_MAX {
                    self.record_stretch(std::mem::take(&mut stretch), &mut outcomes)?;
                }
            }
        }
        self.record_stretch(stretch, &mut outcomes)?;
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        // Every group was committed before it was answered.
        Ok(())
    }
}

impl PostgresWriter {
    fn record_stretch(&self, items: Vec<Item>, outcomes: &mut Vec<Outcome>) -> Result<(), LedgerError> {
        if items.is_empty() {
            return Ok(());
        }
        let n_items = items.len();
        let pool = self.database.writing.clone();
        let n_lanes_max = self.database.n_lanes;
        let became = self
            .database
            .calls
            .call("record a group", async move { record_lanes(&pool, items, n_lanes_max).await })?;
        let start = outcomes.len();
        outcomes.resize(start + n_items, Outcome::Duplicate);
        assert_eq!(became.len(), n_items, "each entry has one outcome");
        for (index, outcome) in became {
            outcomes[start + index] = outcome;
        }
        Ok(())
    }

    fn release(&self, quarantine_id: u64, batch: Option<Item>) -> Result<Outcome, LedgerError> {
        let pool = self.database.writing.clone();
        self.database.calls.call("release an element", async move {
            let mut lease = pool.lease().await?;
            let group = lane::next_group(&mut lease.session).await?;
            let outcome = lane::release(&mut lease.session, quarantine_id, batch.as_ref(), group).await?;
            lease.give_back();
            Ok(outcome)
        })
    }
}

async fn record_lanes(
    pool: &Arc<Pool>,
    items: Vec<Item>,
    n_lanes_max: usize,
) -> Result<Vec<(usize, Outcome)>, LedgerError> {
    let mut first = pool.lease().await?;
    let group = lane::next_group(&mut first.session).await?;
    let n_lanes = (items.len() / LANE_ENTRIES_MIN).clamp(1, n_lanes_max);
    let mut lanes: Vec<Vec<Item>> =
        (0..n_lanes).map(|_| Vec::with_capacity(items.len() / n_lanes + 1)).collect();
    for item in items {
        lanes[lane_of(&item.entry, n_lanes)].push(item);
    }
    let mut lanes = lanes.into_iter().filter(|items| !items.is_empty());
    let first_items = lanes.next().unwrap_or_default();
    let mut others = JoinSet::new();
    for items in lanes {
        let pool = pool.clone();
        others.spawn(async move { record_lane(pool.lease().await?, &items, group).await });
    }
    let mut outcomes = record_lane(first, &first_items, group).await?;
    while let Some(joined) = others.join_next().await {
        let joined = joined
            .map_err(|error| LedgerError::new(Remedy::Restart, "record a part of a group").because(error));
        outcomes.extend(joined??);
    }
    Ok(outcomes)
}

async fn record_lane(
    mut lease: Lease,
    items: &[Item],
    group: i64,
) -> Result<Vec<(usize, Outcome)>, LedgerError> {
    let outcomes = lane::record(&mut lease.session, items, group).await?;
    lease.give_back();
    Ok(outcomes)
}

/// Entries that could have to do with each other are in one lane: those with the same id, and all acts.
fn lane_of(entry: &Entry, n_lanes: usize) -> usize {
    let id = match entry {
        Entry::Batch(batch) | Entry::Refused(batch, _) => batch.id(),
        Entry::Quarantine(element) => element.id.borrowed(),
        Entry::Act(_) => return 0,
    };
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    (hasher.finish() % n_lanes as u64) as usize
}

//! What the ledger holds against what was sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Context as _;
use comfy_table::CellAlignment;
use indicatif::HumanCount;
use tollgate_ledger::Page;
use tollgate_rules::{Decimal, Digest, Sum};
use tollgate_wire::MetricBatch;

use super::tally::{Tally, Traffic, Truth};
use crate::{ledger, listing};

/// Rows of the quarantine read at a time.
const PAGE_ROWS: usize = 1_000;

/// What a ledger's folder holds, read without its collector.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) n_batches: u64,
    pub(super) n_metrics: u64,
    pub(super) sums: BTreeMap<String, Sum>,
    /// Batches whose id is there more than once.
    pub(super) n_twice: u64,
    /// The content of each batch by its id.
    pub(super) contents: HashMap<String, Digest>,
    pub(super) n_broken: u64,
    pub(super) n_conflicts: u64,
}

impl Found {
    /// Reads every batch in the folder, and the quarantine. The collector must have stopped.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for body in ledger::export(&ledger::Location::Folder(dir.to_owned()))? {
            found.add(&body?)?;
        }
        let reader = ledger::open_folder(dir)?.reader;
        let mut page = Page { cursor: None, limit: PAGE_ROWS };
        loop {
            let rows = reader.quarantine(&page).context("read the quarantine")?;
            for row in &rows {
                *(if row.code == "conflict" { &mut found.n_conflicts } else { &mut found.n_broken }) += 1;
            }
            // A page may be shorter than asked for; only the one behind the last element is empty.
            let Some(last) = rows.last() else { return Ok(found) };
            page.cursor = Some(last.id.to_string());
        }
    }

    fn add(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let batch: MetricBatch = tollgate_wire::from_slice(body).context("decode an exported batch")?;
        self.n_batches += 1;
        for metric in batch.metrics.into_iter().flatten() {
            self.n_metrics += 1;
            let amount = Decimal::parse(&metric.value).context("read an exported value")?;
            self.sums.entry(metric.key).or_default().add(amount);
        }
        let before = self.contents.insert(batch.uuid, Digest::of(body));
        self.n_twice += u64::from(before.is_some());
        Ok(())
    }
}

/// One line of the comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    what: String,
    expected: String,
    found: String,
}

impl Row {
    fn of_counts(what: &str, expected: u64, found: u64) -> Self {
        Self {
            what: what.to_owned(),
            expected: HumanCount(expected).to_string(),
            found: HumanCount(found).to_string(),
        }
    }

    pub(super) fn is_equal(&self) -> bool {
        self.expected == self.found
    }
}

/// Everything that must be equal.
pub(super) fn compare(tally: &Tally, found: &Found) -> Vec<Row> {
    let Tally { truth, traffic, .. } = tally;
    let count = Row::of_counts;
    let mut rows = vec![
        count("batches", truth.n_batches, found.n_batches),
        count("batches acknowledged", truth.n_batches, traffic.n_batches_acknowledged),
        count("batches with exactly the bytes sent", truth.n_batches, n_same_content(truth, found)),
        count("batches counted twice", 0, found.n_twice),
        count("metrics", truth.n_metrics, found.n_metrics),
    ];
    let no_sum = Sum::default();
    let meters: BTreeSet<&String> = truth.sums.keys().chain(found.sums.keys()).collect();
    for meter in meters {
        let sum = |sums: &BTreeMap<String, Sum>| sums.get(meter).unwrap_or(&no_sum).to_string();
        let what = format!("sum of {meter}");
        rows.push(Row { what, expected: sum(&truth.sums), found: sum(&found.sums) });
    }
    rows.extend([
        count("broken batches in quarantine", truth.n_broken, found.n_broken),
        count("conflicting batches in quarantine", truth.n_conflicts, found.n_conflicts),
        count("unacknowledged", 0, n_unacknowledged(truth, traffic)),
        count("acknowledgements nobody asked for", 0, traffic.n_unasked),
    ]);
    rows
}

fn n_same_content(truth: &Truth, found: &Found) -> u64 {
    let Some(contents) = &truth.contents else { return 0 };
    contents.iter().filter(|(id, digest)| found.contents.get(*id) == Some(digest)).count() as u64
}

fn n_unacknowledged(truth: &Truth, traffic: &Traffic) -> u64 {
    let n_sent = truth.n_batches + truth.n_broken + truth.n_conflicts;
    let n_acknowledged =
        traffic.n_batches_acknowledged + traffic.n_broken_acknowledged + traffic.n_conflicts_acknowledged;
    n_sent.saturating_sub(n_acknowledged)
}

/// The rows for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = listing::plain_table(&[
        ("  ", CellAlignment::Left),
        ("SENT", CellAlignment::Right),
        ("FOUND", CellAlignment::Right),
        ("", CellAlignment::Left),
    ]);
    for row in rows {
        let verdict = if row.is_equal() { "equal" } else { "DIFFERS" };
        table.add_row([&format!("  {}", row.what), &row.expected, &row.found, verdict]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::fleet::{Kind, Model};
    use super::*;

    /// A fleet that has sent some rounds, and the ledger that it should give.
    fn fleet_and_ledger() -> (Tally, Vec<Vec<u8>>) {
        let mut tally = Tally::default();
        tally.truth.contents = Some(HashMap::new());
        let mut bodies = Vec::new();
        let mut model = Model::new(1, 0, 10);
        for _ in 0..20 {
            #[expect(clippy::disallowed_methods, reason = "the fleet lives now, in this test too")]
            let now = SystemTime::now();
            for item in model.round(now).expect("encodes") {
                tally.truth.add(&item, now);
                match item.kind {
                    Kind::New => {
                        tally.traffic.n_batches_acknowledged += 1;
                        bodies.push(item.json.clone());
                        model.remember(item.batch);
                    }
                    Kind::Broken => tally.traffic.n_broken_acknowledged += 1,
                    Kind::Conflict => tally.traffic.n_conflicts_acknowledged += 1,
                    Kind::Duplicate => {}
                }
            }
        }
        (tally, bodies)
    }

    fn found(tally: &Tally, bodies: &[Vec<u8>]) -> Found {
        let (n_broken, n_conflicts) = (tally.truth.n_broken, tally.truth.n_conflicts);
        let mut found = Found { n_broken, n_conflicts, ..Found::default() };
        bodies.iter().for_each(|body| found.add(body).expect("decodes"));
        found
    }

    #[track_caller]
    fn check_differs(tally: &Tally, found: &Found, expected: &[&str]) {
        let rows = compare(tally, found);
        let differing: Vec<&str> =
            rows.iter().filter(|r| !r.is_equal()).map(|row| row.what.as_str()).collect();
        assert_eq!(differing, expected);
    }

    #[test]
    fn a_faithful_ledger_is_equal_in_every_row() {
        let (tally, bodies) = fleet_and_ledger();
        check_differs(&tally, &found(&tally, &bodies), &[]);
        assert!(!table(&compare(&tally, &found(&tally, &bodies))).contains("DIFFERS"));
    }

    #[test]
    fn a_lost_batch_shows() {
        let (tally, bodies) = fleet_and_ledger();
        let found = found(&tally, &bodies[1..]);
        let expected = [
            "batches",
            "batches with exactly the bytes sent",
            "metrics",
            "sum of egress-gib",
            "sum of requests",
            "sum of storage-gib",
        ];
        check_differs(&tally, &found, &expected);
        assert!(table(&compare(&tally, &found)).contains("DIFFERS"));
    }

    #[test]
    fn a_batch_counted_twice_shows_even_where_another_is_lost() {
        let (tally, mut bodies) = fleet_and_ledger();
        bodies[0] = bodies[1].clone();
        let rows = compare(&tally, &found(&tally, &bodies));
        let row = rows.iter().find(|row| row.what == "batches counted twice").expect("a row");
        assert_eq!((row.found.as_str(), row.is_equal()), ("1", false));
    }

    #[test]
    fn another_content_shows_though_all_figures_agree() {
        let (tally, mut bodies) = fleet_and_ledger();
        let text = String::from_utf8(bodies[0].clone()).expect("UTF-8").replace("-7\"", "-8\"");
        bodies[0] = text.into_bytes();
        check_differs(&tally, &found(&tally, &bodies), &["batches with exactly the bytes sent"]);
    }

    #[test]
    fn what_is_missing_from_quarantine_or_unacknowledged_shows() {
        let (mut tally, bodies) = fleet_and_ledger();
        let mut found = found(&tally, &bodies);
        found.n_conflicts += 1;
        tally.truth.n_broken += 1;
        tally.traffic.n_unasked = 2;
        let expected = [
            "broken batches in quarantine",
            "conflicting batches in quarantine",
            "unacknowledged",
            "acknowledgements nobody asked for",
        ];
        check_differs(&tally, &found, &expected);
    }
}

//! Answers of a ledger in a form that can be compared.

use std::collections::BTreeMap;

use tollgate_ledger::{BatchSelect, LedgerError, Page, Reader};
use tollgate_rules::{Rollup, Select, Series, Visitor};

/// Every series with its rollups.
///
/// # Errors
///
/// As [`Reader::usage`].
pub fn used(reader: &dyn Reader) -> Result<Used, LedgerError> {
    let mut used = Used::default();
    reader.usage(&Select::ALL, &mut used)?;
    used.last.clear();
    Ok(used)
}

/// What series used, by name and hour.
#[derive(Debug, Default, PartialEq)]
pub struct Used {
    series: BTreeMap<String, BTreeMap<i64, Rollup>>,
    last: String,
}

impl Used {
    /// How many there are.
    #[must_use]
    pub fn n_rollups(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }
}

impl Visitor for Used {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.last = format!("{series:?}");
        true
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        let rollups = self.series.entry(self.last.clone()).or_default();
        rollups.entry(hour).and_modify(|sum| sum.merge(rollup)).or_insert(*rollup);
    }
}

/// Every batch in the order of recording, page by page.
///
/// # Errors
///
/// As [`Reader::batches`].
pub fn listed(reader: &dyn Reader) -> Result<Vec<String>, LedgerError> {
    let mut page = Page { cursor: None, limit: 7 };
    let mut batches = Vec::new();
    loop {
        let listed = reader.batches(&BatchSelect::default(), &page)?;
        batches.extend(listed.batches.iter().map(|batch| format!("{batch:?}")));
        match listed.next_cursor {
            None => return Ok(batches),
            next => page.cursor = next,
        }
    }
}

//! How much of the allowances was used, read from the ledger where it is not known.

use std::sync::Arc;

use tollgate_ledger::{LedgerError, Reader, Remedy};
use tollgate_rules::{
    Account, CalendarError, Missing, Rollup, Select, Series, SeriesId, Subject, Tally, Used, Visitor,
};
use tollgate_wire::Timestamp;

use crate::owners::Owners;
use crate::terms::Terms;

/// The totals of accounts, and what it takes to bring those that are missing.
pub(crate) struct Totals {
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) tally: Tally,
    /// Listed when a user's total is missing; `None` before that.
    pub(crate) owners: Option<Owners>,
}

impl Totals {
    pub(crate) fn new(reader: Arc<dyn Reader>, terms: Arc<Terms>) -> Self {
        Self { reader, terms, tally: Tally::default(), owners: None }
    }

    /// Brings what is missing of these accounts ([`Tally::missing`]).
    pub(crate) fn look_up(
        &mut self,
        accounts: &[Account],
        now: Timestamp,
        fresh_since: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let missing =
            self.tally.missing(&self.terms.policy, accounts, now, fresh_since).map_err(of_calendar)?;
        for missing in missing {
            let used = self.used(&missing)?;
            self.tally.bring(missing, used, now);
        }
        Ok(())
    }

    /// From now on all is missing.
    pub(crate) fn forget(&mut self) {
        self.tally.clear();
        self.owners = None;
    }

    /// How much was used of an allowance in a period, as the ledger has it.
    fn used(&mut self, missing: &Missing) -> Result<Used, LedgerError> {
        let Missing { account, period } = missing;
        let Self { reader, terms, owners, .. } = self;
        let policy = &terms.policy;
        let meter = policy.allowances.list()[account.allowance].meter();
        let select =
            Select { model_uuid: None, meter: Some(meter), from_hour: period.start, to_hour: period.end };
        let mut adder = Adder { used: Used::nothing(policy.meters.kind(meter)), series: None };
        match &account.subject {
            Subject::All => reader.usage(&select, &mut adder)?,
            Subject::Model(model_uuid) => {
                reader.usage(&Select { model_uuid: Some(model_uuid), ..select }, &mut adder)?;
            }
            Subject::User(user) => {
                let owners = match owners {
                    Some(owners) => owners,
                    None => owners.insert(Owners::read(&**reader, terms)?),
                };
                for model_uuid in owners.models_of(user) {
                    reader.usage(&Select { model_uuid: Some(model_uuid), ..select }, &mut adder)?;
                }
            }
        }
        Ok(adder.used)
    }
}

/// A period that cannot be found is as good as a total that cannot be read.
pub(crate) fn of_calendar(error: CalendarError) -> LedgerError {
    LedgerError::new(Remedy::Repair, "find the period of an allowance").because(error)
}

/// Adds up rollups.
struct Adder {
    used: Used,
    series: Option<SeriesId>,
}

impl Visitor for Adder {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.series = Some(SeriesId::of(series));
        true
    }

    fn rollup(&mut self, _: i64, rollup: &Rollup) {
        let series = self.series;
        self.used.add_rollup(rollup, || series.expect("a series comes before its rollups"));
    }
}

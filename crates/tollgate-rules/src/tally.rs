//! Where models stand, kept up to date batch by batch.

use std::collections::HashMap;

use tollgate_wire::Timestamp;

use crate::{
    Account, CalendarError, Decimal, LimitedMeter, Policy, SeriesId, Span, Standing, Sum, Used, hour_of,
};

/// A reading that counts for some allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The meter.
    pub meter: LimitedMeter,
    /// The UTC hour of the reading.
    pub hour: i64,
    /// How much.
    pub amount: Decimal,
    /// Of which series; known where it matters, of a gauge.
    pub series: Option<SeriesId>,
}

/// Where a model stands by its allowances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelStanding {
    /// The model itself.
    pub model: Standing,
    /// Its units, as far as nothing else is known of them.
    pub units: Standing,
}

/// How much was used of each allowance in its present period.
///
/// It is a cache: what it does not have is missing, and whoever can ask a ledger brings it. What is recorded later is added.
#[derive(Debug, Default)]
pub struct Tally {
    totals: HashMap<Account, Total>,
}

#[derive(Debug)]
struct Total {
    period: Span,
    used: Used,
    /// When it was brought.
    known_since: Timestamp,
}

/// A total that has to be brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Whose, and of which allowance.
    pub account: Account,
    /// In which period.
    pub period: Span,
}

impl Tally {
    /// What has to be brought ([`Tally::bring`]) before it can be said where somebody with these accounts stands at `now`: what was
    /// never brought, what is of a period that is over, and what was brought before `fresh_since`.
    ///
    /// # Errors
    ///
    /// When a time zone's offset is not a whole number of hours now.
    pub fn missing(
        &self,
        policy: &Policy,
        accounts: &[Account],
        now: Timestamp,
        fresh_since: Option<Timestamp>,
    ) -> Result<Vec<Missing>, CalendarError> {
        let hour = hour_of(now);
        let mut missing = Vec::new();
        for account in accounts {
            let is_there = self.totals.get(account).is_some_and(|total| {
                total.period.has(hour) && fresh_since.is_none_or(|since| since <= total.known_since)
            });
            if !is_there {
                let period = policy.allowances.list()[account.allowance].period(hour)?;
                missing.push(Missing { account: account.clone(), period });
            }
        }
        Ok(missing)
    }

    /// Takes what a ledger says was used.
    pub fn bring(&mut self, missing: Missing, used: Used, now: Timestamp) {
        let Missing { account, period } = missing;
        self.totals.insert(account, Total { period, used, known_since: now });
    }

    /// Adds what was recorded since, of somebody with these accounts. Of what is missing nothing is added: it will be brought with
    /// this in it.
    pub fn add(&mut self, policy: &Policy, accounts: &[Account], dues: &[&Due]) {
        // Account by account, so that each total is looked up once and not for each reading.
        for account in accounts {
            let meter = policy.allowances.meter_of(account.allowance);
            let Some(total) = self.totals.get_mut(account) else { continue };
            for due in dues.iter().filter(|due| due.meter == meter && total.period.has(due.hour)) {
                total.used.add(due.amount, || due.series.expect("a gauge's series is known"));
            }
        }
    }

    /// Where somebody with these accounts stands: the worst of all. `None` when one of them is missing.
    #[must_use]
    pub fn standing(&self, policy: &Policy, accounts: &[Account]) -> Option<ModelStanding> {
        let mut worst = ModelStanding::default();
        for account in accounts {
            let total = self.totals.get(account)?;
            let allowance = &policy.allowances.list()[account.allowance];
            let used = total.used.total();
            worst.model = worst.model.worst(allowance.standing(&used, total.period));
            worst.units = worst.units.worst(allowance.unit_standing(&used, total.period));
        }
        Some(worst)
    }

    /// How much was used of an account's allowance in its present period; `None` when that is missing.
    #[must_use]
    pub fn used(&self, account: &Account) -> Option<Sum> {
        self.totals.get(account).map(|total| total.used.total())
    }

    /// Forgets one total: of what was recorded meanwhile it does not know.
    pub fn forget(&mut self, account: &Account) {
        self.totals.remove(account);
    }

    /// Forgets what is of periods that ended before this hour.
    pub fn forget_before(&mut self, hour: i64) {
        self.totals.retain(|_, total| hour < total.period.end);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.totals.clear();
    }
}

//! Where the models of a request stand once it is recorded.
//!
//! The thread that records keeps the totals of all allowances: it alone knows what has been recorded and what has not, so that
//! no batch is missed or counted twice, and the batch that crosses a limit is answered in its own response.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate_ledger::{LedgerError, Outcome, Page, Reader, chain};
use tollgate_rules::{
    Account, Due, Missing, ModelStanding, Policy, Rollup, Select, Series, SeriesId, Subject, Tally, Used,
    Visitor,
};
use tollgate_wire::Timestamp;
use tracing::warn;

/// Models read at a time when it is looked for those of a user.
const PAGE_MODELS: usize = 1_000;

/// What a request brings to the allowances.
pub(crate) struct Claim {
    /// What it was worked out under.
    pub(crate) policy: Arc<Policy>,
    /// When the request came.
    pub(crate) received: Timestamp,
    /// Each model of the request, with the user who owns it.
    pub(crate) models: Vec<(Box<str>, Option<Box<str>>)>,
    /// What counts for some allowance: the entry that it is of, the model's place in `models`, and the reading.
    pub(crate) dues: Vec<(usize, usize, Due)>,
    /// Whether there are acts among the entries. They are few, and what one of them changes is looked up anew.
    pub(crate) has_acts: bool,
}

/// Where the models of a request stand.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    /// Nothing limits anybody.
    is_unlimited: bool,
    known: BTreeMap<Box<str>, ModelStanding>,
}

impl Standings {
    /// Where nothing limits anybody.
    pub(crate) fn unlimited() -> Self {
        Self { is_unlimited: true, known: BTreeMap::new() }
    }

    /// Where a model stands; `None` when that is not known.
    pub(crate) fn of(&self, model_uuid: &str) -> Option<ModelStanding> {
        if self.is_unlimited { Some(ModelStanding::default()) } else { self.known.get(model_uuid).cloned() }
    }
}

/// Keeps the totals of the allowances. One thread owns it.
pub(crate) struct Keeper {
    reader: Arc<dyn Reader>,
    policy: Arc<Policy>,
    tally: Tally,
    /// How old a total may be, where others record into the same ledger.
    fresh_for: Option<Duration>,
}

impl Keeper {
    pub(crate) fn new(reader: Arc<dyn Reader>, fresh_for: Option<Duration>) -> Self {
        Self { reader, policy: Arc::default(), tally: Tally::default(), fresh_for }
    }

    /// Before a group is recorded: looks up what is not known yet of those whom `claims` are of.
    pub(crate) fn prepare<'a>(&mut self, claims: impl Iterator<Item = &'a Claim>) {
        for claim in claims {
            self.follow(&claim.policy);
            for (model_uuid, user) in &claim.models {
                let accounts = self.policy.allowances.accounts(model_uuid, user.as_deref());
                if let Err(error) = self.look_up(&accounts, claim.received) {
                    // The batches are recorded all the same, and the answer says nothing of the model.
                    warn!(error = %chain(&*error), "where a model stands cannot be said just now");
                }
            }
        }
    }

    /// After the group is durable: adds what is new, and says where the models of the request stand.
    pub(crate) fn settle(&mut self, claim: &Claim, outcomes: &[Outcome]) -> Standings {
        if claim.policy.allowances.is_empty() {
            return Standings::unlimited();
        }
        if !Arc::ptr_eq(&self.policy, &claim.policy) {
            // It was worked out before the configuration changed: nobody knows what it brought to the new allowances.
            self.tally.forget();
            return Standings::default();
        }
        let accounts = |(model_uuid, user): &(Box<str>, Option<Box<str>>)| {
            self.policy.allowances.accounts(model_uuid, user.as_deref())
        };
        let accounts: Vec<Vec<Account>> = claim.models.iter().map(accounts).collect();
        let mut new: Vec<Vec<&Due>> = vec![Vec::new(); claim.models.len()];
        for (entry, model, due) in &claim.dues {
            if outcomes[*entry] == Outcome::Recorded {
                new[*model].push(due);
            }
        }
        for (accounts, new) in accounts.iter().zip(&new) {
            self.tally.add(&self.policy, accounts, new);
        }
        let standing = |((model_uuid, _), accounts): (&(Box<str>, _), &Vec<Account>)| {
            Some((model_uuid.clone(), self.tally.standing(&self.policy, accounts)?))
        };
        let known: BTreeMap<_, _> = claim.models.iter().zip(&accounts).filter_map(standing).collect();
        if claim.has_acts {
            self.tally.forget();
        }
        Standings { is_unlimited: false, known }
    }

    /// Of an outcome that the totals were not told of.
    pub(crate) fn forget(&mut self) {
        self.tally.forget();
    }

    fn follow(&mut self, policy: &Arc<Policy>) {
        if !Arc::ptr_eq(&self.policy, policy) {
            self.policy = policy.clone();
            self.tally.forget();
        }
    }

    fn look_up(
        &mut self,
        accounts: &[Account],
        now: Timestamp,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let fresh_since = self.fresh_for.and_then(|fresh_for| {
            let seconds = i64::try_from(fresh_for.as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_unix(now.unix_seconds().saturating_sub(seconds), now.nanoseconds())
        });
        for missing in self.tally.missing(&self.policy, accounts, now, fresh_since)? {
            let used = used(&*self.reader, &self.policy, &missing)?;
            self.tally.bring(missing, used, now);
        }
        Ok(())
    }
}

/// How much was used of an allowance in a period, as the ledger has it.
pub(crate) fn used(reader: &dyn Reader, policy: &Policy, missing: &Missing) -> Result<Used, LedgerError> {
    let Missing { account, period } = missing;
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
            for model_uuid in models_of(reader, policy, user)? {
                reader.usage(&Select { model_uuid: Some(&model_uuid), ..select }, &mut adder)?;
            }
        }
    }
    Ok(adder.used)
}

fn models_of(reader: &dyn Reader, policy: &Policy, user: &str) -> Result<Vec<String>, LedgerError> {
    let mut found = Vec::new();
    let mut page = Page { cursor: None, limit: PAGE_MODELS };
    loop {
        let models = reader.models(&page)?;
        let Some(last) = models.last() else { return Ok(found) };
        page.cursor = Some(last.model_uuid.clone());
        for model in models {
            let declared = reader.declared_user(&model.model_uuid)?;
            let owner = policy.users.user_of(&model.model_uuid, declared.as_deref(), &model.model_name);
            if owner == Some(user) {
                found.push(model.model_uuid);
            }
        }
    }
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

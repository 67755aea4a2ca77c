//! Where the models of a request stand once it is recorded.
//!
//! The thread that records keeps the totals of all allowances: it alone knows what has been recorded and what has not, so that
//! no batch is missed or counted twice, and the batch that crosses a limit is answered in its own response. Whose a model is, the
//! ledger says: before a group for what was used until then, and after it for what comes from then on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_ledger::{LedgerError, Outcome, Reader, chain};
use tollgate_rules::{Account, Due, ModelStanding, Subject, hour_of};
use tollgate_wire::Timestamp;
use tracing::warn;

use crate::CurrentTerms;
use crate::claims::{Claim, Named};
use crate::owners::owner;
use crate::totals::Totals;

/// After a total could not be read, how long none is looked up: so many times as long as the failed try took.
const SILENT_TIMES: u32 = 20;
const SILENT_MIN: Duration = Duration::from_millis(500);

/// Where the models of a request stand.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    /// Nothing limits anybody.
    is_unlimited: bool,
    known: BTreeMap<Box<str>, ModelStanding>,
}

impl Standings {
    /// Where nothing limits anybody.
    fn unlimited() -> Self {
        Self { is_unlimited: true, known: BTreeMap::new() }
    }

    /// Where a model stands; `None` when that is not known.
    pub(crate) fn of(&self, model_uuid: &str) -> Option<ModelStanding> {
        if self.is_unlimited { Some(ModelStanding::default()) } else { self.known.get(model_uuid).cloned() }
    }
}

/// Keeps the totals of the allowances. One thread owns it.
pub(crate) struct Keeper {
    terms: Arc<CurrentTerms>,
    totals: Totals,
    /// How old a total may be, where others record into the same ledger.
    fresh_for: Option<Duration>,
    /// The last hour in which totals of periods that were over were forgotten.
    tidied: i64,
    /// Until then no missing total is looked up: one could not be read.
    silent_until: Option<Instant>,
}

/// A model on the thread that records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Place {
    /// Whether it has a recorded batch.
    is_recorded: bool,
    user: Option<Box<str>>,
}

/// The models of a group, before it is recorded.
pub(crate) struct Before(HashMap<Box<str>, Place>);

impl Keeper {
    pub(crate) fn new(
        reader: Arc<dyn Reader>,
        terms: Arc<CurrentTerms>,
        fresh_for: Option<Duration>,
    ) -> Self {
        let totals = Totals::new(reader, terms.get());
        Self { terms, totals, fresh_for, tidied: i64::MIN, silent_until: None }
    }

    /// Before a group is recorded.
    pub(crate) fn before<'a>(&mut self, claims: impl Iterator<Item = &'a Claim>) -> Before {
        let terms = self.terms.get();
        if !Arc::ptr_eq(&self.totals.terms, &terms) {
            self.totals.forget();
            self.totals.terms = terms;
        }
        if !self.asks_for_users() {
            return Before(HashMap::new());
        }
        let before = self
            .places(claims)
            .map(|places| places.into_iter().map(|(model_uuid, place)| (model_uuid.into(), place)).collect());
        Before(self.or_forget(before))
    }

    /// After the group is durable: adds what is new, and says where the models of each request stand.
    pub(crate) fn settle(&mut self, before: &Before, requests: &[(&Claim, &[Outcome])]) -> Vec<Standings> {
        if self.totals.terms.policy.allowances.is_empty() {
            return requests.iter().map(|_| Standings::unlimited()).collect();
        }
        let claims = || requests.iter().map(|(claim, _)| *claim);
        let after = if self.asks_for_users() { self.places(claims()) } else { self.unowned_places(claims()) };
        let after = self.or_forget(after);
        let accounts = after.iter().map(|(uuid, place)| (*uuid, self.accounts(uuid, place))).collect();
        if claims().all(|claim| Arc::ptr_eq(&self.totals.terms.policy, &claim.policy)) {
            self.follow_users(before, &after);
            self.add(requests, &accounts);
        } else {
            // Worked out before the configuration changed: nobody knows what it brought to the new allowances.
            self.totals.forget();
        }
        let now = claims().map(|claim| claim.received).max().unwrap_or_default();
        self.tidy(now);
        let standings = self.standings(&accounts, now);
        if self.fresh_for.is_some() {
            // Others may record into it: who owns what is true for a moment only.
            self.totals.owners = None;
        }
        let of_claim = |claim: &Claim| {
            let known = claim.models.iter().filter_map(|Named { model_uuid, .. }| {
                Some((model_uuid.clone(), standings.get(&**model_uuid)?.clone()))
            });
            Standings { is_unlimited: false, known: known.collect() }
        };
        claims().map(of_claim).collect()
    }

    /// Of an outcome that the totals were not told of.
    pub(crate) fn forget(&mut self) {
        self.totals.forget();
    }

    fn asks_for_users(&self) -> bool {
        self.totals.terms.policy.allowances.ask_for_users()
    }

    /// What the ledger knows of the models of requests.
    fn places<'c>(
        &self,
        claims: impl Iterator<Item = &'c Claim>,
    ) -> Result<HashMap<&'c str, Place>, LedgerError> {
        let mut model_uuids: Vec<&str> =
            claims.flat_map(|claim| &claim.models).map(|named| &*named.model_uuid).collect();
        model_uuids.sort_unstable();
        model_uuids.dedup();
        self.places_of(&model_uuids)
    }

    /// The same after they are recorded and where users make no difference: of most of them the ledger need not be asked.
    fn unowned_places<'c>(
        &self,
        claims: impl Iterator<Item = &'c Claim>,
    ) -> Result<HashMap<&'c str, Place>, LedgerError> {
        let (mut recorded, mut others) = (HashMap::new(), Vec::new());
        for named in claims.flat_map(|claim| &claim.models) {
            if named.has_batch {
                recorded.insert(&*named.model_uuid, Place { is_recorded: true, user: None });
            } else {
                others.push(&*named.model_uuid);
            }
        }
        others.retain(|model_uuid| !recorded.contains_key(model_uuid));
        if !others.is_empty() {
            recorded.extend(self.places_of(&others)?);
        }
        Ok(recorded)
    }

    fn places_of<'m>(&self, model_uuids: &[&'m str]) -> Result<HashMap<&'m str, Place>, LedgerError> {
        let found = self.totals.reader.ownership(model_uuids)?;
        let place = |(model_uuid, ownership): (&&'m str, _)| {
            let user = owner(&self.totals.terms, model_uuid, &ownership);
            (*model_uuid, Place { is_recorded: ownership.model_name.is_some(), user })
        };
        Ok(model_uuids.iter().zip(found).map(place).collect())
    }

    /// What was found; or nothing, and then the totals know of nothing either. The batches are recorded all the same, and answers
    /// say nothing of their models.
    fn or_forget<T: Default>(&mut self, found: Result<T, LedgerError>) -> T {
        found.unwrap_or_else(|error| {
            warn!(error = %chain(&error), "who owns models cannot be read just now");
            self.totals.forget();
            T::default()
        })
    }

    /// What a model's usage goes to. A model that never had a batch has used nothing: there is no total of it alone, however many of
    /// them somebody makes up.
    fn accounts(&self, model_uuid: &str, place: &Place) -> Vec<Account> {
        let mut accounts = self.totals.terms.policy.allowances.accounts(model_uuid, place.user.as_deref());
        accounts.retain(|account| place.is_recorded || !matches!(account.subject, Subject::Model(_)));
        accounts
    }

    /// A model with another user than before takes all that it used along.
    fn follow_users(&mut self, Before(before): &Before, after: &HashMap<&str, Place>) {
        for (model_uuid, after) in after {
            let Some(before) = before.get(*model_uuid) else { continue };
            let (from, to) = (before.user.as_deref(), after.user.as_deref());
            if before.is_recorded && from != to {
                for user in [from, to].into_iter().flatten() {
                    for account in self.totals.terms.policy.allowances.accounts(model_uuid, Some(user)) {
                        if matches!(account.subject, Subject::User(_)) {
                            self.totals.tally.forget(&account);
                        }
                    }
                }
            }
            if let Some(owners) = &mut self.totals.owners
                && after.is_recorded
                && (!before.is_recorded || from != to)
            {
                owners.moved(model_uuid, from, to);
            }
        }
    }

    fn add(&mut self, requests: &[(&Claim, &[Outcome])], accounts: &HashMap<&str, Vec<Account>>) {
        let Totals { terms, tally, .. } = &mut self.totals;
        let mut released = Vec::new();
        for (claim, outcomes) in requests {
            let is_recorded = |entry: usize| outcomes[entry] == Outcome::Recorded;
            let mut new: Vec<Vec<&Due>> = vec![Vec::new(); claim.models.len()];
            for (entry, model, due) in &claim.dues {
                if is_recorded(*entry) {
                    new[*model].push(due);
                }
            }
            for (named, new) in claim.models.iter().zip(&new) {
                if let Some(accounts) = accounts.get(&*named.model_uuid) {
                    tally.add(&terms.policy, accounts, new);
                }
            }
            let releases = claim.releases.iter().filter(|(entry, _)| is_recorded(*entry));
            released.extend(releases.map(|(_, model)| &*claim.models[*model].model_uuid));
        }
        // Whether its batch had been recorded before, the outcome of a release does not say.
        for account in released.iter().filter_map(|uuid| accounts.get(uuid)).flatten() {
            tally.forget(account);
        }
    }

    fn tidy(&mut self, now: Timestamp) {
        let hour = hour_of(now);
        if self.tidied < hour {
            self.tidied = hour;
            self.totals.tally.forget_before(hour);
        }
    }

    /// Where each model stands, of those of which that can be said.
    fn standings<'m>(
        &mut self,
        accounts: &HashMap<&'m str, Vec<Account>>,
        now: Timestamp,
    ) -> HashMap<&'m str, ModelStanding> {
        let fresh_since = self.fresh_for.and_then(|fresh_for| {
            let seconds = i64::try_from(fresh_for.as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_unix(now.unix_seconds().saturating_sub(seconds), now.nanoseconds())
        });
        let mut standings = HashMap::new();
        for (model_uuid, accounts) in accounts {
            // IMPORTANT: after the group is recorded and its readings are added to what was known, and on this thread, which alone
            // records: what is brought here has all of it in it, and nothing that is still to be added.
            self.look_up(accounts, now, fresh_since);
            if let Some(standing) = self.totals.tally.standing(&self.totals.terms.policy, accounts) {
                standings.insert(*model_uuid, standing);
            }
        }
        standings
    }

    /// Brings what is missing. What cannot be read stays as it is: the batches are recorded all the same, and answers say nothing of
    /// models of which too little is known.
    fn look_up(&mut self, accounts: &[Account], now: Timestamp, fresh_since: Option<Timestamp>) {
        let started = Instant::now();
        if self.silent_until.is_some_and(|until| started < until) {
            return;
        }
        self.silent_until = None;
        if let Err(error) = self.totals.look_up(accounts, now, fresh_since) {
            // Recording must not wait for it again and again: no more than a part of its time.
            let pause = (started.elapsed() * SILENT_TIMES).max(SILENT_MIN);
            self.silent_until = Some(Instant::now() + pause);
            warn!(error = %chain(&error), pause_ms = pause.as_millis(), "where models stand cannot be said just now");
        }
    }
}

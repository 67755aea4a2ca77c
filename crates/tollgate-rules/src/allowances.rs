//! Which allowances are whose.

use std::collections::{HashMap, HashSet};

use crate::allowance::Scope;
use crate::{Allowance, AllowanceError, AllowanceSettings};

/// Whose usage an allowance looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A model's.
    Model(Box<str>),
    /// That of all models of a user.
    User(Box<str>),
    /// That of all models.
    All,
}

/// Whose usage counts for which allowance: what there is one total for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// The allowance's place in [`Allowances::list`].
    pub allowance: usize,
    /// Whose usage.
    pub subject: Subject,
}

/// A meter that is limited: its number among those of one [`Allowances`]. There are many readings and few meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitedMeter(usize);

/// All allowances of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Allowances {
    list: Vec<Allowance>,
    of_model: HashMap<Box<str>, Vec<usize>>,
    of_each_model: Vec<usize>,
    of_user: HashMap<Box<str>, Vec<usize>>,
    of_each_user: Vec<usize>,
    of_all: Vec<usize>,
    meters: HashMap<Box<str>, LimitedMeter>,
    /// Of each in `list`.
    meter_of: Vec<LimitedMeter>,
}

impl Allowances {
    /// Reads what the configuration says.
    ///
    /// # Errors
    ///
    /// Of the first allowance that cannot work.
    pub fn new(settings: &[AllowanceSettings]) -> Result<Self, AllowanceError> {
        let mut allowances = Self::default();
        let mut names = HashSet::new();
        for settings in settings {
            if !names.insert(&settings.name) {
                return Err(AllowanceError::Name {
                    name: settings.name.clone(),
                    why: "that of another allowance, too",
                });
            }
            allowances.push(Allowance::new(settings)?);
        }
        Ok(allowances)
    }

    fn push(&mut self, allowance: Allowance) {
        let place = self.list.len();
        let note = |of: &mut HashMap<Box<str>, Vec<usize>>, names: &[Box<str>]| {
            for name in names {
                of.entry(name.clone()).or_default().push(place);
            }
        };
        match &allowance.scope {
            Scope::Models(models) => note(&mut self.of_model, models),
            Scope::EachModel => self.of_each_model.push(place),
            Scope::Users(users) => note(&mut self.of_user, users),
            Scope::EachUser => self.of_each_user.push(place),
            Scope::All => self.of_all.push(place),
        }
        let next = LimitedMeter(self.meters.len());
        self.meter_of.push(*self.meters.entry(allowance.meter.clone()).or_insert(next));
        self.list.push(allowance);
    }

    /// In the order of the configuration.
    #[must_use]
    pub fn list(&self) -> &[Allowance] {
        &self.list
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A meter that some allowance limits; `None` when none does.
    #[must_use]
    pub fn limited(&self, meter: &str) -> Option<LimitedMeter> {
        self.meters.get(meter).copied()
    }

    /// The meter of the allowance at this place in [`Allowances::list`].
    pub(crate) fn meter_of(&self, allowance: usize) -> LimitedMeter {
        self.meter_of[allowance]
    }

    /// Whether whose a model is makes a difference.
    #[must_use]
    pub fn ask_for_users(&self) -> bool {
        !self.of_user.is_empty() || !self.of_each_user.is_empty()
    }

    /// All accounts that a model's usage goes to, in the order of the configuration.
    #[must_use]
    pub fn accounts(&self, model_uuid: &str, user: Option<&str>) -> Vec<Account> {
        let model = || Subject::Model(model_uuid.into());
        let account =
            |subject: Subject| move |&allowance: &usize| Account { allowance, subject: subject.clone() };
        let mut accounts = Vec::new();
        let own = self.of_model.get(model_uuid).into_iter().flatten();
        accounts.extend(own.chain(&self.of_each_model).map(account(model())));
        if let Some(user) = user {
            let own = self.of_user.get(user).into_iter().flatten();
            accounts.extend(own.chain(&self.of_each_user).map(account(Subject::User(user.into()))));
        }
        accounts.extend(self.of_all.iter().map(account(Subject::All)));
        accounts.sort_unstable_by_key(|account| account.allowance);
        accounts
    }
}

//! How much of a meter may be used, and what is said when it is.

use serde::{Deserialize, Serialize};
use tollgate_wire::Status;

use crate::{Calendar, CalendarError, Decimal, Span, Standing, Sum, SumError, ValueError, Window};

/// One `[[allowance]]` of the configuration, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowanceSettings {
    /// What it is called in the info of a status; no other has this name.
    pub name: String,
    /// Each of these models has the allowance for itself; `["*"]` is every model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Each of these users has the allowance for all of its models together; `["*"]` is every user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// All models have the allowance together.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// What is limited.
    pub meter: String,
    /// In which period, by the times of the readings: `hour`, `day`, `week`, `month` or `total`.
    pub per: Window,
    /// How much may be used, a decimal number.
    pub limit: String,
    /// From how much on the status is AMBER: a part of the limit such as `"80%"`, or an amount.
    #[serde(default = "amber_at")]
    pub amber_at: String,
    /// The IANA time zone whose days, weeks and months count.
    #[serde(default = "time_zone")]
    pub tz: String,
}

fn amber_at() -> String {
    "80%".to_owned()
}

fn time_zone() -> String {
    "UTC".to_owned()
}

/// An allowance that can work.
#[derive(Debug, Clone)]
pub struct Allowance {
    pub(crate) name: Box<str>,
    pub(crate) scope: Scope,
    pub(crate) meter: Box<str>,
    limit: Sum,
    amber_from: Sum,
    calendar: Calendar,
}

/// Whose usage is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Each of these models', by itself.
    Models(Vec<Box<str>>),
    /// Each model's, by itself.
    EachModel,
    /// Each of these users'.
    Users(Vec<Box<str>>),
    /// Each user's.
    EachUser,
    /// That of all models together.
    All,
}

/// Why an allowance cannot work. The text fits after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// It has no name, or another one's.
    #[error("use an allowance: its name {name:?} is {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It does not say whom it is for, or says so in two ways.
    #[error(
        "use the allowance {name:?}: it needs one of models = [..], users = [..] and all = true, and has {n_given}"
    )]
    Scope {
        /// The allowance.
        name: String,
        /// How many of the three it has.
        n_given: usize,
    },
    /// `"*"` beside names.
    #[error(
        "use the allowance {name:?}: \"*\" is for every model or user, so no other name can be beside it"
    )]
    Everybody {
        /// The allowance.
        name: String,
    },
    /// It limits nothing.
    #[error("use the allowance {name:?}: its meter is empty")]
    Meter {
        /// The allowance.
        name: String,
    },
    /// A number in it is none.
    #[error(
        "use the allowance {name:?}: {key} = {text:?} is neither a decimal number such as \"1000\" nor {or}"
    )]
    Number {
        /// The allowance.
        name: String,
        /// `limit` or `amber_at`.
        key: &'static str,
        /// What it says.
        text: String,
        /// What else would be read.
        or: &'static str,
        /// What is wrong with the number.
        #[source]
        source: Option<ValueError>,
    },
    /// AMBER would come after RED.
    #[error("use the allowance {name:?}: amber_at = {text:?} is above the limit")]
    AmberAboveLimit {
        /// The allowance.
        name: String,
        /// What `amber_at` says.
        text: String,
    },
    /// Its time zone cannot be used.
    #[error("use the allowance {name:?}")]
    Calendar {
        /// The allowance.
        name: String,
        /// Why.
        source: CalendarError,
    },
}

impl Allowance {
    /// Reads what the configuration says.
    ///
    /// # Errors
    ///
    /// [`AllowanceError`] names the allowance and what to mend.
    pub fn new(settings: &AllowanceSettings) -> Result<Self, AllowanceError> {
        let AllowanceSettings { name, meter, per, limit, amber_at, tz, .. } = settings;
        if name.is_empty() {
            return Err(AllowanceError::Name { name: name.clone(), why: "empty" });
        }
        if meter.is_empty() {
            return Err(AllowanceError::Meter { name: name.clone() });
        }
        let number = |key, text: &String, or| {
            Decimal::parse(text).map_err(|source| AllowanceError::Number {
                name: name.clone(),
                key,
                text: text.clone(),
                or,
                source: Some(source),
            })
        };
        let limit_amount = number("limit", limit, "anything else that counts")?;
        let limit = Sum::from(limit_amount);
        let amber_from = match amber_at.strip_suffix('%') {
            None => Sum::from(number("amber_at", amber_at, "a part of the limit such as \"80%\"")?),
            Some(percent) => {
                let percent = number("amber_at", &percent.to_owned(), "a part of the limit such as \"80%\"")?;
                limit.percent(percent).map_err(|_: SumError| AllowanceError::AmberAboveLimit {
                    name: name.clone(),
                    text: amber_at.clone(),
                })?
            }
        };
        if limit < amber_from {
            return Err(AllowanceError::AmberAboveLimit { name: name.clone(), text: amber_at.clone() });
        }
        let failed = |source| AllowanceError::Calendar { name: name.clone(), source };
        let calendar = Calendar::new(*per, tz).map_err(failed)?;
        Ok(Self {
            name: name.as_str().into(),
            scope: scope(settings)?,
            meter: meter.as_str().into(),
            limit,
            amber_from,
            calendar,
        })
    }

    /// The period that a UTC hour is in.
    ///
    /// # Errors
    ///
    /// When the time zone's offset there is not a whole number of hours.
    pub fn period(&self, hour: i64) -> Result<Span, CalendarError> {
        self.calendar.clone().span(hour)
    }

    /// Where somebody stands who used so much in a period.
    ///
    /// GREEN below `amber_at`, RED above the limit, AMBER between them; what is exactly the limit is within it.
    #[must_use]
    pub fn standing(&self, used: &Sum, period: Span) -> Standing {
        let status = self.status(used);
        let Self { name, limit, meter, .. } = self;
        let when = self.when(period);
        let info = match status {
            Status::Green => String::new(),
            Status::Amber => format!("{name}: {used} of {limit} {meter} used {when}"),
            Status::Red => format!("{name}: {used} of {limit} {meter} used {when}, over the limit"),
        };
        Standing { status, info }
    }

    /// As [`Allowance::standing`], in words that stay the same as long as the status does: a unit acts whenever it hears
    /// something new.
    #[must_use]
    pub fn unit_standing(&self, used: &Sum, period: Span) -> Standing {
        let status = self.status(used);
        let Self { name, limit, meter, .. } = self;
        let when = self.when(period);
        let info = match status {
            Status::Green => String::new(),
            Status::Amber => format!("{name}: near the limit of {limit} {meter} {when}"),
            Status::Red => format!("{name}: over the limit of {limit} {meter} {when}"),
        };
        Standing { status, info }
    }

    fn status(&self, used: &Sum) -> Status {
        if self.limit < *used {
            Status::Red
        } else if *used < self.amber_from {
            Status::Green
        } else {
            Status::Amber
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How much may be used.
    #[must_use]
    pub fn limit(&self) -> &Sum {
        &self.limit
    }

    /// What is limited.
    #[must_use]
    pub fn meter(&self) -> &str {
        &self.meter
    }

    fn when(&self, period: Span) -> String {
        self.calendar.words(period)
    }
}

fn scope(settings: &AllowanceSettings) -> Result<Scope, AllowanceError> {
    let AllowanceSettings { name, models, users, all, .. } = settings;
    let n_given = usize::from(!models.is_empty()) + usize::from(!users.is_empty()) + usize::from(*all);
    if n_given != 1 {
        return Err(AllowanceError::Scope { name: name.clone(), n_given });
    }
    let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    match (&models[..], &users[..]) {
        ([everybody], _) if everybody == "*" => Ok(Scope::EachModel),
        (_, [everybody]) if everybody == "*" => Ok(Scope::EachUser),
        _ if models.iter().chain(users).any(|name| name == "*") => {
            Err(AllowanceError::Everybody { name: name.clone() })
        }
        ([], []) => Ok(Scope::All),
        ([], users) => Ok(Scope::Users(boxed(users))),
        (models, _) => Ok(Scope::Models(boxed(models))),
    }
}

//! Where models stand, and statuses that operators set by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tollgate_ledger::{Act, HandStatus, LedgerError, Ownership, Page, Reader};
use tollgate_rules::{Account, Standing, Subject, hour_of, hour_start, limits};
use tollgate_wire::{Status, Timestamp};

use crate::act::now;
use crate::admin_routes::{
    Admin, ListQuery, NO_SUCH_PATH, PathResult, Rows, in_path, list_page, one_more, rows,
};
use crate::format::{self, CsvRow};
use crate::owners::owner;
use crate::problem::Problem;
use crate::terms::Terms;
use crate::totals::{self, Totals};

/// Bytes of the info of a status, at most: it is a line for people, and goes into every answer.
const INFO_BYTES_MAX: usize = 1_024;

/// Seconds of a hundred years: what is to last longer needs no end.
const SECONDS_MAX: u64 = 3_155_760_000;

/// Where a model or a unit stands, and why.
#[derive(Serialize)]
pub(crate) struct Shown {
    model_uuid: String,
    /// Empty for the model itself.
    unit_name: String,
    model_name: String,
    user: String,
    status: &'static str,
    info: String,
    /// `hand`, `allowance` or `default`.
    source: &'static str,
    /// From when on it counts no longer; only of what was set by hand.
    expires: Option<String>,
}

/// What was used of one allowance that a model comes under.
#[derive(Serialize)]
struct OfAllowance {
    name: String,
    /// `model`, `user` or `all`: whose usage is compared with the limit.
    scope: &'static str,
    meter: String,
    /// The period, by UTC; absent where it has no ends.
    start: Option<String>,
    end: Option<String>,
    used: String,
    limit: String,
    status: &'static str,
    info: String,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    model: Shown,
    allowances: Vec<OfAllowance>,
    /// The units for which something is set by hand.
    units: Vec<Shown>,
}

impl CsvRow for Shown {
    fn columns() -> Vec<&'static str> {
        vec!["model_uuid", "unit_name", "model_name", "user", "status", "info", "source", "expires"]
    }

    fn lines(&self) -> Vec<Vec<String>> {
        vec![vec![
            self.model_uuid.clone(),
            self.unit_name.clone(),
            self.model_name.clone(),
            self.user.clone(),
            self.status.to_owned(),
            self.info.clone(),
            self.source.to_owned(),
            self.expires.clone().unwrap_or_default(),
        ]]
    }
}

/// All models and where each stands, with the units for which something is set by hand.
pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    query: ListQuery,
) -> Result<Response, Problem> {
    let (page, format) = list_page(query, &headers)?;
    let limit = page.limit;
    let terms = admin.post.terms();
    let found =
        admin.read(move |admin| Lookup::new(admin.reader.clone(), terms).list(&one_more(page))).await?;
    let Rows { rows: models, next_cursor } = rows(found, limit, |(model_uuid, _)| model_uuid.clone());
    let shown = models.into_iter().flat_map(|(_, shown)| shown).collect();
    format::page(format, Rows { rows: shown, next_cursor })
}

pub(crate) async fn of_model(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<Response, Problem> {
    let model_uuid = in_path(path)?;
    let terms = admin.post.terms();
    let whole = admin.read(move |admin| Lookup::new(admin.reader.clone(), terms).whole(&model_uuid)).await?;
    Ok(Json(whole).into_response())
}

pub(crate) async fn of_unit(
    State(admin): State<Arc<Admin>>,
    path: PathResult<(String, String)>,
) -> Result<Response, Problem> {
    let (model_uuid, unit_name) = unit_in_path(path)?;
    let found = admin.read(move |admin| admin.reader.hand_status(&model_uuid, &unit_name)).await?;
    let is_there = found.filter(|status| status.standing(now()).is_some());
    is_there
        .map(|status| Json(status).into_response())
        .ok_or(Problem::NoSuchItem { what: "status set by hand for this unit" })
}

pub(crate) async fn set_for_model(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    set(admin, in_path(path)?, String::new(), &body).await
}

pub(crate) async fn set_for_unit(
    State(admin): State<Arc<Admin>>,
    path: PathResult<(String, String)>,
    body: Bytes,
) -> Result<Response, Problem> {
    let (model_uuid, unit_name) = unit_in_path(path)?;
    set(admin, model_uuid, unit_name, &body).await
}

pub(crate) async fn clear_of_model(
    State(admin): State<Arc<Admin>>,
    path: PathResult<String>,
) -> Result<StatusCode, Problem> {
    clear(admin, in_path(path)?, String::new()).await
}

pub(crate) async fn clear_of_unit(
    State(admin): State<Arc<Admin>>,
    path: PathResult<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (model_uuid, unit_name) = unit_in_path(path)?;
    clear(admin, model_uuid, unit_name).await
}

/// The name of a unit has a slash, which may be escaped or not; `/status` stands behind it.
fn unit_in_path(path: PathResult<(String, String)>) -> Result<(String, String), Problem> {
    let (model_uuid, rest) = in_path(path)?;
    match rest.strip_suffix("/status").filter(|unit_name| !unit_name.is_empty()) {
        Some(unit_name) => Ok((model_uuid, unit_name.to_owned())),
        None => Err(NO_SUCH_PATH),
    }
}

/// What is to be set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    status: String,
    #[serde(default)]
    info: String,
    expires: Option<String>,
    for_seconds: Option<u64>,
}

impl Wanted {
    fn read(body: &[u8], now: Timestamp) -> Result<(Status, Box<str>, Option<Timestamp>), Problem> {
        let refuse = |reason: String| Problem::BadParameter { reason };
        let example = r#"{"status":"RED","info":"unpaid","for_seconds":3600}"#;
        let wanted: Self = serde_json::from_slice(body).map_err(|error| {
            refuse(format!("The body is no status: {error}. Send one such as {example}."))
        })?;
        let status: Status = wanted.status.parse().map_err(|error| refuse(format!("Failed to {error}.")))?;
        if INFO_BYTES_MAX < wanted.info.len() || wanted.info.contains(char::is_control) {
            let reason =
                format!("info may be one line of {INFO_BYTES_MAX} bytes, without control characters.");
            return Err(refuse(reason));
        }
        let expires = match (wanted.expires, wanted.for_seconds) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(refuse("expires and for_seconds are both given: give one.".to_owned()));
            }
            (Some(text), None) => {
                let expires =
                    Timestamp::parse(&text).map_err(|error| refuse(format!("Failed to {error}.")))?;
                if expires <= now {
                    return Err(refuse(format!("expires {text} is over.")));
                }
                Some(expires)
            }
            (None, Some(seconds)) => {
                let seconds = (1..=SECONDS_MAX).contains(&seconds).then_some(seconds).ok_or_else(|| {
                    refuse(format!("for_seconds {seconds} is outside 1 to {SECONDS_MAX} (a hundred years)."))
                })?;
                let end = now.unix_seconds().saturating_add(seconds.cast_signed());
                Timestamp::from_unix(end, now.nanoseconds())
            }
        };
        Ok((status, wanted.info.into(), expires))
    }
}

async fn set(
    admin: Arc<Admin>,
    model_uuid: String,
    unit_name: String,
    body: &[u8],
) -> Result<Response, Problem> {
    let set = now();
    let (status, info, expires) = Wanted::read(body, set)?;
    for (what, name, n_bytes_max) in
        [("model", &model_uuid, limits::ID_BYTES_MAX), ("unit", &unit_name, limits::NAME_BYTES_MAX)]
    {
        if n_bytes_max < name.len() {
            let reason = format!("The name of the {what} is too long to be that of any batch.");
            return Err(Problem::BadParameter { reason });
        }
    }
    let status =
        HandStatus { model_uuid: model_uuid.into(), unit_name: unit_name.into(), status, info, set, expires };
    admin.act(Act::SetStatus(status.clone())).await?;
    Ok(Json(status).into_response())
}

async fn clear(admin: Arc<Admin>, model_uuid: String, unit_name: String) -> Result<StatusCode, Problem> {
    // What was not set is cleared already.
    admin.act(Act::ClearStatus { model_uuid: model_uuid.into(), unit_name: unit_name.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks up where models stand, reading each total once.
struct Lookup {
    totals: Totals,
    now: Timestamp,
}

/// A model that is looked at.
struct Looked<'m> {
    model_uuid: &'m str,
    model_name: Box<str>,
    user: Option<Box<str>>,
    accounts: Vec<Account>,
    /// What is set by hand and counts, of the model itself first.
    by_hand: Vec<HandStatus>,
}

impl Lookup {
    fn new(reader: Arc<dyn Reader>, terms: Arc<Terms>) -> Self {
        Self { totals: Totals::new(reader, terms), now: now() }
    }

    /// Each model of a page with itself and its units. A model for which something is set by hand is there before its first batch:
    /// a uuid that was mistyped has to show.
    fn list(&mut self, page: &Page) -> Result<Vec<(String, Vec<Shown>)>, LedgerError> {
        let reader = self.totals.reader.clone();
        let mut set = BTreeMap::<String, Vec<HandStatus>>::new();
        for status in reader.hand_statuses(None)? {
            set.entry(status.model_uuid.to_string()).or_default().push(status);
        }
        set.retain(|_, by_hand| by_hand.iter().any(|status| status.standing(self.now).is_some()));
        let is_after = |uuid: &&String| page.cursor.as_ref().is_none_or(|cursor| cursor < *uuid);
        let seen = reader.ownerships(page)?.into_iter().map(|(model_uuid, _)| model_uuid.into());
        let uuids: BTreeSet<String> = set.keys().filter(is_after).cloned().chain(seen).collect();
        let uuids: Vec<&str> = uuids.iter().take(page.limit).map(String::as_str).collect();
        let found = reader.ownership(&uuids)?;
        let of_model = |(model_uuid, ownership): (&&str, Ownership)| {
            let by_hand = set.remove(*model_uuid).unwrap_or_default();
            let looked = self.looked(model_uuid, ownership, by_hand);
            let mut shown = vec![self.model(&looked)?];
            shown.extend(self.units(&looked));
            Ok(((*model_uuid).to_owned(), shown))
        };
        uuids.iter().zip(found).map(of_model).collect()
    }

    fn whole(&mut self, model_uuid: &str) -> Result<Whole, LedgerError> {
        let reader = &self.totals.reader;
        let ownership = reader.ownership(&[model_uuid])?.pop().unwrap_or_default();
        let looked = self.looked(model_uuid, ownership, reader.hand_statuses(Some(model_uuid))?);
        let model = self.model(&looked)?;
        self.look_up(&looked.accounts)?;
        let allowances =
            looked.accounts.iter().map(|account| self.of_allowance(account)).collect::<Result<_, _>>()?;
        Ok(Whole { model, allowances, units: self.units(&looked) })
    }

    fn looked<'m>(
        &self,
        model_uuid: &'m str,
        ownership: Ownership,
        mut by_hand: Vec<HandStatus>,
    ) -> Looked<'m> {
        let user = owner(&self.totals.terms, model_uuid, &ownership);
        let accounts = self.totals.terms.policy.allowances.accounts(model_uuid, user.as_deref());
        by_hand.retain(|status| status.standing(self.now).is_some());
        let model_name = ownership.model_name.unwrap_or_default();
        Looked { model_uuid, model_name, user, accounts, by_hand }
    }

    fn model(&mut self, looked: &Looked<'_>) -> Result<Shown, LedgerError> {
        let by_hand = looked.by_hand.iter().find(|status| status.unit_name.is_empty());
        if let Some(shown) = by_hand.and_then(|status| looked.by_hand(status, self.now)) {
            return Ok(shown);
        }
        self.look_up(&looked.accounts)?;
        let source = if looked.accounts.is_empty() { "default" } else { "allowance" };
        let standing =
            self.totals.tally.standing(&self.totals.terms.policy, &looked.accounts).unwrap_or_default();
        Ok(looked.shown("", standing.model, source, None))
    }

    fn units(&self, looked: &Looked<'_>) -> Vec<Shown> {
        let units = looked.by_hand.iter().filter(|status| !status.unit_name.is_empty());
        units.filter_map(|status| looked.by_hand(status, self.now)).collect()
    }

    fn look_up(&mut self, accounts: &[Account]) -> Result<(), LedgerError> {
        self.totals.look_up(accounts, self.now, None)
    }

    fn of_allowance(&self, account: &Account) -> Result<OfAllowance, LedgerError> {
        let allowance = &self.totals.terms.policy.allowances.list()[account.allowance];
        let period = allowance.period(hour_of(self.now)).map_err(totals::of_calendar)?;
        let used = self.totals.tally.used(account).unwrap_or_default();
        let standing = allowance.standing(&used, period);
        Ok(OfAllowance {
            name: allowance.name().to_owned(),
            scope: match account.subject {
                Subject::Model(_) => "model",
                Subject::User(_) => "user",
                Subject::All => "all",
            },
            meter: allowance.meter().to_owned(),
            start: hour_start(period.start).map(|time| time.to_string()),
            end: hour_start(period.end).map(|time| time.to_string()),
            used: used.to_string(),
            limit: allowance.limit().to_string(),
            status: standing.status.as_str(),
            info: standing.info,
        })
    }
}

impl Looked<'_> {
    fn by_hand(&self, status: &HandStatus, now: Timestamp) -> Option<Shown> {
        Some(self.shown(&status.unit_name, status.standing(now)?, "hand", status.expires))
    }

    fn shown(
        &self,
        unit_name: &str,
        standing: Standing,
        source: &'static str,
        expires: Option<Timestamp>,
    ) -> Shown {
        Shown {
            model_uuid: self.model_uuid.to_owned(),
            unit_name: unit_name.to_owned(),
            model_name: self.model_name.to_string(),
            user: self.user.as_deref().unwrap_or_default().to_owned(),
            status: standing.status.as_str(),
            info: standing.info,
            source,
            expires: expires.map(|time| time.to_string()),
        }
    }
}

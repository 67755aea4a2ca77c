//! The local meter status: how sending goes, and what the collector says, as one.
//!
//! As a Juju controller computes it: three errors in succession are AMBER, and with no success for the grace period, RED. What the
//! collector says of a unit counts beside that by severity.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::chunk::Subjects;

/// Errors in succession before they show.
const ERRORS_MAX: u32 = 3;

/// How long a sender may go without success before it shows RED, unless the collector says otherwise: seven days.
const GRACE_PERIOD_MS: i64 = 7 * 24 * 3600 * 1000;

/// Bytes of what a collector says of a status that are kept; the hook gets it in its environment, and people read it.
const INFO_BYTES_MAX: usize = 4 << 10;

const NANOSECONDS_A_MILLISECOND: i64 = 1_000_000;

/// A meter status with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The word; `GREEN`, `AMBER` and `RED` come from collectors.
    pub status: String,
    /// Why, for people.
    pub info: String,
}

impl Standing {
    /// A status and why.
    #[must_use]
    pub fn new(status: &str, info: &str) -> Self {
        Self { status: status.to_owned(), info: info.to_owned() }
    }

    /// As a collector says it, who may say anything: no more than fits an environment variable.
    fn told(status: &str, info: &str) -> Self {
        let end = (0..=INFO_BYTES_MAX.min(info.len())).rev().find(|&end| info.is_char_boundary(end));
        Self { status: status.to_owned(), info: info[..end.unwrap_or(0)].replace('\0', "") }
    }

    /// From best to worst. A word that is not known is as bad as no answer.
    fn severity(&self) -> u8 {
        match self.status.as_str() {
            "GREEN" => 0,
            "NOT SET" => 1,
            "AMBER" => 2,
            "RED" => 3,
            _ => 4,
        }
    }

    /// Whether a collector may say so: anything else is passed over.
    fn is_known(&self) -> bool {
        matches!(self.status.as_str(), "GREEN" | "AMBER" | "RED")
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.is_empty() {
            true => f.write_str(&self.status),
            false => write!(f, "{}: {}", self.status, self.info),
        }
    }
}

/// How sending goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Errors in succession. Those of one period count as one, however often it was tried.
    pub n_errors: u32,
    /// When the last of them was counted, in milliseconds since 1970.
    pub counted_at_ms: Option<i64>,
    /// When something was acknowledged last, in milliseconds since 1970.
    pub last_success_ms: Option<i64>,
    /// The grace period, in milliseconds.
    pub grace_period_ms: i64,
    /// What went wrong last; `None` after a success.
    pub last_error: Option<String>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            n_errors: 0,
            counted_at_ms: None,
            last_success_ms: None,
            grace_period_ms: GRACE_PERIOD_MS,
            last_error: None,
        }
    }
}

impl Link {
    /// After an error at `now_ms`; `every_ms` is the period.
    pub(crate) fn failed(&self, error: &str, now_ms: i64, every_ms: i64) -> Self {
        // A fifth less: rounds come that much earlier.
        let is_counted = self.counted_at_ms.is_none_or(|at| at + every_ms * 4 / 5 <= now_ms || now_ms < at);
        Self {
            n_errors: self.n_errors.saturating_add(u32::from(is_counted)),
            counted_at_ms: if is_counted { Some(now_ms) } else { self.counted_at_ms },
            last_error: Some(error.to_owned()),
            ..self.clone()
        }
    }

    /// After an answer at `now_ms` that acknowledged something.
    pub(crate) fn succeeded(&self, now_ms: i64) -> Self {
        Self {
            n_errors: 0,
            counted_at_ms: None,
            last_success_ms: Some(now_ms),
            last_error: None,
            ..self.clone()
        }
    }

    /// With the grace period of an answer, in nanoseconds; 0 and less leave what there is.
    pub(crate) fn with_grace_period(&self, nanoseconds: i64) -> Self {
        let grace_period_ms = if 0 < nanoseconds {
            // Rounded up: a period below a millisecond is no reason for none.
            nanoseconds / NANOSECONDS_A_MILLISECOND + i64::from(nanoseconds % NANOSECONDS_A_MILLISECOND != 0)
        } else {
            self.grace_period_ms
        };
        Self { grace_period_ms, ..self.clone() }
    }

    /// What this alone says at `now_ms`. Who never had a success has no grace period to use up.
    #[must_use]
    pub fn standing(&self, now_ms: i64) -> Standing {
        if self.n_errors < ERRORS_MAX {
            return Standing::new("GREEN", "ok");
        }
        let grace_ends = self.last_success_ms.map(|at| at.saturating_add(self.grace_period_ms));
        match grace_ends {
            Some(ends) if now_ms < ends => Standing::new("AMBER", "failed to send metrics"),
            Some(_) | None => Standing::new("RED", "failed to send metrics, exceeded grace period"),
        }
    }
}

/// What the collector said last, by model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standings(pub BTreeMap<String, ModelStanding>);

/// Of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStanding {
    /// The model's own; `None` when the collector never gave it one.
    pub model: Option<Standing>,
    /// By unit name.
    pub units: BTreeMap<String, Standing>,
}

impl Standings {
    /// Takes in what an answer says of the models and units that were asked about. A word that is none of the three colours changes
    /// nothing, and neither does silence.
    pub(crate) fn take_in(&mut self, response: &tollgate_wire::Response, asked: &Subjects) {
        for (model, answer) in response.env_responses.iter().flat_map(|responses| &responses.0) {
            let Some(asked) = asked.get(model) else { continue };
            let told = Standing::told(&answer.model_status.status, &answer.model_status.info);
            let units = answer.unit_statuses.iter().filter(|(unit, _)| asked.contains(*unit));
            let units = units.map(|(unit, told)| (unit, Standing::told(&told.status, &told.info)));
            let mut units = units.filter(|(_, told)| told.is_known()).peekable();
            if !told.is_known() && units.peek().is_none() {
                continue;
            }
            let standing = self.0.entry(model.clone()).or_default();
            if told.is_known() {
                standing.model = Some(told);
            }
            for (unit, told) in units {
                standing.units.insert(unit.clone(), told);
            }
        }
    }
}

/// Where one unit stands: RED for want of contact outranks everything, else the worst of the three counts, and of equal ones the
/// unit's, then the model's.
pub(crate) fn of_unit(link: &Standing, model: Option<&ModelStanding>, unit: &str) -> Standing {
    if link.status == "RED" {
        return link.clone();
    }
    let unit = model.and_then(|model| model.units.get(unit));
    let model = model.and_then(|model| model.model.as_ref());
    worst([Some(link), model, unit].into_iter().flatten()).unwrap_or(link).clone()
}

/// Where a model stands with all its units.
pub(crate) fn of_model(link: &Standing, model: Option<&ModelStanding>) -> Standing {
    let mut all = vec![of_unit(link, model, "")];
    all.extend(model.into_iter().flat_map(|model| model.units.keys()).map(|unit| of_unit(link, model, unit)));
    // In the order of their names, so that it is the same each time.
    worst(all.iter().rev()).unwrap_or(link).clone()
}

/// Where everything stands that this sender sends for.
pub(crate) fn of_all(link: &Standing, standings: &Standings) -> Standing {
    let all: Vec<Standing> = standings.0.values().map(|model| of_model(link, Some(model))).collect();
    worst(std::iter::once(link).chain(all.iter().rev())).unwrap_or(link).clone()
}

/// The last of those that are worst.
fn worst<'a>(standings: impl Iterator<Item = &'a Standing>) -> Option<&'a Standing> {
    standings.max_by_key(|standing| standing.severity())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tollgate_wire::{EnvironmentResponses, Response};

    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;

    #[track_caller]
    fn check_link(n_errors: u32, last_success_ms: Option<i64>, now_ms: i64, expected: &str) {
        let link = Link { n_errors, last_success_ms, ..Link::default() };
        assert_eq!(link.standing(now_ms).to_string(), expected);
    }

    #[test]
    fn three_errors_are_amber_and_the_end_of_the_grace_period_red() {
        check_link(0, None, 0, "GREEN: ok");
        check_link(2, Some(0), 99 * DAY, "GREEN: ok");
        check_link(3, Some(0), 7 * DAY - 1, "AMBER: failed to send metrics");
        check_link(3, Some(0), 7 * DAY, "RED: failed to send metrics, exceeded grace period");
        check_link(3, None, 1, "RED: failed to send metrics, exceeded grace period");
        check_link(u32::MAX, Some(5), 6, "AMBER: failed to send metrics");
    }

    #[test]
    fn errors_of_one_period_count_once() {
        let mut link = Link::default();
        for (now_ms, expected) in
            [(0, 1), (1_000, 1), (47_000, 1), (48_000, 2), (60_000, 2), (96_000, 3), (500_000, 4), (0, 5)]
        {
            link = link.failed("refused", now_ms, MINUTE);
            assert_eq!(link.n_errors, expected, "at {now_ms}");
        }
        link = link.succeeded(501_000);
        assert_eq!((link.n_errors, link.last_error, link.last_success_ms), (0, None, Some(501_000)));
    }

    #[test]
    fn a_grace_period_comes_from_an_answer() {
        let seven_days = Link::default().grace_period_ms;
        for (nanoseconds, expected) in [
            (169_200_000_000_000, 47 * 60 * MINUTE),
            (0, seven_days),
            (-169_200_000_000_000, seven_days),
            (1, 1),
            (604_800, 1),
            (i64::MAX, i64::MAX / 1_000_000 + 1),
        ] {
            assert_eq!(Link::default().with_grace_period(nanoseconds).grace_period_ms, expected);
        }
        let link = Link { n_errors: 3, last_success_ms: Some(10), ..Link::default() };
        assert_eq!(link.with_grace_period(i64::MAX).standing(9_000_000_000_000).status, "AMBER");
    }

    /// `link`, `model` and `unit` as words; an empty one is not there.
    #[track_caller]
    fn check_unit(link: &str, model: &str, unit: &str, expected: &str) {
        let some = |word: &str, whose: &str| (!word.is_empty()).then(|| Standing::new(word, whose));
        let mut units = BTreeMap::new();
        units.extend(some(unit, "unit").map(|standing| ("u/0".to_owned(), standing)));
        let model = ModelStanding { model: some(model, "model"), units };
        assert_eq!(of_unit(&Standing::new(link, "link"), Some(&model), "u/0").to_string(), expected);
    }

    #[test]
    fn the_worst_counts_and_of_equal_ones_the_units() {
        check_unit("GREEN", "", "", "GREEN: link");
        check_unit("GREEN", "GREEN", "", "GREEN: model");
        check_unit("GREEN", "GREEN", "GREEN", "GREEN: unit");
        check_unit("AMBER", "", "GREEN", "AMBER: link");
        check_unit("AMBER", "", "AMBER", "AMBER: unit");
        check_unit("AMBER", "RED", "AMBER", "RED: model");
        check_unit("AMBER", "AMBER", "RED", "RED: unit");
        check_unit("RED", "RED", "RED", "RED: link");
        check_unit("RED", "", "NOT AVAILABLE", "RED: link");
        check_unit("AMBER", "", "NOT AVAILABLE", "NOT AVAILABLE: unit");
        check_unit("GREEN", "", "NOT SET", "NOT SET: unit");
        check_unit("AMBER", "", "NOT SET", "AMBER: link");
        check_unit("AMBER", "RED", "blah", "blah: unit");
    }

    #[test]
    fn everything_is_as_bad_as_its_worst() {
        let mut responses = EnvironmentResponses::default();
        responses.set_model_status("m1", "GREEN", "good");
        responses.set_unit_status("m2", "u/0", "AMBER", "nearly");
        responses.set_unit_status("m2", "u/1", "RED", "over");
        responses.set_unit_status("m3", "u/0", "RED", "over too");
        let mut standings = Standings::default();
        let ok = Standing::new("GREEN", "ok");
        assert_eq!(of_all(&ok, &standings), ok);
        take_in(&mut standings, responses);
        assert_eq!(of_all(&ok, &standings).to_string(), "RED: over");
        assert_eq!(of_model(&ok, standings.0.get("m1")).to_string(), "GREEN: good");
        assert_eq!(of_model(&ok, standings.0.get("m2")).to_string(), "RED: over");
        assert_eq!(of_model(&ok, None), ok);
        assert_eq!(of_unit(&ok, standings.0.get("m2"), "u/0").to_string(), "AMBER: nearly");
        assert_eq!(of_unit(&ok, standings.0.get("m2"), "new/0"), ok);
    }

    #[test]
    fn only_the_three_colours_are_taken_in() {
        let mut standings = Standings::default();
        for (status, expected) in
            [("AMBER", "AMBER"), ("", "AMBER"), ("blah", "AMBER"), ("green", "AMBER"), ("GREEN", "GREEN")]
        {
            let mut responses = EnvironmentResponses::default();
            responses.set_unit_status("m", "u/0", status, "");
            responses.set_model_status("m", status, "");
            take_in(&mut standings, responses);
            let model = &standings.0["m"];
            assert_eq!(model.units["u/0"].status, expected);
            assert_eq!(model.model.as_ref().map(|standing| standing.status.as_str()), Some(expected));
        }
        let mut responses = EnvironmentResponses::default();
        responses.set_unit_status("other", "u/0", "blah", "");
        take_in(&mut standings, responses);
        assert_eq!(standings.0.len(), 1, "nothing was said of it");
    }

    #[test]
    fn only_what_was_asked_about_is_taken_in() {
        let mut standings = Standings::default();
        let mut responses = EnvironmentResponses::default();
        for model in ["m", "stranger"] {
            responses.set_model_status(model, "RED", "");
            for unit in ["u/0", "v/0"] {
                responses.set_unit_status(model, unit, "RED", "");
            }
        }
        take_in(&mut standings, responses);
        let units: Vec<(&String, Vec<&String>)> =
            standings.0.iter().map(|(model, standing)| (model, standing.units.keys().collect())).collect();
        assert_eq!(units, [(&"m".to_owned(), vec![&"u/0".to_owned()])]);
    }

    #[test]
    fn what_is_said_of_a_status_fits_an_environment() {
        assert_eq!(Standing::told("RED", "a\0b").info, "ab");
        let long = Standing::told("RED", &"x€".repeat(100_000)).info;
        assert!((INFO_BYTES_MAX - 3..=INFO_BYTES_MAX).contains(&long.len()), "{}", long.len());
        assert_eq!(Standing::told("RED", &"x".repeat(INFO_BYTES_MAX)).info.len(), INFO_BYTES_MAX);
    }

    /// As an answer to a request about some models with units `u/0` and `u/1`.
    fn take_in(standings: &mut Standings, responses: EnvironmentResponses) {
        let units: BTreeSet<String> = ["u/0", "u/1"].map(str::to_owned).into();
        let asked = ["m", "other", "m1", "m2", "m3"].map(|model| (model.to_owned(), units.clone()));
        let response = Response { env_responses: Some(responses), ..Response::default() };
        standings.take_in(&response, &asked.into());
    }
}

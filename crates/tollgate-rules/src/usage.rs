//! How much was used: rollups made into rows, window by window and group by group.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use crate::{
    Calendar, CalendarError, Decimal, MeterKind, Meters, Point, Rollup, Select, Series, Span, Sum, Visitor,
    Window,
};

/// By what usage is told apart, besides its window and meter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The model.
    Model,
    /// The unit.
    Unit,
    /// The charm.
    Charm,
    /// The user who owns the model.
    User,
    /// The value of a label.
    Label(Box<str>),
}

/// A word that is no [`Dimension`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group by {0:?}: it is model, unit, charm, user or label.NAME")]
pub struct DimensionError(String);

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(word: &str) -> Result<Self, DimensionError> {
        match word {
            "model" => Ok(Self::Model),
            "unit" => Ok(Self::Unit),
            "charm" => Ok(Self::Charm),
            "user" => Ok(Self::User),
            other => match other.strip_prefix("label.") {
                Some(name) if !name.is_empty() => Ok(Self::Label(name.into())),
                _ => Err(DimensionError(other.to_owned())),
            },
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => f.write_str("model"),
            Self::Unit => f.write_str("unit"),
            Self::Charm => f.write_str("charm"),
            Self::User => f.write_str("user"),
            Self::Label(name) => write!(f, "label.{name}"),
        }
    }
}

/// What the readings of one series in one window come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// How many they are.
    Count,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their sum divided by how many they are, rounded to 38 decimal places, half to even.
    Mean,
    /// The latest; of several at the same instant the largest.
    Last,
}

impl Aggregate {
    /// Of a meter for which nothing else is asked.
    #[must_use]
    pub fn of(kind: MeterKind) -> Self {
        match kind {
            MeterKind::Absolute => Self::Sum,
            MeterKind::Gauge => Self::Max,
        }
    }
}

/// A word that is no [`Aggregate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("aggregate by {0:?}: it is sum, count, min, max, mean or last")]
pub struct AggregateError(String);

impl FromStr for Aggregate {
    type Err = AggregateError;

    fn from_str(word: &str) -> Result<Self, AggregateError> {
        match word {
            "sum" => Ok(Self::Sum),
            "count" => Ok(Self::Count),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            "mean" => Ok(Self::Mean),
            "last" => Ok(Self::Last),
            other => Err(AggregateError(other.to_owned())),
        }
    }
}

/// What the aggregates of several series in one row come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Across {
    /// Their sum.
    #[default]
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// A word that is no [`Across`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("take {0:?} across series: it is sum, min or max")]
pub struct AcrossError(String);

impl FromStr for Across {
    type Err = AcrossError;

    fn from_str(word: &str) -> Result<Self, AcrossError> {
        match word {
            "sum" => Ok(Self::Sum),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            other => Err(AcrossError(other.to_owned())),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageQuery {
    /// Of this meter alone; otherwise there are rows for each.
    pub meter: Option<Box<str>>,
    /// Of this model alone.
    pub model_uuid: Option<Box<str>>,
    /// Of this unit alone.
    pub unit_name: Option<Box<str>>,
    /// Of this charm alone.
    pub charm_url: Option<Box<str>>,
    /// Of the models of this user alone.
    pub user: Option<Box<str>>,
    /// Of series with these labels alone; an empty value is for series without the label.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// From which hour to before which.
    pub span: Span,
    /// How long the stretches are.
    pub window: Window,
    /// What else there are rows for, each.
    pub group_by: Vec<Dimension>,
    /// Of the readings of a series; `None` is what the meter's kind says.
    pub aggregate: Option<Aggregate>,
    /// Of several series.
    pub across: Across,
    /// The IANA time zone of the windows.
    pub tz: Box<str>,
}

impl UsageQuery {
    /// Everything, in total.
    #[must_use]
    pub fn all() -> Self {
        Self {
            meter: None,
            model_uuid: None,
            unit_name: None,
            charm_url: None,
            user: None,
            labels: Vec::new(),
            span: Span::ALL,
            window: Window::Total,
            group_by: Vec::new(),
            aggregate: None,
            across: Across::default(),
            tz: "UTC".into(),
        }
    }

    /// Whether whose a model is makes a difference.
    #[must_use]
    pub fn asks_for_users(&self) -> bool {
        self.user.is_some() || self.group_by.contains(&Dimension::User)
    }

    /// What to ask a ledger for.
    #[must_use]
    pub fn select(&self) -> Select<'_> {
        Select {
            model_uuid: self.model_uuid.as_deref(),
            meter: self.meter.as_deref(),
            from_hour: self.span.start,
            to_hour: self.span.end,
        }
    }
}

/// Rows of one answer, at most: they are all in memory until it ends.
pub const USAGE_ROWS_MAX: usize = 500_000;

/// Why it cannot be said what was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The time zone does not divide into whole UTC hours where there are readings.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// There are more than [`USAGE_ROWS_MAX`] rows.
    #[error("say what was used in more than {USAGE_ROWS_MAX} rows")]
    TooManyRows,
}

/// How much of one meter was used in one window by one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The window, as far as it was asked for. Of [`Window::Total`], where no end was given, up to the last reading's hour.
    pub span: Span,
    /// The meter.
    pub meter: Box<str>,
    /// A value for each dimension of the query; empty where there is none.
    pub group: Box<[Box<str>]>,
    /// The aggregate.
    pub value: Sum,
    /// How many readings are in it.
    pub count: u64,
}

/// Makes rows of the rollups that it is shown.
pub struct Usage<'a, U> {
    query: &'a UsageQuery,
    meters: &'a Meters,
    /// The user of a model, given its uuid.
    user_of: U,
    calendar: Calendar,
    groups: HashMap<Group, usize>,
    cells: HashMap<(usize, i64), Cell>,
    current: Current,
    /// The hours that were shown.
    shown: Option<Span>,
    failed: Option<UsageError>,
}

/// A meter and the values of the dimensions.
type Group = (Box<str>, Box<[Box<str>]>);

/// A row under construction.
struct Cell {
    span: Span,
    value: Sum,
    count: u64,
}

/// The series that is being shown.
struct Current {
    group: usize,
    aggregate: Aggregate,
    parts: Vec<Part>,
    /// Of the last rollup: the next one mostly belongs there, too.
    last: usize,
}

/// What the series comes to in one window, as far as its aggregate needs.
struct Part {
    span: Span,
    count: u64,
    sum: Sum,
    extreme: Decimal,
    latest: Option<Point>,
}

impl<'a, U: FnMut(&str) -> Option<Box<str>>> Usage<'a, U> {
    /// `user_of` gives the user who owns a model, by its uuid. It is asked only where that makes a difference.
    ///
    /// # Errors
    ///
    /// When the time zone is not known.
    pub fn new(query: &'a UsageQuery, meters: &'a Meters, user_of: U) -> Result<Self, CalendarError> {
        let current = Current { group: 0, aggregate: Aggregate::Sum, parts: Vec::new(), last: 0 };
        Ok(Self {
            query,
            meters,
            user_of,
            calendar: Calendar::new(query.window, &query.tz)?,
            groups: HashMap::new(),
            cells: HashMap::new(),
            current,
            shown: None,
            failed: None,
        })
    }

    /// The rows, in the order of their windows, meters and groups.
    ///
    /// # Errors
    ///
    /// [`UsageError`].
    pub fn finish(mut self) -> Result<Vec<UsageRow>, UsageError> {
        self.end_series();
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut groups: Vec<(Group, usize)> = self.groups.into_iter().collect();
        groups.sort_unstable();
        let mut ranks = vec![0; groups.len()];
        for (rank, (_, group)) in groups.iter().enumerate() {
            ranks[*group] = rank;
        }
        let mut cells: Vec<(Span, usize, Cell)> =
            self.cells.into_iter().map(|((group, _), cell)| (cell.span, ranks[group], cell)).collect();
        cells.sort_unstable_by_key(|(span, rank, _)| (*span, *rank));
        let asked = self.query.span;
        let shown = self.shown.unwrap_or(asked);
        let rows = cells.into_iter().map(|(span, rank, cell)| {
            let (meter, group) = &groups[rank].0;
            let mut span = span.within(asked);
            // No end was given: it is that of what there is.
            span.start = if span.start == i64::MIN { shown.start } else { span.start };
            span.end = if span.end == i64::MAX { shown.end } else { span.end };
            UsageRow {
                span,
                meter: meter.clone(),
                group: group.clone(),
                value: cell.value,
                count: cell.count,
            }
        });
        Ok(rows.collect())
    }

    /// The group of a series; `None` when the series is not asked for.
    fn group(&mut self, series: &Series<'_>) -> Option<Group> {
        let query = self.query;
        let is_other =
            |wanted: &Option<Box<str>>, found: &str| wanted.as_deref().is_some_and(|wanted| wanted != found);
        if is_other(&query.unit_name, series.unit_name) || is_other(&query.charm_url, series.charm_url) {
            return None;
        }
        let has_label = |dimension: &Dimension| matches!(dimension, Dimension::Label(_));
        let needs_labels = !query.labels.is_empty() || query.group_by.iter().any(has_label);
        let labels = if needs_labels { labels(series) } else { BTreeMap::new() };
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        if query.labels.iter().any(|(name, value)| label(name) != &**value) {
            return None;
        }
        let user = if query.asks_for_users() { (self.user_of)(series.model_uuid) } else { None };
        let user = user.as_deref().unwrap_or_default();
        if is_other(&query.user, user) {
            return None;
        }
        let values = query.group_by.iter().map(|dimension| match dimension {
            Dimension::Model => series.model_uuid.into(),
            Dimension::Unit => series.unit_name.into(),
            Dimension::Charm => series.charm_url.into(),
            Dimension::User => user.into(),
            Dimension::Label(name) => label(name).into(),
        });
        Some((series.meter.into(), values.collect()))
    }

    /// Adds what the series comes to, to the rows that it belongs to.
    fn end_series(&mut self) {
        let Current { group, aggregate, ref mut parts, .. } = self.current;
        for part in parts.drain(..) {
            let value = part.value(aggregate);
            let cell = self.cells.entry((group, part.span.start));
            cell.and_modify(|cell| {
                cell.count += part.count;
                match self.query.across {
                    Across::Sum => cell.value.merge(&value),
                    Across::Min => cell.value = cell.value.min(value),
                    Across::Max => cell.value = cell.value.max(value),
                }
            })
            .or_insert(Cell { span: part.span, value, count: part.count });
        }
        self.current.last = 0;
        if USAGE_ROWS_MAX < self.cells.len() {
            self.failed.get_or_insert(UsageError::TooManyRows);
        }
    }
}

impl<U: FnMut(&str) -> Option<Box<str>>> Visitor for Usage<'_, U> {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.end_series();
        if self.failed.is_some() {
            return false;
        }
        let Some(group) = self.group(series) else { return false };
        let kind = self.meters.kind(series.meter);
        self.current.aggregate = self.query.aggregate.unwrap_or(Aggregate::of(kind));
        let next = self.groups.len();
        self.current.group = *self.groups.entry(group).or_insert(next);
        true
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        let aggregate = self.current.aggregate;
        let parts = &mut self.current.parts;
        let place = match parts.get(self.current.last) {
            Some(part) if part.span.has(hour) => self.current.last,
            _ => match self.calendar.span(hour) {
                Ok(span) => place_of(parts, span),
                Err(error) => {
                    self.failed.get_or_insert(error.into());
                    return;
                }
            },
        };
        self.current.last = place;
        parts[place].add(rollup, aggregate);
        let shown = self.shown.get_or_insert(Span { start: hour, end: hour + 1 });
        shown.start = shown.start.min(hour);
        shown.end = shown.end.max(hour + 1);
    }
}

/// Where the part of a window is, in the order of the windows; made when it is not there.
fn place_of(parts: &mut Vec<Part>, span: Span) -> usize {
    // Mostly it is behind all others.
    let place = match parts.last() {
        Some(last) if span <= last.span => parts.partition_point(|part| part.span < span),
        _ => parts.len(),
    };
    if parts.get(place).is_none_or(|part| part.span != span) {
        parts.insert(place, Part::new(span));
    }
    place
}

impl Part {
    fn new(span: Span) -> Self {
        Self { span, count: 0, sum: Sum::default(), extreme: Decimal::default(), latest: None }
    }

    fn add(&mut self, rollup: &Rollup, aggregate: Aggregate) {
        let is_first = self.count == 0;
        self.count += rollup.count;
        match aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Mean => self.sum.merge(&rollup.sum),
            Aggregate::Min if is_first => self.extreme = rollup.min,
            Aggregate::Min => self.extreme = self.extreme.min(rollup.min),
            Aggregate::Max => self.extreme = self.extreme.max(rollup.max),
            Aggregate::Last => self.latest = self.latest.max(Some(rollup.last)),
        }
    }

    fn value(&self, aggregate: Aggregate) -> Sum {
        match aggregate {
            Aggregate::Sum => self.sum,
            Aggregate::Count => Sum::of_count(self.count),
            Aggregate::Min | Aggregate::Max => self.extreme.into(),
            Aggregate::Mean => self.sum.divided(self.count),
            Aggregate::Last => self.latest.map(|point| point.amount).unwrap_or_default().into(),
        }
    }
}

/// The labels of a series.
fn labels(series: &Series<'_>) -> BTreeMap<String, String> {
    if series.labels.is_empty() {
        return BTreeMap::new();
    }
    serde_json::from_str(series.labels).expect("labels are kept as canonical JSON")
}

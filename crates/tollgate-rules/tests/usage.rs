//! How much was used, compared with readings added up one by one.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails it by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_rules::{
    Across, Aggregate, Calendar, Decimal, Dimension, MeterKind, MeterSettings, Meters, Point, Rollup, Series,
    Span, Sum, USAGE_ROWS_MAX, Usage, UsageError, UsageQuery, UsageRow, Visitor, Window, hour_of,
};
use tollgate_wire::Timestamp;

/// A reading and the series that it belongs to.
#[derive(Debug, Clone)]
struct Read {
    model: &'static str,
    unit: &'static str,
    charm: &'static str,
    meter: &'static str,
    labels: &'static str,
    seconds: i64,
    amount: &'static str,
}

impl Read {
    fn series(&self) -> Series<'static> {
        let &Self { model: model_uuid, unit: unit_name, charm: charm_url, meter, labels, .. } = self;
        Series { model_uuid, unit_name, charm_url, meter, labels }
    }

    fn point(&self) -> Point {
        Point { unix_seconds: self.seconds, nanoseconds: 0, amount: self.amount() }
    }

    fn amount(&self) -> Decimal {
        self.amount.parse().unwrap()
    }

    fn label(&self, name: &str) -> &'static str {
        match (self.labels, name) {
            (r#"{"az":"1"}"# | r#"{"az":"1","tier":"gold"}"#, "az") => "1",
            (r#"{"az":"2"}"#, "az") => "2",
            (r#"{"az":"1","tier":"gold"}"#, "tier") => "gold",
            _ => "",
        }
    }

    fn user(&self) -> &'static str {
        user_of(self.model).unwrap_or_default()
    }
}

fn user_of(model: &str) -> Option<&'static str> {
    match model {
        "m" | "n" => Some("bob"),
        "o" => Some("carol"),
        _ => None,
    }
}

fn meters() -> Meters {
    let gauge = MeterSettings {
        key: "stored".to_owned(),
        kind: MeterKind::Gauge,
        description: String::new(),
        unit: String::new(),
    };
    Meters::new(&[gauge]).unwrap()
}

/// Shows the rollups of readings, each hour in as many pieces as there are readings when `in_pieces`.
fn show(reads: &[Read], query: &UsageQuery, in_pieces: bool, visitor: &mut dyn Visitor) {
    let select = query.select();
    let series: BTreeSet<Series<'_>> = reads.iter().map(Read::series).collect();
    for series in series.iter().filter(|series| select.has(series)) {
        if !visitor.series(series) {
            continue;
        }
        let mut rollups = BTreeMap::<i64, Rollup>::new();
        for read in reads.iter().filter(|read| read.series() == *series) {
            let point = read.point();
            if !select.has_hour(point.hour()) {
                continue;
            }
            if in_pieces {
                visitor.rollup(point.hour(), &Rollup::of(point));
            } else {
                rollups
                    .entry(point.hour())
                    .and_modify(|rollup| rollup.add(point))
                    .or_insert(Rollup::of(point));
            }
        }
        rollups.iter().for_each(|(hour, rollup)| visitor.rollup(*hour, rollup));
    }
}

fn rows(reads: &[Read], query: &UsageQuery, in_pieces: bool) -> Vec<UsageRow> {
    let meters = meters();
    let mut usage = Usage::new(query, &meters, |model: &str| user_of(model).map(Into::into)).unwrap();
    show(reads, query, in_pieces, &mut usage);
    usage.finish().unwrap()
}

/// The same, reading by reading.
fn rows_one_by_one(reads: &[Read], query: &UsageQuery) -> Vec<UsageRow> {
    let wanted =
        |filter: &Option<Box<str>>, value: &str| filter.as_deref().is_none_or(|filter| filter == value);
    let reads: Vec<&Read> = reads
        .iter()
        .filter(|read| {
            wanted(&query.meter, read.meter)
                && wanted(&query.model_uuid, read.model)
                && wanted(&query.unit_name, read.unit)
                && wanted(&query.charm_url, read.charm)
                && wanted(&query.user, read.user())
                && query.labels.iter().all(|(name, value)| read.label(name) == &**value)
                && query.span.has(read.point().hour())
        })
        .collect();
    let hours = reads.iter().map(|read| read.point().hour());
    let data = Span { start: hours.clone().min().unwrap_or(0), end: hours.max().unwrap_or(0) + 1 };
    let mut calendar = Calendar::new(query.window, &query.tz).unwrap();
    let mut cells = BTreeMap::<_, BTreeMap<Series<'_>, Vec<&Read>>>::new();
    for read in &reads {
        let mut span = calendar.span(read.point().hour()).unwrap().within(query.span);
        span.start = if span.start == i64::MIN { data.start } else { span.start };
        span.end = if span.end == i64::MAX { data.end } else { span.end };
        let group: Box<[Box<str>]> = query
            .group_by
            .iter()
            .map(|dimension| match dimension {
                Dimension::Model => read.model.into(),
                Dimension::Unit => read.unit.into(),
                Dimension::Charm => read.charm.into(),
                Dimension::User => read.user().into(),
                Dimension::Label(name) => read.label(name).into(),
            })
            .collect();
        let cell = cells.entry((span, read.meter, group)).or_default();
        cell.entry(read.series()).or_default().push(read);
    }
    let row = |((span, meter, group), series): ((Span, &str, _), BTreeMap<_, Vec<&Read>>)| {
        let gauge = if meter == "stored" { Aggregate::Max } else { Aggregate::Sum };
        let aggregate = query.aggregate.unwrap_or(gauge);
        let values: Vec<Sum> = series.values().map(|reads| of_series(reads, aggregate)).collect();
        let value = match query.across {
            Across::Sum => values.iter().fold(Sum::default(), |mut sum, value| {
                sum.merge(value);
                sum
            }),
            Across::Min => *values.iter().min().unwrap(),
            Across::Max => *values.iter().max().unwrap(),
        };
        let count = series.values().map(|reads| reads.len() as u64).sum();
        UsageRow { span, meter: meter.into(), group, value, count }
    };
    cells.into_iter().map(row).collect()
}

fn of_series(reads: &[&Read], aggregate: Aggregate) -> Sum {
    let amounts = || reads.iter().map(|read| read.amount());
    let sum = || amounts().sum::<Sum>();
    match aggregate {
        Aggregate::Sum => sum(),
        Aggregate::Count => reads.len().to_string().parse().unwrap(),
        Aggregate::Min => amounts().min().unwrap().into(),
        Aggregate::Max => amounts().max().unwrap().into(),
        Aggregate::Mean => sum().divided(reads.len() as u64),
        Aggregate::Last => {
            reads.iter().max_by_key(|read| (read.seconds, read.amount())).unwrap().amount().into()
        }
    }
}

fn any_read() -> impl Strategy<Value = Read> {
    let of = |values: &'static [&'static str]| proptest::sample::select(values);
    (
        of(&["m", "n", "o", "p"]),
        of(&["", "web/0", "web/1"]),
        of(&["", "ch:web-1", "ch:web-2"]),
        of(&["requests", "stored"]),
        of(&["", r#"{"az":"1"}"#, r#"{"az":"2"}"#, r#"{"az":"1","tier":"gold"}"#]),
        // Around changes of the clocks, the year and the month, and two times of any other year.
        prop_oneof![
            8 => 1_774_700_000_i64..1_774_900_000,
            4 => 1_767_200_000_i64..1_767_300_000,
            1 => proptest::sample::select(vec![-62_135_596_800, 253_402_300_799, 0, -1]),
        ],
        of(&["0", "1", "0.1", "2.5", "1e20", "1e-38", "7"]),
    )
        .prop_map(|(model, unit, charm, meter, labels, seconds, amount)| Read {
            model,
            unit,
            charm,
            meter,
            labels,
            seconds,
            amount,
        })
}

fn any_dimension() -> impl Strategy<Value = Dimension> {
    proptest::sample::select(vec![
        Dimension::Model,
        Dimension::Unit,
        Dimension::Charm,
        Dimension::User,
        Dimension::Label("az".into()),
        Dimension::Label("tier".into()),
    ])
}

fn perhaps(values: &'static [&'static str]) -> impl Strategy<Value = Option<Box<str>>> {
    proptest::option::weighted(0.2, proptest::sample::select(values)).prop_map(|value| value.map(Into::into))
}

fn any_query() -> impl Strategy<Value = UsageQuery> {
    let filters = (
        perhaps(&["requests", "stored"]),
        perhaps(&["m", "n", "o", "q"]),
        perhaps(&["", "web/0"]),
        perhaps(&["", "ch:web-1"]),
        perhaps(&["bob", "carol", ""]),
        vec(proptest::sample::select(vec![("az", "1"), ("az", ""), ("tier", "gold")]), 0..2),
    );
    let hours = 1_767_200_000_i64 / 3_600..1_774_900_000 / 3_600;
    let shape = (
        proptest::option::of(hours.clone()),
        proptest::option::of(hours),
        proptest::sample::select(vec![Window::Hour, Window::Day, Window::Week, Window::Month, Window::Total]),
        vec(any_dimension(), 0..3),
        proptest::option::of(proptest::sample::select(vec![
            Aggregate::Sum,
            Aggregate::Count,
            Aggregate::Min,
            Aggregate::Max,
            Aggregate::Mean,
            Aggregate::Last,
        ])),
        proptest::sample::select(vec![Across::Sum, Across::Min, Across::Max]),
        // Whose offset was a whole number of hours at all of the times above.
        proptest::sample::select(vec!["UTC", "Etc/GMT-3", "Etc/GMT+11"]),
    );
    (filters, shape).prop_map(|(filters, shape)| {
        let (meter, model_uuid, unit_name, charm_url, user, labels) = filters;
        let (from, to, window, group_by, aggregate, across, tz) = shape;
        UsageQuery {
            meter,
            model_uuid,
            unit_name,
            charm_url,
            user,
            labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            span: Span { start: from.unwrap_or(i64::MIN), end: to.unwrap_or(i64::MAX) },
            window,
            group_by,
            aggregate,
            across,
            tz: tz.into(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn usage_is_what_the_readings_come_to_one_by_one(reads in vec(any_read(), 0..60), query in any_query()) {
        let expected = rows_one_by_one(&reads, &query);
        prop_assert_eq!(&rows(&reads, &query, false), &expected);
        prop_assert_eq!(&rows(&reads, &query, true), &expected);
    }
}

fn read(unit: &'static str, time: &str, amount: &'static str) -> Read {
    let seconds = Timestamp::parse(time).unwrap().unix_seconds();
    Read { model: "m", unit, charm: "", meter: "stored", labels: "", seconds, amount }
}

#[test]
fn aggregates_are_of_a_series_and_then_across_series() {
    let reads = [
        read("web/0", "2026-11-27T10:00:00Z", "4"),
        read("web/0", "2026-11-27T12:00:00Z", "2"),
        read("web/0", "2026-11-27T11:00:00Z", "1"),
        read("web/1", "2026-11-27T09:00:00Z", "10"),
    ];
    let check = |aggregate, across, expected: &str| {
        let query = UsageQuery { aggregate, across, ..UsageQuery::all() };
        let rows = rows(&reads, &query, false);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].value.to_string(), rows[0].count),
            (expected.to_owned(), 4),
            "{aggregate:?} {across:?}"
        );
        let hours = ["2026-11-27T09:00:00Z", "2026-11-27T13:00:00Z"]
            .map(|time| hour_of(Timestamp::parse(time).unwrap()));
        assert_eq!([rows[0].span.start, rows[0].span.end], hours);
    };
    use Across::{Max, Min};
    check(None, Across::Sum, "14");
    check(Some(Aggregate::Sum), Across::Sum, "17");
    check(Some(Aggregate::Count), Across::Sum, "4");
    check(Some(Aggregate::Min), Across::Sum, "11");
    check(Some(Aggregate::Min), Min, "1");
    check(Some(Aggregate::Max), Max, "10");
    check(Some(Aggregate::Max), Across::Sum, "14");
    check(Some(Aggregate::Last), Across::Sum, "12");
    check(Some(Aggregate::Mean), Across::Sum, "12.33333333333333333333333333333333333333");
    check(Some(Aggregate::Mean), Min, "2.33333333333333333333333333333333333333");
}

#[test]
fn a_mean_is_rounded_half_to_even() {
    let check = |sum: &str, count, expected: &str| {
        assert_eq!(sum.parse::<Sum>().unwrap().divided(count).to_string(), expected, "{sum} / {count}");
    };
    check("2", 3, "0.66666666666666666666666666666666666667");
    check("0.00000000000000000000000000000000000001", 2, "0");
    check("0.00000000000000000000000000000000000003", 2, "0.00000000000000000000000000000000000002");
    check("0.00000000000000000000000000000000000005", 2, "0.00000000000000000000000000000000000002");
    check("7", 0, "0");
}

#[test]
fn words_that_are_none_are_refused() {
    assert_eq!(
        "color".parse::<Dimension>().unwrap_err().to_string(),
        "group by \"color\": it is model, unit, charm, user or label.NAME"
    );
    assert!("label.".parse::<Dimension>().is_err());
    assert_eq!("label.az".parse::<Dimension>().unwrap().to_string(), "label.az");
    assert_eq!(
        "avg".parse::<Aggregate>().unwrap_err().to_string(),
        "aggregate by \"avg\": it is sum, count, min, max, mean or last"
    );
    assert_eq!(
        "all".parse::<Across>().unwrap_err().to_string(),
        "take \"all\" across series: it is sum, min or max"
    );
    assert_eq!(
        "year".parse::<Window>().unwrap_err().to_string(),
        "use the window \"year\": it is hour, day, week, month or total"
    );
}

#[test]
fn more_rows_than_can_be_held_are_refused() {
    let query = UsageQuery { window: Window::Hour, ..UsageQuery::all() };
    let meters = meters();
    let finish = |n_hours: i64| {
        let mut usage = Usage::new(&query, &meters, |_: &str| None).unwrap();
        let point = Point { unix_seconds: 0, nanoseconds: 0, amount: Decimal::parse("1").unwrap() };
        for unit_name in ["a", "b"] {
            let series = Series { model_uuid: "m", unit_name, charm_url: "", meter: "requests", labels: "" };
            usage.series(&series);
            (0..n_hours).for_each(|hour| usage.rollup(hour, &Rollup::of(point)));
        }
        usage.finish()
    };
    let most = i64::try_from(USAGE_ROWS_MAX).unwrap();
    assert_eq!(finish(most).unwrap().len(), USAGE_ROWS_MAX);
    assert_eq!(finish(most + 1), Err(UsageError::TooManyRows));
}

//! Checks of what series used.

use tollgate_rules::{Rollup, Select, Series, Visitor, hour_of};
use tollgate_wire::{Metric, MetricBatch, Timestamp};

use super::Check;
use super::sample::{batch, canonical, entry, metric, posted, seconds};
use super::subject::{Subject, Usage};
use crate::Entry;
use crate::Outcome::{Duplicate, Recorded};

pub(super) const CHECKS: &[Check] = &[
    ("readings of one hour are one rollup", readings_of_one_hour_are_one_rollup),
    ("late and unordered readings count as any other", late_and_unordered_readings_count_as_any_other),
    ("what does not count is not used", what_does_not_count_is_not_used),
    ("series differ by every name", series_differ_by_every_name),
    ("usage is selected", usage_is_selected),
    ("a series that is passed by is not shown", a_series_that_is_passed_by_is_not_shown),
    ("hours may be far apart", hours_may_be_far_apart),
    ("many hours of many series", many_hours_of_many_series),
];

const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";
const HOUR: i64 = 3_600;

/// A batch with readings of one meter: seconds after the start of 2024 and values.
fn readings(uuid: &str, readings: &[(i64, &str)]) -> MetricBatch {
    let reading = |(second, value): &(i64, &str)| Metric { time: seconds(*second), ..metric("pings", value) };
    MetricBatch { metrics: Some(readings.iter().map(reading).collect()), ..batch(MODEL, uuid, "0") }
}

/// In words: the hour after the start of 2024, and what its readings come to.
fn shown(usage: &Usage) -> Vec<String> {
    let start = hour_of(seconds(0));
    let rollups = usage.series.values().flatten();
    let show = |(hour, rollup): (&i64, &Rollup)| {
        let Rollup { count, sum, min, max, first, last } = rollup;
        let second = |unix_seconds: i64| unix_seconds - hour * HOUR;
        format!(
            "{}: {count} come to {sum}, {min} to {max}, from {} at {} to {} at {}",
            hour - start,
            first.amount,
            second(first.unix_seconds),
            last.amount,
            second(last.unix_seconds)
        )
    };
    rollups.map(show).collect()
}

fn readings_of_one_hour_are_one_rollup(subject: &mut Subject<'_>) {
    subject.record([entry(&readings("1", &[(10, "5"), (0, "0.1"), (3_599, "2"), (3_600, "7")]))]);
    subject.record([entry(&readings("2", &[(20, "1e3")])), entry(&readings("3", &[(7_199, "0")]))]);
    let expected = [
        "0: 4 come to 1007.1, 0.1 to 1000, from 0.1 at 0 to 2 at 3599",
        "1: 2 come to 7, 0 to 7, from 7 at 0 to 0 at 3599",
    ];
    assert_eq!(shown(&subject.usage(&Select::ALL)), expected);
    subject.reopen();
    assert_eq!(shown(&subject.usage(&Select::ALL)), expected);
}

fn late_and_unordered_readings_count_as_any_other(subject: &mut Subject<'_>) {
    let late = [("1", 7_000, "1"), ("2", 10, "2"), ("3", 7_100, "3"), ("4", 5, "4"), ("5", 7_000, "5")];
    for (uuid, second, value) in late {
        assert_eq!(subject.record([entry(&readings(uuid, &[(second, value)]))]), [Recorded]);
        subject.abandon();
    }
    // At the same instant as the first and as the last, the smallest is the first and the largest the last.
    subject.record([entry(&readings("6", &[(5, "9"), (7_100, "0.5"), (5, "3")]))]);
    assert_eq!(
        shown(&subject.usage(&Select::ALL)),
        [
            "0: 4 come to 18, 2 to 9, from 3 at 5 to 2 at 10",
            "1: 4 come to 9.5, 0.5 to 5, from 1 at 3400 to 3 at 3500",
        ]
    );
}

fn what_does_not_count_is_not_used(subject: &mut Subject<'_>) {
    let good = entry(&readings("1", &[(0, "5")]));
    subject.record([good.clone(), good.clone(), entry(&readings("1", &[(0, "6")]))]);
    subject.record([entry(&readings("2", &[(0, "NaN")])), posted("7"), good.clone()]);
    subject.reopen();
    assert_eq!(subject.record([good]), [Duplicate]);
    let null = MetricBatch { metrics: None, ..batch(MODEL, "3", "0") };
    assert_eq!(subject.record([entry(&null)]), [Recorded]);
    assert_eq!(shown(&subject.usage(&Select::ALL)), ["0: 1 come to 5, 5 to 5, from 5 at 0 to 5 at 0"]);
}

fn series_differ_by_every_name(subject: &mut Subject<'_>) {
    let names = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")];
    for (one, other) in names {
        let of_names = |uuid: &str, [unit, charm, key, label]: [&str; 4]| {
            let mut batch = readings(uuid, &[(0, "1")]);
            batch.unit_name = unit.to_owned();
            batch.charm_url = charm.to_owned();
            let metric = &mut batch.metrics.as_mut().expect("a sample has metrics")[0];
            metric.key = key.to_owned();
            if !label.is_empty() {
                metric.labels = [("k".to_owned(), label.to_owned())].into();
            }
            entry(&batch)
        };
        let uuid = |n: u32| format!("{one} {other} {n}");
        let group = [
            of_names(&uuid(1), [one, other, "", ""]),
            of_names(&uuid(2), ["", one, other, ""]),
            of_names(&uuid(3), ["", "", one, other]),
            of_names(&uuid(4), [other, "", "", one]),
        ];
        assert_eq!(subject.record(group.clone()), [Recorded; 4]);
        assert_eq!(subject.record(group), [Duplicate; 4]);
    }
    // The last two pairs come to the same four series.
    assert_eq!(subject.usage(&Select::ALL).series.len(), 12);
}

fn usage_is_selected(subject: &mut Subject<'_>) {
    for (n, model) in ["a", "b", "ab"].into_iter().enumerate() {
        for (key, value) in [("x", "1"), ("y", "2"), ("a", "4")] {
            for hour in 0..5 {
                let mut batch = batch(model, &format!("{key} {hour}"), "0");
                let time = seconds(hour * HOUR + n as i64);
                batch.metrics = Some(vec![Metric { time, ..metric(key, value) }]);
                subject.record([entry(&batch)]);
            }
        }
    }
    let start = hour_of(seconds(0));
    let check = |model_uuid, meter, hours: std::ops::Range<i64>, n_series, n_rollups| {
        let (from_hour, to_hour) = (start.saturating_add(hours.start), start.saturating_add(hours.end));
        let usage = subject.usage(&Select { model_uuid, meter, from_hour, to_hour });
        let n_shown: usize = usage.series.values().map(std::collections::BTreeMap::len).sum();
        assert_eq!(
            (usage.series.len(), n_shown),
            (n_series, n_rollups),
            "{model_uuid:?} {meter:?} {hours:?}"
        );
    };
    check(None, None, i64::MIN..i64::MAX, 9, 45);
    check(None, None, 0..5, 9, 45);
    check(None, None, 1..3, 9, 18);
    check(Some("a"), None, 0..5, 3, 15);
    check(Some("ab"), Some("a"), 0..5, 1, 5);
    check(None, Some("y"), 4..9, 3, 3);
    check(None, Some("y"), -9..0, 0, 0);
    check(None, Some("y"), 5..9, 0, 0);
    check(None, None, 3..3, 0, 0);
    check(None, None, std::ops::Range { start: 4, end: 1 }, 0, 0);
    check(Some("c"), None, 0..5, 0, 0);
    check(None, Some("A"), 0..5, 0, 0);
    check(Some("x"), Some("x"), 0..5, 0, 0);
}

/// Wants nothing, or one meter.
struct Picky {
    wanted: &'static str,
    is_wanted: bool,
    n_rollups: u32,
}

impl Visitor for Picky {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.is_wanted = series.meter == self.wanted;
        self.is_wanted
    }

    fn rollup(&mut self, _: i64, rollup: &Rollup) {
        assert!(self.is_wanted, "a series that was passed by");
        self.n_rollups += u32::try_from(rollup.count).expect("few");
    }
}

fn a_series_that_is_passed_by_is_not_shown(subject: &mut Subject<'_>) {
    let with = |uuid: &str, key: &str| {
        entry(&MetricBatch { metrics: Some(vec![metric(key, "1")]), ..batch(MODEL, uuid, "0") })
    };
    subject.record([with("1", "x"), with("2", "y"), with("3", "x")]);
    subject.reopen();
    for (wanted, n_expected) in [("x", 2), ("y", 1), ("z", 0)] {
        let mut picky = Picky { wanted, is_wanted: false, n_rollups: 0 };
        subject.reader().usage(&Select::ALL, &mut picky).expect("read the usage");
        assert_eq!(picky.n_rollups, n_expected, "{wanted}");
    }
}

fn hours_may_be_far_apart(subject: &mut Subject<'_>) {
    let times = [
        "0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.5-23:59",
    ];
    for (n, time) in times.into_iter().enumerate() {
        let text = canonical(&batch(MODEL, time, &format!("{n}.5")));
        let metric_time = r#""time":"2024-01-01T00:00:00Z""#;
        assert!(text.contains(metric_time));
        let element = posted(&text.replace(metric_time, &format!(r#""time":"{time}""#)));
        assert_eq!(subject.record([element]), [Recorded], "{time}");
    }
    subject.reopen();
    let usage = subject.usage(&Select::ALL);
    let hours: Vec<i64> = usage.series.values().flatten().map(|(hour, _)| *hour).collect();
    assert_eq!(hours, [-17_268_696, -17_268_672, -17_259_888, -1, 0, 70_389_527, 70_389_551]);
    let far = Select { from_hour: 70_389_528, ..Select::ALL };
    assert_eq!(subject.usage(&far).series.values().map(std::collections::BTreeMap::len).sum::<usize>(), 1);
}

/// More than is kept in memory, so that it is written, read and merged, with readings of one hour in several places.
fn many_hours_of_many_series(subject: &mut Subject<'_>) {
    const N_HOURS: i64 = 60;
    let mut random = fastrand::Rng::with_seed(5);
    for n in 0..250 {
        let elements: Vec<Entry> = (0..random.usize(1..5))
            .map(|element| {
                let mut batch = batch(["m", "n"][random.usize(0..2)], &format!("{n} {element}"), "0");
                batch.unit_name = format!("u/{}", random.u32(0..3));
                let reading = |random: &mut fastrand::Rng| {
                    let (unix, nanoseconds) = (seconds(0).unix_seconds(), random.u32(0..2) * 500_000_000);
                    let second = unix + random.i64(0..N_HOURS * HOUR) / 600 * 600;
                    let time = Timestamp::from_unix(second, nanoseconds).expect("a time in this century");
                    let value = format!("{}.{}", random.u32(0..20), random.u32(0..1_000));
                    Metric { time, ..metric(["x", "y"][random.usize(0..2)], &value) }
                };
                batch.metrics = Some((0..random.usize(0..8)).map(|_| reading(&mut random)).collect());
                entry(&batch)
            })
            .collect();
        subject.record(elements);
        match random.u32(0..50) {
            0 => subject.reopen(),
            1 => subject.abandon(),
            2 => {
                let from_hour = hour_of(seconds(0)) + random.i64(0..N_HOURS);
                let to_hour = from_hour + random.i64(0..N_HOURS);
                let model_uuid = [None, Some("m")][random.usize(0..2)];
                subject.usage(&Select { model_uuid, meter: Some("x"), from_hour, to_hour });
            }
            _ => {}
        }
    }
    assert_eq!(subject.usage(&Select::ALL).series.len(), 12);
}

//! Checks of listings of batches.

use std::error::Error;

use tollgate_wire::MetricBatch;

use super::Check;
use super::sample::{batch, entry, metric, posted, seconds};
use super::subject::Subject;
use crate::{BadCursor, BatchSelect, Page, Remedy};

pub(super) const CHECKS: &[Check] = &[
    ("batches are listed in the order of recording", batches_are_listed_in_the_order_of_recording),
    ("batches are listed by model and unit", batches_are_listed_by_model_and_unit),
    ("a cursor stays good", a_cursor_stays_good),
    ("a bad cursor is told", a_bad_cursor_is_told),
    ("what is rare is found", what_is_rare_is_found),
];

fn batches_are_listed_in_the_order_of_recording(subject: &mut Subject<'_>) {
    let mut first = batch("m", "b", "1");
    first.created = seconds(50);
    first.model_name = "bob/<model>".to_owned();
    first.metrics.as_mut().expect("a sample has metrics").push(metric("pongs", "2"));
    subject.record([posted("7"), entry(&first), entry(&batch("m", "b", "2"))]);
    let bare = MetricBatch { metrics: None, unit_name: String::new(), ..batch("n", "a", "0") };
    subject.record([entry(&first), entry(&bare), entry(&batch("a", "c", "1"))]);
    for limit in [1, 2, 3, 100] {
        let listed = subject.list(&BatchSelect::default(), limit);
        let shown: Vec<_> = listed.iter().map(|item| (&*item.model_uuid, &*item.batch_uuid)).collect();
        assert_eq!(shown, [("m", "b"), ("n", "a"), ("a", "c")]);
        assert_eq!((&*listed[0].model_name, &*listed[0].charm_url), ("bob/<model>", "ch:quantal/metered-1"));
        assert_eq!(
            (&*listed[0].created, &*listed[0].received),
            ("2024-01-01T00:00:50Z", "2024-01-01T00:00:01Z")
        );
        assert_eq!((listed[0].n_metrics, listed[1].n_metrics, &*listed[1].unit_name), (2, 0, ""));
    }
    let none = Page { cursor: None, limit: 0 };
    assert_eq!(subject.reader().batches(&BatchSelect::default(), &none).expect("list").batches, []);
}

fn batches_are_listed_by_model_and_unit(subject: &mut Subject<'_>) {
    for n in 0..40 {
        let mut batch = batch(["m", "n", "mn"][n % 3], &format!("{n}"), "1");
        batch.unit_name = ["", "u/0", "u/1", "u"][n % 4].to_owned();
        subject.record([entry(&batch)]);
    }
    let list = |model: Option<&str>, unit: Option<&str>, limit| {
        let select = BatchSelect { model_uuid: model.map(Into::into), unit_name: unit.map(Into::into) };
        let listed = subject.list(&select, limit);
        listed.iter().map(|item| item.batch_uuid.parse().expect("a number")).collect::<Vec<usize>>()
    };
    for limit in [1, 3, 100] {
        assert_eq!(list(None, None, limit), (0..40).collect::<Vec<_>>());
        assert_eq!(list(Some("n"), None, limit), (1..40).step_by(3).collect::<Vec<_>>());
        assert_eq!(list(None, Some("u/1"), limit), (2..40).step_by(4).collect::<Vec<_>>());
        assert_eq!(list(Some("m"), Some("u"), limit), [3, 15, 27, 39]);
        assert_eq!(list(Some("m"), Some(""), limit), [0, 12, 24, 36], "those of the model itself");
        assert_eq!(list(Some("M"), None, limit), Vec::<usize>::new());
    }
}

fn a_cursor_stays_good(subject: &mut Subject<'_>) {
    let group = |numbers: std::ops::Range<u32>| numbers.map(|n| entry(&batch("m", &format!("{n}"), "1")));
    subject.record(group(0..5));
    let list = |subject: &Subject<'_>, cursor: Option<String>, limit| {
        let listed = subject.reader().batches(&BatchSelect::default(), &Page { cursor, limit });
        let listed = listed.expect("list the batches");
        let uuids = listed.batches.into_iter().map(|item| item.batch_uuid).collect::<Vec<_>>();
        (uuids, listed.next_cursor)
    };
    let (uuids, cursor) = list(subject, None, 3);
    assert_eq!(uuids, ["0", "1", "2"]);
    assert!(cursor.is_some());
    subject.record(group(5..9));
    subject.reopen();
    assert_eq!(list(subject, cursor.clone(), 4).0, ["3", "4", "5", "6"]);
    subject.record(group(9..10));
    let (rest, end) = list(subject, cursor, 100);
    assert_eq!((rest.len(), end), (7, None));
}

fn a_bad_cursor_is_told(subject: &mut Subject<'_>) {
    subject.record([entry(&batch("m", "1", "1"))]);
    for cursor in ["", "no cursor", "-1", "1e3", "caf\u{e9}", "99999999999999999999999999"] {
        let page = Page { cursor: Some(cursor.to_owned()), limit: 5 };
        let error = subject.reader().batches(&BatchSelect::default(), &page).expect_err("a bad cursor");
        assert_eq!(error.remedy(), Remedy::Repair, "{cursor:?}");
        assert!(error.source().is_some_and(<dyn Error>::is::<BadCursor>), "{cursor:?}: {error}");
    }
}

fn what_is_rare_is_found(subject: &mut Subject<'_>) {
    for n in 0..300 {
        let model_uuid = if n % 140 == 139 { "rare" } else { "m" };
        subject.record([entry(&batch(model_uuid, &format!("{n}"), "1"))]);
    }
    let select = BatchSelect { model_uuid: Some("rare".into()), unit_name: None };
    for limit in [1, 5] {
        let listed = subject.list(&select, limit);
        assert_eq!(listed.iter().map(|item| &*item.batch_uuid).collect::<Vec<_>>(), ["139", "279"]);
    }
}

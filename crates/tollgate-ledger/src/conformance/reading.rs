//! Checks of the read half.

use tollgate_wire::MetricBatch;

use super::Check;
use super::sample::{batch, canonical, entry, id, metric, posted, seconds};
use super::subject::Subject;
use crate::Outcome::Recorded;
use crate::{MeterTotal, ModelSummary, Page};

pub(super) const CHECKS: &[Check] = &[
    ("a batch reads back as its canonical bytes", a_batch_reads_back_as_its_canonical_bytes),
    ("sums are exact", sums_are_exact),
    ("meters are summed over units and labels", meters_are_summed_over_units_and_labels),
    ("a batch of the model itself names no unit", a_batch_of_the_model_itself_names_no_unit),
    ("a batch without metrics is recorded", a_batch_without_metrics_is_recorded),
    ("the newest batch names the model", the_newest_batch_names_the_model),
    ("models come in pages", models_come_in_pages),
    ("quarantine comes in pages", quarantine_comes_in_pages),
    ("a page may hold nothing", a_page_may_hold_nothing),
];

const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";

fn model(subject: &Subject<'_>) -> ModelSummary {
    subject.reader().model(MODEL).expect("read a model").expect("the model is there")
}

fn total(key: &str, n_metrics: u64, sum: &str) -> MeterTotal {
    MeterTotal { key: key.to_owned(), n_metrics, sum: sum.to_owned() }
}

fn with_metrics(uuid: &str, metrics: &[(&str, &str)]) -> MetricBatch {
    let metrics = metrics.iter().map(|(key, value)| metric(key, value)).collect();
    MetricBatch { metrics: Some(metrics), ..batch(MODEL, uuid, "0") }
}

fn a_batch_reads_back_as_its_canonical_bytes(subject: &mut Subject<'_>) {
    let mut full = batch(MODEL, "full", "0x1p-2");
    full.model_name = "bob/<model> & \u{2028}".to_owned();
    full.credentials = Some(Vec::new());
    full.sla_credentials = Some(b"[{\"c\":1}]\n".to_vec());
    full.metrics.as_mut().expect("a sample has metrics")[0].labels =
        [("foo".to_owned(), "b\"a\\r".to_owned()), ("a".to_owned(), "caf\u{e9}\u{7f}\u{1}".to_owned())]
            .into();
    assert_eq!(subject.record([entry(&full)]), [Recorded]);
    let read = || subject.reader().batch(&id(MODEL, "full")).expect("read a batch");
    assert_eq!(read(), Some(canonical(&full).into_bytes()));
    assert_eq!(subject.reader().batch(&id(MODEL, "ful")).expect("read a batch"), None);
    assert_eq!(subject.reader().batch(&id("full", MODEL)).expect("read a batch"), None);
}

fn sums_are_exact(subject: &mut Subject<'_>) {
    let tenths = (0..10).map(|n| entry(&with_metrics(&format!("tenth-{n}"), &[("tenths", "0.1")])));
    assert_eq!(subject.record(tenths), [Recorded; 10]);
    let far_apart = ["1e38", "1e-38", "10e37", "0x1p-38"];
    let far_apart = far_apart.iter().map(|value| entry(&with_metrics(value, &[("far-apart", value)])));
    assert_eq!(subject.record(far_apart), [Recorded; 4]);
    assert_eq!(
        subject.record([entry(&with_metrics("zeros", &[("zeros", "-0"), ("zeros", "0e9")]))]),
        [Recorded]
    );
    assert_eq!(
        model(subject).meters,
        [
            total(
                "far-apart",
                4,
                "200000000000000000000000000000000000000.00000000000363797880709171295166015626"
            ),
            total("tenths", 10, "1"),
            total("zeros", 2, "0"),
        ]
    );
}

fn meters_are_summed_over_units_and_labels(subject: &mut Subject<'_>) {
    let mut first = with_metrics("first", &[("b", "1"), ("a", "2"), ("b", "3"), ("", "4")]);
    first.metrics.as_mut().expect("a sample has metrics")[0].labels =
        [("k".to_owned(), "v".to_owned())].into();
    let mut second = with_metrics("second", &[("b", "5"), ("B", "6")]);
    second.unit_name = "metered/10".to_owned();
    let mut third = with_metrics("third", &[("b", "7")]);
    third.unit_name = "metered/9".to_owned();
    assert_eq!(subject.record([entry(&second), entry(&first), entry(&third)]), [Recorded; 3]);
    let model = model(subject);
    assert_eq!(model.units, ["metered/0", "metered/10", "metered/9"]);
    assert_eq!(model.n_batches, 3);
    assert_eq!(
        model.meters,
        [total("", 1, "4"), total("B", 1, "6"), total("a", 1, "2"), total("b", 4, "16")]
    );
}

fn a_batch_of_the_model_itself_names_no_unit(subject: &mut Subject<'_>) {
    let mut of_model = with_metrics("of-model", &[("juju-machines", "3")]);
    of_model.unit_name.clear();
    of_model.charm_url.clear();
    of_model.model_name.clear();
    assert_eq!(subject.record([entry(&of_model)]), [Recorded]);
    let model = model(subject);
    assert_eq!((model.units.len(), &*model.model_name), (0, ""));
    assert_eq!(model.meters, [total("juju-machines", 1, "3")]);
}

fn a_batch_without_metrics_is_recorded(subject: &mut Subject<'_>) {
    let null = MetricBatch { metrics: None, ..batch(MODEL, "null", "0") };
    let none = MetricBatch { metrics: Some(Vec::new()), ..batch(MODEL, "none", "0") };
    assert_eq!(subject.record([entry(&null), entry(&none)]), [Recorded; 2]);
    let counts = subject.reader().counts();
    assert_eq!((counts.n_batches, counts.n_metrics, counts.n_models), (2, 0, 1));
    let model = model(subject);
    assert_eq!((model.n_batches, model.meters.len()), (2, 0));
}

fn the_newest_batch_names_the_model(subject: &mut Subject<'_>) {
    let named = |uuid: &str, name: &str, created| {
        let batch = batch(MODEL, uuid, "0");
        entry(&MetricBatch { model_name: name.to_owned(), created: seconds(created), ..batch })
    };
    subject.record([named("1", "middle", 50)]);
    assert_eq!(model(subject).model_name, "middle");
    subject.record([named("2", "newest", 99), named("3", "oldest", 1)]);
    assert_eq!(model(subject).model_name, "newest");
    subject.record([named("4", "as new", 99), named("5", "late", 98)]);
    let model = model(subject);
    assert_eq!((&*model.model_name, &*model.last_created), ("as new", "2024-01-01T00:01:39Z"));
    subject.reopen();
    // The same instant as the newest, written with another offset: it is recorded last.
    let elsewhere = canonical(&MetricBatch { created: seconds(99), ..batch(MODEL, "6", "0") })
        .replace("2024-01-01T00:01:39Z", "2024-01-01T02:01:39+02:00");
    assert_eq!(subject.record([posted(&elsewhere)]), [Recorded]);
    let model = subject.reader().model(MODEL).expect("read a model").expect("the model is there");
    assert_eq!((&*model.model_name, &*model.last_created), ("controller", "2024-01-01T02:01:39+02:00"));
}

/// In the order of their bytes, which is neither that of a locale nor that of recording.
const MODELS: [&str; 7] = ["A", "B", "a", "a-b", "ab", "z", "\u{e9}"];

fn models_come_in_pages(subject: &mut Subject<'_>) {
    subject.record(MODELS.iter().rev().map(|model_uuid| entry(&batch(model_uuid, "1", "1"))));
    let list = |cursor: Option<&str>, limit| -> Vec<String> {
        let page = Page { cursor: cursor.map(str::to_owned), limit };
        let models = subject.reader().models(&page).expect("list the models");
        models.into_iter().map(|model| model.model_uuid).collect()
    };
    assert_eq!(list(None, 100), MODELS);
    assert_eq!(list(None, 3), MODELS[..3]);
    assert_eq!(list(Some("a"), 3), MODELS[3..6]);
    assert_eq!(list(Some("z"), 3), MODELS[6..]);
    assert_eq!(list(Some("aa"), 1), ["ab"], "after a model that is not there");
    assert_eq!(list(Some(""), 1), ["A"]);
}

fn quarantine_comes_in_pages(subject: &mut Subject<'_>) {
    subject.record((0..12).map(|n| posted(&format!("\"element {n}\""))));
    let list = |cursor: Option<u64>, limit| {
        let page = Page { cursor: cursor.map(|id| id.to_string()), limit };
        subject.reader().quarantine(&page).expect("list the quarantine")
    };
    let all = list(None, 100);
    assert_eq!(all.len(), 12);
    let ids: Vec<u64> = all.iter().map(|item| item.id).collect();
    assert!(0 < ids[0] && ids.is_sorted(), "{ids:?}");
    assert_eq!(list(None, 5), all[..5]);
    assert_eq!(list(Some(ids[4]), 5), all[5..10]);
    assert_eq!(list(Some(ids[9]), 5), all[10..]);
    let bodies: Vec<&str> = all.iter().map(|item| &*item.body).collect();
    assert_eq!((bodies[0], bodies[11]), ("\"element 0\"", "\"element 11\""));
}

fn a_page_may_hold_nothing(subject: &mut Subject<'_>) {
    subject.record([entry(&batch(MODEL, "1", "1")), entry(&batch(MODEL, "2", "NaN"))]);
    let page = |cursor: &str, limit| Page { cursor: Some(cursor.to_owned()), limit };
    let reader = subject.reader();
    assert_eq!(reader.models(&page("", 0)).expect("list the models"), []);
    assert_eq!(reader.models(&page(MODEL, 5)).expect("list the models"), []);
    assert_eq!(reader.quarantine(&page("0", 0)).expect("list the quarantine"), []);
    assert_eq!(reader.quarantine(&page(&u64::MAX.to_string(), 5)).expect("list the quarantine"), []);
    assert_eq!(reader.quarantine(&page("no id", 5)).expect("list the quarantine"), []);
}

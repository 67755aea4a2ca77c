//! Checks of the write half.

use tollgate_rules::Digest;

use super::Check;
use super::sample::{batch, canonical, entry, id, posted};
use super::subject::Subject;
use crate::Outcome::{Conflict, Duplicate, Quarantined, Recorded};
use crate::{Counts, Outcome};

pub(super) const CHECKS: &[Check] = &[
    ("a new ledger is empty", a_new_ledger_is_empty),
    ("an empty group changes nothing", an_empty_group_changes_nothing),
    ("a duplicate in the same group counts once", a_duplicate_in_the_same_group_counts_once),
    ("a duplicate in a later group counts once", a_duplicate_in_a_later_group_counts_once),
    ("a duplicate after opening again counts once", a_duplicate_after_opening_again_counts_once),
    ("of a conflict the first stands", of_a_conflict_the_first_stands),
    ("a conflict within one group", a_conflict_within_one_group),
    ("the same conflict again is the same item", the_same_conflict_again_is_the_same_item),
    ("quarantine holds each element once", quarantine_holds_each_element_once),
    ("elements without ids are quarantined", elements_without_ids_are_quarantined),
    ("quarantine takes no id", quarantine_takes_no_id),
    ("a broken newcomer is no conflict", a_broken_newcomer_is_no_conflict),
    ("outcomes are in the order of the group", outcomes_are_in_the_order_of_the_group),
    ("one uuid in two models is two batches", one_uuid_in_two_models_is_two_batches),
    ("ids do not run into each other", ids_do_not_run_into_each_other),
    ("ids are kept as exact strings", ids_are_kept_as_exact_strings),
    ("other bytes with the same meaning are a duplicate", other_bytes_with_the_same_meaning_are_a_duplicate),
    ("a large group", a_large_group),
];

const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";
const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

fn conflict(quarantine_id: u64, recorded: &tollgate_wire::MetricBatch) -> Outcome {
    Conflict { quarantine_id, recorded: Digest::of(canonical(recorded).as_bytes()) }
}

#[track_caller]
fn check_counts(subject: &Subject<'_>, n_batches: u64, n_metrics: u64, n_models: u64, n_quarantined: u64) {
    assert_eq!(subject.reader().counts(), Counts { n_batches, n_metrics, n_models, n_quarantined });
}

fn a_new_ledger_is_empty(subject: &mut Subject<'_>) {
    check_counts(subject, 0, 0, 0, 0);
    assert_eq!(subject.reader().model(MODEL).expect("read a model"), None);
    assert_eq!(subject.reader().batch(&id(MODEL, ONE)).expect("read a batch"), None);
    subject.compare("when new");
}

fn an_empty_group_changes_nothing(subject: &mut Subject<'_>) {
    assert_eq!(subject.record([]), []);
    check_counts(subject, 0, 0, 0, 0);
}

fn a_duplicate_in_the_same_group_counts_once(subject: &mut Subject<'_>) {
    let batch = entry(&batch(MODEL, ONE, "5"));
    assert_eq!(subject.record([batch.clone(), batch.clone(), batch]), [Recorded, Duplicate, Duplicate]);
    check_counts(subject, 1, 1, 1, 0);
}

fn a_duplicate_in_a_later_group_counts_once(subject: &mut Subject<'_>) {
    let batch = entry(&batch(MODEL, ONE, "5"));
    assert_eq!(subject.record([batch.clone()]), [Recorded]);
    assert_eq!(subject.record([batch.clone()]), [Duplicate]);
    assert_eq!(subject.record([batch]), [Duplicate]);
    check_counts(subject, 1, 1, 1, 0);
}

fn a_duplicate_after_opening_again_counts_once(subject: &mut Subject<'_>) {
    let batch = entry(&batch(MODEL, ONE, "5"));
    assert_eq!(subject.record([batch.clone()]), [Recorded]);
    subject.reopen();
    assert_eq!(subject.record([batch.clone()]), [Duplicate]);
    subject.abandon();
    assert_eq!(subject.record([batch]), [Duplicate]);
    check_counts(subject, 1, 1, 1, 0);
}

fn of_a_conflict_the_first_stands(subject: &mut Subject<'_>) {
    let first = batch(MODEL, ONE, "5");
    let newcomer = batch(MODEL, ONE, "6");
    assert_eq!(subject.record([entry(&first)]), [Recorded]);
    assert_eq!(subject.record([entry(&newcomer)]), [conflict(1, &first)]);
    assert_eq!(subject.record([entry(&first)]), [Duplicate]);
    check_counts(subject, 1, 1, 1, 1);
    let stored = subject.reader().batch(&id(MODEL, ONE)).expect("read a batch");
    assert_eq!(stored, Some(canonical(&first).into_bytes()));
    let model = subject.reader().model(MODEL).expect("read a model").expect("the model is there");
    assert_eq!(model.meters[0].sum, "5");

    let item = &subject.quarantine()[0];
    assert_eq!(
        (&*item.model_uuid, &*item.batch_uuid, &*item.unit_name, &*item.code, &*item.received),
        (MODEL, ONE, "metered/0", "conflict", "2024-01-01T00:00:02Z")
    );
    assert_eq!(item.body, canonical(&newcomer));
}

fn a_conflict_within_one_group(subject: &mut Subject<'_>) {
    let first = batch(MODEL, ONE, "5");
    let group =
        [entry(&first), entry(&batch(MODEL, ONE, "6")), entry(&first), entry(&batch(MODEL, ONE, "7"))];
    assert_eq!(subject.record(group), [Recorded, conflict(1, &first), Duplicate, conflict(2, &first)]);
    check_counts(subject, 1, 1, 1, 2);
}

fn the_same_conflict_again_is_the_same_item(subject: &mut Subject<'_>) {
    let first = batch(MODEL, ONE, "5");
    let newcomer = entry(&batch(MODEL, ONE, "6"));
    assert_eq!(subject.record([entry(&first)]), [Recorded]);
    let group = [newcomer.clone(), newcomer.clone()];
    assert_eq!(subject.record(group), [conflict(1, &first), conflict(1, &first)]);
    assert_eq!(subject.record([newcomer.clone()]), [conflict(1, &first)]);
    subject.reopen();
    assert_eq!(subject.record([newcomer.clone()]), [conflict(1, &first)]);
    subject.abandon();
    assert_eq!(
        subject.record([entry(&batch(MODEL, ONE, "7")), newcomer]),
        [conflict(2, &first), conflict(1, &first)]
    );
    check_counts(subject, 1, 1, 1, 2);
}

fn quarantine_holds_each_element_once(subject: &mut Subject<'_>) {
    let broken = entry(&batch(MODEL, ONE, "NaN"));
    let other_content = entry(&batch(MODEL, ONE, "Inf"));
    let other_id = entry(&batch(MODEL, TWO, "NaN"));
    let [first, second, third] = [1, 2, 3].map(|quarantine_id| Quarantined { quarantine_id });
    let group = [broken.clone(), other_content.clone(), broken.clone()];
    assert_eq!(subject.record(group), [first, second, first]);
    subject.reopen();
    assert_eq!(subject.record([other_id, broken, other_content]), [third, first, second]);
    check_counts(subject, 0, 0, 0, 3);

    let items = subject.quarantine();
    let shown: Vec<_> = items.iter().map(|item| (&*item.batch_uuid, &*item.code, &*item.received)).collect();
    assert_eq!(
        shown,
        [
            (ONE, "value", "2024-01-01T00:00:01Z"),
            (ONE, "value", "2024-01-01T00:00:01Z"),
            (TWO, "value", "2024-01-01T00:00:02Z"),
        ]
    );
    assert_eq!(items[0].reason, "metrics[0].value of \"pings\": \"NaN\" is NaN, which cannot be counted");
    assert_eq!(items[0].body, canonical(&batch(MODEL, ONE, "NaN")));
}

fn elements_without_ids_are_quarantined(subject: &mut Subject<'_>) {
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|quarantine_id| Quarantined { quarantine_id });
    let no_uuid = entry(&batch(MODEL, "", "1"));
    let no_model = entry(&batch("", ONE, "1"));
    let group = [no_uuid.clone(), no_model, posted("null"), posted("{\"uuid\": 7}"), no_uuid];
    assert_eq!(subject.record(group), [first, second, third, fourth, first]);
    let codes: Vec<String> = subject.quarantine().into_iter().map(|item| item.code).collect();
    assert_eq!(codes, ["missing-uuid", "missing-model-uuid", "missing-uuid", "undecodable"]);
    check_counts(subject, 0, 0, 0, 4);
}

fn quarantine_takes_no_id(subject: &mut Subject<'_>) {
    let broken = entry(&batch(MODEL, ONE, "NaN"));
    let good = entry(&batch(MODEL, ONE, "5"));
    assert_eq!(subject.record([broken, good.clone()]), [Quarantined { quarantine_id: 1 }, Recorded]);
    assert_eq!(subject.record([good]), [Duplicate]);
    check_counts(subject, 1, 1, 1, 1);
}

fn a_broken_newcomer_is_no_conflict(subject: &mut Subject<'_>) {
    assert_eq!(subject.record([entry(&batch(MODEL, ONE, "5"))]), [Recorded]);
    let outcomes = subject.record([entry(&batch(MODEL, ONE, "NaN"))]);
    assert_eq!(outcomes, [Quarantined { quarantine_id: 1 }]);
    assert_eq!(subject.quarantine()[0].code, "value");
}

fn outcomes_are_in_the_order_of_the_group(subject: &mut Subject<'_>) {
    let first = batch(MODEL, ONE, "1");
    let group = [
        posted("[]"),
        entry(&first),
        entry(&batch(MODEL, TWO, "NaN")),
        entry(&first),
        entry(&batch(MODEL, ONE, "2")),
        entry(&batch(MODEL, TWO, "3")),
        posted("[]"),
    ];
    assert_eq!(
        subject.record(group),
        [
            Quarantined { quarantine_id: 1 },
            Recorded,
            Quarantined { quarantine_id: 2 },
            Duplicate,
            conflict(3, &first),
            Recorded,
            Quarantined { quarantine_id: 1 },
        ]
    );
}

fn one_uuid_in_two_models_is_two_batches(subject: &mut Subject<'_>) {
    let group = [entry(&batch("model-a", ONE, "1")), entry(&batch("model-b", ONE, "2"))];
    assert_eq!(subject.record(group.clone()), [Recorded, Recorded]);
    assert_eq!(subject.record(group), [Duplicate, Duplicate]);
    check_counts(subject, 2, 2, 2, 0);
}

fn ids_do_not_run_into_each_other(subject: &mut Subject<'_>) {
    let group = [("ab", "c"), ("a", "bc"), ("a/b", "c"), ("a", "b/c"), ("a\0b", "c"), ("a", "b\0c")];
    let group = group.map(|(model_uuid, uuid)| entry(&batch(model_uuid, uuid, "1")));
    assert_eq!(subject.record(group), [Recorded; 6]);
    check_counts(subject, 6, 6, 4, 0);
}

fn ids_are_kept_as_exact_strings(subject: &mut Subject<'_>) {
    let longest = "x".repeat(tollgate_rules::limits::ID_BYTES_MAX);
    // What looks like one uuid, and what looks like nothing.
    let uuids = [
        "deadbeef-0bad-400d-8000-4b1d0d06f00d",
        "DEADBEEF-0bad-400d-8000-4b1d0d06f00d",
        "deadbeef0bad400d80004b1d0d06f00d",
        "{deadbeef-0bad-400d-8000-4b1d0d06f00d}",
        "deadbeef-0bad-400d-8000-4b1d0d06f00d ",
        "urn:uuid:deadbeef-0bad-400d-8000-4b1d0d06f00d",
        "00000000-0000-0000-0000-000000000000",
        " ",
        "5",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{1f980}",
        "a\tb\"c\\d",
        "\0",
        &longest,
    ];
    let group =
        || uuids.iter().flat_map(|one| [entry(&batch(MODEL, one, "1")), entry(&batch(one, ONE, "1"))]);
    assert_eq!(subject.record(group()), [Recorded; 30]);
    assert_eq!(subject.record(group()), [Duplicate; 30]);
    subject.reopen();
    assert_eq!(subject.record(group()), [Duplicate; 30]);
    for uuid in uuids {
        let stored = subject.reader().batch(&id(MODEL, uuid)).expect("read a batch");
        assert_eq!(stored, Some(canonical(&batch(MODEL, uuid, "1")).into_bytes()), "{uuid:?}");
    }
    check_counts(subject, 30, 30, 15, 0);
}

fn other_bytes_with_the_same_meaning_are_a_duplicate(subject: &mut Subject<'_>) {
    let plain = batch(MODEL, ONE, "5");
    let spaced = canonical(&plain).replace("\",\"", "\" ,\n \"");
    assert_eq!(subject.record([posted(&spaced)]), [Recorded]);
    assert_eq!(subject.record([entry(&plain)]), [Duplicate]);
    let stored = subject.reader().batch(&id(MODEL, ONE)).expect("read a batch");
    assert_eq!(stored, Some(canonical(&plain).into_bytes()));
    // A value is a text: another spelling of the same number is other content.
    assert_eq!(subject.record([entry(&batch(MODEL, ONE, "5.0"))]), [conflict(1, &plain)]);
}

fn a_large_group(subject: &mut Subject<'_>) {
    let credentials = Some(vec![0x5a; 3_000]);
    let group = || {
        (0..2_000).map(|n| {
            let model_uuid = format!("model-{}", n % 7);
            let mut batch = batch(&model_uuid, &format!("batch-{n}"), "0.001");
            batch.credentials.clone_from(&credentials);
            entry(&batch)
        })
    };
    assert_eq!(subject.record(group()), [Recorded; 2_000]);
    assert_eq!(subject.record(group()), [Duplicate; 2_000]);
    check_counts(subject, 2_000, 2_000, 7, 0);
}

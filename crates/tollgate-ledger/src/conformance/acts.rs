//! Checks of what operators decide.

use tollgate_rules::{Admitted, Digest, Reason};
use tollgate_wire::{MetricBatch, Status};

use super::Check;
use super::sample::{admitted, batch, canonical, entry, posted, seconds, status};
use super::subject::Subject;
use crate::Outcome::{Conflict, Duplicate, Quarantined, Recorded};
use crate::{Act, Counts, Entry, HandStatus, Ownership, Page};

pub(super) const CHECKS: &[Check] = &[
    ("a status stands until another is set or it is cleared", a_status_stands_until_another_is_set),
    ("statuses are in the order of units", statuses_are_in_the_order_of_units),
    ("a credential is revoked for ever", a_credential_is_revoked_for_ever),
    ("the user declared last owns the model", the_user_declared_last_owns_the_model),
    ("the newest name and the declared user say whose a model is", the_newest_name_and_the_declared_user_say),
    ("a released element leaves the quarantine", a_released_element_leaves_the_quarantine),
    ("a released batch counts", a_released_batch_counts),
    ("a released batch that is recorded counts once", a_released_batch_that_is_recorded_counts_once),
    ("a release that conflicts changes nothing", a_release_that_conflicts_changes_nothing),
    ("a refused batch is set aside", a_refused_batch_is_set_aside),
    ("a refused batch that is recorded is a duplicate", a_refused_batch_that_is_recorded_is_a_duplicate),
    ("a refused batch can be released", a_refused_batch_can_be_released),
    ("acts are in one order with batches", acts_are_in_one_order_with_batches),
];

const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";

fn set(model: &str, unit: &str, colour: Status) -> Entry {
    Entry::Act(Act::SetStatus(status(model, unit, colour)))
}

fn clear(model: &str, unit: &str) -> Entry {
    Entry::Act(Act::ClearStatus { model_uuid: model.into(), unit_name: unit.into() })
}

fn revoke(credential_id: &str) -> Entry {
    Entry::Act(Act::Revoke { credential_id: credential_id.into() })
}

fn declare(model: &str, user: &str) -> Entry {
    Entry::Act(Act::Declare { model_uuid: model.into(), user: user.into() })
}

fn release(quarantine_id: u64, batch: Option<Admitted>) -> Entry {
    Entry::Act(Act::Release { quarantine_id, batch })
}

fn refused(uuid: &str, value: &str) -> Entry {
    // For a reason outside of it.
    Entry::Refused(admitted(&batch(MODEL, uuid, value)), Reason::MissingUuid)
}

fn digest(uuid: &str, value: &str) -> Digest {
    admitted(&batch(MODEL, uuid, value)).digest()
}

#[track_caller]
fn check_counts(subject: &Subject<'_>, n_batches: u64, n_quarantined: u64) {
    let n_models = u64::from(0 < n_batches);
    let expected = Counts { n_batches, n_metrics: n_batches, n_models, n_quarantined };
    assert_eq!(subject.reader().counts(), expected);
}

#[track_caller]
fn check_released(subject: &Subject<'_>, expected: &[bool]) {
    let released: Vec<bool> = subject.quarantine().iter().map(|item| item.is_released).collect();
    assert_eq!(released, expected);
}

fn colour_of(subject: &Subject<'_>, unit: &str) -> Option<Status> {
    subject.reader().hand_status(MODEL, unit).expect("read a status").map(|status| status.status)
}

fn a_status_stands_until_another_is_set(subject: &mut Subject<'_>) {
    assert_eq!(subject.record([clear(MODEL, "")]), [Duplicate]);
    assert_eq!(subject.record([set(MODEL, "", Status::Red)]), [Recorded]);
    assert_eq!(
        subject.record([set(MODEL, "", Status::Red), set(MODEL, "u/0", Status::Amber)]),
        [Duplicate, Recorded]
    );
    assert_eq!((colour_of(subject, ""), colour_of(subject, "u/0")), (Some(Status::Red), Some(Status::Amber)));
    subject.reopen();
    let later = HandStatus { expires: Some(seconds(99)), ..status(MODEL, "", Status::Red) };
    assert_eq!(subject.record([Entry::Act(Act::SetStatus(later.clone()))]), [Recorded]);
    subject.abandon();
    assert_eq!(subject.reader().hand_status(MODEL, "").expect("read a status"), Some(later));
    assert_eq!(subject.record([clear(MODEL, ""), clear(MODEL, "")]), [Recorded, Duplicate]);
    assert_eq!(colour_of(subject, ""), None);
    assert_eq!(subject.record([set(MODEL, "u/0", Status::Green)]), [Recorded]);
    assert_eq!(colour_of(subject, "u/0"), Some(Status::Green));
}

fn statuses_are_in_the_order_of_units(subject: &mut Subject<'_>) {
    let places = [("b", "u/2"), ("a", ""), ("b", "u/10"), ("ab", "x"), ("b", ""), ("b", "U")];
    subject.record(places.map(|(model, unit)| set(model, unit, Status::Red)));
    let list = |model| -> Vec<String> {
        let statuses = subject.reader().hand_statuses(model).expect("list the statuses");
        statuses.iter().map(|status| format!("{} {}", status.model_uuid, status.unit_name)).collect()
    };
    assert_eq!(list(Some("b")), ["b ", "b U", "b u/10", "b u/2"]);
    assert_eq!(list(Some("c")), [""; 0]);
    assert_eq!(list(None).len(), 6);
}

fn a_credential_is_revoked_for_ever(subject: &mut Subject<'_>) {
    let is_revoked = |subject: &Subject<'_>, id: &str| subject.reader().is_revoked(id).expect("look");
    assert!(!is_revoked(subject, "one"));
    assert_eq!(
        subject.record([revoke("one"), revoke("two"), revoke("one")]),
        [Recorded, Recorded, Duplicate]
    );
    subject.abandon();
    assert_eq!(subject.record([revoke("one"), revoke("ONE")]), [Duplicate, Recorded]);
    assert!(is_revoked(subject, "two") && is_revoked(subject, "one") && !is_revoked(subject, "on"));
}

fn the_user_declared_last_owns_the_model(subject: &mut Subject<'_>) {
    let user = |subject: &Subject<'_>| subject.reader().declared_user(MODEL).expect("read a user");
    assert_eq!(user(subject), None);
    let group =
        [declare(MODEL, "bob"), declare(MODEL, "bob"), declare("other", "eve"), declare(MODEL, "eve")];
    assert_eq!(subject.record(group), [Recorded, Duplicate, Recorded, Recorded]);
    assert_eq!(user(subject).as_deref(), Some("eve"));
    subject.reopen();
    assert_eq!(subject.record([declare(MODEL, "eve"), declare(MODEL, "bob")]), [Duplicate, Recorded]);
    assert_eq!(user(subject).as_deref(), Some("bob"));
    check_counts(subject, 0, 0);
}

fn the_newest_name_and_the_declared_user_say(subject: &mut Subject<'_>) {
    let named = |model: &str, uuid: &str, created: i64, name: &str| {
        let model_name = name.to_owned();
        entry(&MetricBatch { created: seconds(created), model_name, ..batch(model, uuid, "1") })
    };
    subject.record([
        named("B", "1", 5, "bob/b"),
        named("a", "1", 5, "bob/a"),
        named("a", "late", 4, "late/a"),
        named("c", "1", 0, ""),
    ]);
    subject.record([declare("a", "carol"), declare("unseen", "dave"), posted("7")]);
    let ownership = |name: Option<&str>, user: Option<&str>| Ownership {
        model_name: name.map(Into::into),
        declared_user: user.map(Into::into),
    };
    let (of_a, of_b) = (ownership(Some("bob/a"), Some("carol")), ownership(Some("bob/b"), None));
    let (of_c, unseen) = (ownership(Some(""), None), ownership(None, Some("dave")));
    let asked = ["unseen", "a", "A", "B", "a", ""];
    let found = subject.reader().ownership(&asked).expect("read who owns models");
    let nothing = Ownership::default();
    assert_eq!(found, [&unseen, &of_a, &nothing, &of_b, &of_a, &nothing].map(Clone::clone));
    let all = [("B", of_b), ("a", of_a), ("c", of_c)].map(|(uuid, found)| (uuid.into(), found));
    for limit in [1, 2, 100] {
        let (mut listed, mut page) = (Vec::new(), Page { cursor: None, limit });
        loop {
            let mut rows = subject.reader().ownerships(&page).expect("list who owns models");
            assert!(rows.len() <= limit, "a page of {}, not {limit}", rows.len());
            let Some((last, _)) = rows.last() else { break };
            page.cursor = Some(last.to_string());
            assert!(listed.len() < all.len(), "the listing ends");
            listed.append(&mut rows);
        }
        assert_eq!(listed, all);
    }
}

fn a_released_element_leaves_the_quarantine(subject: &mut Subject<'_>) {
    let broken = posted("7");
    assert_eq!(
        subject.record([broken.clone(), posted("8")]),
        [1, 2].map(|quarantine_id| Quarantined { quarantine_id })
    );
    assert_eq!(subject.record([release(2, None)]), [Recorded]);
    assert_eq!(subject.record([release(2, None)]), [Duplicate]);
    check_released(subject, &[false, true]);
    subject.reopen();
    assert_eq!(subject.record([release(2, None)]), [Duplicate]);
    assert_eq!(subject.record([release(1, None)]), [Recorded]);
    // It comes again: it is known, and stays released.
    assert_eq!(subject.record([broken]), [Quarantined { quarantine_id: 1 }]);
    check_released(subject, &[true, true]);
    check_counts(subject, 0, 2);
}

fn a_released_batch_counts(subject: &mut Subject<'_>) {
    let broken = entry(&batch(MODEL, "1", "1,5"));
    assert_eq!(subject.record([broken]), [Quarantined { quarantine_id: 1 }]);
    let repaired = admitted(&batch(MODEL, "1", "1.5"));
    assert_eq!(subject.record([release(1, Some(repaired.clone()))]), [Recorded]);
    assert_eq!(subject.record([release(1, Some(repaired.clone()))]), [Duplicate]);
    // What was released once is not released again, whatever comes with it.
    assert_eq!(subject.record([release(1, Some(admitted(&batch(MODEL, "2", "2"))))]), [Duplicate]);
    subject.abandon();
    assert_eq!(subject.record([Entry::Batch(repaired)]), [Duplicate]);
    check_counts(subject, 1, 1);
    check_released(subject, &[true]);
}

fn a_released_batch_that_is_recorded_counts_once(subject: &mut Subject<'_>) {
    let good = batch(MODEL, "1", "5");
    subject.record([posted("7"), entry(&good)]);
    assert_eq!(subject.record([release(1, Some(admitted(&good))), entry(&good)]), [Recorded, Duplicate]);
    check_counts(subject, 1, 1);
    check_released(subject, &[true]);
}

fn a_release_that_conflicts_changes_nothing(subject: &mut Subject<'_>) {
    let (good, other) = (batch(MODEL, "1", "5"), admitted(&batch(MODEL, "1", "6")));
    subject.record([posted("7"), entry(&good)]);
    let conflict = Conflict { quarantine_id: 1, recorded: Digest::of(canonical(&good).as_bytes()) };
    assert_eq!(subject.record([release(1, Some(other.clone()))]), [conflict]);
    subject.reopen();
    assert_eq!(subject.record([release(1, Some(other))]), [conflict]);
    check_counts(subject, 1, 1);
    check_released(subject, &[false]);
    assert_eq!(subject.record([release(1, None)]), [Recorded]);
    check_released(subject, &[true]);
}

fn a_refused_batch_is_set_aside(subject: &mut Subject<'_>) {
    let [first, second] = [1, 2].map(|quarantine_id| Quarantined { quarantine_id });
    assert_eq!(
        subject.record([refused("1", "5"), refused("1", "5"), refused("1", "6")]),
        [first, first, second]
    );
    subject.reopen();
    assert_eq!(subject.record([refused("1", "6")]), [second]);
    let item = &subject.quarantine()[0];
    assert_eq!((&*item.code, &*item.body), ("missing-uuid", &*canonical(&batch(MODEL, "1", "5"))));
    check_counts(subject, 0, 2);
    // Quarantine takes no id.
    assert_eq!(subject.record([entry(&batch(MODEL, "1", "5"))]), [Recorded]);
    check_counts(subject, 1, 2);
}

fn a_refused_batch_that_is_recorded_is_a_duplicate(subject: &mut Subject<'_>) {
    let good = entry(&batch(MODEL, "1", "5"));
    assert_eq!(subject.record([good, refused("1", "5")]), [Recorded, Duplicate]);
    let conflict = Conflict { quarantine_id: 1, recorded: digest("1", "5") };
    assert_eq!(subject.record([refused("1", "5"), refused("1", "6")]), [Duplicate, conflict]);
    subject.abandon();
    assert_eq!(subject.record([refused("1", "6"), refused("1", "5")]), [conflict, Duplicate]);
    check_counts(subject, 1, 1);
    assert_eq!(subject.quarantine()[0].code, "conflict");
}

fn a_refused_batch_can_be_released(subject: &mut Subject<'_>) {
    subject.record([refused("1", "5")]);
    let same = Some(admitted(&batch(MODEL, "1", "5")));
    let group = [release(1, same), refused("1", "5"), refused("1", "6")];
    let conflict = Conflict { quarantine_id: 2, recorded: digest("1", "5") };
    assert_eq!(subject.record(group), [Recorded, Duplicate, conflict]);
    check_counts(subject, 1, 2);
    check_released(subject, &[true, false]);
}

fn acts_are_in_one_order_with_batches(subject: &mut Subject<'_>) {
    let good = entry(&batch(MODEL, "1", "5"));
    let group = [
        set(MODEL, "", Status::Red),
        good.clone(),
        clear(MODEL, ""),
        posted("7"),
        set(MODEL, "", Status::Red),
        good,
        declare(MODEL, "bob"),
        clear(MODEL, ""),
        revoke("one"),
        set(MODEL, "", Status::Amber),
        refused("1", "6"),
    ];
    let conflict = Conflict { quarantine_id: 2, recorded: digest("1", "5") };
    let aside = Quarantined { quarantine_id: 1 };
    assert_eq!(
        subject.record(group),
        [
            Recorded, Recorded, Recorded, aside, Recorded, Duplicate, Recorded, Recorded, Recorded, Recorded,
            conflict
        ]
    );
    assert_eq!(colour_of(subject, ""), Some(Status::Amber));
}

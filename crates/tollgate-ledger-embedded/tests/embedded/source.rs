//! A ledger that is moved elsewhere.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Mark, Moved, Page, Remedy};
use tollgate_ledger_embedded::Source;

use crate::common::{admitted, batch, chain, entries, journal_of, open, received, release, set_status, uuid};

/// Twenty groups of a batch, an element that cannot count, and now and then an act.
fn ledger() -> SimDisk {
    let disk = SimDisk::new();
    let mut ledger = open(&disk).0;
    for number in 0..20 {
        let posted = format!("[{},{number}]", batch("m", &uuid(number), "1.5"));
        ledger.writer.record(entries(&posted), received()).expect("record");
        ledger.writer.record(vec![set_status("u/0", &number.to_string())], received()).expect("record");
    }
    let late = admitted(&batch("m", &uuid(99), "2"));
    ledger.writer.record(vec![release(3, Some(late)), release(4, None)], received()).expect("release");
    ledger.writer.close().expect("close");
    disk
}

#[track_caller]
fn source(disk: &SimDisk) -> Source {
    Source::open_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("open the source")
}

fn records(source: &Source, after: Option<Mark>) -> Vec<String> {
    let groups = source.groups_after(after).expect("readable").expect("its own mark");
    let records = groups.flat_map(|groups| groups.expect("intact").records);
    records.map(|record| format!("{record:?}")).collect()
}

#[test]
fn it_gives_everything_in_order_and_answers_for_it() {
    let disk = ledger();
    let (ledger, report) = open(&disk);
    let page = Page { cursor: None, limit: 99 };
    let expected = (
        ledger.reader.counts(),
        ledger.reader.models(&page).expect("models"),
        ledger.reader.quarantine(&page).expect("a quarantine"),
        ledger.reader.hand_statuses(None).expect("statuses"),
    );
    drop(ledger);
    // With the index, and without one.
    for disk in [&disk, &journal_of(&disk)] {
        // The name of the index is synced, which is there.
        let n_changes = || disk.n_changes() - disk.n_syncs();
        let before = n_changes();
        let source = source(disk);
        let reader = source.reader();
        let found = (
            reader.counts(),
            reader.models(&page).expect("models"),
            reader.quarantine(&page).expect("a quarantine"),
            reader.hand_statuses(None).expect("statuses"),
        );
        assert_eq!(found, expected);
        assert_eq!(source.end().sequence, report.n_groups);
        assert_eq!(records(&source, None).len(), 20 * 3 + 3);
        assert_eq!(n_changes(), before, "a source is not changed");
    }
}

#[test]
fn it_goes_on_behind_a_mark_of_its_own_alone() {
    let disk = ledger();
    let source = source(&disk);
    let all = records(&source, None);
    assert_eq!(records(&source, Some(source.end())), Vec::<String>::new());
    let groups = source.groups_after(None).expect("readable").expect("a beginning");
    let first = groups.map(|groups| groups.expect("intact")).next().expect("there are some");
    assert_eq!(records(&source, Some(first.end)), all[first.records.len()..]);
    let acts = first.records.iter().filter(|record| matches!(record, Moved::Act(_))).count();
    assert_eq!(acts, 22);
    for other in [
        Mark { chain: [7; 32], ..source.end() },
        Mark { sequence: source.end().sequence + 1, ..source.end() },
    ] {
        assert!(source.groups_after(Some(other)).expect("readable").is_none());
    }
}

#[test]
fn nobody_else_has_it_meanwhile() {
    let disk = ledger();
    let ledger = open(&disk).0;
    let refused = Source::open_disk(&disk.shared(), |_| {}).expect_err("it is open");
    assert_eq!(refused.remedy(), Remedy::Retry, "{}", chain(&refused));
    drop(ledger);
    let source = source(&disk);
    crate::common::try_open(&disk).map(|_| ()).expect_err("it is being moved");
    drop(source);
    open(&disk);
}

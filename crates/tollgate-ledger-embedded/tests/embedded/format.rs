//! The files of released versions: written as they were, and read for ever.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Act, Entry, Outcome, Page};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, verify_disk};

use crate::common::{
    admitted, batch, entries, exported, fixture, open, received, records, release, set_status, uuid,
};

/// The first file of a journal.
const SEGMENT: &str = "0000000000000001.segment";

/// What is recorded in the ledgers of version 1, compressed or not, group by group.
fn groups() -> Vec<String> {
    let group = |number| {
        let (one, two) = (batch("m", &uuid(number), "1.5"), batch("n/ö", &format!("batch {number}"), "2"));
        format!("[{one},{two}]")
    };
    let conflict = format!(r#"[{},{{"uuid":"\u0000","env-uuid":7}},7]"#, batch("m", &uuid(0), "1"));
    (0..5).map(group).chain([conflict]).collect()
}

/// Without compression: how it compresses is the library's affair, and may change with it.
fn write_ledger(disk: &SimDisk, compression: Option<i32>) {
    let options = Options { compression, ..Options::for_testing() };
    let mut ledger = EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open").0;
    for posted in groups() {
        ledger.writer.record(entries(&posted), received()).expect("record");
    }
    ledger.writer.close().expect("close");
}

#[test]
fn the_bytes_of_version_1_are_written() {
    let disk = SimDisk::new();
    write_ledger(&disk, None);
    // The last segment holds reasons, whose wording is free.
    let old = fixture("version-1").contents(SEGMENT).expect("a segment");
    assert!(disk.contents(SEGMENT) == Some(old), "{SEGMENT} has other bytes");
}

#[test]
fn a_ledger_of_version_1_is_read_and_continued() {
    for name in ["version-1", "version-1-packed"] {
        read_and_continue(&fixture(name));
    }
}

#[track_caller]
fn read_and_continue(disk: &SimDisk) {
    let (mut ledger, report) = open(disk);
    assert_eq!((report.counts.n_batches, report.counts.n_quarantined, report.dropped), (10, 3, None));
    assert_eq!(ledger.reader.model("m").expect("readable").expect("there").meters[0].sum, "7.5");
    let quarantine = ledger.reader.quarantine(&Page { cursor: None, limit: 9 }).expect("quarantine");
    let shown: Vec<_> = quarantine.iter().map(|item| (item.code.as_str(), item.body.as_str())).collect();
    let conflict = batch("m", &uuid(0), "1");
    let undecodable = r#"{"uuid":"\u0000","env-uuid":7}"#;
    assert_eq!(shown, [("conflict", conflict.as_str()), ("undecodable", undecodable), ("undecodable", "7")]);
    assert!(quarantine.iter().all(|item| item.received == "2026-01-02T03:04:05Z"));

    for posted in groups() {
        let outcomes = ledger.writer.record(entries(&posted), received()).expect("record");
        assert!(!outcomes.contains(&Outcome::Recorded), "{outcomes:?}");
    }
    let new = format!("[{}]", batch("m", &uuid(99), "1"));
    assert_eq!(ledger.writer.record(entries(&new), received()).expect("record"), [Outcome::Recorded]);
    assert_eq!(exported(disk).len(), 11);
    verify_disk(&disk.shared(), |_| {}).expect("intact");
}

fn groups_with_acts() -> Vec<Vec<Entry>> {
    let declare = |user: &str| Entry::Act(Act::Declare { model_uuid: "m".into(), user: user.into() });
    let clear = Entry::Act(Act::ClearStatus { model_uuid: "m".into(), unit_name: "u/0".into() });
    let revoke = Entry::Act(Act::Revoke { credential_id: "c".into() });
    vec![
        entries("[7,8]"),
        vec![set_status("", "w\u{f6}rk"), set_status("u/0", ""), declare("bob"), declare("eve")],
        vec![clear, revoke, release(2, Some(admitted(&batch("m", &uuid(1), "1.5")))), release(1, None)],
    ]
}

#[test]
fn the_bytes_of_acts_are_written_and_read() {
    let disk = SimDisk::new();
    let options = Options { compression: None, ..Options::for_testing() };
    let mut ledger = EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open").0;
    for group in groups_with_acts() {
        ledger.writer.record(group, received()).expect("record");
    }
    ledger.writer.close().expect("close");
    let old = fixture("version-1-acts");
    // Of the acts alone: what is set aside has a reason, whose wording is free.
    let acts = |disk: &SimDisk| records(disk).into_iter().filter(|record| record[0] == 4).collect::<Vec<_>>();
    assert_eq!(acts(&disk), acts(&old));
    let (mut ledger, report) = open(&old);
    assert_eq!((report.counts.n_batches, report.counts.n_quarantined), (1, 2));
    let quarantine = ledger.reader.quarantine(&Page { cursor: None, limit: 9 }).expect("quarantine");
    assert!(quarantine.iter().all(|item| item.is_released), "{quarantine:?}");
    let statuses = ledger.reader.hand_statuses(Some("m")).expect("statuses");
    assert_eq!(statuses.iter().map(|status| &*status.info).collect::<Vec<_>>(), ["w\u{f6}rk"]);
    assert!(ledger.reader.is_revoked("c").expect("a credential"));
    assert_eq!(ledger.reader.declared_user("m").expect("a user").as_deref(), Some("eve"));
    let again = vec![set_status("", "w\u{f6}rk"), release(1, None)];
    assert_eq!(ledger.writer.record(again, received()).expect("record"), [Outcome::Duplicate; 2]);
    verify_disk(&old.shared(), |_| {}).expect("intact");
}

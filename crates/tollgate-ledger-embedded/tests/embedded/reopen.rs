//! What is there when a ledger is opened again.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Outcome, Page};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, export, verify, verify_disk};

use crate::common::{batch, chain, entries, exported, open, received, try_open, uuid};

#[test]
fn everything_is_there_again() {
    let disk = SimDisk::new();
    let (mut ledger, report) = open(&disk);
    assert!(report.is_new);
    let posted = format!(
        r#"[{},{},{},{{"uuid":"x","metrics":7}}]"#,
        batch("m", &uuid(1), "1.5"),
        batch("m", &uuid(1), "2"),
        batch("m", "odd id", "0.25"),
    );
    let first = ledger.writer.record(entries(&posted), received()).expect("record");
    let (before, quarantine) = (
        ledger.reader.model("m").expect("model"),
        ledger.reader.quarantine(&Page { cursor: None, limit: 9 }),
    );
    let quarantine = quarantine.expect("quarantine");
    assert_eq!(before.as_ref().map(|model| model.meters[0].sum.as_str()), Some("1.75"));
    assert_eq!(
        quarantine.iter().map(|item| item.code.as_str()).collect::<Vec<_>>(),
        ["conflict", "undecodable"]
    );
    drop(ledger);

    let (mut ledger, report) = open(&disk);
    assert_eq!((report.is_new, report.counts.n_batches, report.counts.n_quarantined), (false, 2, 2));
    assert_eq!(ledger.reader.model("m").expect("model"), before);
    assert_eq!(ledger.reader.quarantine(&Page { cursor: None, limit: 9 }).expect("quarantine"), quarantine);
    let again = ledger.writer.record(entries(&posted), received()).expect("record");
    assert_eq!(again[0], Outcome::Duplicate);
    assert_eq!(again[1..2], first[1..2], "the same conflict has the same id");
    assert_eq!((&again[2], &again[3]), (&Outcome::Duplicate, &first[3]));
    assert_eq!(exported(&disk), [batch("m", &uuid(1), "1.5"), batch("m", "odd id", "0.25")]);
    assert_eq!(verify_disk(&disk.shared(), |_| {}).expect("intact").counts, ledger.reader.counts());
}

#[test]
fn duplicates_alone_write_nothing() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    let posted = format!("[{}]", batch("m", &uuid(1), "1"));
    ledger.writer.record(entries(&posted), received()).expect("record");
    let n_changes = disk.n_changes();
    assert_eq!(ledger.writer.record(entries(&posted), received()).expect("record"), [Outcome::Duplicate]);
    assert_eq!(disk.n_changes(), n_changes);
}

#[test]
fn a_large_group_is_written_in_parts() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    // As large as a quarantined element is kept; a group of the journal holds 32 MiB.
    let large = |number: u64| format!(r#"{{"uuid":{number},"unit-name":"{}"}}"#, "a".repeat(1 << 20));
    let posted = format!("[{},7]", (0..40).map(large).collect::<Vec<_>>().join(","));
    let outcomes = ledger.writer.record(entries(&posted), received()).expect("record");
    let expected: Vec<Outcome> =
        (1..=41).map(|quarantine_id| Outcome::Quarantined { quarantine_id }).collect();
    assert_eq!(outcomes, expected);
    drop(ledger);
    let (_, report) = open(&disk);
    assert_eq!((report.n_groups, report.counts.n_quarantined), (2, 41));
}

#[test]
fn a_page_of_long_elements_ends_early_and_none_is_left_out() {
    let (mut ledger, _) = open(&SimDisk::new());
    // Of each, 1 MiB is kept.
    let long = |number: u64| format!(r#"{{"uuid":{number},"unit-name":"{}"}}"#, "x".repeat(2 << 20));
    for number in 0..20 {
        ledger.writer.record(entries(&format!("[{}]", long(number))), received()).expect("record");
    }
    let mut page = Page { cursor: None, limit: 15 };
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let items = ledger.reader.quarantine(&page).expect("quarantine");
        let Some(last) = items.last() else { break };
        page.cursor = Some(last.id.to_string());
        ids.extend(items.iter().map(|item| item.id));
        lengths.push(items.len());
    }
    assert_eq!(ids, (1..=20).collect::<Vec<u64>>());
    assert_eq!(lengths, [8, 8, 4], "8 MiB each");
}

#[test]
fn an_export_runs_beside_an_open_ledger() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("ledger");
    let (mut ledger, _) = EmbeddedLedger::open(&dir, Options::for_testing()).expect("open");
    for number in 0..200 {
        let posted = format!("[{}]", batch("m", &uuid(number), "1"));
        ledger.writer.record(entries(&posted), received()).expect("record");
        let bodies: Vec<_> = export(&dir).expect("export").collect::<Result<_, _>>().expect("bodies");
        assert_eq!(bodies.len() as u64, number + 1);
    }
    let report = verify(&dir, |_| {}).expect("intact");
    assert_eq!((report.counts.n_batches, report.journal.tail), (200, None));
    assert!(10 < report.journal.n_segments);
    drop(ledger);
    assert_eq!(verify(&dir, |_| {}).expect("intact"), report);
}

#[test]
fn a_second_collector_is_refused() {
    let disk = SimDisk::new();
    let (_ledger, _) = open(&disk);
    let error = try_open(&disk).map(|_| ()).expect_err("in use");
    let expected = format!("open the ledger in sim: take sim: process {} has it", std::process::id());
    assert_eq!(chain(&error), expected);
}

#[test]
fn a_folder_without_a_ledger_is_named() {
    let parent = tempfile::tempdir().expect("a folder");
    let error = export(parent.path()).map(|_| ()).expect_err("empty");
    assert!(chain(&error).ends_with("it holds no segment"), "{}", chain(&error));
    let error = export(parent.path().join("absent")).map(|_| ()).expect_err("absent");
    assert!(chain(&error).contains("absent: No such file"), "{}", chain(&error));
}

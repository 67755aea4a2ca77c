//! What a journal does on a disk where nothing fails.

use std::sync::Arc;

use crate::common::{KIND, all_records, append, open};
use tollgate_journal::sim::SimDisk;
use tollgate_journal::{
    Disk, GROUP_BYTES_MAX, Journal, JournalError, Kind, Options, Reader, RealDisk, RecordPosition, verify,
};

#[test]
fn records_are_there_after_a_clean_close_and_without_one() {
    let disk = SimDisk::new();
    let (mut journal, recovery) = open(&disk);
    assert!(recovery.is_new);
    append(&mut journal, &["one", "two"]);
    append(&mut journal, &["three"]);
    journal.close().expect("close");
    let (mut journal, recovery) = open(&disk);
    assert_eq!((recovery.is_new, recovery.end.sequence, recovery.dropped), (false, 2, None));
    append(&mut journal, &["four"]);
    drop(journal);
    let (_journal, recovery) = open(&disk);
    assert_eq!(recovery.end.sequence, 3);
    assert_eq!(all_records(&disk), ["one", "two", "three", "four"]);
}

#[test]
fn each_record_is_found_by_its_position() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let mut positions = Vec::new();
    for group in 0..100 {
        let records: Vec<String> = (0..group % 4).map(|record| format!("{group}.{record}")).collect();
        let appended = append(&mut journal, &records);
        assert_eq!(appended.group.sequence, group + 1);
        assert_eq!(appended.records.len(), records.len());
        positions.extend(records.into_iter().zip(appended.records));
    }
    assert!(5 < journal.end().segment, "several segments");
    let reader = journal.reader();
    for (record, position) in &positions {
        assert_eq!(reader.record(*position).expect("a record"), record.as_bytes());
    }
    let groups = reader.groups().expect("groups").map(|group| group.expect("intact"));
    let walked: Vec<_> =
        groups.flat_map(|group| group.records().map(|(at, _)| at).collect::<Vec<_>>()).collect();
    assert_eq!(walked, positions.iter().map(|(_, position)| *position).collect::<Vec<_>>());
}

#[test]
fn a_position_where_no_record_is_gives_an_error() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let start = append(&mut journal, &["one", "two"]).records[0];
    let reader = journal.reader();
    for offset in (start.offset + 1..start.offset + 11).chain([journal.end().offset, u64::MAX]) {
        let error = reader.record(RecordPosition { offset, ..start }).expect_err("no record");
        assert!(error.to_string().contains(&format!("at offset {offset}: ")), "{error}");
    }
    let error = reader.record(RecordPosition { segment: 2, ..start }).expect_err("no segment");
    assert!(
        error.to_string().contains("0000000000000002.segment at offset 0: the segment is missing"),
        "{error}"
    );
}

#[test]
fn a_walk_goes_on_from_a_checkpoint() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for group in 0..100 {
        append(&mut journal, &[format!("record {group}")]);
    }
    let reader = journal.reader();
    let mut groups = reader.groups().expect("groups");
    for given in 1..=100 {
        groups.next().expect("a group").expect("intact");
        let mut rest = reader.groups_after(&groups.checkpoint()).expect("groups");
        let next = rest.next().transpose().expect("intact");
        assert_eq!(next.map(|group| group.position().sequence), (given < 100).then_some(given + 1));
        assert_eq!(rest.count(), 99usize.saturating_sub(given as usize));
    }
    assert_eq!(groups.checkpoint(), journal.end());
}

#[test]
fn a_checkpoint_of_another_journal_is_noticed() {
    let (disk, other) = (SimDisk::new(), SimDisk::new());
    let (mut journal, _) = open(&disk);
    let (mut other, _) = open(&other);
    append(&mut journal, &["one"]);
    append(&mut other, &["ONE"]);
    let foreign = other.end();
    append(&mut journal, &["two"]);
    let mut groups = journal.reader().groups_after(&foreign).expect("groups");
    let error = groups.next().expect("an item").expect_err("another journal's checkpoint");
    assert!(error.to_string().contains("does not continue the hash chain"), "{error}");
}

#[test]
fn a_reader_without_the_lock_follows_a_writer() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let reader = Reader::open(disk.shared()).expect("a reader");
    let mut seen = reader.groups().expect("groups").checkpoint();
    for group in 1..=100 {
        append(&mut journal, &[format!("record {group}")]);
        let mut groups = reader.groups_after(&seen).expect("groups");
        let next = groups.next().expect("a group").expect("intact");
        assert_eq!(next.position().sequence, group);
        assert!(groups.next().is_none());
        seen = groups.checkpoint();
    }
}

#[test]
fn one_process_writes_at_a_time() {
    let disk = SimDisk::new();
    let journal = open(&disk);
    let error = Journal::open(disk.shared(), Options::for_testing(KIND)).expect_err("in use");
    assert_eq!(error.to_string(), format!("take sim: process {} has it", std::process::id()));
    drop(journal);
    open(&disk);
}

#[test]
fn the_kind_is_checked() {
    let disk = SimDisk::new();
    drop(open(&disk));
    let error = Journal::open(disk.shared(), Options::for_testing(Kind::new("spool")));
    let text = error.expect_err("another kind").to_string();
    assert_eq!(text, r#"open sim: it is a journal of kind "test", not "spool""#);
    let reader = Reader::open(disk.shared()).expect("a reader");
    assert_eq!(reader.kind(), KIND);
    assert!(reader.expect_kind(Kind::new("spool")).is_err());
}

#[test]
fn an_empty_folder_is_no_journal() {
    let error = Reader::open(SimDisk::new().shared()).expect_err("empty");
    assert_eq!(error.to_string(), "find a journal in sim: it holds no segment");
}

#[test]
fn groups_over_the_limit_are_refused_and_harm_nothing() {
    let (mut journal, _) = open(&SimDisk::new());
    let large = vec![0_u8; usize::try_from(GROUP_BYTES_MAX).expect("64 bits") - 7];
    let error = journal.append(&[large]).expect_err("too large");
    assert!(matches!(error, JournalError::TooLarge { bytes, .. } if bytes == GROUP_BYTES_MAX + 1), "{error}");
    append(&mut journal, &["small"]);
}

#[test]
fn verify_counts_everything() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for group in 0..50 {
        append(&mut journal, &[format!("record {group:3}"), "more".to_owned()]);
    }
    let mut n_told = 0;
    let verified = verify(&disk.shared(), |_, _| n_told += 1).expect("intact");
    assert_eq!((verified.n_groups, verified.n_records, verified.record_bytes), (50, 100, 50 * 14));
    assert_eq!((verified.n_segments, verified.end), (journal.end().segment, journal.end()));
    assert_eq!((verified.tail, n_told), (None, 50));
}

#[test]
fn all_of_it_works_on_a_real_disk() {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("journal");
    let options = Options::for_testing(KIND);
    let disk = || -> Arc<dyn Disk> { Arc::new(RealDisk::open_or_create(&path).expect("the folder")) };
    let (mut journal, _) = Journal::open(disk(), options).expect("open");
    for group in 0..40 {
        append(&mut journal, &[format!("record {group}"), String::new()]);
    }
    let error = Journal::open(disk(), options).expect_err("in use");
    assert!(matches!(error, JournalError::InUse { pid, .. } if pid == Some(std::process::id())), "{error}");
    journal.close().expect("close");
    let (journal, recovery) = Journal::open(disk(), options).expect("open again");
    assert_eq!((recovery.end.sequence, recovery.dropped), (40, None));
    let verified = verify(&disk(), |_, _| {}).expect("intact");
    assert_eq!((verified.n_records, verified.end), (80, journal.end()));
}

/// A folder and what opens it anew, as another process would.
fn real_folder() -> (tempfile::TempDir, impl Fn() -> Result<Journal, JournalError>) {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("journal");
    let open = move || {
        let disk = Arc::new(RealDisk::open_or_create(&path).expect("the folder"));
        Journal::open(disk, Options::for_testing(KIND)).map(|(journal, _)| journal)
    };
    (parent, open)
}

#[test]
fn removing_the_lock_file_does_not_let_a_second_writer_in() {
    let (parent, open) = real_folder();
    let lock = parent.path().join("journal/lock");
    let first = open().expect("open");
    let reader = first.reader();
    let pid = std::fs::read_to_string(&lock).expect("the file");
    assert_eq!(pid, std::process::id().to_string());
    std::fs::remove_file(&lock).expect("remove");
    let error = open().expect_err("in use");
    assert!(matches!(error, JournalError::InUse { pid: None, .. }), "{error}");
    drop(first);
    open().expect("nobody writes any more, though somebody reads");
    drop(reader);
}

#[test]
fn a_process_id_that_cannot_be_noted_does_not_stop_the_start() {
    let (parent, open) = real_folder();
    drop(open().expect("open"));
    let lock = parent.path().join("journal/lock");
    std::fs::write(&lock, "12345678901234567890").expect("write");
    drop(open().expect("open"));
    let pid = std::fs::read_to_string(&lock).expect("the file");
    assert_eq!(pid, std::process::id().to_string(), "nothing is left of a longer one");
    std::fs::remove_file(&lock).expect("remove");
    std::os::unix::fs::symlink("/dev/full", &lock).expect("link");
    let _first = open().expect("a full disk");
    assert!(matches!(open(), Err(JournalError::InUse { pid: None, .. })));
}

#[test]
fn a_first_segment_that_was_never_finished_is_not_in_the_way() {
    let (parent, open) = real_folder();
    let folder = parent.path().join("journal");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("new-segment"), "begun").expect("write");
    drop(open().expect("open"));
    assert!(!folder.join("new-segment").exists());
}

#[test]
fn a_folder_is_made_but_not_its_parents() {
    let parent = tempfile::tempdir().expect("a folder");
    RealDisk::open_or_create(parent.path().join("ledger")).expect("one level");
    let error = RealDisk::open_or_create(parent.path().join("not-mounted/ledger")).expect_err("two levels");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let file = parent.path().join("file");
    std::fs::write(&file, b"x").expect("a file");
    let error = RealDisk::open_or_create(file).expect_err("a file");
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
}

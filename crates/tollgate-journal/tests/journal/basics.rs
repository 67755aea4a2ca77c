//! What a journal does on a disk where nothing fails.

use std::sync::Arc;

use crate::common::{KIND, all_records, append, compressing, open, try_append_packed};
use tollgate_journal::sim::{Dice, SimDisk};
use tollgate_journal::{
    Disk, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Journal, JournalError, Kind, Options, Packer, Reader, RealDisk,
    RecordPosition, Records, verify,
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
    for options in [Options::for_testing(KIND), compressing()] {
        for segment_bytes_max in [1 << 10, 100 << 10, 1 << 20] {
            check_positions(Options { segment_bytes_max, ..options });
        }
    }
}

/// Groups of no, few and many bytes, each found by its sequence and each record by its position.
#[track_caller]
fn check_positions(options: Options) {
    let disk = SimDisk::new();
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let mut dice = Dice(1);
    let reader = journal.reader();
    let mut groups: Vec<Vec<String>> = Vec::new();
    for group in 1..=200_u64 {
        let records = (0..dice.below(4)).map(|record| {
            let length = [3, 100, 3000, 60_000][dice.below(4)];
            format!("{group}.{record} {}", "x".repeat(dice.below(length)))
        });
        let records: Vec<String> = records.collect();
        assert_eq!(append(&mut journal, &records).sequence, group);
        groups.push(records);
        let error = reader.group(group + 1).expect_err("not yet");
        let text =
            format!("find group {} in sim: the journal ends before it, or it was forgotten", group + 1);
        assert_eq!(error.to_string(), text);
    }
    let walked = reader.groups().expect("groups").map(|group| group.expect("intact"));
    for ((records, group), sequence) in groups.iter().zip(walked).zip(1..) {
        let found = reader.group(sequence).expect("a group");
        assert_eq!(found.position(), group.position());
        assert_eq!(found.records().len(), records.len());
        for ((at, bytes), (record, index)) in found.records().zip(records.iter().zip(0..)) {
            assert_eq!((at, bytes), (RecordPosition { sequence, index }, record.as_bytes()));
            assert_eq!(group.record(index), Some(bytes));
            assert_eq!(reader.record(at).expect("a record"), bytes);
        }
    }
}

#[test]
fn records_that_were_compressed_before_are_one_group_whatever_their_parts() {
    for options in [Options::for_testing(KIND), compressing()] {
        let disk = SimDisk::new();
        let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
        let records: Vec<String> =
            (0..7).map(|record| format!("{record}{}", "x".repeat(record * 99))).collect();
        for n_records_max in 1..=8 {
            let position = try_append_packed(&mut journal, &records, n_records_max).expect("append");
            let group = journal.reader().group(position.sequence).expect("a group");
            let found: Vec<_> = group.records().map(|(_, record)| record.to_vec()).collect();
            assert_eq!(found, records.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
        // No parts, and a part without records.
        try_append_packed::<String>(&mut journal, &[], 1).expect("append");
        let nothing = Packer::new(1).expect("a level").pack_records(&Records::default());
        assert_eq!(nothing.unpack().expect("nothing").len(), 0);
        journal.append_packed(&[&nothing, &nothing]).expect("append");
        append(&mut journal, &["last"]);
        drop(journal);
        let (journal, recovery) = open(&disk);
        assert_eq!((recovery.end.sequence, recovery.dropped), (11, None));
        for sequence in 9..=10 {
            assert_eq!(journal.reader().group(sequence).expect("a group").records().len(), 0);
        }
    }
}

#[test]
fn a_position_where_no_record_is_gives_an_error() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one", "two"]);
    let reader = journal.reader();
    let check = |sequence, index, expected: &str| {
        let error = reader.record(RecordPosition { sequence, index }).expect_err("no record");
        assert_eq!(error.to_string(), expected);
    };
    check(1, 2, "find record 2 of group 1 in sim: the group has 2");
    check(1, u32::MAX, "find record 4294967295 of group 1 in sim: the group has 2");
    for sequence in [0, 2, u64::MAX] {
        check(
            sequence,
            0,
            &format!("find group {sequence} in sim: the journal ends before it, or it was forgotten"),
        );
    }
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
    let error = journal.reader().groups_after(&foreign).expect_err("another journal's checkpoint");
    let expected = "go on behind group 1 in sim: the journal does not hold what it held then";
    assert_eq!(error.to_string(), expected);
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
    let mut records = Records::default();
    records.push_with(|bytes| bytes.resize(usize::try_from(GROUP_BYTES_MAX).expect("64 bits") + 1, 0));
    let error = journal.append(&records).expect_err("too large");
    assert!(matches!(error, JournalError::TooLarge { bytes, .. } if bytes == GROUP_BYTES_MAX + 1), "{error}");
    records.clear();
    (0..=GROUP_RECORDS_MAX).for_each(|_| records.push(&[]));
    let error = journal.append(&records).expect_err("too many");
    let expected = "append a group of 67108868 bytes with 16777217 records: a group has 536870912 bytes and \
                    16777216 records at most";
    assert_eq!(error.to_string(), expected);
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
    assert_eq!(verified.end, journal.end());
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

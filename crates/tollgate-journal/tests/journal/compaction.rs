//! Making sealed segments smaller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_journal::{
    Disk, Journal, JournalError, Keep, Options, Reader, RealDisk, RecordPosition, SealedSegment,
    sealed_segments, verify,
};

use crate::common::{KIND, append, compressing, open, read_groups, try_append};
use crate::faults::{ENDS, FAILURES, end};
use crate::model::{replace, small};

const N_GROUPS: u64 = 12;

/// A journal of three segments, and its records.
fn journal(options: Options) -> (SimDisk, Journal, Vec<Vec<String>>) {
    let disk = SimDisk::new();
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let mut groups = Vec::new();
    for group in 0..N_GROUPS {
        let records =
            vec![format!("{group:4} {}", "x".repeat(150)), "tiny".to_owned(), format!("{group:4} y")];
        append(&mut journal, &records);
        groups.push(records);
    }
    (disk, journal, groups)
}

fn all_small(groups: &[Vec<String>]) -> Vec<Vec<String>> {
    let records = |group: &Vec<String>| group.iter().map(|record| small(record).to_owned()).collect();
    groups.iter().map(records).collect()
}

fn segment(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// What the journal holds when the first `n` groups were compacted.
fn partly_small(groups: &[Vec<String>], n: u64) -> Vec<Vec<String>> {
    let n = n as usize;
    [&all_small(&groups[..n])[..], &groups[n..]].concat()
}

#[test]
fn a_compacted_segment_holds_the_same_groups_with_smaller_records() {
    for options in [Options::for_testing(KIND), Options { segment_bytes_max: 700, ..compressing() }] {
        let (disk, mut journal, groups) = journal(options);
        let end = journal.end();
        let compactor = journal.compactor();
        let sealed = compactor.segments().expect("segments");
        assert!(2 <= sealed.len(), "{sealed:?}");
        let mut n_small = 0;
        for before in &sealed {
            assert_eq!((before.first_sequence, before.is_compacted), (n_small + 1, false));
            let bytes = compactor.compact(before.number, replace).expect("compact");
            assert!(bytes < before.bytes, "{bytes} of {} bytes", before.bytes);
            let after = sealed_segments(&*disk.shared()).expect("segments")[before.number as usize - 1];
            assert_eq!(after, SealedSegment { bytes, is_compacted: true, ..*before });
            assert_eq!(disk.contents(&segment(before.number)).expect("a file").len() as u64, bytes);
            n_small = before.last_sequence;
            let expected = partly_small(&groups, n_small);
            assert!(matches!(read_groups(&disk), (read, None) if read == expected));
            let record = journal.reader().record(RecordPosition { sequence: n_small, index: 2 });
            assert_eq!(record.expect("a record"), format!("{:4}", n_small - 1).as_bytes());
        }
        assert_eq!(verify(&disk.shared(), |_, _| {}).expect("intact").end, end, "the chain is the same");
        append(&mut journal, &["next"]);
        drop((journal, compactor));
        let (_, recovery) = open(&disk);
        assert_eq!((recovery.end.sequence, recovery.dropped), (N_GROUPS + 1, None));
    }
}

#[test]
fn a_segment_can_be_compacted_again() {
    let (disk, journal, groups) = journal(Options::for_testing(KIND));
    let compactor = journal.compactor();
    let first_only = |position: RecordPosition, record: &[u8], buffer: &mut Vec<u8>| match position.index {
        0 => replace(position, record, buffer),
        _ => Keep::Whole,
    };
    let last = compactor.segments().expect("segments")[0].last_sequence;
    let first = compactor.compact(1, first_only).expect("compact");
    let second = compactor.compact(1, replace).expect("compact again");
    assert!(second < first, "{second} of {first} bytes");
    assert_eq!(compactor.compact(1, replace).expect("nothing is left to do"), second);
    let (read, error) = read_groups(&disk);
    assert!(error.is_none() && read == partly_small(&groups, last), "{error:?}");
    assert_eq!(verify(&disk.shared(), |_, _| {}).expect("intact").end, journal.end());
}

#[test]
fn a_segment_of_which_all_is_kept_stays_what_it_was_but_for_its_header() {
    let (disk, journal, _) = journal(Options::for_testing(KIND));
    let before = disk.contents(&segment(1)).expect("a file");
    journal.compactor().compact(1, |_, _, _| Keep::Whole).expect("compact");
    let after = disk.contents(&segment(1)).expect("a file");
    assert_eq!(after[128..], before[128..]);
    assert!(sealed_segments(&*disk.shared()).expect("segments")[0].is_compacted);
}

#[test]
fn a_segment_that_is_not_sealed_is_left_alone() {
    let (disk, journal, _) = journal(Options::for_testing(KIND));
    let n_changes = disk.n_changes();
    let last = journal.compactor().segments().expect("segments").len() as u64 + 1;
    for number in [0, last, last + 1, u64::MAX] {
        let error = journal.compactor().compact(number, replace).expect_err("not sealed");
        assert_eq!(error.to_string(), format!("compact segment {number} in sim: it is not sealed"));
    }
    assert_eq!(disk.n_changes(), n_changes);
}

#[test]
fn a_damaged_segment_is_not_compacted() {
    let (intact, journal, _) = journal(Options::for_testing(KIND));
    drop(journal);
    let bytes = intact.contents(&segment(2)).expect("a file");
    for byte in 0..bytes.len() {
        let disk = intact.copy();
        // Opened before it is damaged, as when bits rot later.
        let (mut journal, _) = open(&disk);
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        disk.set_contents(&segment(2), &flipped);
        let error = journal.compactor().compact(2, replace).expect_err("damage");
        assert!(
            matches!(&error, JournalError::Damaged { path, .. } if path.ends_with(segment(2))),
            "{error}"
        );
        assert_eq!(disk.contents(&segment(2)), Some(flipped));
        assert_eq!(disk.contents("new-compacted"), None);
        append(&mut journal, &["next"]);
    }
}

#[test]
fn a_segment_of_another_history_is_not_compacted() {
    let (disk, one, _) = journal(Options::for_testing(KIND));
    let other = SimDisk::new();
    let (mut other_journal, _) = open(&other);
    for group in 0..N_GROUPS {
        let text = format!("{group:4} {}", if group == 0 { "X" } else { "x" }.repeat(150));
        append(&mut other_journal, &[text, "tiny".to_owned(), format!("{group:4} y")]);
    }
    // Intact in itself, and as long.
    let foreign = other.contents(&segment(1)).expect("a file");
    disk.set_contents(&segment(1), &foreign);
    let error = one.compactor().compact(1, replace).expect_err("another history");
    assert!(error.to_string().ends_with("the segment does not continue the one before it"), "{error}");
    assert_eq!(disk.contents(&segment(1)), Some(foreign));
}

#[test]
fn there_must_be_room_for_both_forms() {
    let options = Options::for_testing(KIND);
    // It may take the length of a segment of the reserve.
    let free_bytes_min = options.segment_bytes_max + 300;
    let (disk, mut journal, _) = journal(Options { free_bytes_min, ..options });
    let length = disk.contents(&segment(1)).expect("a file").len() as u64;
    disk.limit(Some(disk.used_bytes() + length + 299));
    let error = journal.compactor().compact(1, replace).expect_err("full");
    assert!(matches!(error, JournalError::Full { kept_bytes: 300, .. }), "{error}");
    disk.limit(Some(disk.used_bytes() + length + 300));
    let error = try_append(&mut journal, &["next"]).expect_err("the reserve is for compacting alone");
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    journal.compactor().compact(1, replace).expect("compact");
    disk.limit(None);
    append(&mut journal, &["next"]);
}

#[test]
fn what_is_given_up_leaves_the_segment_as_it_was() {
    let (disk, mut journal, groups) = journal(Options::for_testing(KIND));
    let mut n_seen = 0;
    let give_up = |_, record: &[u8], buffer: &mut Vec<u8>| {
        n_seen += 1;
        if n_seen == 8 {
            Keep::Abandon
        } else {
            replace(RecordPosition { sequence: 1, index: 0 }, record, buffer)
        }
    };
    let error = journal.compactor().compact(1, give_up).expect_err("given up");
    assert!(matches!(error, JournalError::Abandoned { .. }), "{error}");
    assert!(disk.contents("new-compacted").is_none());
    assert!(matches!(read_groups(&disk), (read, None) if read == groups));
    append(&mut journal, &["next"]);
    journal.compactor().compact(1, replace).expect("compact");
}

/// Compacts segment 1 with `failure` at call `n`, appends, ends as `how` says, and opens; `false` when the call was never
/// made.
fn fail_once(n: u64, failure: Failure, how: crate::faults::End) -> Result<bool, String> {
    let (disk, mut journal, mut groups) = journal(Options::for_testing(KIND));
    let last = journal.compactor().segments().map_err(|error| error.to_string())?[0].last_sequence;
    disk.fail_at(n, failure);
    let compacted = journal.compactor().compact(1, replace);
    let was_failed = compacted.is_err();
    if !disk.is_dead() {
        disk.fail_at(u64::MAX >> 1, Failure::Error);
        // In the segment that there is.
        try_append(&mut journal, &["next"]).map_err(|error| format!("an append: {error}"))?;
        groups.push(vec!["next".to_owned()]);
    }
    end(&disk, how);
    drop(journal);
    for open_again in 0..2 {
        let opened = Journal::open(disk.shared(), Options::for_testing(KIND));
        opened.map_err(|error| format!("open: {error}"))?;
        let (read, error) = read_groups(&disk);
        let is_old = read == groups && compacted.is_err();
        if error.is_some() || !is_old && read != partly_small(&groups, last) {
            return Err(format!("{open_again}: {} groups, {error:?}", read.len()));
        }
        if disk.contents("new-compacted").is_some() {
            return Err("something is left over".to_owned());
        }
    }
    Ok(was_failed)
}

#[test]
fn a_fault_at_each_call_leaves_the_old_or_the_new_segment() {
    for failure in FAILURES {
        for how in ENDS {
            for n in 1.. {
                let outcome = fail_once(n, failure, how);
                let was_failed =
                    outcome.unwrap_or_else(|violation| panic!("call {n}, {failure:?}, {how:?}: {violation}"));
                if !was_failed {
                    // Creating, writing twice, syncing, renaming, syncing the folder.
                    assert_eq!(n, 7);
                    break;
                }
            }
        }
    }
}

#[test]
fn after_names_may_have_been_lost_there_is_no_new_segment() {
    let (disk, mut journal, _) = journal(Options::for_testing(KIND));
    disk.fail_at(6, Failure::Error);
    journal.compactor().compact(1, replace).expect_err("the folder is not synced");
    append(&mut journal, &["fits into the old one"]);
    let error = try_append(&mut journal, &["x".repeat(1000)]).expect_err("a new segment");
    assert!(matches!(error, JournalError::Closed { .. }), "{error}");
    drop(journal);
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["x".repeat(1000)]);
}

#[test]
fn a_segment_is_not_compacted_when_the_name_of_the_next_may_be_lost() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["one"]);
        disk.fail_at(5, Failure::Error);
        try_append(&mut journal, &["x".repeat(1000)])
            .expect_err("the name of the second segment is not synced");
        let error = journal.compactor().compact(1, replace).expect_err("its own name could last alone");
        assert!(matches!(error, JournalError::Closed { .. }), "{error}");
        disk.cut_power(seed);
        drop(open(&disk));
        assert!(matches!(read_groups(&disk), (groups, None) if groups == [["one"]]));
    }
}

#[test]
fn a_compactor_keeps_the_folder_locked() {
    let (disk, journal, _) = journal(Options::for_testing(KIND));
    let compactor = journal.compactor();
    journal.close().expect("close");
    let in_use = Journal::open(disk.shared(), Options::for_testing(KIND));
    assert!(matches!(in_use, Err(JournalError::InUse { .. })));
    compactor.compact(1, replace).expect("compact");
    drop(compactor);
    drop(open(&disk));
}

#[test]
fn a_reader_goes_on_in_the_file_that_it_has_open() {
    let (disk, journal, groups) = journal(Options::for_testing(KIND));
    let mut walk = journal.reader().groups().expect("groups");
    walk.next().expect("a group").expect("intact");
    let sealed = journal.compactor().segments().expect("segments");
    for segment in &sealed {
        journal.compactor().compact(segment.number, replace).expect("compact");
    }
    for (group, expected) in walk.zip(&groups[1..]) {
        let group = group.expect("intact");
        let is_old = group.position().sequence <= sealed[0].last_sequence;
        let is_new = !is_old && group.position().sequence <= sealed[sealed.len() - 1].last_sequence;
        let expected = if is_new { small(&expected[0]) } else { &expected[0] };
        assert_eq!(group.record(0), Some(expected.as_bytes()));
    }
    assert!(disk.contents("new-compacted").is_none());
}

#[test]
fn a_journal_is_compacted_while_it_is_appended_to_and_read() {
    let parent = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(parent.path()).expect("the folder"));
    let options = Options { segment_bytes_max: 20 << 10, ..compressing() };
    let (mut journal, _) = Journal::open(disk.clone(), options).expect("open");
    let (compactor, reader) = (journal.compactor(), journal.reader());
    let is_done = AtomicBool::new(false);
    let text = |group: u64| format!("{group:4} {}", "x".repeat(group as usize * 37 % 5000));
    thread::scope(|scope| {
        let is_done = &is_done;
        scope.spawn(move || {
            for group in 1..=600 {
                append(&mut journal, &[text(group), group.to_string()]);
            }
            journal.close().expect("close");
            is_done.store(true, Ordering::Release);
        });
        scope.spawn(move || {
            let mut n_compacted = 0;
            while !(is_done.load(Ordering::Acquire)
                && n_compacted == compactor.segments().expect("segments").len())
            {
                for segment in compactor.segments().expect("segments") {
                    if !segment.is_compacted {
                        compactor.compact(segment.number, replace).expect("compact");
                        n_compacted += 1;
                    }
                }
            }
            assert!(1 < n_compacted);
        });
        loop {
            let was_done = is_done.load(Ordering::Acquire);
            let mut n_groups = 0;
            for group in reader.groups().expect("groups") {
                n_groups += 1;
                let group = group.expect("intact");
                let found = group.record(0).expect("a record");
                let whole = text(n_groups);
                assert!(found == whole.as_bytes() || found == small(&whole).as_bytes());
                let again = reader.record(RecordPosition { sequence: n_groups, index: 1 }).expect("a record");
                assert_eq!(again, n_groups.to_string().as_bytes());
            }
            if was_done {
                assert_eq!(n_groups, 600);
                break;
            }
        }
    });
    verify(&disk, |_, _| {}).expect("intact");
    assert_eq!(Reader::open(disk).expect("a reader").groups().expect("groups").count(), 600);
}

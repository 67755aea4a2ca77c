//! Forgetting the oldest groups, and beginning anew.

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Claim, Journal, JournalError, Reader, Records, Renewal, salvage, verify};

use crate::common::{KIND, all_records, append, open, read_groups, try_open};
use crate::faults::{ENDS, FAILURES, end};

/// Longer than half a segment, so that each is in a segment of its own.
fn long(n: u64) -> String {
    format!("{n} {}", "x".repeat(600))
}

/// A journal with groups 1 to `n`, each in a segment of its own.
fn with_segments(disk: &SimDisk, n: u64) -> Journal {
    let (mut journal, _) = open(disk);
    for n in 1..=n {
        append(&mut journal, &[long(n)]);
    }
    journal
}

fn segments(disk: &SimDisk) -> Vec<u64> {
    (1..20).filter(|number| disk.contents(&format!("{number:016x}.segment")).is_some()).collect()
}

#[track_caller]
fn check_forgotten(before: u64, n_expected: u64, segments_left: &[u64], first_left: u64) {
    let disk = SimDisk::new();
    let mut journal = with_segments(&disk, 4);
    assert_eq!(journal.forget(before).expect("forget"), n_expected);
    assert_eq!(segments(&disk), segments_left);
    let left: Vec<String> = (first_left..=4).map(long).collect();
    assert_eq!(all_records(&disk), left);
    append(&mut journal, &["after"]);
    journal.close().expect("close");
    disk.cut_power(1);
    let (journal, recovery) = open(&disk);
    assert_eq!(recovery.first_sequence, first_left);
    assert_eq!(all_records(&disk).len(), left.len() + 1);
    let verified = verify(&disk.shared(), |_, _| {}).expect("whole");
    assert_eq!((verified.first_sequence, verified.n_groups), (first_left, left.len() as u64 + 1));
    drop(journal);
}

#[test]
fn whole_segments_are_forgotten() {
    check_forgotten(1, 0, &[1, 2, 3, 4], 1);
    check_forgotten(2, 1, &[2, 3, 4, 5], 2);
    check_forgotten(4, 3, &[4, 5], 4);
    check_forgotten(5, 4, &[5], 5);
    check_forgotten(99, 4, &[5], 5);
}

#[test]
fn a_group_in_the_middle_of_a_segment_keeps_the_segment() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for _ in 0..10 {
        append(&mut journal, &["short"]);
    }
    assert_eq!(journal.forget(5).expect("forget"), 0);
    assert_eq!(all_records(&disk).len(), 10);
}

#[test]
fn forgetting_all_again_and_again_takes_no_room() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for n in 0..50 {
        append(&mut journal, &[long(n)]);
        journal.forget(journal.end().sequence + 1).expect("forget");
        assert_eq!(journal.forget(journal.end().sequence + 1).expect("forget"), 0);
    }
    assert!(disk.used_bytes() < 2000, "{} bytes", disk.used_bytes());
    drop(journal);
    let (_journal, recovery) = open(&disk);
    assert_eq!((recovery.n_segments, recovery.end.sequence), (1, 50));
}

#[test]
fn groups_before_the_beginning_are_not_there() {
    let disk = SimDisk::new();
    let mut journal = with_segments(&disk, 4);
    let mut groups = journal.reader().groups().expect("groups");
    let second = groups.nth(1).expect("a group").expect("whole").checkpoint();
    journal.forget(4).expect("forget");
    let reader = journal.reader();
    assert!(matches!(reader.group(2), Err(JournalError::NoGroup { sequence: 2, .. })));
    assert_eq!(reader.group(4).expect("there").record(0), Some(long(4).as_bytes()));
    let error = reader.groups_after(&second).expect_err("gone");
    assert!(matches!(error, JournalError::UnknownCheckpoint { .. }), "{error}");
}

#[test]
fn a_segment_that_is_taken_away_is_not_taken_for_a_forgotten_one() {
    for taken in ["0000000000000003.segment", "0000000000000004.segment"] {
        let disk = SimDisk::new();
        let mut journal = with_segments(&disk, 5);
        journal.forget(3).expect("forget");
        drop(journal);
        disk.take_away(taken);
        let error = try_open(&disk).expect_err("missing");
        assert!(error.to_string().contains("the segment is missing"), "{error}");
    }
}

#[test]
fn a_fault_at_each_call_of_forgetting_loses_nothing_else() {
    for before in [2, 4, 5] {
        for n in 1.. {
            let mut n_met = 0;
            for failure in FAILURES {
                for how in ENDS {
                    let disk = SimDisk::new();
                    let mut journal = with_segments(&disk, 4);
                    let n_changes = disk.n_changes();
                    disk.fail_at(n, failure);
                    // Either way only what was given up may be gone.
                    let _: Result<u64, JournalError> = journal.forget(before);
                    let is_reached = n_changes + n <= disk.n_changes();
                    n_met += u64::from(is_reached);
                    end(&disk, how);
                    drop(journal);
                    let (mut journal, _) = open(&disk);
                    let all: Vec<String> = (1..=4).map(long).collect();
                    let left = all_records(&disk);
                    assert!(all.ends_with(&left), "{n} {failure:?} {how:?}");
                    assert!(5 - before <= left.len() as u64, "{n} {failure:?} {how:?}");
                    append(&mut journal, &["more"]);
                }
            }
            if n_met == 0 {
                assert!(5 < n, "each step was met");
                break;
            }
        }
    }
}

#[test]
fn what_was_forgotten_is_no_loss_to_a_salvage() {
    let disk = SimDisk::new();
    let mut journal = with_segments(&disk, 4);
    let forgotten = disk.contents("0000000000000001.segment").expect("there");
    journal.forget(3).expect("forget");
    drop(journal);
    // As when a power cut brings it back.
    disk.set_contents("0000000000000001.segment", &forgotten);
    let mut found = Vec::new();
    let salvaged = salvage::<JournalError>(&disk, |group| {
        found.push(group.position().sequence);
        Ok(())
    });
    let salvaged = salvaged.expect("salvage");
    assert_eq!((found, salvaged.damage, salvaged.missing), (vec![3, 4], vec![], vec![]));
}

fn renew(disk: &SimDisk, records: &[&str]) -> Result<(), JournalError> {
    let mut renewal = Renewal::begin(Claim::take(disk.shared())?, KIND, 2)?;
    for record in records {
        let mut group = Records::default();
        group.push(record.as_bytes());
        renewal.add(&group)?;
    }
    renewal.finish()
}

#[test]
fn a_damaged_journal_begins_anew() {
    let disk = SimDisk::new();
    drop(with_segments(&disk, 3));
    let mut bytes = disk.contents("0000000000000002.segment").expect("there");
    bytes[300] ^= 1;
    disk.set_contents("0000000000000002.segment", &bytes);
    assert!(matches!(try_open(&disk), Err(JournalError::Damaged { .. })));

    renew(&disk, &["one", "three"]).expect("renew");
    let (mut journal, recovery) = open(&disk);
    assert_eq!((recovery.n_segments, recovery.first_sequence), (1, 4));
    assert_eq!(segments(&disk), [4]);
    append(&mut journal, &["four"]);
    assert_eq!(all_records(&disk), ["one", "three", "four"]);
}

#[test]
fn a_journal_without_its_last_segments_begins_anew_behind_them() {
    let disk = SimDisk::new();
    drop(with_segments(&disk, 4));
    for number in 2..=4 {
        disk.take_away(&format!("{number:016x}.segment"));
    }
    assert!(matches!(try_open(&disk), Err(JournalError::Damaged { .. })));
    renew(&disk, &["one"]).expect("renew");
    let (mut journal, _) = open(&disk);
    assert_eq!(segments(&disk), [5]);
    append(&mut journal, &["two"]);
    drop(journal);
    drop(open(&disk));
    assert_eq!(all_records(&disk), ["one", "two"]);
}

#[test]
fn a_claim_lasts_over_more_than_one_step() {
    let disk = SimDisk::new();
    drop(with_segments(&disk, 1));
    let claim = Claim::take(disk.shared()).expect("free");
    let options = tollgate_journal::Options::for_testing(KIND);
    let journal = Journal::open_claimed(claim.clone(), options, &mut ()).expect("open");
    drop(journal);
    assert!(matches!(try_open(&disk), Err(JournalError::InUse { .. })));
    drop(claim);
    drop(open(&disk));
}

#[test]
fn a_fault_at_each_call_of_a_new_beginning_leaves_the_old_or_the_new() {
    let mut n_new = 0;
    for n in 1..=7 {
        for failure in FAILURES {
            for how in ENDS {
                let disk = SimDisk::new();
                drop(with_segments(&disk, 3));
                disk.fail_at(n, failure);
                let renewed = renew(&disk, &["one", "three"]);
                assert!(renewed.is_err(), "{n} {failure:?}");
                end(&disk, how);
                let (_journal, _) = open(&disk);
                let (groups, error) = read_groups(&disk);
                assert!(error.is_none(), "{error:?}");
                let old: Vec<String> = (1..=3).map(long).collect();
                let is_new = groups.concat() == ["one", "three"];
                assert!(is_new || groups.concat() == old, "{n} {failure:?} {how:?}: {groups:?}");
                n_new += u64::from(is_new);
            }
        }
    }
    assert!(0 < n_new, "some renames came through");
}

#[test]
fn a_journal_in_use_does_not_begin_anew() {
    let disk = SimDisk::new();
    let _journal = with_segments(&disk, 1);
    assert!(matches!(renew(&disk, &[]), Err(JournalError::InUse { .. })));
}

#[test]
fn the_length_is_that_of_what_is_left() {
    let disk = SimDisk::new();
    let mut journal = with_segments(&disk, 4);
    let all = journal.n_bytes();
    journal.forget(4).expect("forget");
    journal.seal().expect("nothing to seal");
    append(&mut journal, &["one"]);
    journal.seal().expect("seal");
    assert_eq!(segments(&disk), [4, 5, 6]);
    let left = journal.n_bytes();
    assert!(left < all / 2, "{left} of {all}");
    let measured = || Reader::open(disk.shared()).and_then(|reader| reader.n_bytes()).expect("measured");
    assert_eq!(measured(), left);
    drop(journal);
    assert_eq!(open(&disk).0.n_bytes(), left);
}

//! What is got out of a damaged ledger.

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_journal::{Journal, Kind, Records};
use tollgate_ledger::{Outcome, Page};
use tollgate_ledger_embedded::{
    EmbeddedLedger, Loss, Options, Retention, SalvageReport, salvage, salvage_disk, verify_disk,
};

use crate::common::{
    batch_with_credentials, chain, entries, exported, on_day, open, records, try_open, uuid,
};

const N_GROUPS: u64 = 24;

fn segment(number: u64) -> String {
    format!("{number:016x}.segment")
}

fn body(number: u64) -> String {
    batch_with_credentials("m", &uuid(number), &format!("{number}"))
}

/// A ledger of some segments, with a batch and a quarantined element in each group.
fn ledger() -> SimDisk {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    for number in 0..N_GROUPS {
        let posted = format!("[{},{number}]", body(number));
        ledger.writer.record(entries(&posted), on_day(number as i64)).expect("record");
    }
    ledger.writer.close().expect("close");
    assert!(disk.contents(&segment(3)).is_some());
    disk
}

#[track_caller]
fn salvaged(from: &SimDisk) -> (SimDisk, SalvageReport) {
    let to = SimDisk::new();
    let report = salvage_disk(&from.shared(), &to.shared(), Options::for_testing(), |_| {});
    (to, report.map_err(|error| chain(&error)).expect("salvage"))
}

#[test]
fn of_a_sound_ledger_everything_is_there_as_it_was() {
    let disk = ledger();
    let (to, report) = salvaged(&disk);
    assert!(report.is_whole() && report.damage.is_empty(), "{report:?}");
    assert_eq!((report.n_groups, report.n_batches, report.n_quarantined), (N_GROUPS, N_GROUPS, N_GROUPS));
    assert_eq!(records(&to), records(&disk), "with their times");
    let verified = verify_disk(&to.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
    assert_eq!(verified.index_sequence, Some(N_GROUPS), "the index is there too");
    assert!(to.contents("unfinished").is_none());
}

#[test]
fn what_retention_left_is_kept() {
    let disk = ledger();
    let retention = Some(Retention { days: 1, now: || on_day(99) });
    let options = Options { retention, ..Options::for_testing() };
    drop(EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open"));
    assert!(exported(&disk)[0] != body(0));
    let (to, report) = salvaged(&disk);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(records(&to), records(&disk));
    let (mut ledger, _) = open(&to);
    for number in 0..N_GROUPS {
        let again = entries(&format!("[{}]", body(number)));
        assert_eq!(ledger.writer.record(again, on_day(0)).expect("record"), [Outcome::Duplicate]);
    }
}

#[test]
fn a_lost_group_is_named_and_the_rest_is_kept() {
    let disk = ledger();
    let name = segment(2);
    let mut bytes = disk.contents(&name).expect("a file");
    // In the payload of its first group.
    bytes[230] ^= 1;
    disk.set_contents(&name, &bytes);
    let before = exported(&ledger());
    let (to, report) = salvaged(&disk);
    let [lost] = &report.lost_groups[..] else { panic!("{report:?}") };
    assert_eq!(lost.start(), lost.end());
    let [stretch] = &report.damage[..] else { panic!("{report:?}") };
    assert_eq!((stretch.loss, stretch.groups.as_ref()), (Loss::Records, Some(lost)));
    assert_eq!(stretch.n_records, Some(2));
    assert!(stretch.path.ends_with(&name), "{stretch:?}");
    assert!(!report.is_whole());
    let mut expected = before;
    expected.remove(*lost.start() as usize - 1);
    assert_eq!(exported(&to), expected);

    // The senders of what was lost may send it again; quarantined elements were counted anew.
    let (mut ledger, opened) = open(&to);
    assert_eq!((opened.counts.n_batches, opened.counts.n_quarantined), (N_GROUPS - 1, N_GROUPS - 1));
    let items = ledger.reader.quarantine(&Page { cursor: None, limit: 99 }).expect("a quarantine");
    assert!(items.iter().map(|item| item.id).eq(1..N_GROUPS));
    let received = items.iter().map(|item| item.received.clone());
    assert!(
        received.eq((0..N_GROUPS)
            .filter(|day| day + 1 != *lost.start())
            .map(|day| on_day(day as i64).to_string()))
    );
    let posted = format!("[{}]", (0..N_GROUPS).map(body).collect::<Vec<_>>().join(","));
    let outcomes = ledger.writer.record(entries(&posted), on_day(0)).expect("record");
    let n_new = outcomes.iter().filter(|outcome| **outcome == Outcome::Recorded).count();
    assert_eq!((n_new, outcomes.len() as u64), (1, N_GROUPS));
}

#[test]
fn a_segment_that_is_there_twice_counts_once() {
    let disk = ledger();
    let last = (1..).take_while(|&number| disk.contents(&segment(number)).is_some()).last().expect("some");
    disk.set_contents(&segment(last + 1), &disk.contents(&segment(2)).expect("a file"));
    let (to, report) = salvaged(&disk);
    assert!(report.is_whole(), "{report:?}");
    assert!(report.damage.iter().all(|stretch| stretch.loss == Loss::Nothing), "{report:?}");
    assert_eq!(records(&to), records(&ledger()));
}

#[test]
fn a_batch_that_was_recorded_twice_counts_once() {
    let disk = ledger();
    // Behind the last segment of the one comes what another recorded later: the batches of the one again.
    let other = SimDisk::new();
    let (mut ledger, _) = open(&other);
    for number in (100..100 + N_GROUPS + 4).chain(0..N_GROUPS) {
        let posted = format!("[{},{}]", body(number), body(200 + number));
        ledger.writer.record(entries(&posted), on_day(0)).expect("record");
    }
    drop(ledger);
    let before = exported(&disk);
    let segments = tollgate_journal::sealed_segments(&*disk.shared()).expect("segments");
    let next = segments.len() as u64 + 2;
    let sealed = tollgate_journal::sealed_segments(&*other.shared()).expect("segments");
    let later = sealed.iter().filter(|segment| N_GROUPS + 4 < segment.first_sequence);
    for (next, later) in (next..).zip(later) {
        disk.set_contents(&segment(next), &other.contents(&segment(later.number)).expect("a file"));
    }
    let (to, report) = salvaged(&disk);
    assert!(0 < report.n_repeated, "{report:?}");
    assert!(!report.is_whole(), "the groups between the two are nowhere");
    let found = exported(&to);
    let distinct: std::collections::BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), found.len());
    assert_eq!(found[..before.len()], before);
    assert_eq!(report.n_batches + report.n_quarantined + report.n_repeated, {
        let n_later = report.n_groups - N_GROUPS;
        2 * (N_GROUPS + n_later)
    });
    verify_disk(&to.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

/// The record of that batch.
#[track_caller]
fn record_of(body: &str) -> Vec<u8> {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    ledger.writer.record(entries(&format!("[{body}]")), on_day(0)).expect("record");
    records(&disk).remove(0)
}

#[test]
fn what_no_ledger_writes_is_given_up_record_by_record() {
    let disk = SimDisk::new();
    let options = tollgate_journal::Options::for_testing(Kind::new("ledger"));
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let (one, two) = (record_of(&body(1)), record_of(&body(2)));
    let other = record_of(&body(1).replace("\"value\":\"1\"", "\"value\":\"7\""));
    let of_the_future = [&[9][..], &one[1..]].concat();
    for group in [&[&one[..], &one][..], &[&other, &two], &[&of_the_future]] {
        let mut records = Records::default();
        group.iter().for_each(|record| records.push(record));
        journal.append(&records).expect("append");
    }
    drop(journal);
    let (to, report) = salvaged(&disk);
    assert_eq!((report.n_batches, report.n_repeated), (2, 1), "{report:?}");
    assert_eq!(exported(&to), [body(1), body(2)], "the first stands");
    assert!(!report.is_whole() && report.lost_groups.is_empty());
    let [conflict, unknown] = &report.damage[..] else { panic!("{report:?}") };
    assert!(conflict.why.starts_with("record 0: another batch with its id"), "{conflict:?}");
    assert!(unknown.why.contains("it has kind 9"), "{unknown:?}");
    for stretch in [conflict, unknown] {
        assert_eq!((stretch.loss, stretch.n_records), (Loss::Records, Some(1)));
    }
}

#[test]
fn a_missing_segment_is_named() {
    let disk = ledger();
    disk.take_away(&segment(2));
    let (to, report) = salvaged(&disk);
    assert_eq!(report.lost_groups.len(), 1, "{report:?}");
    let n_lost = report.lost_groups[0].clone().count() as u64;
    assert_eq!((report.n_batches, exported(&to).len() as u64), (N_GROUPS - n_lost, N_GROUPS - n_lost));
    assert!(
        report
            .damage
            .iter()
            .any(|stretch| stretch.loss == Loss::Records && stretch.path.ends_with(segment(2)))
    );
}

#[test]
fn the_last_segments_are_missed_because_the_attestation_names_them() {
    let disk = ledger();
    let last = (1..).take_while(|&number| disk.contents(&segment(number)).is_some()).last().expect("some");
    disk.take_away(&segment(last));
    let (_, report) = salvaged(&disk);
    assert!(!report.is_whole());
    assert!(report.damage.iter().any(|stretch| stretch.loss == Loss::Records), "{report:?}");
}

#[test]
fn an_unfinished_last_group_is_no_loss() {
    let disk = ledger();
    let last = (1..).take_while(|&number| disk.contents(&segment(number)).is_some()).last().expect("some");
    let mut bytes = disk.contents(&segment(last)).expect("a file");
    bytes.extend_from_slice(&[7; 40]);
    disk.set_contents(&segment(last), &bytes);
    let (to, report) = salvaged(&disk);
    assert!(report.is_whole(), "{report:?}");
    assert!(matches!(&report.damage[..], [stretch] if stretch.loss == Loss::Unfinished), "{report:?}");
    assert_eq!(records(&to), records(&ledger()));
}

#[test]
fn a_file_without_anything_intact_is_a_loss_though_nobody_knows_of_what() {
    let disk = ledger();
    let last = (1..).take_while(|&number| disk.contents(&segment(number)).is_some()).last().expect("some");
    for length in [0, 100] {
        disk.set_contents(&segment(last), &vec![0; length]);
        disk.take_away("attested");
        let (_, report) = salvaged(&disk);
        assert!(!report.is_whole(), "{report:?}");
    }
}

#[test]
fn whatever_byte_is_flipped_nothing_is_wrong_doubled_or_lost_in_silence() {
    let disk = ledger();
    let (before, all) = (exported(&disk), records(&disk));
    for number in 1..=3 {
        let name = segment(number);
        let bytes = disk.contents(&name).expect("a file");
        for byte in (0..bytes.len()).step_by(13) {
            let mut flipped = bytes.clone();
            flipped[byte] ^= 1 << (byte % 8);
            disk.set_contents(&name, &flipped);
            let (to, report) = salvaged(&disk);
            let found = exported(&to);
            let mut expected = before.iter();
            let are_in_order = found.iter().all(|body| expected.any(|expected| expected == body));
            assert!(are_in_order, "byte {byte} of {name}: {report:?}");
            assert_eq!(report.is_whole(), records(&to) == all, "byte {byte} of {name}: {report:?}");
            assert!(!report.damage.is_empty(), "byte {byte} of {name} is not noticed");
            verify_disk(&to.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
        }
        disk.set_contents(&name, &bytes);
    }
}

#[test]
fn a_salvage_that_was_cut_short_is_no_ledger() {
    let disk = ledger();
    let all = records(&disk);
    for n in (1..).step_by(3) {
        let to = SimDisk::new();
        to.fail_at(n, Failure::Death);
        let report = salvage_disk(&disk.shared(), &to.shared(), Options::for_testing(), |_| {});
        let was_cut = to.is_dead();
        to.kill();
        match try_open(&to) {
            Ok((_, opened)) => {
                // Everything, or the folder was still empty.
                assert!((opened.is_new && n <= 1) || records(&to) == all, "after call {n}");
            }
            Err(error) => {
                assert!(report.is_err(), "after call {n}");
                assert!(chain(&error).contains("was cut short"), "{}", chain(&error));
            }
        }
        if !was_cut {
            assert!(report.expect("salvage").is_whole());
            assert!(50 < n, "only {n} calls");
            break;
        }
    }
}

#[test]
fn only_a_new_or_empty_folder_is_written_to() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("ledger");
    drop(EmbeddedLedger::open(&dir, Options::for_testing()).expect("open"));
    let files = || std::fs::read_dir(&dir).expect("a folder").count();
    let n_files = files();
    let error = salvage(&dir, &dir, Options::for_testing(), |_| {}).expect_err("itself");
    assert!(chain(&error).contains("choose a new or empty folder"), "{}", chain(&error));
    assert_eq!(files(), n_files);
    let target = parent.path().join("target");
    let error = salvage(parent.path(), &target, Options::for_testing(), |_| {}).expect_err("no ledger");
    assert!(chain(&error).ends_with("it holds no segment"), "{}", chain(&error));
    assert!(!target.exists());
}

//! What retention drops, and what it must not.

use std::thread;
use std::time::{Duration, Instant};

use tollgate_journal::sealed_segments;
use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_ledger::{BodyDropped, Ledger, Outcome, Page, Remedy};
use tollgate_ledger_embedded::{EmbeddedLedger, Export, Options, Retention, UpkeepMode, verify_disk};
use tollgate_rules::{BatchId, Digest};

use crate::common::{
    batch, batch_with_credentials, chain, entries, exported, fixture, journal_of, on_day, open, records, uuid,
};

const N_DAYS: u64 = 12;
const BATCHES_A_DAY: u64 = 6;

fn body(number: u64) -> String {
    batch_with_credentials("m", &uuid(number), &format!("{number}.5"))
}

fn id(number: u64) -> BatchId {
    BatchId { model_uuid: "m".into(), batch_uuid: uuid(number).into() }
}

/// A ledger of twelve days, with a batch without credentials and an element in quarantine on each.
fn ledger() -> SimDisk {
    let disk = SimDisk::new();
    let mut ledger = open_with(&disk, Options { retention: None, ..five_days() });
    for day in 0..N_DAYS {
        let bodies: Vec<String> = (0..BATCHES_A_DAY).map(|n| body(day * BATCHES_A_DAY + n)).collect();
        let posted = format!("[{},{},{day}]", bodies.join(","), batch("bare", &uuid(day), "1"));
        ledger.writer.record(entries(&posted), on_day(day as i64)).expect("record");
    }
    ledger.writer.close().expect("close");
    disk
}

/// Keeps batches whole for five days, as of day 10.
fn five_days() -> Options {
    let retention = Retention { days: 5, now: || on_day(10) };
    Options { retention: Some(retention), compression: None, ..Options::for_testing() }
}

#[track_caller]
fn open_with(disk: &SimDisk, options: Options) -> Ledger {
    EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).map_err(|error| chain(&error)).expect("open").0
}

fn n_compacted(disk: &SimDisk) -> usize {
    let sealed = sealed_segments(&*disk.shared()).expect("segments");
    sealed.iter().filter(|segment| segment.is_compacted).count()
}

/// Whether everything that was sent is known for what it was.
#[track_caller]
fn check_memory(ledger: &mut Ledger) {
    for number in 0..N_DAYS * BATCHES_A_DAY {
        let again = entries(&format!("[{}]", body(number)));
        assert_eq!(ledger.writer.record(again, on_day(20)).expect("record"), [Outcome::Duplicate]);
        // Without its credentials it is another batch, also where the journal has no more of it than that.
        let bare = entries(&format!("[{}]", batch("m", &uuid(number), &format!("{number}.5"))));
        let outcomes = ledger.writer.record(bare, on_day(20)).expect("record");
        let recorded = Digest::of(body(number).as_bytes());
        assert!(
            matches!(outcomes[..], [Outcome::Conflict { recorded: found, .. }] if found == recorded),
            "{outcomes:?}"
        );
    }
}

#[test]
fn old_batches_lose_their_credentials_and_nothing_else() {
    let disk = ledger();
    let (before, used_bytes) = (exported(&disk), disk.used_bytes());
    let reader = open(&disk).0.reader;
    let page = Page { cursor: None, limit: 99 };
    let expected = (
        reader.counts(),
        reader.models(&page).expect("models"),
        reader.quarantine(&page).expect("a quarantine"),
    );
    drop(reader);

    let mut ledger = open_with(&disk, five_days());
    let n_segments = sealed_segments(&*disk.shared()).expect("segments").len();
    let n_compacted = n_compacted(&disk);
    assert!((1..n_segments).contains(&n_compacted), "{n_compacted} of {n_segments}");
    assert!(disk.used_bytes() < used_bytes, "{} of {used_bytes} bytes", disk.used_bytes());

    let mut export = Export::of_disk(disk.shared()).expect("export");
    let after: Vec<String> =
        export.by_ref().map(|body| String::from_utf8(body.expect("a body")).expect("JSON")).collect();
    let mut n_reduced = 0;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        let secret = "c2VjcmV0".repeat(20);
        let bare = before.replace(&format!("\"{secret}\""), "null");
        if before != after {
            assert_eq!(*after, bare);
            n_reduced += 1;
        }
    }
    assert_eq!(export.n_reduced(), n_reduced);
    // What was received before day 5 may go, unless a younger batch is in the same file.
    assert!(0 < n_reduced && n_reduced <= 5 * BATCHES_A_DAY, "{n_reduced} are reduced");
    let is_reduced = |number: u64| !after.contains(&body(number));
    assert!((5 * BATCHES_A_DAY..N_DAYS * BATCHES_A_DAY).all(|number| !is_reduced(number)));

    for number in 0..N_DAYS * BATCHES_A_DAY {
        let found = ledger.reader.batch(&id(number));
        if is_reduced(number) {
            let error = found.expect_err("its body is gone");
            let source = std::error::Error::source(&error).expect("a cause");
            assert!(source.is::<BodyDropped>(), "{}", chain(&error));
        } else {
            assert_eq!(found.expect("a batch"), Some(body(number).into_bytes()));
        }
    }
    let found = (
        ledger.reader.counts(),
        ledger.reader.models(&page).expect("models"),
        ledger.reader.quarantine(&page),
    );
    assert_eq!((found.0, found.1, found.2.expect("a quarantine")), expected);
    let verified = verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
    assert_eq!(verified.counts, expected.0);
    assert_eq!(
        verified.index_sequence,
        Some(N_DAYS),
        "the index of the whole batches is equal to one of what is left"
    );
    check_memory(&mut ledger);
}

#[test]
fn an_index_made_from_what_is_left_is_the_same() {
    let disk = ledger();
    let expected = open(&disk).0.reader.models(&Page { cursor: None, limit: 99 }).expect("models");
    drop(open_with(&disk, five_days()));
    let rebuilt = journal_of(&disk);
    let (mut ledger, report) = open(&rebuilt);
    assert_eq!(report.counts.n_batches, N_DAYS * (BATCHES_A_DAY + 1));
    assert_eq!(ledger.reader.models(&Page { cursor: None, limit: 99 }).expect("models"), expected);
    check_memory(&mut ledger);
    drop(ledger);
    verify_disk(&rebuilt.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

#[test]
fn a_second_round_finds_nothing_to_do() {
    let disk = ledger();
    drop(open_with(&disk, five_days()));
    let (once, n_compacted_once) = (records(&disk), n_compacted(&disk));
    let n_changes = disk.n_changes();
    let none = Options { retention: None, ..five_days() };
    drop(open_with(&disk, none));
    let n_changes_of_opening = disk.n_changes() - n_changes;
    let n_changes = disk.n_changes();
    drop(open_with(&disk, five_days()));
    assert_eq!(disk.n_changes() - n_changes, n_changes_of_opening);
    assert_eq!((records(&disk), n_compacted(&disk)), (once, n_compacted_once));
}

#[test]
fn a_round_that_a_power_cut_ends_anywhere_loses_nothing() {
    let disk = ledger();
    let bare = |body: &String| body.replace(&format!("\"{}\"", "c2VjcmV0".repeat(20)), "null");
    let expected: Vec<String> = exported(&disk).iter().map(bare).collect();
    for n in 1.. {
        let mut was_cut = false;
        for seed in 0..4 {
            let disk = disk.copy();
            disk.fail_at(n, Failure::Death);
            drop(EmbeddedLedger::open_disk(disk.shared(), five_days(), |_| {}));
            was_cut |= disk.is_dead();
            match seed {
                0 => disk.kill(),
                seed => disk.cut_power(seed),
            }
            let mut ledger = open_with(&disk, Options { retention: None, ..five_days() });
            assert!(disk.contents("new-compacted").is_none());
            let found: Vec<String> = exported(&disk).iter().map(bare).collect();
            assert!(found == expected, "call {n}, seed {seed}: {} batches", found.len());
            let again = entries(&format!("[{},{}]", body(0), body(40)));
            let outcomes = ledger.writer.record(again, on_day(20)).expect("record");
            assert_eq!(outcomes, [Outcome::Duplicate; 2], "call {n}, seed {seed}");
            verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
        }
        if !was_cut {
            assert!(20 < n, "only {n} calls");
            break;
        }
    }
}

#[test]
fn on_a_full_disk_it_is_what_makes_room() {
    let disk = ledger();
    let full = Options { segment_bytes_max: 8 << 10, free_bytes_min: 9 << 10, ..five_days() };
    disk.limit(Some(disk.used_bytes() + full.free_bytes_min));
    let new = || entries(&format!("[{}]", body(999)));
    let mut ledger = open_with(&disk, Options { retention: None, ..full });
    let error = ledger.writer.record(new(), on_day(20)).expect_err("the reserve is not for recording");
    assert_eq!(error.remedy(), Remedy::FreeSpace, "{}", chain(&error));
    drop(ledger);
    let mut ledger = open_with(&disk, full);
    assert!(1 <= n_compacted(&disk));
    assert_eq!(ledger.writer.record(new(), on_day(20)).expect("there is room"), [Outcome::Recorded]);
}

#[test]
fn a_younger_batch_keeps_its_segment_whole() {
    let disk = SimDisk::new();
    let mut ledger = open_with(&disk, Options { retention: None, ..five_days() });
    // The clock was set back behind the second.
    for (number, day) in [0, 30].into_iter().chain([0; 60]).enumerate() {
        let posted = format!("[{}]", body(number as u64));
        ledger.writer.record(entries(&posted), on_day(day)).expect("record");
    }
    drop(ledger);
    drop(open_with(&disk, five_days()));
    let sealed = sealed_segments(&*disk.shared()).expect("segments");
    assert!(2 < sealed.len(), "{sealed:?}");
    let compacted: Vec<bool> = sealed.iter().map(|segment| segment.is_compacted).collect();
    assert_eq!(compacted, [vec![false], vec![true; sealed.len() - 1]].concat());
}

#[test]
fn damage_in_an_old_segment_is_left_for_who_repairs_it_and_the_next_one_is_reduced() {
    let disk = ledger();
    let name = "0000000000000001.segment";
    let mut bytes = disk.contents(name).expect("a file");
    bytes[200] ^= 1;
    disk.set_contents(name, &bytes);
    // The index covers what is damaged, so that the ledger opens.
    let ledger = open_with(&disk, five_days());
    assert_eq!(ledger.reader.counts().n_batches, N_DAYS * (BATCHES_A_DAY + 1));
    assert_eq!(disk.contents(name).as_deref(), Some(&bytes[..]));
    assert!(1 <= n_compacted(&disk));
}

#[test]
fn a_thread_reduces_beside_the_recording_and_ends_with_the_ledger() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("ledger");
    let options = Options { upkeep: UpkeepMode::Threads, ..five_days() };
    let (mut ledger, _) = EmbeddedLedger::open(&dir, Options { retention: None, ..options }).expect("open");
    for number in 0..80 {
        let posted = format!("[{}]", body(number));
        ledger.writer.record(entries(&posted), on_day(0)).expect("record");
    }
    ledger.writer.close().expect("close");

    let (mut ledger, _) = EmbeddedLedger::open(&dir, options).expect("open");
    let disk = tollgate_journal::RealDisk::open(&dir).expect("a folder");
    let started = Instant::now();
    let mut number = 80;
    while !sealed_segments(&disk).expect("segments")[..5].iter().all(|segment| segment.is_compacted) {
        let posted = format!("[{}]", body(number));
        assert_eq!(ledger.writer.record(entries(&posted), on_day(10)).expect("record"), [Outcome::Recorded]);
        assert_eq!(
            ledger.reader.batch(&id(number)).expect("a batch"),
            Some(body(number).into_bytes()),
            "what is recorded meanwhile can be read"
        );
        number += 1;
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is reduced");
        thread::yield_now();
    }
    ledger.writer.close().expect("close");
    let (ledger, _) = EmbeddedLedger::open(&dir, options).expect("nobody has it any more");
    assert_eq!(ledger.reader.counts().n_batches, number);
}

/// Four days, three apart, of which the first two were reduced.
#[test]
fn reduced_batches_of_version_1_are_read_and_known() {
    let disk = fixture("version-1-reduced");
    let (mut ledger, report) = open(&disk);
    assert_eq!((report.counts.n_batches, report.counts.n_quarantined), (16, 4));
    let mut export = Export::of_disk(disk.shared()).expect("export");
    let found: Vec<_> = export.by_ref().map(|body| body.expect("a body")).collect();
    assert_eq!(export.n_reduced(), 6);
    for day in 0..4 {
        for number in day * 3..day * 3 + 3 {
            let expected =
                if day < 2 { batch("m", &uuid(number), &format!("{number}.5")) } else { body(number) };
            assert_eq!(found[(number + day) as usize], expected.into_bytes());
            let again = entries(&format!("[{}]", body(number)));
            assert_eq!(ledger.writer.record(again, on_day(20)).expect("record"), [Outcome::Duplicate]);
        }
    }
    verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

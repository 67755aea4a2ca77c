//! Zeros behind the last group, where the next ones go.

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Journal, JournalError, Options, Reader, Recovery, backup, salvage, verify};

use crate::common::{KIND, append, read_groups};

const ROOM_BYTES: usize = 1_000;

const NOTHING: &str = "nothing that a journal writes begins here";

/// The file that says which group is durable.
const ATTESTED: &str = "attested";

fn options() -> Options {
    let room_bytes = u32::try_from(ROOM_BYTES).expect("a small number");
    Options { room_bytes, segment_bytes_max: 10_000, ..Options::for_testing(KIND) }
}

fn segment(number: u64) -> String {
    format!("{number:016x}.segment")
}

#[track_caller]
fn open(disk: &SimDisk) -> (Journal, Recovery) {
    Journal::open(disk.shared(), options()).expect("open")
}

/// A journal that died behind three groups, and where in its first file the last of them begins and ends.
fn died() -> (SimDisk, usize, usize) {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    append(&mut journal, &["two"]);
    let start = append(&mut journal, &["three"]).offset as usize;
    let end = start + 80 + 4 + "three".len();
    drop(journal);
    (disk.copy(), start, end)
}

/// Opens, goes on, and finds what was there and what was added.
#[track_caller]
fn check_goes_on(disk: &SimDisk, expected: &[&str], dropped_bytes: Option<u64>) {
    let (mut journal, recovery) = open(disk);
    assert_eq!(recovery.dropped.map(|tail| tail.bytes), dropped_bytes);
    append(&mut journal, &["more"]);
    journal.close().expect("close");
    let (groups, error) = read_groups(disk);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(groups.concat(), [expected, &["more"]].concat());
}

#[test]
fn small_groups_make_the_file_longer_than_they_are_and_large_ones_do_not() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let length = |disk: &SimDisk| disk.contents(&segment(1)).expect("a file").len();
    append(&mut journal, &["small"]);
    assert_eq!(length(&disk), ROOM_BYTES);
    append(&mut journal, &["small"]);
    assert_eq!(length(&disk), ROOM_BYTES, "there was room");
    assert_eq!(journal.n_bytes() as usize, ROOM_BYTES);
    let large = append(&mut journal, &["x".repeat(ROOM_BYTES)]);
    assert_eq!(length(&disk), large.offset as usize + 80 + 4 + ROOM_BYTES);
    append(&mut journal, &["small"]);
    assert_eq!(length(&disk), 2 * ROOM_BYTES);
}

#[test]
fn a_segment_ends_with_its_last_group_when_it_is_sealed() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let last = append(&mut journal, &["last"]);
    journal.seal().expect("seal");
    assert_eq!(disk.contents(&segment(1)).expect("a file").len(), last.offset as usize + 80 + 4 + 4);
    append(&mut journal, &["first"]);
    let (groups, error) = read_groups(&disk);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(groups.concat(), ["last", "first"]);
    // As the next segment says.
    drop(journal);
    check_goes_on(&disk.copy(), &["last", "first"], None);
}

#[test]
fn a_journal_that_is_closed_ends_with_its_last_group() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    let last = append(&mut journal, &["last"]);
    journal.close().expect("close");
    assert_eq!(disk.contents(&segment(1)).expect("a file").len(), last.offset as usize + 80 + 4 + 4);
    check_goes_on(&disk, &["last"], None);
}

#[test]
fn a_segment_is_cut_for_good_before_the_next_one_is_there() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    let before = disk.n_changes();
    journal.seal().expect("seal");
    append(&mut journal, &["two"]);
    let after = disk.n_changes();
    drop(journal);
    for n_kept in before..=after {
        let cut = disk.copy();
        cut.cut_power(n_kept);
        let (groups, error) = read_groups(&cut);
        assert!(error.is_none(), "power lost after change {n_kept}: {error:?}");
        assert_eq!(groups.concat()[0], "one", "power lost after change {n_kept}");
        let (_journal, _) = open(&cut);
    }
}

#[test]
fn room_is_neither_damage_nor_an_unfinished_group() {
    let (disk, ..) = died();
    let verified = verify(&disk.shared(), |_, _| {}).expect("sound");
    assert_eq!((verified.n_groups, verified.tail), (3, None));
    let salvaged = salvage(&*disk.shared(), |_| Ok::<_, JournalError>(())).expect("read");
    assert_eq!((salvaged.n_groups, &salvaged.damage[..], &salvaged.missing[..]), (3, &[][..], &[][..]));
    let reader = Reader::open(disk.shared()).expect("open");
    assert_eq!(reader.group(3).expect("found").position().sequence, 3);
    for sequence in [4, 5] {
        let error = reader.group(sequence).expect_err("nobody wrote it");
        assert!(matches!(error, JournalError::NoGroup { .. }), "group {sequence}: {error}");
    }
    let copy = SimDisk::new();
    assert_eq!(backup(&disk.shared(), &copy.shared(), |_| {}).expect("copy").n_groups, 3);
    check_goes_on(&copy, &["one", "two", "three"], None);
    check_goes_on(&disk, &["one", "two", "three"], None);
}

#[test]
fn what_a_crash_left_in_the_room_is_dropped() {
    let (intact, _, end) = died();
    let bytes = intact.contents(&segment(1)).expect("a file");
    for at in [end, end + 1, end + 100, ROOM_BYTES - 1] {
        let disk = intact.copy();
        let mut bytes = bytes.clone();
        bytes[at] = 1;
        disk.set_contents(&segment(1), &bytes);
        let dropped_bytes = (ROOM_BYTES - end) as u64;
        check_goes_on(&disk, &["one", "two", "three"], Some(dropped_bytes));
    }
}

#[test]
fn zeros_where_a_durable_group_was_are_damage() {
    let (disk, start, _) = died();
    let file = segment(1);
    let mut bytes = disk.contents(&file).expect("a file");
    bytes[start..].fill(0);
    disk.set_contents(&file, &bytes);
    let unattested = disk.copy();
    let (groups, error) = read_groups(&disk);
    assert_eq!(groups.concat(), ["one", "two"]);
    let error = error.expect("the last group is attested").to_string();
    assert_eq!(error, format!("read sim/{file} at offset {start}: {NOTHING}"));
    // Without the attestation nobody can know: a group that was never finished looks like this.
    unattested.take_away(ATTESTED);
    check_goes_on(&unattested, &["one", "two"], None);
}

#[test]
fn zeros_at_the_end_of_a_sealed_segment_are_damage_in_their_place() {
    let (disk, start, _) = died();
    let (mut journal, _) = open(&disk);
    journal.seal().expect("seal");
    append(&mut journal, &["four"]);
    journal.close().expect("close");
    let file = segment(1);
    let mut bytes = disk.contents(&file).expect("a file");
    bytes[start..].fill(0);
    disk.set_contents(&file, &bytes);
    let (groups, error) = read_groups(&disk);
    assert_eq!(groups.concat(), ["one", "two"]);
    assert_eq!(error.expect("damage").to_string(), format!("read sim/{file} at offset {start}: {NOTHING}"));
    let error = Reader::open(disk.shared()).expect("open").group(3).expect_err("damage");
    assert_eq!(error.to_string(), format!("read sim/{file} at offset {start}: {NOTHING}"));
    let salvaged = salvage(&*disk.shared(), |_| Ok::<_, JournalError>(())).expect("read");
    assert_eq!((salvaged.n_groups, &salvaged.missing[..]), (3, &[3..=3][..]));
    assert_eq!(salvaged.damage.len(), 1, "{:?}", salvaged.damage);
}

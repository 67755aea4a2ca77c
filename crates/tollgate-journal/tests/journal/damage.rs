//! What is damaged is never given as intact, and what was durable is never silently gone.

use std::ops::Range;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_journal::{
    Group, Journal, JournalError, Keep, Options, Progress, Reader, RecordPosition, Recovery, Tail, Visitor,
    verify,
};

use crate::common::{
    KIND, all_records, append, compressing, open, read_groups, try_append, try_append_packed, try_open,
};

const ATTESTED: &str = "attested";

const N_GROUPS: usize = 14;
const N_SEGMENTS: u64 = 3;

fn segment(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// A closed journal of some segments; the last one has a few groups.
fn journal() -> SimDisk {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    for group in 0..N_GROUPS {
        append(
            &mut journal,
            &[format!("record {group}a"), format!("record {group}b {}", "x".repeat(group * 5))],
        );
    }
    assert_eq!(segment_of_end(&journal), N_SEGMENTS);
    journal.close().expect("close");
    disk
}

/// A journal as [`journal`], of compressed groups.
fn compressed_journal() -> SimDisk {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_max: 1400, ..compressing() };
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    for group in 0..N_GROUPS {
        let records: Vec<String> =
            (0..20).map(|record| format!("record {group}.{record}, {}", "x".repeat(group * 5))).collect();
        // Every second one in parts that were compressed before.
        let appended = match group % 2 {
            0 => try_append(&mut journal, &records),
            _ => try_append_packed(&mut journal, &records, 10),
        };
        assert!(appended.expect("append").segment <= N_SEGMENTS);
    }
    assert!(disk.used_bytes() < 5000, "{} bytes", disk.used_bytes());
    assert_eq!(segment_of_end(&journal), N_SEGMENTS);
    journal.close().expect("close");
    disk
}

/// A journal as [`journal`], of which the sealed segments are compacted: in each group one record stays as it was.
fn compacted_journal() -> SimDisk {
    let disk = journal();
    let (journal, _) = open(&disk);
    for number in 1..N_SEGMENTS {
        let replace = |position: RecordPosition, _: &[u8], buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(b"small");
            if position.index == 0 { Keep::Whole } else { Keep::Replaced }
        };
        journal.compactor().compact(number, replace).expect("compact");
    }
    journal.close().expect("close");
    disk.copy()
}

#[test]
fn a_compacted_segment_is_known_to_have_been_followed() {
    let disk = compacted_journal();
    disk.take_away(ATTESTED);
    disk.take_away(&segment(N_SEGMENTS));
    let text = check_refused(&disk);
    assert!(
        text.starts_with(&format!("read sim/{} at offset 0: the segment is missing", segment(N_SEGMENTS)))
    );
}

/// Makes the second segment of a journal a byte shorter, then a byte longer.
#[track_caller]
fn check_another_length_is_named(make: fn() -> SimDisk) {
    for change in [-1_isize, 1] {
        let disk = make();
        let mut bytes = disk.contents(&segment(2)).expect("a file");
        let length = bytes.len();
        bytes.resize(length.checked_add_signed(change).expect("long enough"), 0);
        disk.set_contents(&segment(2), &bytes);
        let text = check_refused(&disk);
        let expected = format!("the file has {} bytes, and had {length} when it was sealed", bytes.len());
        assert!(text.ends_with(&expected), "{text}");
    }
}

#[test]
fn a_compacted_segment_of_another_length_is_named() {
    check_another_length_is_named(compacted_journal);
}

/// The segment that holds the last group.
#[track_caller]
fn segment_of_end(journal: &Journal) -> u64 {
    journal.reader().group(journal.end().sequence).expect("the last group").position().segment
}

/// Every file of it.
fn names() -> impl Iterator<Item = String> {
    (1..=N_SEGMENTS).map(segment).chain([ATTESTED.to_owned()])
}

/// Opens a damaged journal, which must not change it, and gives the text of the error.
#[track_caller]
fn check_refused(disk: &SimDisk) -> String {
    let n_changes = disk.n_changes();
    let error = try_open(disk).expect_err("damage");
    assert_eq!(disk.n_changes(), n_changes, "a damaged journal was changed");
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    assert!(verify(&disk.shared(), |_, _| {}).is_err());
    error.to_string()
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless() {
    for intact in [journal(), compressed_journal(), compacted_journal()] {
        let n_noticed = check_flips(&intact).unwrap_or_else(|violation| panic!("{violation}"));
        println!("{n_noticed} flips noticed");
    }
}

fn check_flips(intact: &SimDisk) -> Result<usize, String> {
    let (groups, _) = read_groups(intact);
    let by_sequence = |disk: &SimDisk, sequence: u64| {
        let group = Reader::open(disk.shared())?.group(sequence)?;
        let text = |record: &[u8]| String::from_utf8(record.to_vec()).expect("text");
        Ok::<Vec<String>, JournalError>(group.records().map(|(_, record)| text(record)).collect())
    };
    let mut n_noticed = 0;
    for name in names() {
        let bytes = intact.contents(&name).expect("a file");
        for bit in 0..bytes.len() * 8 {
            let disk = intact.copy();
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.set_contents(&name, &flipped);
            let opened = try_open(&disk).map(|_| ());
            let (read, error) = read_groups(&disk);
            assert!(groups.starts_with(&read), "{name}, bit {bit}: a wrong record");
            let sequence = 1 + bit % N_GROUPS;
            match by_sequence(&disk, sequence as u64) {
                Ok(group) => assert_eq!(group, groups[sequence - 1], "{name}, bit {bit}"),
                Err(JournalError::Damaged { .. }) => {}
                Err(error) => return Err(format!("{name}, bit {bit}: {error}")),
            }
            match opened.err().or(error) {
                Some(JournalError::Damaged { path, .. }) => {
                    assert_eq!(disk.n_changes(), 0, "{name}, bit {bit}: a damaged journal was changed");
                    n_noticed += 1;
                    assert!(path.ends_with(&name) && name != ATTESTED, "{name}, bit {bit}: blamed {path:?}");
                }
                Some(error) => return Err(format!("{name}, bit {bit}: {error}")),
                None => assert!(read == groups && name == ATTESTED, "{name}, bit {bit}: a silent absence"),
            }
        }
    }
    Ok(n_noticed)
}

/// The intact journal without what states that its last group was durable, as a power cut can leave it.
fn unattested() -> SimDisk {
    let disk = journal();
    disk.take_away(ATTESTED);
    disk
}

#[test]
fn a_flipped_bit_before_the_last_group_is_noticed_without_an_attestation() {
    let intact = unattested();
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    for byte in 0..last_group(&bytes) {
        let disk = intact.copy();
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        disk.set_contents(&name, &flipped);
        let text = check_refused(&disk);
        assert!(text.starts_with(&format!("read sim/{name} at offset ")), "{text}");
    }
}

/// Where the last group of the last segment begins.
fn last_group(bytes: &[u8]) -> usize {
    bytes.len() - (80 + 4 + "record 13a".len() + 4 + "record 13b ".len() + 13 * 5)
}

#[test]
fn a_flipped_bit_in_a_last_group_that_is_not_attested_drops_that_group_alone() {
    let intact = unattested();
    let (groups, _) = read_groups(&intact);
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    let last_group = last_group(&bytes);
    for byte in last_group..bytes.len() {
        let disk = intact.copy();
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        disk.set_contents(&name, &flipped);
        let (_journal, recovery) = open(&disk);
        let dropped = recovery.dropped.expect("the last group");
        assert_eq!((dropped.offset, dropped.bytes), (last_group as u64, (bytes.len() - last_group) as u64));
        assert_eq!(read_groups(&disk).0, groups[..groups.len() - 1]);
    }
}

#[test]
fn a_last_segment_cut_at_any_length_gives_all_whole_groups() {
    check_cuts(&unattested());
    let compressed = compressed_journal();
    compressed.take_away(ATTESTED);
    check_cuts(&compressed);
}

#[track_caller]
fn check_cuts(intact: &SimDisk) {
    let (groups, _) = read_groups(intact);
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    let mut n_groups_before = 0;
    for length in 0..=bytes.len() {
        let disk = intact.copy();
        disk.set_contents(&name, &bytes[..length]);
        if length < 128 {
            // Its header was durable before the file had its name.
            let text = check_refused(&disk);
            assert_eq!(text, format!("read sim/{name} at offset 0: the file ends inside of it"));
            continue;
        }
        let (journal, Recovery { dropped, .. }) = open(&disk);
        let n_bytes_dropped = dropped.map_or(0, |tail| tail.bytes);
        let n_bytes_kept = disk.contents(&name).expect("a file").len() as u64;
        assert_eq!(n_bytes_kept + n_bytes_dropped, length as u64);
        drop(journal);
        let (read, error) = read_groups(&disk);
        assert!(error.is_none() && groups.starts_with(&read));
        assert!(n_groups_before <= read.len());
        n_groups_before = read.len();
        // What was dropped is gone for good: the journal goes on as if it had never been.
        let (mut journal, recovery) = open(&disk);
        assert_eq!(recovery.dropped, None);
        append(&mut journal, &["next"]);
        assert_eq!(all_records(&disk).last().map(String::as_str), Some("next"));
    }
    assert_eq!(n_groups_before, groups.len());
}

#[test]
fn an_attested_last_group_is_missed_at_any_cut() {
    let intact = journal();
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    for length in 0..bytes.len() {
        let disk = intact.copy();
        disk.set_contents(&name, &bytes[..length]);
        let text = check_refused(&disk);
        assert!(text.starts_with(&format!("read sim/{name} at offset ")), "{text}");
    }
}

#[test]
fn strange_bytes_behind_the_last_group_are_dropped_and_zeros_are_room() {
    let intact = unattested();
    let (groups, _) = read_groups(&intact);
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    let other_segment = intact.contents(&segment(1)).expect("a file");
    // A frame of this very segment, as left on the disk's blocks by an earlier use of the file.
    let earlier_frame = bytes[128..].to_vec();
    for behind in [vec![0; 1], vec![0; 5000], vec![0xFF; 300], other_segment, earlier_frame] {
        let disk = intact.copy();
        disk.set_contents(&name, &[bytes.clone(), vec![0; 10], behind.clone()].concat());
        let is_room = behind.iter().all(|byte| *byte == 0);
        assert_eq!(read_groups(&disk).0, groups);
        let (_journal, recovery) = open(&disk);
        let dropped = recovery.dropped.map(|tail| tail.bytes);
        assert_eq!(dropped, (!is_room).then_some(10 + behind.len() as u64));
        assert_eq!(read_groups(&disk).0, groups);
        assert_eq!(disk.contents(&name), Some(bytes.clone()));
    }
}

#[test]
fn a_page_of_zeros_inside_of_the_last_group_drops_it() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    let start = append(&mut journal, &["x".repeat(20_000)]).offset as usize;
    drop(journal);
    disk.take_away(ATTESTED);
    // The long group did not fit into the first segment.
    let name = segment(2);
    let mut bytes = disk.contents(&name).expect("a file");
    bytes[start + 4096..start + 8192].fill(0);
    disk.set_contents(&name, &bytes);
    let (_journal, recovery) = open(&disk);
    assert_eq!(
        recovery.dropped.expect("a tail").fault.to_string(),
        "the checksum of the payload does not match"
    );
    assert_eq!(all_records(&disk), ["one"]);
}

#[test]
fn segments_that_are_missing_or_not_themselves_are_named() {
    for number in 1..=N_SEGMENTS {
        let path = format!("sim/{}", segment(number));
        let disk = journal();
        disk.take_away(&segment(number));
        let text = check_refused(&disk);
        let missing =
            "the segment is missing, though later ones or groups in it are known to have been durable";
        assert_eq!(text, format!("read {path} at offset 0: {missing}"));

        let disk = journal();
        disk.set_contents(&segment(number), &[]);
        assert_eq!(check_refused(&disk), format!("read {path} at offset 0: the file ends inside of it"));

        for other in (1..=N_SEGMENTS).filter(|&other| other != number) {
            let disk = journal();
            disk.set_contents(&segment(number), &disk.contents(&segment(other)).expect("a file"));
            let expected =
                format!("read {path} at offset 0: expected segment {number}, found segment {other}");
            assert_eq!(check_refused(&disk), expected);
        }
    }
}

#[test]
fn a_sealed_segment_of_another_length_is_named() {
    check_another_length_is_named(journal);
}

#[test]
fn a_folder_whose_segments_are_all_gone_is_not_made_anew() {
    let disk = journal();
    for name in names() {
        if name != ATTESTED {
            disk.take_away(&name);
        }
    }
    let error = try_open(&disk).expect_err("missing");
    assert!(
        error
            .to_string()
            .starts_with(&format!("read sim/{} at offset 0: the segment is missing", segment(1)))
    );
    assert!(verify(&disk.shared(), |_, _| {}).is_err());
}

#[test]
fn a_segment_of_a_journal_with_another_history_does_not_fit_in() {
    // Same groups but one; each file is intact in itself.
    let (disk, other) = (journal(), SimDisk::new());
    let (mut other_journal, _) = open(&other);
    for group in 0..N_GROUPS {
        let first = if group == 0 { "RECORD 0a".to_owned() } else { format!("record {group}a") };
        append(&mut other_journal, &[first, format!("record {group}b {}", "x".repeat(group * 5))]);
    }
    for number in 1..=N_SEGMENTS {
        let mixed = disk.copy();
        mixed.set_contents(&segment(number), &other.contents(&segment(number)).expect("a file"));
        let found_in = number.max(2);
        let expected = "at offset 128: the segment does not continue the one before it";
        let text = check_refused(&mixed);
        assert!(
            text.starts_with(&format!("read sim/{} ", segment(found_in))) && text.ends_with(expected),
            "{text}"
        );
    }
}

#[test]
fn a_sealed_segment_that_lacks_its_last_group_is_noticed_by_a_reader() {
    let disk = journal();
    let (groups, _) = read_groups(&disk);
    let bytes = disk.contents(&segment(1)).expect("a file");
    let n_groups = (0..groups.len()).take_while(|&index| frame(&bytes, index).is_some()).count();
    disk.set_contents(&segment(1), &bytes[..frame(&bytes, n_groups - 1).expect("a frame")]);
    let (read, error) = read_groups(&disk);
    assert_eq!(read, groups[..n_groups - 1]);
    let expected = "at offset 128: the segment does not continue the one before it";
    assert!(error.expect("damage").to_string().ends_with(expected));
}

/// Where the frame number `index` begins in a segment.
fn frame(bytes: &[u8], index: usize) -> Option<usize> {
    let starts = (0..index).try_fold(128, |start: usize, _| {
        let payload: [u8; 4] = bytes.get(start + 8..start + 12)?.try_into().ok()?;
        Some(start + 80 + u32::from_le_bytes(payload) as usize)
    });
    starts.filter(|&start| start < bytes.len())
}

/// Changes a part of a header and makes its checksum match again.
fn forge(bytes: &mut [u8], header: Range<usize>, change: impl FnOnce(&mut [u8])) {
    let header = &mut bytes[header];
    change(header);
    let end = header.len() - 4;
    let checksum = crc32c::crc32c(&header[..end]);
    header[end..].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_last_group_that_no_crash_can_have_left_is_not_dropped() {
    let intact = unattested();
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    let header = last_group(&bytes)..last_group(&bytes) + 80;
    let check = |change: fn(&mut [u8]), expected: &str| {
        let mut forged = bytes.clone();
        forge(&mut forged, header.clone(), change);
        let disk = intact.copy();
        disk.set_contents(&name, &forged);
        assert_eq!(check_refused(&disk), format!("read sim/{name} at offset {}: {expected}", header.start));
    };
    check(|header| header[32] ^= 1, "the group does not continue the hash chain");
    check(|header| header[16] -= 1, "expected group 14, found group 13");
    check(|header| header[16] += 1, "expected group 14, found group 15");
    check(|header| header[4] = 4, "it is of a form that this program does not know");
    check(|header| header[4] = 1, "the group does not continue the hash chain");
    check(|header| header[12] += 1, "the group does not continue the hash chain");
}

#[test]
fn damage_in_a_sealed_segment_keeps_an_unfinished_group_from_being_cut() {
    let disk = unattested();
    let name = segment(N_SEGMENTS);
    let bytes = disk.contents(&name).expect("a file");
    disk.set_contents(&name, &bytes[..bytes.len() - 1]);
    let mut sealed = disk.contents(&segment(1)).expect("a file");
    sealed[300] ^= 1;
    disk.set_contents(&segment(1), &sealed);
    assert!(check_refused(&disk).starts_with(&format!("read sim/{} at offset ", segment(1))));
}

/// Notes what it is shown, and how long the last segment was then.
struct Watch {
    disk: SimDisk,
    n_groups: usize,
    n_groups_max: usize,
    covered: Option<Progress>,
    cut: Option<(Tail, usize)>,
}

impl Watch {
    fn new(disk: &SimDisk, n_groups_max: usize) -> Self {
        Self { disk: disk.clone(), n_groups: 0, n_groups_max, covered: None, cut: None }
    }
}

impl Visitor for Watch {
    type Error = JournalError;

    fn visit(&mut self, _: &Group, progress: Progress) -> Result<(), JournalError> {
        if self.n_groups == self.n_groups_max {
            return Err(JournalError::Missing { path: "what the visitor wants".into() });
        }
        self.n_groups += 1;
        self.covered = Some(progress);
        Ok(())
    }

    fn before_cut(&mut self, tail: &Tail) {
        self.cut = Some((*tail, self.disk.contents(&segment(N_SEGMENTS)).expect("a file").len()));
    }
}

/// The journal without its last byte, which nothing states to have been durable.
fn unfinished() -> (SimDisk, usize) {
    let disk = unattested().copy();
    let bytes = disk.contents(&segment(N_SEGMENTS)).expect("a file");
    disk.set_contents(&segment(N_SEGMENTS), &bytes[..bytes.len() - 1]);
    (disk, bytes.len() - 1)
}

#[test]
fn an_unfinished_group_is_told_before_it_is_cut_also_when_the_disk_fails_then() {
    let n_calls = {
        let (disk, _) = unfinished();
        drop(open(&disk));
        disk.n_changes()
    };
    for n in 1..=n_calls {
        for failure in [Failure::Error, Failure::Death] {
            let (disk, n_bytes) = unfinished();
            disk.fail_at(n, failure);
            let mut watch = Watch::new(&disk, usize::MAX);
            let options = Options::for_testing(KIND);
            Journal::open_visiting(disk.shared(), options, &mut watch).expect_err("a fault");
            let (tail, n_bytes_then) = watch.cut.expect("an event");
            assert_eq!(n_bytes_then, n_bytes);
            assert_eq!(tail.offset + tail.bytes, n_bytes as u64);
            assert_eq!(watch.n_groups, N_GROUPS - 1);
        }
    }
}

#[test]
fn a_visitor_sees_each_group_and_how_far_it_is() {
    let disk = journal();
    let mut watch = Watch::new(&disk, usize::MAX);
    Journal::open_visiting(disk.shared(), Options::for_testing(KIND), &mut watch).expect("open");
    let n_bytes =
        (1..=N_SEGMENTS).map(|number| disk.contents(&segment(number)).expect("a file").len() as u64);
    let n_bytes = n_bytes.sum();
    assert_eq!((watch.n_groups, watch.cut.is_none()), (N_GROUPS, true));
    assert_eq!(watch.covered, Some(Progress { n_bytes, n_bytes_total: n_bytes }));
}

#[test]
fn a_visitor_that_fails_keeps_the_journal_as_it_is() {
    let (disk, _) = unfinished();
    let n_changes = disk.n_changes();
    let mut watch = Watch::new(&disk, 3);
    let opened = Journal::open_visiting(disk.shared(), Options::for_testing(KIND), &mut watch);
    assert!(matches!(opened, Err(JournalError::Missing { .. })));
    assert_eq!((disk.n_changes(), watch.cut.is_none()), (n_changes, true));
}

#[test]
fn a_first_segment_that_is_not_the_beginning_is_not_taken_for_it() {
    for first_sequence in [0, 2] {
        let disk = journal();
        let mut bytes = disk.contents(&segment(1)).expect("a file");
        forge(&mut bytes, 0..128, |header| header[40] = first_sequence);
        disk.set_contents(&segment(1), &bytes);
        let expected = "at offset 0: the segment does not continue the one before it";
        assert!(check_refused(&disk).ends_with(expected));
    }
}

#[test]
fn a_damaged_group_is_seen_to_be_followed_wherever_the_next_one_begins() {
    // The next header lies across the border of what is read at once.
    let border = (32 << 10) - 120;
    for length in border - 90..border + 90 {
        let disk = SimDisk::new();
        let options = Options { segment_bytes_max: 1 << 20, ..Options::for_testing(KIND) };
        let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
        append(&mut journal, &["x".repeat(length)]);
        append(&mut journal, &["next"]);
        drop(journal);
        disk.take_away(ATTESTED);
        let mut bytes = disk.contents(&segment(1)).expect("a file");
        bytes[1000] ^= 1;
        disk.set_contents(&segment(1), &bytes);
        let error = try_open(&disk).expect_err("damage");
        assert!(matches!(error, JournalError::Damaged { offset: 128, .. }), "{error}");
    }
}

#[test]
fn a_torn_attestation_leaves_the_one_before_it() {
    let intact = journal();
    let mut attested = intact.contents(ATTESTED).expect("a file");
    // Group 14 is in the first slot, group 13 in the second.
    attested[0..64].fill(0);
    let name = segment(N_SEGMENTS);
    let bytes = intact.contents(&name).expect("a file");
    let disk = intact.copy();
    disk.set_contents(ATTESTED, &attested);
    disk.set_contents(&name, &bytes[..bytes.len() - 1]);
    let (_journal, recovery) = open(&disk);
    assert_eq!(recovery.end.sequence, 13);
    let disk = intact.copy();
    disk.set_contents(ATTESTED, &attested);
    disk.set_contents(&name, &bytes[..last_group(&bytes) - 1]);
    let n_groups = (0..).take_while(|&index| frame(&bytes, index).is_some()).count();
    let before = frame(&bytes, n_groups - 2).expect("a frame");
    assert_eq!(
        check_refused(&disk),
        format!("read sim/{name} at offset {before}: the file ends inside of it")
    );
}

#[test]
fn what_attests_the_last_group_is_durable_after_a_clean_close() {
    for seed in 0..20 {
        let disk = journal();
        disk.cut_power(seed);
        let name = segment(N_SEGMENTS);
        let bytes = disk.contents(&name).expect("a file");
        disk.set_contents(&name, &bytes[..last_group(&bytes)]);
        let expected = format!("read sim/{name} at offset {}: ", last_group(&bytes));
        let missing = "group 14 is missing, though it is known to have been durable";
        assert_eq!(check_refused(&disk), expected + missing);
    }
}

#[test]
fn what_attests_the_only_group_is_durable_after_a_clean_close() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["one"]);
        journal.close().expect("close");
        disk.cut_power(seed);
        let bytes = disk.contents(&segment(1)).expect("a file");
        disk.set_contents(&segment(1), &bytes[..128]);
        assert!(matches!(try_open(&disk), Err(JournalError::Damaged { offset: 128, .. })));
    }
}

#[test]
fn a_group_that_recovery_kept_is_attested() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    disk.fail_at(2, Failure::Error);
    try_append(&mut journal, &["one"]).expect_err("a failed sync");
    disk.kill();
    let (_journal, recovery) = open(&disk);
    assert_eq!(recovery.end.sequence, 1);
    disk.kill();
    let bytes = disk.contents(&segment(1)).expect("a file");
    disk.set_contents(&segment(1), &bytes[..bytes.len() - 1]);
    assert!(matches!(try_open(&disk), Err(JournalError::Damaged { offset: 128, .. })));
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let disk = journal();
    let mut bytes = disk.contents(&segment(1)).expect("a file");
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..124]);
    bytes[124..128].copy_from_slice(&checksum.to_le_bytes());
    disk.set_contents(&segment(1), &bytes);
    let n_changes = disk.n_changes();
    let error = try_open(&disk).expect_err("newer");
    let expected = "it has format version 2, and this program knows versions up to 1";
    assert_eq!(error.to_string(), format!("read sim/{}: {expected}", segment(1)));
    assert_eq!(disk.n_changes(), n_changes);
}

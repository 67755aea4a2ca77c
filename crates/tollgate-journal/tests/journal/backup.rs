//! Copying a journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_journal::{BackedUp, Disk, Journal, JournalError, Options, RealDisk, Weakness, backup, verify};

use crate::common::{KIND, append, compressing, open, read_groups};
use crate::faults::{ENDS, End, FAILURES, end};
use crate::model::replace;

/// A journal of some segments, of which the first is compacted, and what is left of a group that was never finished.
fn journal() -> SimDisk {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_max: 750, ..compressing() };
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    for group in 0..12 {
        append(&mut journal, &[format!("{group} {}", "x".repeat(200)), "y".repeat(600)]);
    }
    let compactor = journal.compactor();
    assert_eq!(compactor.segments().expect("segments").len(), 2);
    compactor.compact(1, replace).expect("compact");
    drop((journal, compactor));
    disk
}

fn copy(from: &SimDisk, to: &SimDisk) -> Result<BackedUp, JournalError> {
    backup(&from.shared(), &to.shared(), |_| {})
}

#[test]
fn a_copy_is_the_journal_up_to_its_last_whole_group() {
    let (from, to) = (journal(), SimDisk::new());
    let last = "0000000000000003.segment";
    let mut bytes = from.contents(last).expect("a file");
    bytes.extend_from_slice(b"\xF5GR\xF6 and no more");
    from.set_contents(last, &bytes);
    let mut covered = None;
    let backed_up =
        backup(&from.shared(), &to.shared(), |progress| covered = Some(progress)).expect("a copy");
    let covered = covered.expect("progress");
    assert_eq!(covered.n_bytes + 16, covered.n_bytes_total);
    assert_eq!((backed_up.n_segments, backed_up.n_groups), (3, 12));
    for seed in 0..20 {
        let to = to.clone();
        to.cut_power(seed);
        let verified = verify(&to.shared(), |_, _| {}).expect("intact");
        assert_eq!((verified.end, verified.tail, verified.n_segments), (backed_up.end, None, 3));
    }
    assert_eq!(read_groups(&to).0, read_groups(&from).0);
    for name in ["0000000000000001.segment", "0000000000000002.segment"] {
        assert_eq!(to.contents(name), from.contents(name));
    }
    // The end of the copy is attested.
    let cut = to.copy();
    let bytes = cut.contents(last).expect("a file");
    cut.set_contents(last, &bytes[..bytes.len() - 1]);
    assert!(matches!(Journal::open(cut.shared(), compressing()), Err(JournalError::Damaged { .. })));
    let (mut journal, recovery) = open(&to);
    assert_eq!((recovery.end, recovery.dropped), (backed_up.end, None));
    append(&mut journal, &["next"]);
}

#[test]
fn a_journal_without_groups_is_copied_too() {
    let (from, to) = (SimDisk::new(), SimDisk::new());
    drop(open(&from));
    assert_eq!(copy(&from, &to).expect("a copy").n_groups, 0);
    assert!(!open(&to).1.is_new);
}

#[test]
fn a_folder_that_holds_a_journal_is_not_written_to() {
    let from = journal();
    for name in ["0000000000000007.segment", "new-segment", "attested"] {
        let to = SimDisk::new();
        to.set_contents(name, b"something");
        let error = copy(&from, &to).expect_err("not empty");
        let expected = format!("copy a journal into sim: it holds {name}; choose an empty folder");
        assert_eq!((error.to_string(), to.n_changes()), (expected, 0));
    }
    let to = SimDisk::new();
    let _other = open(&to);
    assert!(matches!(copy(&from, &to), Err(JournalError::InUse { .. })));
}

#[test]
fn a_copy_that_does_not_fit_is_not_begun() {
    let (from, to) = (journal(), SimDisk::new());
    to.limit(Some(100));
    let error = copy(&from, &to).expect_err("full");
    assert!(error.to_string().ends_with("100 bytes are free, of which 0 are kept in reserve"), "{error}");
    assert_eq!(to.n_changes(), 0);
}

#[test]
fn a_damaged_journal_is_not_copied_as_a_whole_one() {
    let from = journal();
    let mut bytes = from.contents("0000000000000002.segment").expect("a file");
    bytes[300] ^= 1;
    from.set_contents("0000000000000002.segment", &bytes);
    let to = SimDisk::new();
    let error = copy(&from, &to).expect_err("damage");
    assert!(
        matches!(&error, JournalError::Damaged { path, .. } if path.ends_with("0000000000000002.segment"))
    );
    check_unusable(&to).expect("a part of a copy");
}

/// Fails when the folder can be taken for one with a journal.
fn check_unusable(to: &SimDisk) -> Result<(), String> {
    if verify(&to.shared(), |_, _| {}).is_ok() {
        return Err("it verifies".to_owned());
    }
    // Nothing was copied yet.
    let is_empty = to.list().is_ok_and(|names| names.iter().all(|name| name == "attested"));
    match Journal::open(to.copy().shared(), Options::for_testing(KIND)) {
        Err(_) => Ok(()),
        Ok((_, recovery)) if recovery.is_new && is_empty => Ok(()),
        Ok((_, recovery)) => Err(format!("it opens: {recovery:?}")),
    }
}

/// Copies while call `n` to the new disk meets `failure`; `false` when there was no such call.
fn fail_once(from: &SimDisk, n: u64, failure: Failure, how: End) -> Result<bool, String> {
    let to = SimDisk::new();
    to.fail_at(n, failure);
    let outcome = copy(from, &to);
    end(&to, how);
    match outcome {
        Ok(_) => {
            let verified = verify(&to.shared(), |_, _| {}).map_err(|error| format!("a copy: {error}"))?;
            if verified.n_groups == 12 { Ok(false) } else { Err(format!("{verified:?}")) }
        }
        // The last call, which makes the last name durable, may have had its effect all the same.
        Err(_) => match verify(&to.shared(), |_, _| {}) {
            Ok(verified) if verified.n_groups == 12 => Ok(true),
            _ => check_unusable(&to).map(|()| true),
        },
    }
}

#[test]
fn a_copy_that_is_cut_short_at_any_call_is_not_taken_for_a_whole_one() {
    let from = journal();
    for failure in FAILURES {
        for how in ENDS {
            for n in 1.. {
                let outcome = fail_once(&from, n, failure, how);
                let failed =
                    outcome.unwrap_or_else(|violation| panic!("call {n}, {failure:?}, {how:?}: {violation}"));
                if !failed {
                    assert!(20 < n);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_journal_is_copied_while_it_is_appended_to_and_compacted() {
    let parent = tempfile::tempdir().expect("a folder");
    let disk = |name: String| -> Arc<dyn Disk> {
        Arc::new(RealDisk::open_or_create(parent.path().join(name)).expect("the folder"))
    };
    let from = disk("from".to_owned());
    let options = Options { segment_bytes_max: 20 << 10, ..Options::for_testing(KIND) };
    let (mut journal, _) = Journal::open(from.clone(), options).expect("open");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for group in 0..300 {
                append(&mut journal, &["x".repeat(group * 37 % 5000)]);
                let compactor = journal.compactor();
                for segment in compactor.segments().expect("segments") {
                    if !segment.is_compacted && segment.number % 2 == 0 {
                        compactor.compact(segment.number, replace).expect("compact");
                    }
                }
            }
            is_done.store(true, Ordering::Release);
        });
        let mut n_groups = 0;
        for copy in 0.. {
            let was_done = is_done.load(Ordering::Acquire);
            let to = disk(copy.to_string());
            let backed_up = backup(&from, &to, |_| {}).expect("a copy");
            let verified = verify(&to, |_, _| {}).expect("intact");
            assert_eq!((verified.end, verified.n_groups), (backed_up.end, backed_up.n_groups));
            assert!(n_groups <= backed_up.n_groups);
            n_groups = backed_up.n_groups;
            if was_done {
                break;
            }
        }
        assert_eq!(n_groups, 300);
    });
}

#[test]
fn the_kind_of_a_file_system_can_be_told() {
    let memory = RealDisk::open("/dev/shm").expect("a file system in memory");
    assert_eq!(memory.weakness(), Some(Weakness::Memory));
    let process = RealDisk::open("/proc").expect("a file system of the kernel's");
    assert_eq!(process.weakness(), None);
}

//! Copies of a ledger in use.

use std::thread;

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::Outcome;
use tollgate_ledger_embedded::{EmbeddedLedger, Options, backup, export, verify};

use crate::common::{batch, chain, entries, open, received, uuid};

#[test]
fn a_copy_made_while_batches_are_recorded_holds_a_prefix_and_goes_on_exactly_once() {
    const N_GROUPS: u64 = 120;
    let parent = tempfile::tempdir().expect("a folder");
    let (dir, copy) = (parent.path().join("ledger"), parent.path().join("copy"));
    let (mut ledger, _) = EmbeddedLedger::open(&dir, Options::for_testing()).expect("open");
    let posted = |number| format!("[{},{number}]", batch("m", &uuid(number), "1.5"));
    for number in 0..20 {
        ledger.writer.record(entries(&posted(number)), received()).expect("record");
    }
    let (ledger, report) = thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for number in 20..N_GROUPS {
                ledger.writer.record(entries(&posted(number)), received()).expect("record");
            }
            ledger
        });
        let mut n_calls = 0;
        let report = backup(&dir, &copy, |_| n_calls += 1).map_err(|error| chain(&error)).expect("back up");
        assert_eq!(n_calls, report.journal.n_groups);
        (writer.join().expect("record"), report)
    });
    let n_copied = report.journal.n_groups;
    assert!((20..=N_GROUPS).contains(&n_copied), "{report:?}");
    assert!(!copy.join("index").exists());
    let verified = verify(&copy, |_| {}).expect("intact");
    assert_eq!((verified.journal.end, verified.counts.n_batches), (report.journal.end, n_copied));
    let n_bytes: u64 = std::fs::read_dir(&copy)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "segment"))
        .map(|entry| entry.metadata().expect("figures").len())
        .sum();
    assert_eq!(report.n_bytes, n_bytes);

    let bodies = |dir| export(dir).expect("export").collect::<Result<Vec<_>, _>>().expect("bodies");
    let (all, copied) = (bodies(&dir), bodies(&copy));
    assert_eq!(copied, all[..n_copied as usize]);
    let before = (ledger.reader.counts(), ledger.reader.model("m").expect("a model"));
    drop(ledger);

    // The machine burned; the copy takes over, and senders send again what they like.
    let (mut ledger, opened) = EmbeddedLedger::open(&copy, Options::for_testing()).expect("open the copy");
    assert_eq!((opened.is_new, opened.dropped, opened.n_groups), (false, None, n_copied));
    for number in 0..N_GROUPS {
        let outcomes = ledger.writer.record(entries(&posted(number)), received()).expect("record");
        let expected = if number < n_copied { Outcome::Duplicate } else { Outcome::Recorded };
        assert_eq!(outcomes, [expected, Outcome::Quarantined { quarantine_id: number + 1 }]);
    }
    assert_eq!((ledger.reader.counts(), ledger.reader.model("m").expect("a model")), before);
}

#[test]
fn a_copy_that_was_cut_short_is_no_ledger() {
    let from = SimDisk::new();
    let (mut ledger, _) = open(&from);
    for number in 0..30 {
        let posted = format!("[{}]", batch("m", &uuid(number), "1"));
        ledger.writer.record(entries(&posted), received()).expect("record");
    }
    for n in 1.. {
        let to = SimDisk::new();
        to.fail_at(n, tollgate_journal::sim::Failure::Death);
        let copied = tollgate_ledger_embedded::backup_disk(&from.shared(), &to.shared(), |_| {});
        let was_cut = to.is_dead();
        to.kill();
        let opened = EmbeddedLedger::open_disk(to.shared(), Options::for_testing(), |_| {});
        match opened {
            // Everything, or the folder was still empty.
            Ok((_, report)) => {
                assert!(report.n_groups == 30 || (report.is_new && n <= 1), "after call {n}: {report:?}");
            }
            Err(error) => {
                assert!(copied.is_err(), "after call {n}");
                assert!(chain(&error).contains("was cut short"), "after call {n}: {}", chain(&error));
            }
        }
        if !was_cut {
            assert!(10 < n, "only {n} calls");
            break;
        }
    }
}

#[test]
fn only_a_new_or_empty_folder_is_copied_to() {
    let parent = tempfile::tempdir().expect("a folder");
    let (dir, other) = (parent.path().join("ledger"), parent.path().join("other"));
    drop(EmbeddedLedger::open(&dir, Options::for_testing()).expect("open"));
    std::fs::create_dir_all(other.join("index")).expect("a folder");
    let error = backup(&dir, &other, |_| {}).expect_err("not empty");
    assert!(chain(&error).ends_with("it holds index; choose a new or empty folder"), "{}", chain(&error));
    backup(&dir, &dir, |_| {}).expect_err("itself");
    let target = parent.path().join("target");
    let error = backup(parent.path().join("absent"), &target, |_| {}).expect_err("no ledger");
    assert!(chain(&error).contains("absent"), "{}", chain(&error));
    let error = backup(parent.path(), &target, |_| {}).expect_err("no ledger");
    assert!(chain(&error).contains("it holds no segment"), "{}", chain(&error));
    assert!(!target.exists(), "nothing is made for a slip of the pen");
}

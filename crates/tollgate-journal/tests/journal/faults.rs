//! A fault at each disk call in turn, and what a failed call leaves behind.

use tollgate_journal::sim::{Dice, Failure, SimDisk};
use tollgate_journal::{Journal, JournalError, Options};

use crate::common::{KIND, all_records, append, compressing, open, read_groups, try_append};
use crate::model::Model;

pub(crate) const FAILURES: [Failure; 8] = [
    Failure::Death,
    Failure::Error,
    Failure::ErrorsFromThereOn,
    Failure::Short,
    Failure::Full,
    Failure::FullInTheMiddle,
    Failure::OverQuota,
    Failure::TooManyOpen,
];

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Kill,
    PowerCut(u64),
}

pub(crate) const ENDS: [End; 6] =
    [End::Kill, End::PowerCut(1), End::PowerCut(2), End::PowerCut(3), End::PowerCut(4), End::PowerCut(5)];

pub(crate) fn end(disk: &SimDisk, end: End) {
    match end {
        End::Kill => disk.kill(),
        End::PowerCut(seed) => disk.cut_power(seed),
    }
}

/// Makes a journal, appends groups that fill some segments, closes it.
fn run_script(model: &mut Model) -> Result<(), String> {
    let mut dice = Dice(7);
    let Some(mut journal) = model.open()? else { return Ok(()) };
    for _ in 0..10 {
        let group = model.make_group(&mut dice);
        if !model.append(&mut journal, group)? {
            return Ok(());
        }
    }
    let _: Result<(), JournalError> = journal.close();
    Ok(())
}

fn all_options() -> [Options; 2] {
    [Options::for_testing(KIND), compressing()]
}

/// The number of changing calls that the script makes on a disk without faults.
fn script_length(options: Options) -> u64 {
    let mut model = Model::new(SimDisk::new(), options);
    run_script(&mut model).expect("no fault");
    assert_eq!(model.durable.len(), 10);
    model.disk.n_changes()
}

#[test]
fn a_fault_at_each_call_of_a_first_life_loses_nothing() {
    for options in all_options() {
        let n_calls = check_first_life(options).unwrap_or_else(|violation| panic!("{violation}"));
        println!("{n_calls} calls");
    }
}

fn check_first_life(options: Options) -> Result<u64, String> {
    let n_calls = script_length(options);
    for n in 1..=n_calls {
        for failure in FAILURES {
            for how in ENDS {
                let mut model = Model::new(SimDisk::new(), options);
                model.disk.fail_at(n, failure);
                let outcome = run_script(&mut model).and_then(|()| {
                    end(&model.disk, how);
                    model.open()?.map(drop).ok_or_else(|| "the disk failed again".to_owned())
                });
                outcome.map_err(|violation| format!("call {n}, {failure:?}, {how:?}: {violation}"))?;
            }
        }
    }
    Ok(n_calls)
}

#[test]
fn a_fault_at_each_call_of_the_recovery_from_it_loses_nothing() {
    for options in all_options() {
        let n_cases = check_recovery(options).unwrap_or_else(|violation| panic!("{violation}"));
        println!("{n_cases} cases");
        assert!(1000 < n_cases);
    }
}

fn check_recovery(options: Options) -> Result<u64, String> {
    let mut n_cases = 0;
    for n in 1..=script_length(options) {
        for first_failure in [Failure::Death, Failure::Error] {
            for how in [End::Kill, End::PowerCut(1), End::PowerCut(2)] {
                for second_failure in [Failure::Death, Failure::Error, Failure::ErrorsFromThereOn] {
                    for m in 1.. {
                        let mut model = Model::new(SimDisk::new(), options);
                        model.disk.fail_at(n, first_failure);
                        let outcome = run_script(&mut model).and_then(|()| {
                            end(&model.disk, how);
                            model.disk.fail_at(m, second_failure);
                            let first_open = model.open()?;
                            let failed = first_open.is_none();
                            drop(first_open);
                            end(&model.disk, how);
                            model.open()?.map(|_| failed).ok_or_else(|| "the disk failed again".to_owned())
                        });
                        n_cases += 1;
                        match outcome {
                            Ok(true) => {}
                            // The recovery made fewer calls than this.
                            Ok(false) => break,
                            Err(violation) => {
                                return Err(format!(
                                    "call {n} {first_failure:?}, {how:?}, then call {m} {second_failure:?}: {violation}"
                                ));
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(n_cases)
}

#[test]
fn an_unfinished_segment_is_removed() {
    let mut n_unfinished = 0;
    for n in 1..=script_length(Options::for_testing(KIND)) {
        let mut model = Model::new(SimDisk::new(), Options::for_testing(KIND));
        model.disk.fail_at(n, Failure::Death);
        run_script(&mut model).expect("no violation");
        model.disk.kill();
        n_unfinished += u32::from(model.disk.contents("new-segment").is_some());
        drop(model.open().expect("no violation"));
        assert_eq!(model.disk.contents("new-segment"), None);
    }
    assert!(5 < n_unfinished, "{n_unfinished}");
}

#[test]
fn no_sync_is_retried() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    // The write of the group comes before it.
    disk.fail_at(2, Failure::Error);
    let n_syncs = disk.n_syncs();
    let error = try_append(&mut journal, &["two"]).expect_err("a failed sync");
    assert_eq!(error.to_string(), "sync sim/0000000000000001.segment");
    for _ in 0..3 {
        let error = try_append(&mut journal, &["three"]).expect_err("a closed journal");
        assert_eq!(error.to_string(), "append to sim: it was closed by an earlier failure");
    }
    journal.close().expect("nothing is left to do");
    assert_eq!(disk.n_syncs(), n_syncs + 1);
}

#[test]
fn a_group_whose_sync_failed_is_made_durable_before_it_is_shown() {
    // The group is in the page cache, and the disk says that it has nothing left to sync.
    let mut n_shown = 0;
    for seed in 0..100 {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["one"]);
        disk.fail_at(2, Failure::Error);
        try_append(&mut journal, &["two"]).expect_err("a failed sync");
        disk.kill();
        drop(open(&disk));
        let shown = all_records(&disk);
        n_shown += usize::from(shown.len() == 2);
        disk.cut_power(seed);
        drop(open(&disk));
        assert_eq!(all_records(&disk), shown);
    }
    assert_eq!(n_shown, 100);
}

#[test]
fn a_full_disk_is_refused_cleanly_and_forgiven() {
    let disk = SimDisk::new();
    let options = Options { free_bytes_min: 1000, ..Options::for_testing(KIND) };
    let open = || Journal::open(disk.shared(), options);
    let (mut journal, _) = open().expect("open");
    append(&mut journal, &["one"]);
    disk.limit(Some(disk.used_bytes() + 2000));
    let n_changes = disk.n_changes();
    for _ in 0..3 {
        let error = try_append(&mut journal, &["x".repeat(1000)]).expect_err("full");
        assert!(matches!(error, JournalError::Full { kept_bytes: 1000, .. }), "{error}");
    }
    assert_eq!(disk.n_changes(), n_changes, "nothing was tried");
    append(&mut journal, &["small enough"]);
    disk.limit(None);
    append(&mut journal, &["x"]);
    append(&mut journal, &["y"]);
    disk.kill();
    drop(open().expect("open"));
    assert_eq!(all_records(&disk), ["one", "small enough", "x", "y"]);
}

/// A journal whose next group begins a new segment, and the record of that group.
fn before_a_new_segment() -> (SimDisk, Journal, String) {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    (disk, journal, "x".repeat(1000))
}

#[test]
fn a_new_segment_that_finds_no_room_is_refused_and_forgiven() {
    // Creating it, writing and syncing its header, renaming it.
    for step in 1..=4 {
        for failure in [Failure::Full, Failure::OverQuota, Failure::TooManyOpen] {
            let (disk, mut journal, record) = before_a_new_segment();
            for _ in 0..3 {
                disk.fail_at(step, failure);
                let error = try_append(&mut journal, &[&record]).expect_err("no room");
                let is_expected = match failure {
                    Failure::TooManyOpen => matches!(error, JournalError::TooManyOpen { .. }),
                    _ => matches!(error, JournalError::FullOfFiles { source: Some(_), .. }),
                };
                assert!(is_expected, "{error}");
                assert!(error.to_string().starts_with("make sim/0000000000000002.segment: "), "{error}");
                assert_eq!(disk.contents("new-segment"), None, "it takes up no file");
            }
            append(&mut journal, &["fits into the old one"]);
            append(&mut journal, &[&record]);
            disk.cut_power(step);
            drop(open(&disk));
            assert_eq!(all_records(&disk), ["one", "fits into the old one", &record]);
        }
    }
}

#[test]
fn a_new_segment_that_fails_otherwise_closes_the_journal() {
    for (step, failure) in
        (1..=5).map(|step| (step, Failure::Error)).chain([(5, Failure::Full), (5, Failure::TooManyOpen)])
    {
        let (disk, mut journal, record) = before_a_new_segment();
        disk.fail_at(step, failure);
        let error = try_append(&mut journal, &[&record]).expect_err("a failure");
        assert!(matches!(error, JournalError::Disk { .. }), "{error}");
        assert!(matches!(try_append(&mut journal, &["more"]), Err(JournalError::Closed { .. })));
    }
}

#[test]
fn a_file_system_without_files_to_give_is_not_asked_for_one() {
    let (disk, mut journal, record) = before_a_new_segment();
    disk.run_out_of_files(true);
    let n_changes = disk.n_changes();
    let error = try_append(&mut journal, &[&record]).expect_err("no file");
    assert!(matches!(error, JournalError::FullOfFiles { source: None, .. }), "{error}");
    assert_eq!(disk.n_changes(), n_changes, "nothing was tried");
    append(&mut journal, &["needs no file"]);
    disk.run_out_of_files(false);
    append(&mut journal, &[&record]);
    assert_eq!(all_records(&disk), ["one", "needs no file", &record]);
}

#[test]
fn a_disk_that_cannot_say_how_full_it_is_closes_the_journal() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &["one"]);
    disk.fail_room();
    let error = try_append(&mut journal, &["two"]).expect_err("no figure");
    assert_eq!(error.to_string(), "measure the free space of sim");
    assert!(matches!(try_append(&mut journal, &["three"]), Err(JournalError::Closed { .. })));
    assert_eq!(all_records(&disk), ["one"]);
}

#[test]
fn a_disk_or_quota_that_turns_out_to_be_full_is_forgiven() {
    for failure in [Failure::Full, Failure::OverQuota] {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["one"]);
        for _ in 0..3 {
            disk.fail_at(1, failure);
            let error = try_append(&mut journal, &["two"]).expect_err("full");
            let text = "append 87 bytes to sim/0000000000000001.segment: the file system or its quota has no room for them";
            assert_eq!(error.to_string(), text);
        }
        append(&mut journal, &["three"]);
        disk.cut_power(1);
        drop(open(&disk));
        assert_eq!(all_records(&disk), ["one", "three"]);
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_write_closes_the_journal() {
    for failure in [Failure::Short, Failure::FullInTheMiddle] {
        let disk = SimDisk::new();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["one"]);
        disk.fail_at(1, failure);
        let error = try_append(&mut journal, &["two"]).expect_err("full");
        assert_eq!(error.to_string(), "append to sim/0000000000000001.segment");
        assert!(matches!(try_append(&mut journal, &["three"]), Err(JournalError::Closed { .. })));
        drop(journal);
        let (mut journal, _) = open(&disk);
        append(&mut journal, &["four"]);
        assert_eq!(all_records(&disk), ["one", "four"]);
    }
}

#[test]
fn a_sync_that_finds_the_disk_full_closes_the_journal() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    disk.fail_at(2, Failure::Full);
    let error = try_append(&mut journal, &["one"]).expect_err("full");
    assert_eq!(error.to_string(), "sync sim/0000000000000001.segment");
    assert!(matches!(try_append(&mut journal, &["two"]), Err(JournalError::Closed { .. })));
}

#[test]
fn a_short_write_closes_the_journal() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    disk.fail_at(1, Failure::Short);
    let error = try_append(&mut journal, &["one"]).expect_err("short");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "only 43 of 87 bytes were written at offset 128");
    assert!(matches!(try_append(&mut journal, &["two"]), Err(JournalError::Closed { .. })));
    drop(journal);
    let (_journal, recovery) = open(&disk);
    let dropped = recovery.dropped.expect("a torn group");
    assert_eq!((dropped.segment, dropped.offset, dropped.bytes), (1, 128, 43));
    assert!(matches!(read_groups(&disk), (groups, None) if groups.is_empty()));
}

#[test]
fn a_group_is_durable_though_its_attestation_failed() {
    let disk = SimDisk::new();
    let (mut journal, _) = open(&disk);
    disk.fail_at(3, Failure::Error);
    append(&mut journal, &["one"]);
    assert!(matches!(try_append(&mut journal, &["two"]), Err(JournalError::Closed { .. })));
    disk.cut_power(1);
    drop(open(&disk));
    assert_eq!(all_records(&disk), ["one"]);
}

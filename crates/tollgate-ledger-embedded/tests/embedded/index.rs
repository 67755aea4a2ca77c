//! The index is a cache: with it a start is quick, and without it, or with a bad one, every answer is the same.

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_ledger::{Act, Counts, Entry, Ledger, ModelSummary, Outcome, Page, QuarantineItem, Remedy};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, verify_disk};
use tollgate_rules::{BatchId, Select};

use crate::common::{
    Used, batch, chain, entries, exported, fixture, open, received, set_status, try_open, used, uuid,
};

/// Groups of a batch, a conflict with the one before and something that is no batch; enough for several merges of runs.
fn record(ledger: &mut Ledger, numbers: std::ops::Range<u64>) -> Vec<Vec<Outcome>> {
    let posted = numbers.map(|number| {
        let conflict = batch("m", &uuid(number.saturating_sub(1)), "99");
        format!(r#"[{},{conflict},{{"uuid":"x","metrics":{number}}}]"#, at_hour(number, "1.5"))
    });
    posted.map(|posted| ledger.writer.record(entries(&posted), received()).expect("record")).collect()
}

/// A batch of one of several series with a reading in an hour of its own, which is late for every second.
fn at_hour(number: u64, value: &str) -> String {
    let hour = if number % 4 < 2 { number % 500 } else { 500 - number % 500 };
    let time = format!("2026-01-{:02}T{:02}:04:05Z", 2 + hour / 24, hour % 24);
    let unit = format!("u/{}", number % 2);
    let batch = batch("m", &uuid(number), value).replace("u/0", &unit);
    batch.replace(r#""time":"2026-01-02T03:04:05Z""#, &format!(r#""time":"{time}""#))
}

type Answers = (Counts, Vec<ModelSummary>, Vec<QuarantineItem>, Vec<Option<Vec<u8>>>, Used);

#[track_caller]
fn answers(ledger: &Ledger) -> Answers {
    let page = Page { cursor: None, limit: 1_000 };
    let reader = &ledger.reader;
    let id = |number| BatchId { model_uuid: "m".into(), batch_uuid: uuid(number).into() };
    let batches = (0..400).map(|number| reader.batch(&id(number)).expect("a batch")).collect();
    let (models, quarantine) = (reader.models(&page), reader.quarantine(&page));
    let used = used(&**reader, &Select::ALL).expect("usage");
    (reader.counts(), models.expect("models"), quarantine.expect("quarantine"), batches, used)
}

/// Opens a ledger, and says how many groups were read for that.
fn open_counting(disk: &SimDisk) -> (Ledger, u64) {
    let mut n_groups = 0;
    let opened = EmbeddedLedger::open_disk(disk.shared(), Options::for_testing(), |_| n_groups += 1);
    let (ledger, _) = opened.map_err(|error| chain(&error)).expect("open the ledger");
    (ledger, n_groups)
}

/// All files of the index.
fn index_files(disk: &SimDisk) -> Vec<String> {
    let index = disk.shared().subfolder("index").expect("the index");
    index.list().expect("its files").iter().map(|name| format!("index/{name}")).collect()
}

/// Its runs of ids.
fn runs(disk: &SimDisk) -> Vec<String> {
    index_files(disk).into_iter().filter(|name| name.ends_with(".run")).collect()
}

/// Its runs of rollups.
fn rollup_runs(disk: &SimDisk) -> Vec<String> {
    index_files(disk).into_iter().filter(|name| name.ends_with(".rollups")).collect()
}

fn ledger_of(n_groups: u64) -> (SimDisk, Answers) {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    record(&mut ledger, 0..n_groups);
    let answers = answers(&ledger);
    ledger.writer.close().expect("close");
    (disk, answers)
}

/// With the same number of groups and other batches.
fn ledger_of_other(n_groups: u64) -> (SimDisk, Answers) {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    record(&mut ledger, 1_100..1_100 + n_groups);
    let answers = answers(&ledger);
    ledger.writer.close().expect("close");
    (disk, answers)
}

#[test]
fn after_a_clean_close_nothing_is_read_again() {
    let (disk, expected) = ledger_of(300);
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 0);
    assert!(answers(&ledger) == expected);
    for runs in [runs(&disk), rollup_runs(&disk)] {
        assert!((1..24).contains(&runs.len()), "runs are merged: {runs:?}");
    }
}

#[test]
fn after_a_death_the_newest_groups_are_read() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    let outcomes = record(&mut ledger, 0..300);
    // Too few for a run of their own.
    for number in 300..303 {
        let posted = format!("[{}]", batch("m", &uuid(number), "1.5"));
        ledger.writer.record(entries(&posted), received()).expect("record");
    }
    let expected = answers(&ledger);
    disk.kill();
    drop(ledger);
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 3);
    assert!(answers(&ledger) == expected);
    let again = record(&mut ledger, 0..300);
    assert!(again.iter().all(|group| group[0] == Outcome::Duplicate));
    assert!(again.iter().zip(&outcomes).skip(1).all(|(again, first)| again[1..] == first[1..]));
    assert!(answers(&ledger) == expected);
}

#[test]
fn without_its_index_a_ledger_is_the_same() {
    let (disk, expected) = ledger_of(300);
    for name in index_files(&disk) {
        disk.shared().subfolder("index").expect("the index").remove(&name["index/".len()..]).expect("remove");
    }
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 300);
    assert!(answers(&ledger) == expected);
    ledger.writer.close().expect("close");
    assert_eq!(open_counting(&disk).1, 0, "it is there again");
}

#[test]
fn a_journal_without_a_group_that_the_index_knows_is_refused() {
    let (disk, expected) = ledger_of(30);
    let (other, _) = ledger_of_other(30);
    // Of this ledger as it will be, when the journal is an older copy; and of another one.
    let (later, _) = ledger_of(40);
    for (strange, found) in [(&later, "ends with group 30"), (&other, "has another one")] {
        let copy = disk.copy();
        for name in index_files(strange) {
            copy.set_contents(&name, &strange.contents(&name).expect("a file"));
        }
        let error = try_open(&copy).map(|_| ()).expect_err("groups are missing");
        assert_eq!(error.remedy(), Remedy::Repair);
        let text = chain(&error);
        assert!(text.contains(found) && text.contains("remove its folder `index`"), "{text}");

        copy.shared().subfolder("index").expect("the index").remove("checkpoint").expect("remove");
        let (mut ledger, _) = open_counting(&copy);
        assert!(answers(&ledger) == expected);
        assert!(record(&mut ledger, 0..30).iter().all(|group| group[0] == Outcome::Duplicate));
        assert_eq!(record(&mut ledger, 30..31)[0][0], Outcome::Recorded);
        ledger.writer.close().expect("close");
        verify_disk(&copy.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
    }
}

#[test]
fn a_journal_that_is_gone_is_not_begun_anew() {
    let (disk, _) = ledger_of(30);
    let journal = disk.shared();
    for name in journal.list().expect("the files").into_iter().filter(|name| name != "index") {
        journal.remove(&name).expect("remove");
    }
    let text = chain(&try_open(&disk).map(|_| ()).expect_err("everything is missing"));
    assert!(text.contains("knows group 30, and the journal has no segment"), "{text}");
}

#[test]
fn a_run_with_a_bad_block_is_made_anew() {
    let (disk, expected) = ledger_of(300);
    // Of each run its first block, which is not read at the start.
    for name in runs(&disk) {
        let mut bytes = disk.contents(&name).expect("a run");
        bytes[0] ^= 1;
        disk.set_contents(&name, &bytes);
    }
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 0);
    let posted = (0..300).map(|number| at_hour(number, "1.5")).collect::<Vec<_>>().join(",");
    let posted = entries(&format!("[{posted}]"));
    let error = ledger.writer.record(posted.clone(), received()).expect_err("an id cannot be looked for");
    assert_eq!(error.remedy(), Remedy::Restart);
    assert!(chain(&error).contains(".run of the index at offset 0: it was changed"), "{}", chain(&error));
    drop(ledger);
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 300, "the index was given up");
    assert!(answers(&ledger) == expected);
    let outcomes = ledger.writer.record(posted, received()).expect("record");
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Duplicate));
}

#[test]
fn damage_of_the_index_is_shown_by_verifying() {
    let (disk, _) = ledger_of(50);
    let report = verify_disk(&disk.shared(), |_| {}).expect("intact");
    assert_eq!(report.index_sequence, Some(50));
    let name = runs(&disk).pop().expect("a run");
    let mut bytes = disk.contents(&name).expect("a run");
    bytes[1] ^= 1;
    disk.set_contents(&name, &bytes);
    let text = chain(&verify_disk(&disk.shared(), |_| {}).expect_err("damage"));
    assert!(text.contains("remove the folder `index`"), "{text}");
    assert!(text.contains(&name["index/".len()..]), "{text}");
}

#[test]
fn a_disk_without_room_for_runs_refuses_only_what_would_need_memory() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    record(&mut ledger, 0..10);
    // The journal says that it is full before the index is: here it is let through, and only runs find no room.
    disk.limit(Some(disk.used_bytes() + 2_000));
    let mut n_recorded = 10;
    let error = loop {
        let posted = format!("[{}]", batch("m", &uuid(n_recorded), "1.5"));
        match ledger.writer.record(entries(&posted), received()) {
            Ok(_) => n_recorded += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.remedy(), Remedy::FreeSpace, "{}", chain(&error));
    disk.limit(None);
    record(&mut ledger, n_recorded..n_recorded + 20);
    assert_eq!(exported(&disk).len() as u64, n_recorded + 20);
    ledger.writer.close().expect("close");
    verify_disk(&disk.shared(), |_| {}).expect("intact");
}

/// `numbers` as batches of one group.
fn group(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    let batches: Vec<String> = numbers.map(|number| batch("m", &uuid(number), "1")).collect();
    entries(&format!("[{}]", batches.join(",")))
}

/// What must hold when the batches 3 to 8, of which nobody was told, come again, and then the power fails.
fn check_the_unacknowledged(disk: &SimDisk, seed: u64, what: &str) {
    let (mut ledger, _) = try_open(disk).map_err(|error| chain(&error)).expect(what);
    let outcomes = ledger.writer.record(group(3..9), received()).expect(what);
    assert!(
        outcomes.iter().all(|outcome| *outcome == outcomes[0]),
        "{what}: a group is there whole or not at all"
    );
    disk.cut_power(seed);
    drop(ledger);
    let (ledger, _) = try_open(disk).map_err(|error| chain(&error)).expect(what);
    assert_eq!(ledger.reader.counts().n_batches, 9, "{what}");
    assert_eq!(exported(disk).len(), 9, "{what}");
    drop(ledger);
    disk.kill();
    verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect(what);
}

/// A ledger with three batches, and then a group of six, enough for a run, that `failure` ended before its sync.
fn with_an_unfinished_group(failure: Failure) -> SimDisk {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    ledger.writer.record(group(0..3), received()).expect("record");
    disk.fail_at(2, failure);
    ledger.writer.record(group(3..9), received()).expect_err("not synced");
    disk.kill();
    disk
}

#[test]
fn an_index_never_covers_a_group_that_is_not_durable() {
    for failure in [Failure::Death, Failure::Error] {
        // The process dies at each step of the start that finds the group, and then the power fails.
        for death in 1..20 {
            for seed in 0..30 {
                let disk = with_an_unfinished_group(failure);
                disk.fail_at(death, Failure::Death);
                drop(try_open(&disk));
                disk.cut_power(seed);
                check_the_unacknowledged(&disk, seed, &format!("{failure:?}, death at {death}, seed {seed}"));
            }
        }
        // Each step fails, and a sync that comes later does not write what this one forgot.
        for step in 1..20 {
            for seed in 0..10 {
                let disk = with_an_unfinished_group(failure);
                disk.fail_at(step, Failure::Error);
                drop(try_open(&disk));
                disk.kill();
                check_the_unacknowledged(
                    &disk,
                    seed,
                    &format!("{failure:?}, failure at {step}, seed {seed}"),
                );
            }
        }
    }
}

/// The largest run, which is read first when it is looked for anything old, and its length.
fn largest_run(disk: &SimDisk) -> (String, usize) {
    let length = |name: &String| disk.contents(name).map_or(0, |bytes| bytes.len());
    let name = runs(disk).into_iter().max_by_key(length).expect("a run");
    let length = length(&name);
    (name, length)
}

#[test]
fn a_block_that_the_disk_does_not_read_is_made_anew() {
    let (disk, expected) = ledger_of(100);
    let (run, _) = largest_run(&disk);
    disk.fail_reads(&run, 0..512);
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 0);
    let posted = (0..100).map(|number| at_hour(number, "1.5")).collect::<Vec<_>>().join(",");
    let error = ledger.writer.record(entries(&format!("[{posted}]")), received()).expect_err("a bad place");
    assert_eq!(error.remedy(), Remedy::Restart);
    drop(ledger);
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 100);
    assert!(answers(&ledger) == expected);
}

#[test]
fn an_end_of_a_run_that_the_disk_does_not_read_is_made_anew() {
    let (disk, expected) = ledger_of(100);
    let (run, length) = largest_run(&disk);
    disk.fail_reads(&run, length - 64..length);
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 100);
    assert!(answers(&ledger) == expected);
}

#[test]
fn too_many_open_files_pass() {
    for call in 4..12 {
        let disk = SimDisk::new();
        let (mut ledger, _) = open(&disk);
        disk.fail_at(call, Failure::TooManyOpen);
        for first in [0, 6, 12] {
            let outcomes = ledger.writer.record(group(first..first + 6), received()).expect("it passes");
            assert_eq!(outcomes, [Outcome::Recorded; 6], "call {call}");
        }
        ledger.writer.close().expect("close");
        assert_eq!(open_counting(&disk).1, 0, "call {call}");
    }
}

#[test]
fn a_full_disk_is_not_filled_with_what_is_of_no_use() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    for round in 0..6 {
        // The run is written each time, and the checkpoint is not.
        disk.fail_at(if round == 0 { 8 } else { 5 }, Failure::Full);
        ledger.writer.record(group(round * 30..round * 30 + 30), received()).ok();
        let files = disk.shared().subfolder("index").expect("the index").list().expect("its files");
        assert!(files.len() <= 1 + usize::try_from(round).expect("few"), "{files:?}");
    }
}

#[test]
fn a_ledger_without_its_index_opens_on_a_full_disk() {
    let (disk, expected) = ledger_of(30);
    let index = disk.shared().subfolder("index").expect("the index");
    for name in index.list().expect("its files") {
        index.remove(&name).expect("remove");
    }
    disk.limit(Some(disk.used_bytes()));
    let (ledger, _) = open(&disk);
    assert!(answers(&ledger) == expected);
}

#[test]
fn a_clean_close_covers_everything_however_many_units_there_are() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    let of_unit = |number| batch("m", &uuid(number), "1").replace("u/0", &format!("u/{number}"));
    let batches: Vec<String> = (0..40).map(of_unit).collect();
    ledger.writer.record(entries(&format!("[{}]", batches.join(","))), received()).expect("record");
    for number in 40..60 {
        ledger.writer.record(group(number..number + 1), received()).expect("record");
    }
    ledger.writer.close().expect("close");
    assert_eq!(open_counting(&disk).1, 0);
}

#[test]
fn merging_leaves_the_reserve_free() {
    let disk = SimDisk::new();
    let options = Options { free_bytes_min: 4 << 10, ..Options::for_testing() };
    let open = || EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open").0;
    let mut ledger = open();
    // The second group has an equal conflict, and with it too few entries for a run.
    record(&mut ledger, 0..8);
    assert_eq!(runs(&disk).len(), 7);
    // Room for groups and runs beside the reserve, and for eight runs in one more form only within it.
    for number in 8..11 {
        disk.limit(Some(disk.used_bytes() + (4 << 10) + (16 << 10)));
        record(&mut ledger, number..number + 1);
    }
    assert_eq!(runs(&disk).len(), 10, "nothing is merged");
    disk.limit(None);
    record(&mut ledger, 11..12);
    assert_eq!(runs(&disk).len(), 4, "eight became one");
}

#[test]
fn rollups_in_a_bad_block_are_made_anew() {
    let (disk, expected) = ledger_of(100);
    for name in rollup_runs(&disk) {
        let mut bytes = disk.contents(&name).expect("a run");
        bytes[3] ^= 1;
        disk.set_contents(&name, &bytes);
    }
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 0);
    let error = used(&*ledger.reader, &Select::ALL).expect_err("damage");
    let text = chain(&error);
    assert!(text.contains(".rollups of the index at offset 0: it was changed"), "{text}");
    let error = ledger.writer.record(group(900..901), received()).expect_err("the index is given up");
    assert_eq!(error.remedy(), Remedy::Restart);
    drop(ledger);
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 100);
    assert!(answers(&ledger) == expected);
}

#[test]
fn other_rollups_are_shown_by_verifying() {
    let (disk, _) = ledger_of(50);
    let (other, _) = ledger_of_other(50);
    // Intact, and of another ledger: a checkpoint that states them would have to be forged.
    let (mine, strange) =
        (rollup_runs(&disk).pop().expect("a run"), rollup_runs(&other).pop().expect("a run"));
    disk.set_contents(&mine, &other.contents(&strange).expect("a run"));
    let text = chain(&verify_disk(&disk.shared(), |_| {}).expect_err("other rollups"));
    assert!(text.contains(&mine["index/".len()..]) && text.contains("remove the folder `index`"), "{text}");
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let (disk, expected) = ledger_of(60);
    let checkpoint = "index/checkpoint";
    let mut bytes = disk.contents(checkpoint).expect("a checkpoint");
    assert_eq!(bytes[9], 2, "the version");
    bytes[9] = 1;
    disk.set_contents(checkpoint, &bytes);
    assert_eq!(verify_disk(&disk.shared(), |_| {}).expect("intact").index_sequence, None);
    let (ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 60);
    assert!(answers(&ledger) == expected);
    ledger.writer.close().expect("close");
    verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

/// What is recorded in the one of version 1: sixty batches, with every tenth one of a second model, and a few acts.
fn groups_of_version_1() -> Vec<Vec<Entry>> {
    let group = |number: u64| {
        let other = if number.is_multiple_of(10) {
            format!(",{}", batch("n", &format!("batch {number}"), "2"))
        } else {
            String::new()
        };
        entries(&format!("[{}{other}]", at_hour(number, "1.5")))
    };
    let declare = Entry::Act(Act::Declare { model_uuid: "m".into(), user: "eve".into() });
    let revoke = Entry::Act(Act::Revoke { credential_id: "c".into() });
    let mut groups: Vec<_> = (0..60).map(group).collect();
    groups.push(vec![set_status("", "work"), declare, revoke]);
    groups
}

#[test]
fn an_index_of_version_1_is_used_as_it_is() {
    let disk = fixture("version-1-index");
    assert!(runs(&disk).len() > 1 && rollup_runs(&disk).len() > 1, "{:?}", index_files(&disk));
    let (mut ledger, n_groups) = open_counting(&disk);
    assert_eq!(n_groups, 0, "nothing is read again: the index is taken to be whole");

    // The same, from the batches alone.
    let anew = SimDisk::new();
    let mut expected = open(&anew).0;
    for group in groups_of_version_1() {
        expected.writer.record(group, received()).expect("record");
    }
    assert!(answers(&ledger) == answers(&expected));
    assert_eq!(ledger.reader.counts().n_batches, 66);
    let statuses = ledger.reader.hand_statuses(Some("m")).expect("statuses");
    assert_eq!(statuses.iter().map(|status| &*status.info).collect::<Vec<_>>(), ["work"]);
    assert!(ledger.reader.is_revoked("c").expect("a credential"));
    assert_eq!(ledger.reader.declared_user("m").expect("a user").as_deref(), Some("eve"));
    verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");

    for group in groups_of_version_1() {
        let again = ledger.writer.record(group, received()).expect("record");
        assert!(again.iter().all(|outcome| *outcome == Outcome::Duplicate), "{again:?}");
    }
    for number in 0..60 {
        let other = entries(&format!("[{}]", at_hour(number, "99")));
        let outcome = ledger.writer.record(other, received()).expect("record");
        assert!(matches!(outcome[..], [Outcome::Conflict { .. }]), "{outcome:?}");
    }
}

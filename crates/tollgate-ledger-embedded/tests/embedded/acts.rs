//! What operators decided, through everything that happens to a ledger.

use tollgate_journal::sim::SimDisk;
use tollgate_journal::{Journal, Kind, Records};
use tollgate_ledger::{Act, Entry, Ledger, Outcome, Page, QuarantineItem, Remedy};
use tollgate_ledger_embedded::{
    EmbeddedLedger, Loss, Options, Retention, backup_disk, salvage_disk, verify_disk,
};

use crate::common::{
    admitted, batch, batch_with_credentials, chain, entries, exported, journal_of, on_day, open, received,
    records, release, set_status, try_open, uuid,
};

/// What there is to see of acts.
#[derive(Debug, PartialEq)]
struct Standing {
    quarantine: Vec<QuarantineItem>,
    statuses: Vec<String>,
    is_revoked: bool,
    user: Option<Box<str>>,
}

fn standing(ledger: &Ledger) -> Standing {
    let reader = &ledger.reader;
    let statuses = reader.hand_statuses(None).expect("statuses");
    Standing {
        quarantine: reader.quarantine(&Page { cursor: None, limit: 99 }).expect("quarantine"),
        statuses: statuses.iter().map(|status| format!("{} {}", status.unit_name, status.info)).collect(),
        is_revoked: reader.is_revoked("one").expect("a credential"),
        user: reader.declared_user("m").expect("a user"),
    }
}

fn released(standing: &Standing) -> Vec<bool> {
    standing.quarantine.iter().map(|item| item.is_released).collect()
}

fn revoke(id: &str) -> Entry {
    Entry::Act(Act::Revoke { credential_id: id.into() })
}

fn declare(user: &str) -> Entry {
    Entry::Act(Act::Declare { model_uuid: "m".into(), user: user.into() })
}

/// Groups with acts of all kinds: of the elements 1 to 6 in quarantine, 2 and 5 are released, the latter with batch 50.
fn groups() -> Vec<Vec<Entry>> {
    let clear = Entry::Act(Act::ClearStatus { model_uuid: "m".into(), unit_name: "u/0".into() });
    let mut groups: Vec<Vec<Entry>> = (0..6)
        .map(|number| {
            let mut group =
                entries(&format!("[{},{number}]", batch_with_credentials("m", &uuid(number), "1")));
            group.push(set_status(&format!("u/{}", number % 3), &format!("status {number}")));
            group
        })
        .collect();
    groups.push(vec![release(2, None), revoke("one"), declare("bob")]);
    groups.push(vec![release(5, Some(admitted(&batch("m", &uuid(50), "2.5")))), clear, declare("eve")]);
    groups
}

fn ledger() -> (SimDisk, Standing) {
    ledger_with(Options::for_testing())
}

fn ledger_with(options: Options) -> (SimDisk, Standing) {
    let disk = SimDisk::new();
    let mut ledger = EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open").0;
    for (day, group) in (0..).zip(groups()) {
        ledger.writer.record(group, on_day(day)).expect("record");
    }
    let standing = standing(&ledger);
    assert_eq!(released(&standing), [false, true, false, false, true, false]);
    assert_eq!(standing.statuses, ["u/1 status 4", "u/2 status 5"]);
    assert_eq!((standing.is_revoked, standing.user.as_deref()), (true, Some("eve")));
    assert_eq!(ledger.reader.counts().n_batches, 7);
    ledger.writer.close().expect("close");
    (disk, standing)
}

#[test]
fn acts_are_there_again_with_the_index_and_without() {
    let (disk, expected) = ledger();
    assert_eq!(standing(&open(&disk).0), expected);
    let (mut ledger, report) = open(&journal_of(&disk));
    assert_eq!((standing(&ledger), report.counts.n_batches), (expected, 7));
    for act in [revoke("one"), declare("eve"), release(2, None), set_status("u/2", "status 5")] {
        assert_eq!(ledger.writer.record(vec![act], received()).expect("record"), [Outcome::Duplicate]);
    }
    let batch_again = entries(&format!("[{}]", batch("m", &uuid(50), "2.5")));
    assert_eq!(ledger.writer.record(batch_again, received()).expect("record"), [Outcome::Duplicate]);
    assert_eq!(verify_disk(&disk.shared(), |_| {}).expect("intact").counts, ledger.reader.counts());
}

#[test]
fn acts_alone_are_covered_by_a_clean_close_and_now_and_then() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    for number in 0..12 {
        ledger.writer.record(vec![set_status("u/0", &format!("{number}"))], received()).expect("record");
    }
    let n_read = |disk: &SimDisk| {
        let mut n_groups = 0;
        EmbeddedLedger::open_disk(disk.shared(), Options::for_testing(), |_| n_groups += 1).expect("open");
        n_groups
    };
    disk.kill();
    drop(ledger);
    assert_eq!(n_read(&disk), 2, "five acts are enough for a checkpoint");
    let (ledger, _) = open(&disk);
    ledger.writer.close().expect("close");
    assert_eq!(n_read(&disk), 0);
}

#[test]
fn acts_that_change_nothing_write_nothing() {
    let (disk, _) = ledger();
    let (mut ledger, _) = open(&disk);
    let n_changes = disk.n_changes();
    let group = vec![release(5, None), revoke("one"), declare("eve"), set_status("u/1", "status 4")];
    assert_eq!(ledger.writer.record(group, received()).expect("record"), [Outcome::Duplicate; 4]);
    assert_eq!(disk.n_changes(), n_changes);
}

#[test]
fn what_is_not_in_quarantine_cannot_be_released() {
    let (disk, expected) = ledger();
    let (mut ledger, _) = open(&disk);
    for id in [0, 7, u64::MAX] {
        let group = vec![set_status("u/0", "never"), release(id, None)];
        let error = ledger.writer.record(group, received()).expect_err("there is none");
        assert_eq!(error.remedy(), Remedy::Repair);
        let step = format!("release element {id} of the quarantine: there is none with that id");
        assert_eq!(chain(&error), step);
    }
    assert_eq!(standing(&ledger), expected, "nothing of the group was recorded");
    // One that the same group sets aside has an id already.
    let group = entries("[99]").into_iter().chain([release(7, None)]).collect();
    let outcomes = ledger.writer.record(group, received()).expect("record");
    assert_eq!(outcomes, [Outcome::Quarantined { quarantine_id: 7 }, Outcome::Recorded]);
}

#[test]
fn a_backup_has_all_acts() {
    let (disk, expected) = ledger();
    let copy = SimDisk::new();
    backup_disk(&disk.shared(), &copy.shared(), |_| {}).expect("back up");
    assert_eq!(standing(&open(&copy).0), expected);
}

#[test]
fn retention_leaves_acts_as_they_are() {
    let (disk, expected) = ledger_with(Options { segment_bytes_max: 600, ..Options::for_testing() });
    let acts = |disk: &SimDisk| records(disk).into_iter().filter(|record| record[0] == 4).collect::<Vec<_>>();
    let before = acts(&disk);
    assert_eq!(before.len(), 12);
    let retention = Some(Retention { days: 1, now: || on_day(99) });
    let options = Options { retention, ..Options::for_testing() };
    drop(EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open"));
    assert!(records(&disk).iter().any(|record| record[0] == 3), "some batches are reduced");
    assert_eq!(acts(&disk), before);
    assert_eq!(standing(&open(&journal_of(&disk)).0), expected);
    verify_disk(&disk.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

#[test]
fn of_a_sound_ledger_salvage_keeps_every_act() {
    let (disk, expected) = ledger();
    let to = SimDisk::new();
    let report = salvage_disk(&disk.shared(), &to.shared(), Options::for_testing(), |_| {}).expect("salvage");
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.n_batches, report.n_quarantined, report.n_acts), (7, 6, 12));
    assert_eq!(records(&to), records(&disk));
    assert_eq!(standing(&open(&to).0), expected);
}

/// The ledger after the group that has `text` in one of its records was damaged.
fn damaged(text: &str) -> SimDisk {
    let (disk, _) = ledger_with(Options { compression: None, ..Options::for_testing() });
    for number in 1.. {
        let name = format!("{number:016x}.segment");
        let mut bytes = disk.contents(&name).expect("it is in one of the segments");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] ^= 1;
            disk.set_contents(&name, &bytes);
            break;
        }
    }
    disk
}

#[test]
fn releases_follow_their_elements_when_others_are_lost() {
    // The group of element 1.
    let from = damaged("status 0");
    let to = SimDisk::new();
    let report = salvage_disk(&from.shared(), &to.shared(), Options::for_testing(), |_| {}).expect("salvage");
    assert_eq!((report.n_quarantined, report.n_acts, report.lost_groups.len()), (5, 11, 1));
    let (ledger, _) = open(&to);
    let found = standing(&ledger);
    assert_eq!(released(&found), [true, false, false, true, false]);
    let bodies: Vec<&str> = found.quarantine.iter().map(|item| &*item.body).collect();
    assert_eq!(bodies, ["1", "2", "3", "4", "5"]);
    assert_eq!(exported(&to).len(), 6);
    drop(ledger);
    verify_disk(&to.shared(), |_| {}).map_err(|error| chain(&error)).expect("intact");
}

#[test]
fn a_release_of_what_is_lost_is_told() {
    // The group of element 2, which is released later.
    let from = damaged("status 1");
    let to = SimDisk::new();
    let report = salvage_disk(&from.shared(), &to.shared(), Options::for_testing(), |_| {}).expect("salvage");
    assert!(!report.is_whole());
    let told = report.damage.iter().find(|stretch| stretch.why.contains("releases an element that is lost"));
    let told = told.unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!((told.groups.clone(), told.loss), (Some(7..=7), Loss::Nothing));
    let found = standing(&open(&to).0);
    assert_eq!(released(&found), [false, false, false, true, false]);
    assert_eq!((found.is_revoked, found.user.as_deref()), (true, Some("eve")));
}

#[test]
fn an_act_that_is_not_known_is_refused() {
    for (record, why) in [
        (
            &b"\x04\0\0\0\0\0\0\0\0\0\0\0\0{\"act\":\"forgive\"}"[..],
            "it is an act that this program does not know",
        ),
        (&b"\x05\0\0\0\0\0\0\0\0\0\0\0\0{}"[..], "it has kind 5, which this program does not know"),
        (
            &b"\x04\0\0\0\0\0\0\0\0\0\0\0\0{\"act\":\"release\",\"quarantine_id\":1}"[..],
            "release quarantined element 1: it is not in quarantine",
        ),
    ] {
        let disk = SimDisk::new();
        let options = tollgate_journal::Options::new(Kind::new("ledger"));
        let (mut journal, _) = Journal::open(disk.shared(), options).expect("a journal");
        let mut made = Records::default();
        made.push(record);
        journal.append(&made).expect("append");
        journal.close().expect("close");
        let error = try_open(&disk).map(|_| ()).expect_err("refused");
        assert_eq!(error.remedy(), Remedy::Repair);
        assert!(chain(&error).contains(why), "{}", chain(&error));
    }
}

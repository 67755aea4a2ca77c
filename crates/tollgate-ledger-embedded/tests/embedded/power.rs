//! Single power cuts and full disks, each told as a story. Random ones, by the million, are in `durability/`.

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_ledger::{Outcome, Remedy};

use crate::common::{batch, chain, entries, exported, open, received, uuid};

#[test]
fn a_duplicate_waits_for_the_sync_of_its_first_copy() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    let one = batch("m", &uuid(1), "1");
    // The write of the group comes before its sync.
    disk.fail_at(2, Failure::Error);
    let error =
        ledger.writer.record(entries(&format!("[{one},{one}]")), received()).expect_err("a failed sync");
    assert_eq!(error.remedy(), Remedy::Restart);
    assert_eq!(ledger.reader.counts().n_batches, 0, "nobody sees what is not durable");
    let error = ledger.writer.record(entries(&format!("[{one}]")), received()).expect_err("a closed ledger");
    assert_eq!(error.to_string(), "record in a ledger closed by an earlier failure");
    drop(ledger);

    // The first copy is in the page cache, and the disk says that it has nothing left to sync.
    let (mut ledger, _) = open(&disk);
    let outcomes = ledger.writer.record(entries(&format!("[{one}]")), received()).expect("record");
    assert_eq!(outcomes, [Outcome::Duplicate]);
    disk.cut_power(1);
    assert_eq!(exported(&disk), [one]);
}

#[test]
fn a_full_disk_is_a_matter_of_space_until_there_is_some() {
    let disk = SimDisk::new();
    let (mut ledger, _) = open(&disk);
    let one = entries(&format!("[{}]", batch("m", &uuid(1), "1")));
    ledger.writer.record(one.clone(), received()).expect("record");
    disk.limit(Some(disk.used_bytes() + 300));
    for _ in 0..3 {
        let two = entries(&format!("[{}]", batch("m", &uuid(2), "1")));
        let error = ledger.writer.record(two, received()).expect_err("full");
        assert_eq!(error.remedy(), Remedy::FreeSpace);
        assert!(chain(&error).starts_with("record 1 elements: append "), "{}", chain(&error));
    }
    assert_eq!(ledger.writer.record(one, received()).expect("nothing to write"), [Outcome::Duplicate]);
    disk.limit(None);
    for number in 3..5 {
        let group = entries(&format!("[{}]", batch("m", &uuid(number), "1")));
        assert_eq!(ledger.writer.record(group, received()).expect("record"), [Outcome::Recorded]);
    }
    disk.cut_power(1);
    let (ledger, _) = open(&disk);
    assert_eq!(ledger.reader.counts().n_batches, 3);
}

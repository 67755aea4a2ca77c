//! A group that the journal refuses is forgiven, and the caller hears what to do.

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_ledger::{Ledger, LedgerError, Outcome, Remedy};
use tollgate_ledger_embedded::{EmbeddedLedger, Options};

use crate::common::{batch, entries, exported, open, received, uuid};

const N_BATCHES: u64 = 10;

/// Records batches that do not fit into the segment with those before them.
fn record_many(ledger: &mut Ledger, group: u64) -> Result<Vec<Outcome>, LedgerError> {
    let numbers = group * N_BATCHES..(group + 1) * N_BATCHES;
    let posted: Vec<String> = numbers.map(|number| batch("m", &uuid(number), "1")).collect();
    ledger.writer.record(entries(&format!("[{}]", posted.join(","))), received())
}

#[test]
fn a_segment_that_cannot_be_made_is_made_later() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_max: 512, ..Options::for_testing() };
    let mut ledger = EmbeddedLedger::open_disk(disk.shared(), options, |_| {}).expect("open").0;
    record_many(&mut ledger, 1).expect("the first segment");

    disk.run_out_of_files(true);
    assert_eq!(record_many(&mut ledger, 2).expect_err("no inode").remedy(), Remedy::FreeSpace);
    disk.run_out_of_files(false);
    for (failure, remedy) in [
        (Failure::Full, Remedy::FreeSpace),
        (Failure::OverQuota, Remedy::FreeSpace),
        (Failure::TooManyOpen, Remedy::Retry),
    ] {
        disk.fail_at(1, failure);
        assert_eq!(record_many(&mut ledger, 2).expect_err("refused").remedy(), remedy);
    }
    assert_eq!(ledger.reader.counts().n_batches, N_BATCHES);
    assert_eq!(record_many(&mut ledger, 2).expect("room again"), [Outcome::Recorded; N_BATCHES as usize]);
    drop(ledger);
    let (ledger, report) = open(&disk);
    assert_eq!((report.n_segments, ledger.reader.counts().n_batches), (2, 2 * N_BATCHES));
    assert_eq!(exported(&disk).len() as u64, 2 * N_BATCHES);
}

#[test]
fn a_group_that_the_disk_has_no_room_for_is_recorded_later() {
    for failure in [Failure::Full, Failure::OverQuota] {
        let disk = SimDisk::new();
        let (mut ledger, _) = open(&disk);
        record_many(&mut ledger, 1).expect("the first group");
        disk.fail_at(1, failure);
        assert_eq!(record_many(&mut ledger, 2).expect_err("no room").remedy(), Remedy::FreeSpace);
        assert_eq!(record_many(&mut ledger, 2).expect("room again"), [Outcome::Recorded; N_BATCHES as usize]);
    }
}

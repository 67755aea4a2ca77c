//! A group that was never synced, found by a start that ends before it has made the group durable.

use tollgate_durability::lives::{Sound, Subject, batch, entries, received};
use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_ledger::{Outcome, Remedy, chain};
use tollgate_ledger_embedded::Export;

/// A disk with one group in the page cache alone, whose sync has failed: no later sync brings it to the disk by itself.
fn with_an_unsynced_group(posted: &str) -> Result<SimDisk, String> {
    let disk = SimDisk::new();
    let mut ledger = Sound.open(&disk).map_err(|error| chain(&error))?;
    disk.fail_at(2, Failure::Error);
    match ledger.writer.record(entries(posted), received()) {
        Err(error) if error.remedy() == Remedy::Restart => {}
        other => return Err(format!("the sync was to fail: {other:?}")),
    }
    disk.kill();
    Ok(disk)
}

#[test]
fn whatever_a_dying_start_has_written_the_next_one_acknowledges_only_what_is_durable() {
    // More ids than the index keeps in memory in a test, so that the start writes it to the disk.
    let batches: Vec<String> = (0..40).map(|n| batch("m", &format!("b-{n}"), "1")).collect();
    let posted = format!("[{}]", batches.join(","));
    for n in 1..60 {
        for power_fails in [false, true] {
            let disk = with_an_unsynced_group(&posted).expect("an unsynced group");
            disk.fail_at(n, Failure::Death);
            drop(Sound.open(&disk));
            match power_fails {
                true => disk.cut_power(n),
                false => disk.kill(),
            }

            let opened = Sound.open(&disk).map_err(|error| chain(&error));
            let mut ledger =
                opened.unwrap_or_else(|error| panic!("death at call {n}, power {power_fails}: {error}"));
            let outcomes = ledger.writer.record(entries(&posted), received()).expect("record");
            assert!(outcomes.iter().all(|outcome| [Outcome::Recorded, Outcome::Duplicate].contains(outcome)));
            drop(ledger);
            // Everything was acknowledged just now.
            disk.cut_power(n + 1);
            drop(Sound.open(&disk).unwrap_or_else(|error| panic!("death at call {n}: {}", chain(&error))));
            let exported = Export::of_disk(disk.shared()).expect("export");
            let exported: Vec<Vec<u8>> = exported.collect::<Result<_, _>>().expect("bodies");
            assert_eq!(exported.len(), batches.len(), "death at call {n}, power {power_fails}");
        }
    }
}

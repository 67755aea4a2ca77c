//! Crashes, failing disks and power cuts at random; and mistakes that must not go unnoticed.

use tollgate_journal::sim::Lies;

use crate::model::live;

/// Each is up to 5 crashes.
const N_LIVES: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

#[test]
fn every_acknowledged_group_survives() {
    for seed in 0..N_LIVES {
        live(seed, Lies::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// How many of the first lives show that something is wrong.
#[track_caller]
fn check_caught(lies: Lies) {
    let n_caught = (0..1000).filter(|&seed| live(seed, lies).is_err()).count();
    assert!(10 < n_caught, "caught in {n_caught} of 1000 lives only");
}

#[test]
fn a_sync_that_is_left_out_is_caught() {
    check_caught(Lies { skips_sync_data: true, ..Lies::default() });
}

#[test]
fn a_folder_that_is_not_synced_is_caught() {
    check_caught(Lies { skips_sync_folder: true, ..Lies::default() });
}

#[test]
fn a_failed_sync_that_is_retried_is_caught() {
    check_caught(Lies { retries_failed_sync: true, ..Lies::default() });
}

#[test]
fn a_short_write_that_is_ignored_is_caught() {
    check_caught(Lies { hides_short_writes: true, ..Lies::default() });
}

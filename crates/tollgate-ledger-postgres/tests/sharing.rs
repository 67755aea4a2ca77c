//! Several collectors on one database: what each acknowledges is there, once.

mod sample;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sample::{MODEL, Total, entries, open, total};
use tollgate_ledger::{LedgerError, Outcome, Remedy};
use tollgate_ledger_postgres::Options;
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_wire::Timestamp;

#[test]
fn the_same_batches_to_two_collectors_at_once_are_recorded_once() {
    const N_BATCHES: usize = 10_000;
    const GROUP: usize = 500;
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let url = cluster.url();
    let n_recorded = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut ledger = open(&url, Options::default());
                for start in (0..N_BATCHES).step_by(GROUP) {
                    let group = entries(start..start + GROUP);
                    let outcomes = ledger.writer.record(group, Timestamp::default()).expect("record a group");
                    let n_new = outcomes.iter().filter(|outcome| **outcome == Outcome::Recorded).count();
                    assert!(
                        outcomes
                            .iter()
                            .all(|outcome| matches!(outcome, Outcome::Recorded | Outcome::Duplicate))
                    );
                    n_recorded.fetch_add(n_new, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(n_recorded.into_inner(), N_BATCHES, "each was recorded by one of the two");
    let ledger = open(&url, Options::default());
    assert_eq!(total(&*ledger.reader), Total::of(0..N_BATCHES));
    assert_eq!(
        cluster.psql("SELECT count(*) FROM tollgate.batches").expect("count").trim(),
        N_BATCHES.to_string()
    );
}

#[test]
fn nothing_is_lost_or_doubled_while_the_server_is_killed() {
    const N_BATCHES: usize = 6_000;
    const GROUP: usize = 50;
    const N_KILLS: usize = 6;
    let mut cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let url = cluster.url();
    let mut ledgers: Vec<_> = (0..2).map(|_| open(&url, Options::default())).collect();
    let n_failed = AtomicUsize::new(0);
    let are_kills_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for ledger in &mut ledgers {
            let (n_failed, are_kills_over) = (&n_failed, &are_kills_over);
            scope.spawn(move || {
                // However quick the groups are, the kills fall among them: all of them come again until the last kill.
                let mut is_first = true;
                while std::mem::take(&mut is_first) || !are_kills_over.load(Ordering::SeqCst) {
                    for start in (0..N_BATCHES).step_by(GROUP) {
                        // As a sender does: again and again, until it is acknowledged.
                        while let Err(error) =
                            ledger.writer.record(entries(start..start + GROUP), Timestamp::default())
                        {
                            assert_eq!(error.remedy(), Remedy::Retry, "{}", tollgate_ledger::chain(&error));
                            n_failed.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_millis(20));
                        }
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        for _ in 0..N_KILLS {
            thread::sleep(Duration::from_millis(700));
            cluster.kill().expect("kill the server");
            cluster.resume().expect("start the server again");
        }
        are_kills_over.store(true, Ordering::SeqCst);
    });
    assert_ne!(n_failed.into_inner(), 0, "a kill was noticed");
    let reader = &ledgers[0].reader;
    assert_eq!(total(&**reader), Total::of(0..N_BATCHES));
    let counted = "SELECT count(*) FROM tollgate.batches WHERE octet_length(body) > 0";
    assert_eq!(cluster.psql(counted).expect("count").trim(), N_BATCHES.to_string());
}

#[test]
fn the_same_ids_in_any_order_do_not_stop_anybody() {
    const N_WRITERS: usize = 8;
    let cluster = Cluster::start(&["deadlock_timeout=50ms"]).expect("start PostgreSQL");
    let url = cluster.url();
    thread::scope(|scope| {
        for n in 0..N_WRITERS {
            let url = &url;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(n as u64);
                let mut ledger =
                    open(url, Options { n_recording_max: 2, folds: n == 0, ..Options::default() });
                for start in (0..1_000).step_by(100) {
                    let mut group = entries(start..start + 100);
                    random.shuffle(&mut group);
                    ledger.writer.record(group, Timestamp::default()).expect("record a group");
                }
            });
        }
    });
    let ledger = open(&url, Options::default());
    assert_eq!(total(&*ledger.reader), Total::of(0..1_000));
}

#[test]
fn a_copy_waits_for_the_first_and_takes_its_place_when_that_is_rolled_back() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let url = cluster.url();
    let mut ledger = open(&url, Options::default());
    ledger.writer.record(entries(1..2), Timestamp::default()).expect("record one to copy");
    // Somebody else has inserted the batch and not committed yet.
    let first = |end: &str| {
        format!(
            "BEGIN;
             UPDATE tollgate.batches SET batch = batch || '\\x00' WHERE false;
             INSERT INTO tollgate.batches SELECT model, '\\x00' || convert_to('batch 0', 'UTF8'), place + 1, digest,
                 received, unit, body FROM tollgate.batches;
             SELECT pg_sleep(0.5);
             {end}"
        )
    };
    let record = |ledger: &mut tollgate_ledger::Ledger| -> Result<Vec<Outcome>, LedgerError> {
        thread::sleep(Duration::from_millis(250));
        ledger.writer.record(entries(0..1), Timestamp::default())
    };
    thread::scope(|scope| {
        let rolled_back = scope.spawn(|| cluster.psql(&first("ROLLBACK")));
        assert_eq!(record(&mut ledger).expect("record"), [Outcome::Recorded]);
        rolled_back.join().expect("psql ran").expect("roll back");
    });
    cluster.psql("DELETE FROM tollgate.batches WHERE body LIKE '%batch 0%'").expect("delete it");
    thread::scope(|scope| {
        let committed = scope.spawn(|| cluster.psql(&first("COMMIT")));
        let outcomes = record(&mut ledger).expect("record");
        assert!(matches!(outcomes[..], [Outcome::Conflict { .. }]), "{outcomes:?}");
        committed.join().expect("psql ran").expect("commit");
    });
    assert_eq!(MODEL, "deadbeef-0bad-400d-8000-4b1d0d06f00d");
}

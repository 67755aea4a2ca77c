//! Limits, full disks, and giving room back.

use std::sync::Arc;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_sender::{Remedy, Spool, SpoolError, SpoolOptions};

use crate::common::{Collector, SimClock, batch, open, reading, round, sender, spool_of, try_open};

#[test]
fn a_full_spool_refuses_the_new_and_keeps_the_old() {
    let (disk, clock) = (SimDisk::new(), SimClock::new());
    let options = SpoolOptions { bytes_max: 4_000, ..SpoolOptions::for_testing() };
    let open = || Spool::open_on(disk.shared(), options, Arc::new(clock.clone())).expect("open").0;
    let spool = open();
    let mut n_recorded = 0;
    let error = loop {
        match spool.record(batch(format!("b{n_recorded}"))) {
            Ok(_) => n_recorded += 1,
            Err(error) => break error,
        }
    };
    let text = error.to_string();
    assert!(
        text.starts_with("record ") && text.contains("of 4000 bytes allowed; let the collector take"),
        "{text}"
    );
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(spool.summary().n_pending, n_recorded);
    // What is acknowledged makes room, though there is none left.
    let collector = Collector::default();
    round(&mut sender(&spool, &collector));
    assert_eq!(spool.summary().n_pending, 0);
    spool.record(batch("after")).expect("room again");
    drop(spool);
    assert_eq!(open().summary().n_pending, 1);
}

#[test]
fn a_full_disk_refuses_the_new_and_still_notes_acknowledgements() {
    let (disk, clock) = (SimDisk::new(), SimClock::new());
    let options = SpoolOptions { free_bytes_min: 20_000, ..SpoolOptions::for_testing() };
    let (spool, _) = Spool::open_on(disk.shared(), options, Arc::new(clock.clone())).expect("open");
    spool.record(batch("one")).expect("record");
    disk.limit(Some(disk.used_bytes() + 20_100));
    let error = spool.record(batch("two")).expect_err("full");
    assert!(error.to_string().ends_with("of which 20000 are kept in reserve; make room"), "{error}");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(round(&mut sender(&spool, &Collector::default())), (1, 1));
    disk.limit(None);
    spool.record(batch("two")).expect("room again");
}

#[test]
fn a_disk_that_is_full_to_the_brim_keeps_what_there_is() {
    let (disk, clock, spool) = spool_of(2);
    for failure in [Failure::Full, Failure::OverQuota] {
        disk.fail_at(1, failure);
        assert_eq!(spool.record(batch("more")).expect_err("full").remedy(), Remedy::Retry);
    }
    disk.fail_at(1, Failure::Full);
    let mut sender = sender(&spool, &Collector::default());
    let error = sender.round(|_| true).expect_err("no acknowledgement can be noted");
    assert_eq!(error.remedy(), Remedy::Retry);
    assert_eq!(spool.summary().n_pending, 2);
    assert_eq!(round(&mut sender), (1, 2), "they are sent again");
    drop((sender, spool));
    assert_eq!(open(&disk, &clock).summary().n_pending, 0);
}

#[test]
fn a_disk_that_takes_no_writes_refuses_and_says_so() {
    let disk = SimDisk::new();
    disk.fail_at(1, Failure::ErrorsFromThereOn);
    let error = try_open(&disk, &SimClock::new()).expect_err("read-only");
    assert!(matches!(error, SpoolError::Journal(_)), "{error}");

    let (disk, _clock, spool) = spool_of(1);
    disk.fail_at(1, Failure::ErrorsFromThereOn);
    let error = spool.record(batch("more")).expect_err("read-only");
    assert_eq!(error.remedy(), Remedy::Restart);
    assert!(spool.is_closed());
}

#[test]
fn a_spool_that_is_in_use_is_not_opened_twice() {
    let (disk, clock, _spool) = spool_of(1);
    let error = try_open(&disk, &clock).expect_err("in use");
    assert_eq!(error.remedy(), Remedy::Retry);
}

#[test]
fn what_is_acknowledged_takes_no_room() {
    let (disk, clock, spool) = spool_of(0);
    let collector = Collector::default();
    let mut sender = sender(&spool, &collector);
    for n in 0..2_000 {
        spool.record(batch(format!("b{n}"))).expect("record");
        if n % 7 == 0 {
            round(&mut sender);
        }
    }
    round(&mut sender);
    assert!(disk.used_bytes() < 10_000, "{} bytes", disk.used_bytes());
    drop((sender, spool));
    let spool = open(&disk, &clock);
    assert_eq!((spool.summary().n_recorded, spool.summary().n_pending), (2_000, 0));
}

#[test]
fn a_batch_that_is_never_acknowledged_does_not_keep_all_behind_it() {
    let (disk, clock, spool) = spool_of(0);
    let collector = Collector::default();
    collector.with(|script| script.refused = ["b5", "b900"].map(str::to_owned).into());
    let mut sender = sender(&spool, &collector);
    for n in 0..2_000 {
        spool.record(batch(format!("b{n}"))).expect("record");
        if n % 7 == 0 {
            round(&mut sender);
        }
    }
    round(&mut sender);
    assert!(disk.used_bytes() < 20_000, "{} bytes", disk.used_bytes());
    drop((sender, spool));
    let spool = open(&disk, &clock);
    assert_eq!(spool.summary().n_pending, 2);
    collector.with(|script| script.refused.clear());
    collector.requests();
    spool.release(None, tollgate_sender::Release::SendAgain).expect("release");
    round(&mut crate::common::sender(&spool, &collector));
    let mut sent: Vec<String> = collector.requests().join(" ").split(" ").map(str::to_owned).collect();
    sent.sort();
    assert_eq!(sent, ["b5", "b900"]);
}

#[test]
fn a_batch_that_cannot_be_sent_is_refused_when_it_is_recorded() {
    let (_disk, _clock, spool) = spool_of(0);
    let mut homeless = batch("b1");
    homeless.model_uuid.clear();
    assert_eq!(
        spool.record(homeless).expect_err("no model").to_string(),
        "record a batch: it names no model; set its model uuid"
    );
    let mut large = batch("b2");
    large.charm_url = "x".repeat(20_000);
    let error = spool.record_all(vec![batch("b1"), large]).expect_err("large");
    let text = "record batch b2: it has 20287 bytes, and a request 16384 at most; divide it";
    assert_eq!(error.to_string(), text);
    assert_eq!(spool.summary().n_recorded, 0, "all or none");
}

#[test]
fn however_many_readings_wait_their_batches_are_not_too_large() {
    let (disk, clock, spool) = spool_of(0);
    for n in 0..25 {
        let readings = (0..10).map(|m| reading(format!("{}", 10 * n + m)));
        spool.add_readings(readings.collect(), Vec::new()).expect("keep");
    }
    let long = |n_bytes: usize| {
        let mut long = reading("1000");
        long.metric.labels.insert("long".to_owned(), "x".repeat(n_bytes));
        long
    };
    for _ in 0..3 {
        spool.add_readings(vec![long(7_000)], Vec::new()).expect("keep");
    }
    let error = spool.add_readings(vec![reading("1"), long(17_000)], Vec::new()).expect_err("too large");
    let text = error.to_string();
    assert!(
        text.starts_with("keep reading 1: a batch of it has 17306 bytes") && text.contains("may have 16384"),
        "{text}"
    );
    assert_eq!((error.remedy(), spool.summary().n_readings), (Remedy::Mend, 253), "all or none");
    // A limit that became smaller since does not hold it up either.
    drop(spool);
    let options = SpoolOptions { batch_bytes_max: 5_000, ..SpoolOptions::for_testing() };
    let (spool, _) = Spool::open_on(disk.shared(), options, Arc::new(clock)).expect("open");
    let n_batches = spool.batch_readings(0, 0).expect("batch");
    assert_eq!((spool.summary().n_readings, spool.summary().n_pending), (0, n_batches));
    let collector = Collector::default();
    while 0 < round(&mut sender(&spool, &collector)).1 {}
    let mut values = collector.readings();
    values.sort_by_key(|value| value.parse::<u64>().expect("a number"));
    let expected = (0..250).chain([1000; 3]).map(|n| n.to_string());
    assert_eq!(values, expected.collect::<Vec<_>>());
    collector.with(|script| {
        let lengths = script.taken.values().map(|(_, bytes)| bytes.len());
        assert!(lengths.clone().all(|length| length < 8_000), "{:?}", lengths.collect::<Vec<_>>());
    });
}

#[test]
fn a_batch_has_as_many_readings_as_collectors_take() {
    let (disk, clock) = (SimDisk::new(), SimClock::new());
    let (spool, _) = Spool::open_on(disk.shared(), SpoolOptions::default(), Arc::new(clock)).expect("open");
    let readings = (0..10_001).map(|n| reading(n.to_string()));
    spool.add_readings(readings.collect(), Vec::new()).expect("keep");
    assert_eq!(spool.batch_readings(0, 0).expect("batch"), 2);
    let collector = Collector::default();
    round(&mut sender(&spool, &collector));
    assert_eq!(collector.readings().len(), 10_001);
}

#[test]
fn many_writers_share_a_sync() {
    let (disk, clock, spool) = spool_of(0);
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let spool = spool.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    spool.record(batch(format!("{writer}-{n}"))).expect("record");
                }
            });
        }
    });
    drop(spool);
    disk.cut_power(1);
    let spool = open(&disk, &clock);
    assert_eq!(spool.summary().n_pending, 800);
    let collector = Collector::default();
    round(&mut sender(&spool, &collector));
    assert_eq!(collector.taken().len(), 800);
}

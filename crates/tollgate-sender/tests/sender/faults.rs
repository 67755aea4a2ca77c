//! A fault at each disk call in turn.

use std::collections::BTreeSet;

use tollgate_journal::sim::{Failure, SimDisk};
use tollgate_sender::{Release, SpoolError};

use crate::common::{Collector, SimClock, batch, open, round, sender, try_open};

const FAILURES: [Failure; 8] = [
    Failure::Death,
    Failure::Error,
    Failure::ErrorsFromThereOn,
    Failure::Short,
    Failure::Full,
    Failure::FullInTheMiddle,
    Failure::OverQuota,
    Failure::TooManyOpen,
];

/// Records and sends, with enough to begin and forget segments. Gives the ids whose recording returned.
fn run(
    disk: &SimDisk,
    clock: &SimClock,
    collector: &Collector,
    recorded: &mut BTreeSet<String>,
) -> Result<(), SpoolError> {
    let (spool, _) = try_open(disk, clock)?;
    let mut sender = sender(&spool, collector);
    for n in 0..24 {
        let id = format!("b{n}");
        if spool.record(batch(id.clone())).is_ok() {
            recorded.insert(id);
        }
        if n % 8 == 7 {
            sender.round(|_| true)?;
            spool.run_hook(&mut ())?;
        }
    }
    Ok(())
}

#[test]
fn a_fault_at_each_call_loses_nothing_that_was_recorded() {
    let clock = SimClock::new();
    let disk = SimDisk::new();
    run(&disk, &clock, &Collector::default(), &mut BTreeSet::new()).expect("no fault");
    let n_calls = disk.n_changes();
    assert!(50 < n_calls);
    for n in 1..=n_calls {
        for failure in FAILURES {
            for seed in 0..3 {
                let (disk, collector) = (SimDisk::new(), Collector::default());
                // One is refused, so that there is something to carry on.
                collector.with(|script| script.refused = ["b1".to_owned()].into());
                let mut recorded = BTreeSet::new();
                disk.fail_at(n, failure);
                let _: Result<(), SpoolError> = run(&disk, &clock, &collector, &mut recorded);
                if seed == 0 {
                    disk.kill();
                } else {
                    disk.cut_power(seed);
                }
                let spool = open(&disk, &clock);
                collector.with(|script| script.refused.clear());
                spool.release(None, Release::SendAgain).expect("release");
                let mut sender = sender(&spool, &collector);
                while 0 < round(&mut sender).1 {}
                let taken: BTreeSet<String> = collector.taken().into_iter().collect();
                let lost: Vec<&String> = recorded.difference(&taken).collect();
                assert!(lost.is_empty(), "call {n}, {failure:?}, {seed}: {lost:?} are lost");
                assert_eq!(spool.summary().n_pending, 0, "call {n}, {failure:?}, {seed}");
                assert_eq!(spool.summary().set_aside.n_stretches, 0, "call {n}, {failure:?}, {seed}");
            }
        }
    }
}

//! A week without a collector, and the hook.

use std::time::Duration;

use tollgate_sender::{Hook, ShellHook, Standing};

use crate::common::{Act, Collector, MODEL, batch, open, round, sender, spool_of};

#[derive(Debug, Default)]
struct Told(Vec<String>);

impl Hook for Told {
    fn run(&mut self, standing: &Standing, change: u64) {
        self.0.push(format!("{change} {}", standing.status));
    }
}

#[test]
fn seven_days_without_a_collector_and_then_all_is_delivered() {
    let (disk, clock, mut spool) = spool_of(1);
    let collector = Collector::default();
    collector.with(|script| script.grace_period = 3 * 86_400 * 1_000_000_000);
    let mut loop_ = sender(&spool, &collector);
    let mut told = Told::default();
    let mut statuses = vec![];
    let mut n_recorded = 1;
    let mut n_rounds = 0_u64;
    let mut passed = Duration::ZERO;
    let week = Duration::from_secs(7 * 86_400);
    let mut next_batch = Duration::ZERO;
    while passed < week {
        collector.with(|script| script.is_down = Duration::from_secs(600) < passed);
        let next_in = loop_.round(|_| true).expect("a round").next_in.max(Duration::from_millis(1));
        n_rounds += 1;
        spool.run_hook(&mut told).expect("the spool holds");
        let status = spool.meter_status(None, None).status;
        if statuses.last() != Some(&status) {
            statuses.push(status);
        }
        passed += next_in;
        clock.pass(next_in);
        if next_batch <= passed {
            next_batch += Duration::from_secs(300);
            n_recorded += 1;
            spool.record(batch(format!("b{n_recorded}"))).expect("room for a week");
        }
        if n_rounds.is_multiple_of(2_000) {
            // A restart now and then changes nothing.
            drop((loop_, spool));
            disk.cut_power(n_rounds);
            spool = open(&disk, &clock);
            loop_ = sender(&spool, &collector);
        }
    }
    assert!(7_000 < n_rounds && n_rounds < 40_000, "{n_rounds} rounds");
    let before = spool.summary();
    assert!(2_000 < before.n_pending, "{before:?}");
    collector.requests();
    collector.with(|script| script.is_down = false);
    let (n_requests, n_acknowledged) = round(&mut loop_);
    spool.run_hook(&mut told).expect("the spool holds");
    assert_eq!(n_acknowledged, before.n_pending);
    assert_eq!(n_requests, before.n_pending.div_ceil(4), "one lap");

    let order: Vec<u64> =
        collector.requests().join(" ").split(' ').map(|id| id[1..].parse().expect("a number")).collect();
    assert!(order.is_sorted(), "the oldest goes first");
    collector.with(|script| {
        assert_eq!(script.taken.len() as u64, n_recorded, "every batch");
        assert!(script.taken.values().all(|(n_times, _)| *n_times == 1), "once");
    });
    assert_eq!(statuses, ["GREEN", "AMBER", "RED"]);
    assert_eq!(told.0, ["1 GREEN", "2 AMBER", "3 RED", "4 GREEN"]);
    assert!(spool.summary().n_bytes < 200_000, "what was delivered is gone: {:?}", spool.summary());
}

#[test]
fn what_the_collector_says_of_a_unit_lasts() {
    let (disk, clock, spool) = spool_of(1);
    let collector = Collector::default();
    collector.with(|script| script.unit_status = Some(("AMBER", "9 of 10 used")));
    round(&mut sender(&spool, &collector));
    drop(spool);
    disk.cut_power(1);
    let spool = open(&disk, &clock);
    let status = |model: Option<&str>, unit: Option<&str>| spool.meter_status(model, unit).to_string();
    assert_eq!(status(None, None), "AMBER: 9 of 10 used");
    assert_eq!(status(Some(MODEL), None), "AMBER: 9 of 10 used");
    assert_eq!(status(Some(MODEL), Some("web/0")), "AMBER: 9 of 10 used");
    assert_eq!(status(Some(MODEL), Some("web/1")), "GREEN: ok");
    assert_eq!(status(Some("other"), None), "GREEN: ok");
}

#[test]
fn the_hook_runs_once_for_each_change_over_any_restart() {
    let (disk, clock, mut spool) = spool_of(1);
    let collector = Collector::default();
    let mut told = Told::default();
    let infos = [("GREEN", ""), ("GREEN", ""), ("AMBER", "a"), ("AMBER", "b"), ("AMBER", "b"), ("RED", "")];
    for (index, (status, info)) in infos.into_iter().enumerate() {
        collector.with(|script| script.unit_status = Some((status, info)));
        spool.record(batch(format!("r{index}"))).expect("record");
        round(&mut sender(&spool, &collector));
        for _ in 0..3 {
            spool.run_hook(&mut told).expect("the spool holds");
            drop(spool);
            disk.cut_power(index as u64);
            spool = open(&disk, &clock);
        }
    }
    assert_eq!(told.0, ["1 GREEN", "2 AMBER", "3 AMBER", "4 RED"]);
}

#[test]
fn a_hook_that_ran_while_the_disk_was_full_does_not_run_again() {
    /// Fills the disk while it runs.
    struct Filling<'a>(&'a tollgate_journal::sim::SimDisk, Told);
    impl Hook for Filling<'_> {
        fn run(&mut self, standing: &Standing, change: u64) {
            self.1.run(standing, change);
            self.0.limit(Some(self.0.used_bytes()));
        }
    }
    let (disk, clock, spool) = spool_of(1);
    let mut filling = Filling(&disk, Told::default());
    for _ in 0..3 {
        let error = spool.run_hook(&mut filling).expect_err("no room to note it");
        assert_eq!(error.remedy(), tollgate_sender::Remedy::Retry);
    }
    assert_eq!(filling.1.0, ["1 GREEN"]);
    disk.limit(None);
    assert!(!spool.run_hook(&mut filling).expect("room again"));
    let collector = Collector::default();
    collector.with(|script| script.unit_status = Some(("RED", "")));
    round(&mut sender(&spool, &collector));
    spool.run_hook(&mut filling).expect_err("full again");
    assert_eq!(filling.1.0, ["1 GREEN", "2 RED"]);
    // Who does not know that it ran runs it once more, with the same number.
    drop(spool);
    disk.limit(None);
    let spool = open(&disk, &clock);
    let mut told = Told::default();
    spool.run_hook(&mut told).expect("room");
    spool.run_hook(&mut told).expect("room");
    assert_eq!(told.0, ["2 RED"]);
}

#[test]
fn the_shell_gets_whatever_a_collector_says() {
    let (_disk, _clock, spool) = spool_of(1);
    let collector = Collector::default();
    let info: &'static str = format!("a\0b{}", "€".repeat(100_000)).leak();
    collector.with(|script| script.unit_status = Some(("RED", info)));
    round(&mut sender(&spool, &collector));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("told");
    let command = format!("printf '%s' \"$JUJU_METER_STATUS $TOLLGATE_METER_INFO\" > {}", path.display());
    let mut hook = ShellHook { command, timeout: Duration::from_secs(60) };
    assert!(spool.run_hook(&mut hook).expect("the spool holds"));
    let told = std::fs::read_to_string(path).expect("the hook ran");
    assert!(told.starts_with("RED ab€") && told.ends_with('€') && told.len() < 5_000, "{} bytes", told.len());
}

/// A hook in which the power fails.
struct Fatal<'a>(&'a tollgate_journal::sim::SimDisk, u64);

impl Hook for Fatal<'_> {
    fn run(&mut self, _: &Standing, change: u64) {
        self.1 = change;
        self.0.cut_power(3);
    }
}

#[test]
fn a_hook_that_is_cut_short_runs_once_more_with_the_same_number() {
    let (disk, clock, spool) = spool_of(0);
    let mut fatal = Fatal(&disk, 0);
    spool.run_hook(&mut fatal).expect_err("the power is gone");
    assert_eq!(fatal.1, 1);
    drop(spool);
    let spool = open(&disk, &clock);
    let mut told = Told::default();
    assert!(spool.run_hook(&mut told).expect("the spool holds"));
    assert!(!spool.run_hook(&mut told).expect("the spool holds"));
    assert_eq!(told.0, ["1 GREEN"]);
}

#[test]
fn never_a_success_is_red_at_the_third_error() {
    let (_disk, clock, spool) = spool_of(1);
    let collector = Collector::default();
    collector.with(|script| script.acts = vec![Act::Refuse; 3]);
    let mut sender = sender(&spool, &collector);
    for expected in ["GREEN", "GREEN", "RED"] {
        round(&mut sender);
        assert_eq!(spool.meter_status(None, None).status, expected);
        clock.pass(Duration::from_secs(60));
    }
    round(&mut sender);
    assert_eq!(spool.meter_status(None, None).status, "GREEN");
}

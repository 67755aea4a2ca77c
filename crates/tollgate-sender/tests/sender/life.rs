//! Random lives of a spool with power cuts and failures, against a collector that loses answers.

use std::collections::BTreeSet;

use tollgate_journal::sim::{Dice, Failure, Lies, SimDisk};
use tollgate_sender::{Release, SpoolError};

use crate::common::{Act, Collector, SimClock, batch, reading, round, sender, try_open};

const N_LIVES: u64 = if cfg!(debug_assertions) { 1_500 } else { 20_000 };

/// What has to be at the collector in the end, and what may be.
#[derive(Default)]
struct Truth {
    recorded: BTreeSet<String>,
    given_up: BTreeSet<String>,
    /// Readings whose keeping returned, and those whose did not.
    readings: BTreeSet<String>,
    perhaps: BTreeSet<String>,
    n_made: usize,
}

fn live(seed: u64, lies: Lies) -> Result<(), String> {
    let mut dice = Dice(seed);
    let (disk, clock, collector) = (SimDisk::new(), SimClock::new(), Collector::default());
    disk.lie(lies);
    let mut truth = Truth::default();
    for _ in 0..4 {
        if dice.flip() {
            let failures =
                [Failure::Error, Failure::Short, Failure::Full, Failure::FullInTheMiddle, Failure::Death];
            disk.fail_at(1 + dice.below(60) as u64, failures[dice.below(failures.len())]);
        }
        // A disk that failed has its life ended below.
        let _: Result<(), SpoolError> = act(&mut dice, &disk, &clock, &collector, &mut truth);
        match dice.flip() {
            true => disk.kill(),
            false => disk.cut_power(dice.roll()),
        }
    }
    conclude(&disk, &clock, &collector, &truth)
}

fn act(
    dice: &mut Dice,
    disk: &SimDisk,
    clock: &SimClock,
    collector: &Collector,
    truth: &mut Truth,
) -> Result<(), SpoolError> {
    let (spool, _) = try_open(disk, clock)?;
    let mut sender = sender(&spool, collector);
    for _ in 0..dice.below(40) {
        truth.n_made += 1;
        let id = format!("b{}", truth.n_made);
        match dice.below(8) {
            0 => {
                let acts =
                    [Act::Answer, Act::LoseAnswer, Act::Refuse, Act::Say(200, "{"), Act::Busy(503, None)];
                let refused: Vec<String> =
                    truth.recorded.iter().filter(|_| dice.below(10) == 0).cloned().collect();
                collector.with(|script| {
                    script.acts = (0..2).map(|_| acts[dice.below(acts.len())].clone()).collect();
                    script.refused = refused.into_iter().collect();
                });
                sender.round(|_| true)?;
            }
            1 => {
                let (one, other) = (format!("{id}1"), format!("{id}2"));
                let kept = spool.add_readings(vec![reading(&one), reading(&other)], Vec::new());
                let whose = if kept.is_ok() { &mut truth.readings } else { &mut truth.perhaps };
                whose.extend([one, other]);
                kept?;
            }
            2 => drop(spool.batch_readings(3, i64::MAX)?),
            3 if dice.below(6) == 0 => {
                // Whatever comes of it, it may be given up.
                let Some(id) = truth.recorded.iter().next_back().cloned() else { continue };
                truth.given_up.insert(id.clone());
                match spool.release(Some(&[id]), Release::GiveUp) {
                    Ok(_) | Err(SpoolError::Unknown { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            _ => {
                spool.record(batch(id.clone()))?;
                truth.recorded.insert(id);
            }
        }
    }
    Ok(())
}

/// Delivers what is left, and compares.
fn conclude(disk: &SimDisk, clock: &SimClock, collector: &Collector, truth: &Truth) -> Result<(), String> {
    let (spool, opened) = try_open(disk, clock).map_err(|error| format!("it does not open: {error:?}"))?;
    if opened.damaged.is_some() || 0 < spool.summary().set_aside.n_stretches {
        return Err("damage that nobody did".to_owned());
    }
    spool.batch_readings(0, 0).map_err(|error| error.to_string())?;
    spool.release(None, Release::SendAgain).map_err(|error| error.to_string())?;
    collector.with(|script| (script.acts.clear(), script.refused.clear()));
    let mut sender = sender(&spool, collector);
    while 0 < round(&mut sender).1 {}
    if spool.summary().n_pending != 0 {
        return Err(format!("{} still wait", spool.summary().n_pending));
    }
    let taken: BTreeSet<String> = collector.taken().into_iter().collect();
    let lost: Vec<&String> =
        truth.recorded.difference(&taken).filter(|id| !truth.given_up.contains(*id)).collect();
    if !lost.is_empty() {
        return Err(format!("{lost:?} are lost"));
    }
    let values = collector.readings();
    let once: BTreeSet<String> = values.iter().cloned().collect();
    if once.len() != values.len() {
        return Err("a reading is in two batches".to_owned());
    }
    match truth.readings.difference(&once).next() {
        Some(lost) => Err(format!("reading {lost} is lost")),
        None if once.iter().any(|v| !truth.readings.contains(v) && !truth.perhaps.contains(v)) => {
            Err("a reading that nobody made".to_owned())
        }
        None => Ok(()),
    }
}

#[test]
fn everything_recorded_is_delivered() {
    for seed in 0..N_LIVES {
        live(seed, Lies::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

#[track_caller]
fn check_caught(lies: Lies) {
    let n_caught = (0..200).filter(|&seed| live(seed, lies).is_err()).count();
    assert!(5 < n_caught, "caught in {n_caught} of 200 lives only");
}

#[test]
fn a_sync_that_is_left_out_is_caught() {
    check_caught(Lies { skips_sync_data: true, ..Lies::default() });
}

#[test]
fn a_folder_that_is_not_synced_is_caught() {
    check_caught(Lies { skips_sync_folder: true, ..Lies::default() });
}

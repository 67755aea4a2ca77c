//! Opening a journal behind a checkpoint.

use tollgate_journal::sim::{Dice, Failure, SimDisk};
use tollgate_journal::{
    Checkpoint, Group, Journal, JournalError, Options, Progress, Recovery, Tail, Visitor,
};

use crate::common::{KIND, append, compressing, open, read_groups, try_append};

/// Notes which groups it is shown.
#[derive(Default)]
struct Seen {
    groups: Vec<u64>,
    progress: Option<Progress>,
}

impl Visitor for Seen {
    type Error = JournalError;

    fn visit(&mut self, group: &Group, progress: Progress) -> Result<(), JournalError> {
        self.groups.push(group.position().sequence);
        self.progress = Some(progress);
        Ok(())
    }

    fn before_cut(&mut self, _: &Tail) {}
}

fn open_after(disk: &SimDisk, after: &Checkpoint) -> Result<(Journal, Recovery, Seen), JournalError> {
    let mut seen = Seen::default();
    let options = Options::for_testing(KIND);
    let (journal, recovery) = Journal::open_visiting_after(disk.shared(), options, Some(after), &mut seen)?;
    Ok((journal, recovery, seen))
}

/// A closed journal of 40 groups in some segments, and the checkpoint behind each of them, from 0 on.
fn journal(options: Options) -> (SimDisk, Vec<Checkpoint>) {
    let disk = SimDisk::new();
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let mut checkpoints = vec![journal.end()];
    let mut dice = Dice(3);
    for group in 1..=40 {
        append(&mut journal, &[format!("record {group}"), "x".repeat(dice.below(800))]);
        checkpoints.push(journal.end());
    }
    journal.close().expect("close");
    (disk, checkpoints)
}

#[test]
fn only_what_is_behind_the_checkpoint_is_read() {
    for options in [Options::for_testing(KIND), compressing()] {
        let (intact, checkpoints) = journal(options);
        for (after, first) in checkpoints.iter().zip(1..) {
            let disk = intact.copy();
            let (mut journal, recovery, seen) = open_after(&disk, after).expect("open");
            assert_eq!(seen.groups, (first..=40).collect::<Vec<u64>>());
            assert!(
                seen.progress.is_none_or(|seen| seen.n_bytes == seen.n_bytes_total),
                "{:?}",
                seen.progress
            );
            assert_eq!((recovery.end, recovery.dropped, recovery.is_new), (checkpoints[40], None, false));
            append(&mut journal, &["next"]);
            let (groups, error) = read_groups(&disk);
            assert!(error.is_none() && groups.len() == 41, "{error:?}");
        }
    }
}

/// Opens, which must fail and change nothing, and gives the error.
#[track_caller]
fn check_refused(disk: &SimDisk, after: &Checkpoint) -> JournalError {
    let n_changes = disk.n_changes();
    let error = open_after(disk, after).map(|_| ()).expect_err("a checkpoint that does not fit");
    assert_eq!(disk.n_changes(), n_changes, "the journal was changed");
    error
}

#[test]
fn a_checkpoint_that_the_journal_does_not_have_is_refused() {
    let (disk, checkpoints) = journal(Options::for_testing(KIND));
    let other_chain = |checkpoint: &Checkpoint| {
        let mut chain = checkpoint.chain;
        chain[7] ^= 1;
        Checkpoint { chain, ..*checkpoint }
    };
    let behind = (41..45).map(|sequence| Checkpoint { sequence, ..checkpoints[40] });
    let far_behind = [u64::MAX - 1, u64::MAX].map(|sequence| Checkpoint { sequence, ..checkpoints[40] });
    for after in checkpoints[1..].iter().map(other_chain).chain(behind).chain(far_behind) {
        let error = check_refused(&disk, &after);
        assert!(matches!(error, JournalError::UnknownCheckpoint { .. }), "{error}");
        let n = after.sequence;
        let expected = format!("go on behind group {n} in sim: the journal does not hold what it held then");
        assert_eq!(error.to_string(), expected);
    }
    // The caller drops what it derived and starts anew.
    open(&disk);
    let empty = SimDisk::new();
    let error = check_refused(&empty, &checkpoints[3]);
    assert!(matches!(error, JournalError::UnknownCheckpoint { sequence: 3, .. }), "{error}");
    let (_, recovery, _) = open_after(&empty, &checkpoints[0]).expect("from the start");
    assert!(recovery.is_new);
}

#[test]
fn damage_behind_a_checkpoint_is_found_and_before_it_is_not_looked_for() {
    let (intact, checkpoints) = journal(Options::for_testing(KIND));
    let n_bytes = |number| intact.contents(&format!("{number:016x}.segment")).map(|bytes| bytes.len());
    let last = (1..).take_while(|&number| n_bytes(number).is_some()).last().expect("a segment");
    let reader = tollgate_journal::Reader::open(intact.shared()).expect("a reader");
    let positions: Vec<_> =
        reader.groups().expect("groups").map(|group| group.expect("intact").position()).collect();
    assert!(3 < last);
    for damaged in &positions {
        let name = format!("{:016x}.segment", damaged.segment);
        let mut bytes = intact.contents(&name).expect("a file");
        bytes[damaged.offset as usize + 85] ^= 1;
        for after in &checkpoints {
            let disk = intact.copy();
            disk.set_contents(&name, &bytes);
            // The group that the checkpoint names is read as well.
            if after.sequence <= damaged.sequence {
                let error = check_refused(&disk, after);
                assert!(
                    matches!(error, JournalError::Damaged { offset, .. } if offset == damaged.offset),
                    "{error}"
                );
            } else {
                open_after(&disk, after).expect("what is before was durable");
            }
        }
    }
}

#[test]
fn a_tail_is_dropped_and_a_durable_group_is_not() {
    let (disk, checkpoints) = journal(Options::for_testing(KIND));
    disk.take_away("attested");
    let reader = tollgate_journal::Reader::open(disk.shared()).expect("a reader");
    let last = reader.group(40).expect("a group").position();
    let name = format!("{:016x}.segment", last.segment);
    let bytes = disk.contents(&name).expect("a file");
    for length in last.offset as usize + 1..bytes.len() {
        let cut = disk.copy();
        cut.set_contents(&name, &bytes[..length]);
        // The checkpoint shows that the group was durable, as nothing else does.
        let error = check_refused(&cut, &checkpoints[40]);
        assert!(matches!(error, JournalError::Damaged { offset, .. } if offset == last.offset), "{error}");
        let (_, recovery, seen) = open_after(&cut, &checkpoints[30]).expect("open");
        assert_eq!(recovery.dropped.expect("a tail").bytes, length as u64 - last.offset);
        assert_eq!((seen.groups.len(), recovery.end), (9, checkpoints[39]));
    }
}

/// Lives of which each begins at some checkpoint of an earlier one; the process that keeps checkpoints makes each durable
/// only after the group.
fn live(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let disk = SimDisk::new();
    let (mut durable, mut in_flight) = (Vec::new(), None);
    let mut checkpoints = Vec::new();
    for _ in 0..6 {
        if dice.flip() {
            let failure = [Failure::Death, Failure::Error, Failure::Short][dice.below(3)];
            disk.fail_at(1 + dice.below(30) as u64, failure);
        }
        let after = match checkpoints.len() {
            0 => None,
            n => checkpoints.get(dice.below(n + 1)),
        };
        let options = [Options::for_testing(KIND), compressing()][dice.below(2)];
        match Journal::open_visiting_after(disk.shared(), options, after, &mut ()) {
            Ok((mut journal, recovery)) => {
                let n_groups = usize::try_from(recovery.end.sequence).map_err(|error| error.to_string())?;
                if n_groups < durable.len() {
                    return Err(format!("{} groups were durable, {n_groups} are there", durable.len()));
                }
                durable.extend(in_flight.take());
                durable.truncate(n_groups);
                checkpoints.push(recovery.end);
                for n in 0..dice.below(8) {
                    let group = vec![format!("{seed} {n} {}", "x".repeat(dice.below(900)))];
                    if try_append(&mut journal, &group).is_err() {
                        in_flight = Some(group);
                        break;
                    }
                    durable.push(group);
                    checkpoints.push(journal.end());
                }
            }
            Err(JournalError::Disk { .. }) => {}
            Err(error) => return Err(format!("it does not open: {error}")),
        }
        match dice.flip() {
            true => disk.kill(),
            false => disk.cut_power(dice.roll()),
        }
    }
    drop(Journal::open(disk.shared(), Options::for_testing(KIND)).map_err(|error| error.to_string())?);
    let (groups, error) = read_groups(&disk);
    let with_in_flight: Vec<_> = durable.iter().cloned().chain(in_flight).collect();
    match error {
        None if groups == durable || groups == with_in_flight => Ok(()),
        error => Err(format!("{} durable, {} found, {error:?}", durable.len(), groups.len())),
    }
}

#[test]
fn every_acknowledged_group_survives_lives_that_begin_at_checkpoints() {
    for seed in 0..5000 {
        live(seed).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

//! Crashes, failing disks and power cuts at random, with duplicates, conflicts and elements that cannot count.

use tollgate_journal::sim::{Dice, Failure, Lies, SimDisk};
use tollgate_ledger::{Entry, Ledger, MemoryLedger, Outcome, Page, Reader, Remedy};

use crate::common::{batch, chain, entries, exported, open, received, try_open, uuid};

/// Each is up to 5 crashes.
const N_LIVES: u64 = if cfg!(debug_assertions) { 1_500 } else { 30_000 };

/// A disk, the groups that must be in the ledger on it, and the one that may be.
struct Model {
    disk: SimDisk,
    /// Acknowledged, or seen after an open that succeeded.
    durable: Vec<Vec<Entry>>,
    in_flight: Option<Vec<Entry>>,
}

fn reference(groups: &[Vec<Entry>]) -> Ledger {
    let mut ledger = MemoryLedger::default().open();
    for group in groups {
        ledger.writer.record(group.clone(), received()).expect("memory does not fail");
    }
    ledger
}

fn answers(reader: &dyn Reader) -> String {
    let page = Page { cursor: None, limit: usize::MAX };
    let (models, quarantine) = (reader.models(&page), reader.quarantine(&page));
    format!("{:?} {:?} {:?}", reader.counts(), models.expect("models"), quarantine.expect("quarantine"))
}

impl Model {
    /// Opens the ledger and compares all its answers; `Ok(None)` when the disk failed meanwhile.
    fn open(&mut self) -> Result<Option<(Ledger, Ledger)>, String> {
        let ledger = match try_open(&self.disk) {
            Ok((ledger, _)) => ledger,
            Err(error) if error.remedy() == Remedy::Restart => return Ok(None),
            Err(error) => return Err(chain(&error)),
        };
        if self.disk.is_dead() {
            return Ok(None);
        }
        let found = answers(&*ledger.reader);
        let without = reference(&self.durable);
        if found == answers(&*without.reader) {
            self.in_flight = None;
            return Ok(Some((ledger, without)));
        }
        self.durable.extend(self.in_flight.take());
        let with = reference(&self.durable);
        if found == answers(&*with.reader) {
            return Ok(Some((ledger, with)));
        }
        Err(format!("expected {}, found {found}", answers(&*with.reader)))
    }

    /// Records one group; `false` when the disk failed.
    fn record(
        &mut self,
        (ledger, reference): &mut (Ledger, Ledger),
        group: Vec<Entry>,
    ) -> Result<bool, String> {
        match ledger.writer.record(group.clone(), received()) {
            Ok(outcomes) => {
                let expected =
                    reference.writer.record(group.clone(), received()).expect("memory does not fail");
                self.durable.push(group);
                if outcomes == expected { Ok(true) } else { Err(format!("{outcomes:?}, not {expected:?}")) }
            }
            Err(error) if error.remedy() == Remedy::Restart => {
                // No copy of it is acknowledged by this process, though its first may be in the page cache.
                if let Ok(outcomes) = ledger.writer.record(group.clone(), received()) {
                    return Err(format!("acknowledged after a failure: {outcomes:?}"));
                }
                self.in_flight = Some(group);
                Ok(false)
            }
            Err(error) => Err(chain(&error)),
        }
    }
}

/// Few ids and few contents, so that most elements meet an earlier one.
fn random_group(dice: &mut Dice) -> Vec<Entry> {
    let elements = (0..dice.below(6)).map(|_| {
        let model = ["m", "", "01234567-89ab-4def-8edc-ba9876543210"][dice.below(3)];
        let id = match dice.below(20) {
            0 => String::new(),
            number if number % 3 == 0 => format!("odd {number}"),
            number => uuid(number as u64),
        };
        let value = ["1", "1", "1", "0.1", "1e3", "NaN", "-1"][dice.below(7)];
        match dice.below(15) {
            0 => "7".to_owned(),
            1 => batch(model, &id, &value.repeat(dice.below(2000))),
            _ => batch(model, &id, value),
        }
    });
    entries(&format!("[{}]", elements.collect::<Vec<_>>().join(",")))
}

/// Several lives of a ledger, each ended by a failure of the disk, a death or a power cut, all by `seed`.
fn live(seed: u64, lies: Lies) -> Result<(), String> {
    let mut dice = Dice(seed);
    let mut model = Model { disk: SimDisk::new(), durable: Vec::new(), in_flight: None };
    model.disk.lie(lies);
    for _ in 0..4 {
        if dice.flip() {
            let failures =
                [Failure::Death, Failure::Death, Failure::Error, Failure::ErrorsFromThereOn, Failure::Short];
            model.disk.fail_at(1 + dice.below(40) as u64, failures[dice.below(5)]);
        }
        if let Some(mut halves) = model.open()? {
            // What did not get its answer is sent again, as a sender does.
            let mut group = random_group(&mut dice);
            for _ in 0..dice.below(10) {
                if !model.record(&mut halves, group.clone())? {
                    break;
                }
                if dice.below(3) != 0 {
                    group = random_group(&mut dice);
                }
            }
            if dice.below(4) == 0 {
                halves.0.writer.close().ok();
            }
        }
        match dice.flip() {
            true => model.disk.kill(),
            false => model.disk.cut_power(dice.roll()),
        }
    }
    let end = model.open()?.ok_or("a disk without faults failed")?;
    drop(end);
    let expected: Vec<String> = recorded(&model.durable);
    if exported(&model.disk) == expected { Ok(()) } else { Err("the export has other batches".to_owned()) }
}

/// The bodies of the batches of `groups` that count, in order.
fn recorded(groups: &[Vec<Entry>]) -> Vec<String> {
    let mut ledger = MemoryLedger::default().open();
    let mut bodies = Vec::new();
    for entry in groups.iter().flatten() {
        let outcomes = ledger.writer.record(vec![entry.clone()], received()).expect("memory does not fail");
        if let (Entry::Batch(batch), [Outcome::Recorded]) = (entry, &outcomes[..]) {
            bodies.push(String::from_utf8(batch.body().to_vec()).expect("JSON is text"));
        }
    }
    bodies
}

#[test]
fn every_acknowledged_batch_survives_and_counts_once() {
    for seed in 0..N_LIVES {
        live(seed, Lies::default()).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// How many of the first lives show that something is wrong.
#[track_caller]
fn check_caught(lies: Lies) {
    let n_caught = (0..300).filter(|&seed| live(seed, lies).is_err()).count();
    assert!(3 < n_caught, "caught in {n_caught} of 300 lives only");
}

#[test]
fn a_sync_that_is_left_out_is_caught() {
    check_caught(Lies { skips_sync_data: true, ..Lies::default() });
}

#[test]
fn a_failed_sync_that_is_retried_is_caught() {
    check_caught(Lies { retries_failed_sync: true, ..Lies::default() });
}

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

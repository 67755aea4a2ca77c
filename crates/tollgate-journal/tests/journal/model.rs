//! A journal's life with crashes, compared with a list in memory.

use tollgate_journal::sim::{Dice, Failure, Lies, SimDisk};
use tollgate_journal::{Journal, JournalError, Keep, Options, RecordPosition};

use crate::common::{KIND, compressing, read_groups, try_append, try_append_packed};

type Group = Vec<String>;

/// A disk, the groups that must be on it, and the one that may be.
pub(crate) struct Model {
    pub(crate) disk: SimDisk,
    /// Acknowledged, or seen after an open that succeeded.
    pub(crate) durable: Vec<Group>,
    /// Begun and not acknowledged.
    in_flight: Option<Group>,
    n_made: usize,
    options: Options,
    /// Groups before this one may be gone, counted from 0 in `durable`.
    n_given_up: usize,
}

impl Model {
    pub(crate) fn new(disk: SimDisk, options: Options) -> Self {
        Self { disk, durable: Vec::new(), in_flight: None, n_made: 0, options, n_given_up: 0 }
    }

    /// Opens the journal and compares what it holds; `Ok(None)` when the disk failed meanwhile.
    pub(crate) fn open(&mut self) -> Result<Option<Journal>, String> {
        let journal = match Journal::open(self.disk.shared(), self.options) {
            Ok((journal, _)) => journal,
            Err(JournalError::Disk { .. }) => return Ok(None),
            Err(error) => return Err(format!("it does not open: {error}")),
        };
        let (groups, error) = read_groups(&self.disk);
        match error {
            None => {}
            Some(JournalError::Disk { .. }) => return Ok(None),
            Some(error) => return Err(format!("it does not read: {error}")),
        }
        let mut with_in_flight = self.durable.clone();
        with_in_flight.extend(self.in_flight.take());
        // Of what was given up, any number may be gone.
        let is_found = |n_gone: usize| {
            are_the_same(&groups, &self.durable[n_gone..]) || are_the_same(&groups, &with_in_flight[n_gone..])
        };
        let Some(n_gone) = (0..=self.n_given_up).find(|&n_gone| is_found(n_gone)) else {
            let (n_durable, n_found) = (self.durable.len(), groups.len());
            return Err(format!("{n_durable} groups were durable; {n_found} are there, or others"));
        };
        self.n_given_up -= n_gone;
        // What was compacted may not become whole again, so what is there now is what has to be there.
        self.durable = groups;
        Ok(Some(journal))
    }

    /// Compacts one of the sealed segments, if there is any.
    fn compact(&self, journal: &Journal, dice: &mut Dice) -> Result<(), String> {
        let compactor = journal.compactor();
        let sealed = match compactor.segments() {
            Ok(sealed) => sealed,
            Err(JournalError::Disk { .. }) => return Ok(()),
            Err(error) => return Err(format!("the segments cannot be listed: {error}")),
        };
        if sealed.is_empty() {
            return Ok(());
        }
        match compactor.compact(sealed[dice.below(sealed.len())].number, replace) {
            // Closed, when the name of an earlier one may be lost.
            Ok(_) | Err(JournalError::Disk { .. } | JournalError::Closed { .. }) => Ok(()),
            Err(error) => Err(format!("a segment cannot be compacted: {error}")),
        }
    }

    /// Forgets some of the oldest groups; `false` when the disk failed.
    fn forget(&mut self, journal: &mut Journal, dice: &mut Dice) -> Result<bool, String> {
        let n_given_up = dice.below(self.durable.len() + 1);
        self.n_given_up = self.n_given_up.max(n_given_up);
        let n_after = (self.durable.len() - n_given_up) as u64;
        match journal.forget(journal.end().sequence + 1 - n_after) {
            Ok(_) => Ok(true),
            Err(JournalError::Closed { .. } | JournalError::Disk { .. }) => Ok(false),
            Err(JournalError::FullOfFiles { .. } | JournalError::TooManyOpen { .. }) => Ok(true),
            Err(error) => Err(format!("forgetting gave {error}")),
        }
    }

    /// Appends one group; `false` when the disk failed.
    pub(crate) fn append(&mut self, journal: &mut Journal, group: Group) -> Result<bool, String> {
        // Some groups come in parts that were compressed before, some of them in none at all.
        let appended = match self.n_made % 3 {
            0 => try_append_packed(journal, &group, 1 + self.n_made % 2),
            _ => try_append(journal, &group),
        };
        match appended {
            Ok(_) => self.durable.push(group),
            Err(JournalError::Closed { .. }) => return Ok(false),
            Err(JournalError::Disk { .. }) => {
                self.in_flight = Some(group);
                // Whatever comes, nothing more may be acknowledged.
                return match try_append(journal, &["more"]) {
                    Err(JournalError::Closed { .. }) => Ok(false),
                    other => Err(format!("after a failure an append gave {other:?}")),
                };
            }
            // Nothing was appended, and the next group may be.
            Err(
                JournalError::NoRoom { .. }
                | JournalError::FullOfFiles { .. }
                | JournalError::TooManyOpen { .. },
            ) => {}
            Err(error) => return Err(format!("an append gave {error}")),
        }
        Ok(true)
    }

    /// A group of 0 to 3 records, mostly short and sometimes longer than a segment.
    pub(crate) fn make_group(&mut self, dice: &mut Dice) -> Group {
        let n_records = dice.below(4);
        let records = (0..n_records).map(|_| {
            self.n_made += 1;
            let length = [0, 20, 20, 100, 600, 3000][dice.below(6)];
            format!("{} {}", self.n_made, "x".repeat(dice.below(length + 1)))
        });
        records.collect()
    }
}

/// What a record becomes when its segment is compacted.
pub(crate) fn small(record: &str) -> &str {
    record.get(..4).unwrap_or(record)
}

/// Makes a record small, as a [`Compactor`](tollgate_journal::Compactor) wants it done.
pub(crate) fn replace(_: RecordPosition, record: &[u8], buffer: &mut Vec<u8>) -> Keep {
    if record.len() <= 4 {
        return Keep::Whole;
    }
    buffer.extend_from_slice(&record[..4]);
    Keep::Replaced
}

/// Whether `found` is `expected`, with some groups compacted.
fn are_the_same(found: &[Group], expected: &[Group]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            found == expected || found.iter().eq(expected.iter().map(|record| small(record)))
        })
}

/// Several lives of a journal, each ended by a failure of the disk, a death or a power cut, all by `seed`.
pub(crate) fn live(seed: u64, lies: Lies) -> Result<(), String> {
    let mut dice = Dice(seed);
    let disk = SimDisk::new();
    disk.lie(lies);
    // Compressed or not; what was written in one way is also opened in the other.
    let with_room = Options { room_bytes: 300, ..Options::for_testing(KIND) };
    let all_options = [Options::for_testing(KIND), compressing(), with_room];
    let mut model = Model::new(disk, all_options[dice.below(3)]);
    for _ in 0..4 {
        if dice.below(4) == 0 {
            model.options = all_options[dice.below(3)];
        }
        if dice.flip() {
            let failure = match dice.below(11) {
                0 => Failure::Error,
                1 => Failure::ErrorsFromThereOn,
                2 => Failure::Short,
                3 => Failure::Full,
                4 => Failure::OverQuota,
                5 => Failure::TooManyOpen,
                6 => Failure::FullInTheMiddle,
                _ => Failure::Death,
            };
            model.disk.fail_at(1 + dice.below(40) as u64, failure);
        }
        if let Some(mut journal) = model.open()? {
            for _ in 0..dice.below(12) {
                let group = model.make_group(&mut dice);
                if !model.append(&mut journal, group)? {
                    break;
                }
                if dice.below(8) == 0 {
                    model.compact(&journal, &mut dice)?;
                }
                if dice.below(12) == 0 && !model.forget(&mut journal, &mut dice)? {
                    break;
                }
            }
            if dice.below(4) == 0 {
                // Nothing is at risk when this fails.
                let _: Result<(), JournalError> = journal.close();
            }
        }
        match dice.flip() {
            true => model.disk.kill(),
            false => model.disk.cut_power(dice.roll()),
        }
    }
    model.open()?.map(drop).ok_or_else(|| "a disk without faults failed".to_owned())
}

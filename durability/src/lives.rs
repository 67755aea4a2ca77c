//! One ledger on a simulated disk through several lives, each ended by a power cut, a death or a failing disk; all of
//! it follows from a seed.

use tollgate_journal::sim::{Dice, Failure, Lies, SimDisk};
use tollgate_ledger::{
    Act, Entry, HandStatus, Ledger, LedgerError, MemoryLedger, Outcome, Page, Reader, Received, Remedy, chain,
};
use tollgate_ledger_embedded::{EmbeddedLedger, Export, Options};
use tollgate_rules::{Reason, judge};
use tollgate_wire::{Document, Status, Timestamp};

use crate::answers::{listed, used};

/// Compressed groups are short, and every life should begin segments.
const SEGMENT_BYTES_MAX: u64 = 1 << 10;

/// What is tried: the embedded ledger, or one with a mistake in it.
pub trait Subject: Sync {
    /// What its disk does that no disk should.
    fn lies(&self) -> Lies {
        Lies::default()
    }

    /// Opens the ledger on a disk.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedLedger::open_disk`].
    fn open(&self, disk: &SimDisk) -> Result<Ledger, LedgerError> {
        let options = Options { segment_bytes_max: SEGMENT_BYTES_MAX, ..Options::for_testing() };
        Ok(EmbeddedLedger::open_disk(disk.shared(), options, |_| {})?.0)
    }
}

/// The ledger as it is.
#[derive(Debug, Clone, Copy)]
pub struct Sound;

impl Subject for Sound {}

/// What a seed made happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power cuts.
    pub n_cuts: u64,
    /// Of those, cuts that came while an earlier end was being recovered from.
    pub n_cuts_in_recovery: u64,
    /// Deaths of the process, the disk staying as it was.
    pub n_kills: u64,
    /// Groups whose outcomes were acknowledged.
    pub n_groups: u64,
    /// Of their elements: batches that were recorded.
    pub n_recorded: u64,
    /// Copies.
    pub n_duplicates: u64,
    /// Other contents under the id of a batch.
    pub n_conflicts: u64,
    /// Elements that cannot count.
    pub n_quarantined: u64,
    /// Acts that changed something.
    pub n_acts: u64,
    /// Of those, releases from quarantine.
    pub n_releases: u64,
    /// Segments of the journal that were begun after the first.
    pub n_rotations: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n_cuts: self.n_cuts + other.n_cuts,
            n_cuts_in_recovery: self.n_cuts_in_recovery + other.n_cuts_in_recovery,
            n_kills: self.n_kills + other.n_kills,
            n_groups: self.n_groups + other.n_groups,
            n_recorded: self.n_recorded + other.n_recorded,
            n_duplicates: self.n_duplicates + other.n_duplicates,
            n_conflicts: self.n_conflicts + other.n_conflicts,
            n_quarantined: self.n_quarantined + other.n_quarantined,
            n_acts: self.n_acts + other.n_acts,
            n_releases: self.n_releases + other.n_releases,
            n_rotations: self.n_rotations + other.n_rotations,
        }
    }

    fn count(&mut self, group: &[Entry], outcomes: &[Outcome]) {
        for (entry, outcome) in group.iter().zip(outcomes) {
            if let (Entry::Act(act), Outcome::Recorded) = (entry, outcome) {
                self.n_acts += 1;
                self.n_releases += u64::from(matches!(act, Act::Release { .. }));
                continue;
            }
            *match outcome {
                Outcome::Recorded => &mut self.n_recorded,
                Outcome::Duplicate => &mut self.n_duplicates,
                Outcome::Conflict { .. } => &mut self.n_conflicts,
                Outcome::Quarantined { .. } => &mut self.n_quarantined,
            } += 1;
        }
    }
}

/// Several lives; what should be there is compared after every opening.
///
/// # Errors
///
/// The first violation.
pub fn live(subject: &dyn Subject, seed: u64) -> Result<Tally, String> {
    let mut dice = Dice(seed);
    let disk = SimDisk::new();
    disk.lie(subject.lies());
    let mut history = History::new(subject, disk);
    for _ in 0..4 {
        if dice.flip() {
            let failures =
                [Failure::Death, Failure::Death, Failure::Error, Failure::ErrorsFromThereOn, Failure::Short];
            history.disk.fail_at(1 + dice.below(40) as u64, failures[dice.below(failures.len())]);
        }
        if let Some(mut ledger) = history.open()? {
            work(&mut history, &mut ledger, &mut dice)?;
            if dice.below(4) == 0 {
                // Nothing is at risk when this fails.
                ledger.writer.close().ok();
            }
        }
        history.end(&mut dice);
        while dice.below(3) == 0 {
            // The recovery dies at one of its first changes to the disk, and the power goes once more.
            history.disk.fail_at(1 + dice.below(8) as u64, Failure::Death);
            let was_open = history.open()?.is_some();
            history.disk.cut_power(dice.roll());
            history.tally.n_cuts += 1;
            history.tally.n_cuts_in_recovery += u64::from(!was_open);
        }
    }
    history.open()?.ok_or("a disk without faults failed")?;
    history.compare_export()?;
    let names = history.disk.shared().list().map_err(|error| chain(&error))?;
    let n_segments = names.iter().filter(|name| name.ends_with(".segment")).count() as u64;
    history.tally.n_rotations = n_segments.saturating_sub(1);
    Ok(history.tally)
}

/// Records groups until the disk fails or it was enough.
fn work(history: &mut History<'_>, ledger: &mut Ledger, dice: &mut Dice) -> Result<(), String> {
    // What did not get its answer is sent again, as a sender does.
    let mut group = history.unanswered.take().unwrap_or_else(|| random_group(dice, &*history.durable.reader));
    for _ in 0..dice.below(10) {
        if !history.record(ledger, &group)? {
            return Ok(());
        }
        if dice.below(3) != 0 {
            group = random_group(dice, &*history.durable.reader);
        }
    }
    Ok(())
}

/// A disk, what must be in the ledger on it, and the group that may be.
struct History<'a> {
    subject: &'a dyn Subject,
    disk: SimDisk,
    /// What was acknowledged, or seen after an opening that succeeded.
    durable: Ledger,
    recorded: Vec<Vec<u8>>,
    in_flight: Option<Vec<Entry>>,
    /// To be sent again.
    unanswered: Option<Vec<Entry>>,
    tally: Tally,
}

impl<'a> History<'a> {
    fn new(subject: &'a dyn Subject, disk: SimDisk) -> Self {
        let durable = MemoryLedger::default().open();
        let tally = Tally::default();
        Self { subject, disk, durable, recorded: Vec::new(), in_flight: None, unanswered: None, tally }
    }

    fn end(&mut self, dice: &mut Dice) {
        if dice.below(4) == 0 {
            self.disk.kill();
            self.tally.n_kills += 1;
        } else {
            self.disk.cut_power(dice.roll());
            self.tally.n_cuts += 1;
        }
    }

    /// Opens the ledger and compares all its answers; `None` when the disk failed meanwhile.
    fn open(&mut self) -> Result<Option<Ledger>, String> {
        let ledger = match self.subject.open(&self.disk) {
            Ok(ledger) => ledger,
            Err(error) if error.remedy() == Remedy::Restart => return Ok(None),
            Err(error) => return Err(format!("it does not open: {}", chain(&error))),
        };
        if self.disk.is_dead() {
            return Ok(None);
        }
        let found = answers(&*ledger.reader);
        if found == answers(&*self.durable.reader) {
            self.in_flight = None;
            return Ok(Some(ledger));
        }
        if let Some(group) = self.in_flight.take() {
            self.make_durable(&group);
        }
        let expected = answers(&*self.durable.reader);
        match found == expected {
            true => Ok(Some(ledger)),
            false => Err(format!("expected {expected}, found {found}")),
        }
    }

    fn make_durable(&mut self, group: &[Entry]) -> Vec<Outcome> {
        let outcomes = self.durable.writer.record(group.to_vec(), received()).expect("memory does not fail");
        for pair in group.iter().zip(&outcomes) {
            match pair {
                (Entry::Batch(batch), Outcome::Recorded) => self.recorded.push(batch.body().to_vec()),
                (Entry::Act(Act::Release { batch: Some(batch), .. }), Outcome::Recorded)
                    if !self.recorded.iter().any(|body| **body == *batch.body()) =>
                {
                    self.recorded.push(batch.body().to_vec());
                }
                _ => {}
            }
        }
        outcomes
    }

    /// Records one group; `false` when the disk failed.
    fn record(&mut self, ledger: &mut Ledger, group: &[Entry]) -> Result<bool, String> {
        match ledger.writer.record(group.to_vec(), received()) {
            Ok(outcomes) => {
                self.tally.n_groups += 1;
                let expected = self.make_durable(group);
                self.tally.count(group, &expected);
                if outcomes == expected { Ok(true) } else { Err(format!("{outcomes:?}, not {expected:?}")) }
            }
            Err(error) if error.remedy() == Remedy::Restart => {
                // No copy of it is acknowledged by this process, though its first may be in the page cache.
                if let Ok(outcomes) = ledger.writer.record(group.to_vec(), received()) {
                    return Err(format!("acknowledged after a failure: {outcomes:?}"));
                }
                self.in_flight = Some(group.to_vec());
                self.unanswered = Some(group.to_vec());
                Ok(false)
            }
            Err(error) => Err(chain(&error)),
        }
    }

    /// Every batch that counts is exported once, in the order of recording, with the bytes that were sent.
    fn compare_export(&self) -> Result<(), String> {
        let export = Export::of_disk(self.disk.shared()).map_err(|error| chain(&error))?;
        let exported: Vec<Vec<u8>> =
            export.collect::<Result<_, _>>().map_err(|error: LedgerError| chain(&error))?;
        match exported == self.recorded {
            true => Ok(()),
            false => {
                Err(format!("{} batches were to be exported, not {}", self.recorded.len(), exported.len()))
            }
        }
    }
}

/// Everything that a ledger can be asked, as text.
fn answers(reader: &dyn Reader) -> String {
    let page = Page { cursor: None, limit: usize::MAX };
    let quarantine = reader.quarantine(&page);
    let revoked = CREDENTIALS.map(|id| reader.is_revoked(id));
    let users = MODELS.map(|model_uuid| reader.declared_user(model_uuid));
    format!(
        "{:?} {:?} {quarantine:?} {:?} {:?} {:?} {revoked:?} {users:?}",
        reader.counts(),
        reader.models(&page),
        used(reader),
        listed(reader),
        reader.hand_statuses(None),
    )
}

const MODELS: [&str; 4] = ["m", "01234567-89ab-4def-8edc-ba9876543210", "x", ""];
const CREDENTIALS: [&str; 3] = ["one", "two", "three"];

/// Few ids and few contents, so that most elements meet an earlier one. `durable` says what is in quarantine.
fn random_group(dice: &mut Dice, durable: &dyn Reader) -> Vec<Entry> {
    let n_quarantined = durable.counts().n_quarantined as usize;
    let mut group: Vec<Entry> = (0..dice.below(6)).map(|_| random_element(dice)).collect();
    if dice.below(3) == 0 {
        let act = random_act(dice);
        group.insert(dice.below(group.len() + 1), Entry::Act(act));
    }
    if 0 < n_quarantined && dice.below(4) == 0 {
        let quarantine_id = 1 + dice.below(n_quarantined) as u64;
        let batch = match random_element(dice) {
            Entry::Batch(batch) => Some(batch),
            _ => None,
        };
        let release = Entry::Act(Act::Release { quarantine_id, batch });
        group.insert(dice.below(group.len() + 1), release);
    }
    group
}

fn random_element(dice: &mut Dice) -> Entry {
    let model = ["m", "m", "01234567-89ab-4def-8edc-ba9876543210", "x", "x", ""][dice.below(6)];
    let number = dice.below(20);
    let id = match number {
        0 => String::new(),
        number if number % 3 == 0 => format!("odd {number}"),
        number => format!("01234567-89ab-4def-8edc-{number:012x}"),
    };
    let value = ["1", "1", "1", "1", "1", "0.1", "1e3", "NaN", "-1"][dice.below(9)];
    let posted = match dice.below(15) {
        0 => "7".to_owned(),
        1 => batch(model, &id, &value.repeat(dice.below(2000))),
        // Hours that are not those of the others, in no order.
        _ => {
            batch(model, &id, value).replace("02T03:04:05Z\"}]", &format!("02T{:02}:04:05Z\"}}]", number % 7))
        }
    };
    let entry = entries(&format!("[{posted}]")).pop().expect("one element");
    match entry {
        Entry::Batch(batch) if dice.below(8) == 0 => Entry::Refused(batch, Reason::MissingUuid),
        entry => entry,
    }
}

fn random_act(dice: &mut Dice) -> Act {
    let model_uuid: Box<str> = MODELS[dice.below(3)].into();
    let unit_name: Box<str> = ["", "u/0"][dice.below(2)].into();
    match dice.below(5) {
        0 => Act::ClearStatus { model_uuid, unit_name },
        1 => Act::Revoke { credential_id: CREDENTIALS[dice.below(3)].into() },
        2 => Act::Declare { model_uuid, user: ["bob", "eve"][dice.below(2)].into() },
        _ => Act::SetStatus(HandStatus {
            model_uuid,
            unit_name,
            status: [Status::Red, Status::Amber][dice.below(2)],
            info: "by hand".into(),
            set: received(),
            expires: dice.flip().then(received),
        }),
    }
}

/// The elements of a posted document as entries.
#[must_use]
pub fn entries(posted: &str) -> Vec<Entry> {
    let document = Document::new(posted.as_bytes());
    document.batches().expect("a document of ours").iter().map(|element| judge(element).into()).collect()
}

/// The canonical JSON of a batch with one reading.
#[must_use]
pub fn batch(model: &str, uuid: &str, value: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"{model}","model-name":"","unit-name":"u/0","charm-url":"","created":"2026-01-02T03:04:05Z","metrics":[{{"key":"pings","value":"{value}","time":"2026-01-02T03:04:05Z"}}],"credentials":null,"reseller-credentials":null,"sla-credentials":null}}"#
    )
}

/// When everything in a simulation is received.
#[must_use]
pub fn received() -> Received {
    Timestamp::from_unix(1_767_323_045, 0).expect("a time")
}

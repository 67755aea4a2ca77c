//! Every file of a ledger changed at every byte, cut at every length and taken away: what is asked of it afterwards is
//! answered rightly, or refused with the file and the offset.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use tollgate_ledger::{
    Act, Counts, Entry, HandStatus, Ledger, LedgerError, ModelSummary, Outcome, Page, QuarantineItem, Remedy,
    chain,
};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, export, verify};
use tollgate_rules::BatchId;
use tollgate_wire::Status;

use crate::answers::{Used, listed, used};
use crate::files::{Files, read_all, write_all};
use crate::lives::{batch, entries, received};

const MODEL: &str = "01234567-89ab-4def-8edc-ba9876543210";

/// Batches of the ledger: it gets three segments.
const N_BATCHES: u64 = 7;

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    n_files: u64,
    n_bytes: u64,
    n_flips: u64,
    n_cuts: u64,
    n_refused: u64,
    n_right: u64,
}

/// Which files have to be right, whatever is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The truth: damage of it is noticed.
    Journal,
    /// Derived or for messages alone: no damage of it is in the way.
    Spare,
}

/// Everything that a ledger can be asked.
#[derive(Debug, PartialEq)]
struct Answers {
    counts: Counts,
    models: Vec<ModelSummary>,
    quarantine: Vec<QuarantineItem>,
    batches: Vec<Option<Vec<u8>>>,
    used: Used,
    listed: Vec<String>,
    statuses: Vec<HandStatus>,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    Cut { length: usize },
    TakeAway,
}

/// Damages a ledger below `folder` in every way, `bits` of each byte one after the other.
///
/// # Errors
///
/// At the first wrong answer or silent absence, with the damage.
pub fn run(folder: &Path, bits: &[u8]) -> Result<Report> {
    let work = tempfile::tempdir_in(folder).context("make a folder for the ledger")?;
    let dir = work.path().join("intact");
    make(&dir)?;
    let files = read_all(&dir)?;
    let expected = Expected::of(&dir)?;
    let cases: Vec<(&Path, Damage)> =
        files.iter().flat_map(|(path, bytes)| damages(path, bytes, bits)).collect();
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let reports: Vec<Result<Report>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads)
            .map(|number| {
                let dir = work.path().join(format!("damaged-{number}"));
                let (files, expected) = (&files, &expected);
                let cases = cases.iter().skip(number).step_by(n_threads);
                scope.spawn(move || {
                    let mut report = Report::default();
                    for &(path, damage) in cases {
                        try_damage(&dir, files, expected, path, damage, &mut report)
                            .with_context(|| format!("{}: {damage:?}", path.display()))?;
                    }
                    Ok(report)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a case returns its violation")).collect()
    });
    let mut sum = Report {
        n_files: files.len() as u64,
        n_bytes: files.values().map(|bytes| bytes.len() as u64).sum(),
        ..Report::default()
    };
    for report in reports {
        sum.add(report?);
    }
    Ok(sum)
}

fn damages<'a>(path: &'a Path, bytes: &[u8], bits: &[u8]) -> Vec<(&'a Path, Damage)> {
    let flips = (0..bytes.len()).flat_map(|byte| bits.iter().map(move |&bit| Damage::Flip { byte, bit }));
    let cuts = (0..bytes.len()).map(|length| Damage::Cut { length });
    flips.chain(cuts).chain([Damage::TakeAway]).map(|damage| (path, damage)).collect()
}

/// A ledger with everything in it: batches, conflicts, elements that cannot count, acts; several segments; closed.
fn make(dir: &Path) -> Result<()> {
    let (mut ledger, _) = open(dir)?;
    for number in 0..N_BATCHES {
        let first = recorded(number);
        ledger.writer.record(entries(&format!("[{first},7]")), received())?;
        let conflict = format!("[{}]", batch(MODEL, &uuid(number), "99"));
        ledger.writer.record(entries(&conflict), received())?;
        let act = if number < 2 {
            Act::Release { quarantine_id: 1 + number, batch: None }
        } else {
            set_status(number)
        };
        ledger.writer.record(vec![Entry::Act(act)], received())?;
    }
    ledger.writer.close()?;
    Ok(())
}

fn set_status(number: u64) -> Act {
    Act::SetStatus(HandStatus {
        model_uuid: MODEL.into(),
        unit_name: format!("u/{}", number % 3).into(),
        status: Status::Red,
        info: format!("status {number}").into(),
        set: received(),
        expires: None,
    })
}

fn open(dir: &Path) -> Result<(Ledger, tollgate_ledger_embedded::OpenReport), LedgerError> {
    EmbeddedLedger::open(dir, Options::for_testing())
}

fn uuid(number: u64) -> String {
    format!("01234567-89ab-4def-8edc-{number:012x}")
}

fn id(number: u64) -> BatchId {
    BatchId { model_uuid: MODEL.into(), batch_uuid: uuid(number).into() }
}

/// The answers of an undamaged ledger.
struct Expected {
    answers: Answers,
    exported: Vec<Vec<u8>>,
}

impl Expected {
    fn of(dir: &Path) -> Result<Self> {
        let (ledger, _) = open(dir)?;
        let answers = ask(&ledger).map_err(|error| anyhow!(chain(&error)))?;
        drop(ledger);
        let exported = export(dir)?.collect::<Result<Vec<_>, _>>()?;
        ensure!(exported.len() as u64 == N_BATCHES, "{} batches are exported", exported.len());
        ensure!(answers.batches.iter().all(Option::is_some), "every batch is there");
        ensure!(answers.quarantine.len() as u64 == N_BATCHES + 1, "{:?}", answers.quarantine);
        let n_released = answers.quarantine.iter().filter(|item| item.is_released).count();
        ensure!((n_released, answers.statuses.len()) == (2, 3), "{answers:?}");
        ensure!(answers.listed.len() as u64 == N_BATCHES, "{:?}", answers.listed);
        ensure!(answers.used.n_rollups() as u64 == N_BATCHES, "{:?}", answers.used);
        Ok(Self { answers, exported })
    }
}

fn ask(ledger: &Ledger) -> Result<Answers, LedgerError> {
    let page = Page { cursor: None, limit: usize::MAX };
    Ok(Answers {
        counts: ledger.reader.counts(),
        models: ledger.reader.models(&page)?,
        quarantine: ledger.reader.quarantine(&page)?,
        batches: (0..N_BATCHES).map(|number| ledger.reader.batch(&id(number))).collect::<Result<_, _>>()?,
        used: used(&*ledger.reader)?,
        listed: listed(&*ledger.reader)?,
        statuses: ledger.reader.hand_statuses(None)?,
    })
}

fn try_damage(
    dir: &Path,
    files: &Files,
    expected: &Expected,
    path: &Path,
    damage: Damage,
    report: &mut Report,
) -> Result<()> {
    let mut damaged = files.clone();
    let bytes = damaged.get_mut(path).context("the file is one of them")?;
    match damage {
        Damage::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
        Damage::Cut { length } => bytes.truncate(length),
        Damage::TakeAway => drop(damaged.remove(path)),
    }
    match damage {
        Damage::Flip { .. } => report.n_flips += 1,
        Damage::Cut { .. } | Damage::TakeAway => report.n_cuts += 1,
    }
    let role = role(path);
    // Reading comes first, as opening may repair what is derived.
    write_all(dir, &damaged)?;
    let read = export(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    judge("export", read.map(|bodies| bodies == expected.exported), path, damage)?;
    // A prefix that was given before an error has to be right too.
    let given: Vec<Vec<u8>> = export(dir).into_iter().flatten().map_while(Result::ok).collect();
    ensure!(expected.exported.starts_with(&given), "the export gave a wrong batch before it failed");
    let verified = verify(dir, |_| {}).map(|report| report.counts == expected.answers.counts);
    let is_whole = verified.is_ok();
    judge("verify", verified, path, damage)?;
    ensure!(role == Role::Spare || !is_whole, "verify found a damaged journal whole");

    let is_right = match role {
        Role::Journal => open_damaged_journal(dir, &damaged, expected, path, damage)?,
        Role::Spare => open_damaged_spare(dir, expected, path, damage)?,
    };
    *if is_right { &mut report.n_right } else { &mut report.n_refused } += 1;
    Ok(())
}

/// Opens a ledger whose journal is damaged; whether it answers everything.
fn open_damaged_journal(
    dir: &Path,
    damaged: &Files,
    expected: &Expected,
    path: &Path,
    damage: Damage,
) -> Result<bool> {
    match open(dir) {
        Ok((ledger, _)) => check_each(&ledger, expected, path, damage),
        Err(error) => {
            judge("open", Err(error), path, damage)?;
            let changed = changed(dir, damaged)?;
            ensure!(changed.is_none(), "{changed:?} was changed, though it did not open");
            Ok(false)
        }
    }
}

/// Opens a ledger of which only what is derived is damaged: that is always possible, no copy counts as new, and after
/// one more start all is well. Whether it answers everything the first time.
fn open_damaged_spare(dir: &Path, expected: &Expected, path: &Path, damage: Damage) -> Result<bool> {
    let (mut ledger, _) = open(dir).map_err(|error| anyhow!(chain(&error))).context("open")?;
    let mut is_right = check_each(&ledger, expected, path, damage)?;
    match ledger.writer.record(copies(), received()) {
        Ok(outcomes) => {
            ensure!(outcomes.iter().all(|outcome| *outcome == Outcome::Duplicate), "{outcomes:?}");
        }
        Err(error) => {
            let text = chain(&error);
            ensure!(
                error.remedy() != Remedy::FreeSpace && text.contains(&*file_name(path)),
                "copies are refused: {text}"
            );
            is_right = false;
        }
    }
    drop(ledger);
    let (mut ledger, _) = open(dir).map_err(|error| anyhow!(chain(&error))).context("open once more")?;
    let answers = ask(&ledger).map_err(|error| anyhow!(chain(&error))).context("ask after one more start")?;
    ensure!(answers == expected.answers, "a wrong answer after one more start: {answers:?}");
    let outcomes = ledger.writer.record(copies(), received()).map_err(|error| anyhow!(chain(&error)))?;
    ensure!(outcomes.iter().all(|outcome| *outcome == Outcome::Duplicate), "{outcomes:?}");
    Ok(is_right)
}

/// Every batch that is recorded, as it was sent.
fn copies() -> Vec<Entry> {
    let batches: Vec<String> = (0..N_BATCHES).map(recorded).collect();
    entries(&format!("[{}]", batches.join(",")))
}

fn recorded(number: u64) -> String {
    let of_one_hour = batch(MODEL, &uuid(number), &format!("{number}.5"));
    of_one_hour.replace("02T03:04:05Z\"}]", &format!("02T{number:02}:04:05Z\"}}]"))
}

/// Asks everything, each for itself; whether all is answered.
fn check_each(ledger: &Ledger, expected: &Expected, path: &Path, damage: Damage) -> Result<bool> {
    let Answers { counts, models, quarantine, batches, .. } = &expected.answers;
    let page = Page { cursor: None, limit: usize::MAX };
    ensure!(ledger.reader.counts() == *counts, "wrong counts: {:?}", ledger.reader.counts());
    let mut answered = vec![
        ("models", ledger.reader.models(&page).map(|found| found == *models)),
        ("quarantine", ledger.reader.quarantine(&page).map(|found| found == *quarantine)),
        ("usage", used(&*ledger.reader).map(|found| found == expected.answers.used)),
        ("a listing", listed(&*ledger.reader).map(|found| found == expected.answers.listed)),
        ("statuses", ledger.reader.hand_statuses(None).map(|found| found == expected.answers.statuses)),
    ];
    for (number, batch) in (0..).zip(batches) {
        answered.push(("a batch", ledger.reader.batch(&id(number)).map(|found| found == *batch)));
    }
    let is_right = answered.iter().all(|(_, answer)| answer.is_ok());
    for (asked, answer) in answered {
        judge(asked, answer, path, damage)?;
    }
    Ok(is_right)
}

/// The truth, or a help.
fn role(path: &Path) -> Role {
    match path.extension().is_some_and(|extension| extension == "segment") {
        true => Role::Journal,
        false => Role::Spare,
    }
}

/// Wants a right answer, or an error that says where the damage is.
fn judge(asked: &str, answered: Result<bool, LedgerError>, path: &Path, damage: Damage) -> Result<()> {
    let error = match answered {
        Ok(is_right) => {
            ensure!(is_right, "{asked} gives a wrong answer");
            return Ok(());
        }
        Err(error) => error,
    };
    let text = chain(&error);
    let is_damage = match role(path) {
        Role::Journal => error.remedy() == Remedy::Repair,
        // What is derived is made anew at the next start.
        Role::Spare => [Remedy::Repair, Remedy::Restart].contains(&error.remedy()),
    };
    ensure!(is_damage, "{asked} fails, and not because of damage: {text}");
    let is_named = match damage {
        Damage::Flip { .. } => names(&text, path),
        // What is missing at the end may show at the beginning of the next file, and a missing file has no offset.
        Damage::Cut { .. } | Damage::TakeAway => {
            text.contains(".segment") || text.contains(&*file_name(path))
        }
    };
    ensure!(is_named, "{asked} fails and does not name the file and the offset: {text}");
    Ok(())
}

/// Whether an error says where the damage is.
fn names(text: &str, path: &Path) -> bool {
    text.contains(&*file_name(path)) && text.contains(" at offset ")
}

fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The first journal file that is not as it was written.
fn changed(dir: &Path, written: &Files) -> Result<Option<PathBuf>> {
    let now = read_all(dir)?;
    let is_journal = |path: &&PathBuf| role(path) == Role::Journal || path.ends_with("attested");
    let mut paths = written.keys().chain(now.keys()).filter(is_journal);
    Ok(paths.find(|path| written.get(*path) != now.get(*path)).cloned())
}

impl Report {
    fn add(&mut self, other: Self) {
        self.n_flips += other.n_flips;
        self.n_cuts += other.n_cuts;
        self.n_refused += other.n_refused;
        self.n_right += other.n_right;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_files, n_bytes, n_flips, n_cuts, n_refused, n_right } = self;
        write!(
            f,
            "{n_flips} flipped bits and {n_cuts} cut or missing files, in {n_bytes} bytes of {n_files} files: {n_refused} \
             refused with the place, {n_right} answered rightly"
        )
    }
}

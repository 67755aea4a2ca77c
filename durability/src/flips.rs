//! Every file of a ledger changed at every byte, cut at every length and taken away: what is asked of it afterwards is
//! answered rightly, or refused with the file and the offset.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use tollgate_ledger::{Counts, Ledger, LedgerError, ModelSummary, Page, QuarantineItem, Remedy, chain};
use tollgate_ledger_embedded::{EmbeddedLedger, Options, export, verify};
use tollgate_rules::BatchId;

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

/// A ledger with everything in it: batches, conflicts, elements that cannot count; several segments; closed.
fn make(dir: &Path) -> Result<()> {
    let (mut ledger, _) = open(dir)?;
    for number in 0..N_BATCHES {
        let first = batch(MODEL, &uuid(number), &format!("{number}.5"));
        ledger.writer.record(entries(&format!("[{first},7]")), received())?;
        let conflict = format!("[{}]", batch(MODEL, &uuid(number), "99"));
        ledger.writer.record(entries(&conflict), received())?;
    }
    ledger.writer.close()?;
    Ok(())
}

fn open(dir: &Path) -> Result<(Ledger, tollgate_ledger_embedded::OpenReport), LedgerError> {
    EmbeddedLedger::open(dir, Options::for_testing())
}

fn uuid(number: u64) -> String {
    format!("01234567-89ab-4def-8edc-{number:012x}")
}

/// The answers of an undamaged ledger.
struct Expected {
    answers: Answers,
    exported: Vec<Vec<u8>>,
}

impl Expected {
    fn of(dir: &Path) -> Result<Self> {
        let (ledger, _) = open(dir)?;
        let answers = ask(&ledger).map_err(|error| anyhow::anyhow!(chain(&error)))?;
        drop(ledger);
        let exported = export(dir)?.collect::<Result<Vec<_>, _>>()?;
        ensure!(exported.len() as u64 == N_BATCHES, "{} batches are exported", exported.len());
        ensure!(answers.batches.iter().all(Option::is_some), "every batch is there");
        ensure!(answers.quarantine.len() as u64 == N_BATCHES + 1, "{:?}", answers.quarantine);
        Ok(Self { answers, exported })
    }
}

fn ask(ledger: &Ledger) -> Result<Answers, LedgerError> {
    let page = Page { cursor: None, limit: usize::MAX };
    let batch =
        |number| ledger.reader.batch(&BatchId { model_uuid: MODEL.into(), batch_uuid: uuid(number).into() });
    Ok(Answers {
        counts: ledger.reader.counts(),
        models: ledger.reader.models(&page)?,
        quarantine: ledger.reader.quarantine(&page)?,
        batches: (0..N_BATCHES).map(batch).collect::<Result<_, _>>()?,
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

    let opened = open(dir).and_then(|(ledger, _)| {
        let answers = ask(&ledger);
        Ok((answers?, ledger))
    });
    match &opened {
        Ok((answers, _)) => ensure!(*answers == expected.answers, "a wrong answer: {answers:?}"),
        Err(_) if role == Role::Journal => {
            ensure!(
                changed(dir, &damaged)?.is_none(),
                "{:?} was changed, though it did not open",
                changed(dir, &damaged)?
            );
        }
        Err(error) => bail!("it does not open, though only what is derived was damaged: {}", chain(error)),
    }
    match opened {
        Ok((_, ledger)) => {
            drop(ledger);
            report.n_right += 1;
        }
        Err(error) => {
            judge("open", Err(error), path, damage)?;
            report.n_refused += 1;
        }
    }
    Ok(())
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
    ensure!(error.remedy() == Remedy::Repair, "{asked} fails, and not because of damage: {text}");
    let file = path.to_string_lossy();
    let is_named = match damage {
        Damage::Flip { .. } => text.contains(&format!("{file} at offset ")),
        // What is missing at the end may show at the beginning of the next file.
        Damage::Cut { .. } | Damage::TakeAway => text.contains(".segment") || text.contains(&*file),
    };
    ensure!(is_named, "{asked} fails and does not name {file} and the offset: {text}");
    Ok(())
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

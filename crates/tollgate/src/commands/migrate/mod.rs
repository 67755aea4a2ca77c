//! `tollgate migrate`: from a ledger in a folder to one in PostgreSQL.

mod comparison;

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use comparison::{Difference, Figures, Side};
use indicatif::HumanCount;
use serde::Serialize;
use tollgate_ledger::{LedgerError, Remedy};
use tollgate_ledger_embedded::{Source, SourceGroups};
use tollgate_ledger_postgres::{Standing, Target};

use crate::exit::{self, Exit};
use crate::output::{self, Format};
use crate::words::count;
use crate::{ledger, progress};

/// Moves a ledger from a folder into a PostgreSQL database.
///
/// Everything moves: batches with the digests that later copies are compared with, the quarantine, statuses, users, revocations,
/// and what retention left of old batches. The folder is locked meanwhile and not changed; what the index has of it is
/// compared with the database at the end. Until that has been done no collector can be started on the database.
///
/// When it is cut short, even by kill -9, give the same command again: it goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate migrate --from /var/lib/tollgate --to postgres://tollgate@db.example.com/tollgate
  TOLLGATE_LEDGER_LOCATION=postgres://tollgate:…@db/tollgate tollgate migrate --from ./ledger

Stop the collector first, and start it on the database afterwards. The folder stays what it was: as
long as nothing was recorded in the database, going back is starting the collector on it again.

Exit codes:
  0  everything is in the database, and both hold the same
  1  they differ (the first difference is named, and the database stays closed to collectors), or
     the work failed: the folder is in use or damaged, the database holds something else, …
  2  wrong usage")]
pub(crate) struct Args {
    /// The ledger's folder.
    #[arg(long, value_name = "DIR")]
    from: String,
    /// The database, `postgres://USER@HOST/DATABASE`, and its schema with `?schema=`; empty, or with what an earlier migration of
    /// this folder left. With a password, name it in the environment.
    #[arg(long, value_name = "URL", env = "TOLLGATE_LEDGER_LOCATION", hide_env_values = true)]
    to: String,
    /// How the outcome is printed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let dir = ledger::folder(&args.from)?;
    let url = ledger::database(&args.to)?;
    let bar = progress::Bar::new("reading what is behind the index");
    let source = ledger::source(&dir, &bar)?;
    bar.clear();
    let outcome = migrate(&source, &dir, &url)
        .with_context(|| format!("move {} to {}", dir.display(), ledger::Location::printable(&url)))?;
    let mut out = output::stdout();
    match args.format {
        Format::Table => table(&outcome, &dir, &ledger::Location::printable(&url), &mut out),
        Format::Json => json(&outcome, &mut out),
    }
    .and_then(|()| out.flush())
    .context("write the outcome")?;
    Ok(if matches!(outcome, Outcome::Differs(_)) { Exit::Failed } else { Exit::Ok })
}

/// What came of it.
enum Outcome {
    Moved {
        figures: Figures,
        /// `None` when all had been moved before, and was only compared now.
        work: Option<Work>,
    },
    /// Nothing was left to do.
    MovedBefore,
    Differs(Difference),
}

/// What was done now, and not in a run before.
#[derive(Debug, Clone, Copy, Serialize)]
struct Work {
    /// The first group that was moved now.
    first_group: u64,
    last_group: u64,
    n_records: u64,
    seconds: f64,
}

fn migrate(source: &Source, dir: &Path, url: &str) -> anyhow::Result<Outcome> {
    let (mut target, standing) = ledger::target(url)?;
    let mark = match standing {
        Standing::Whole(mark) if mark == source.end() => return Ok(Outcome::MovedBefore),
        Standing::Begun(mark) | Standing::Whole(mark) => mark,
    };
    let Some(groups) = source.groups_after(Some(mark)).map_err(|error| ledger::explained(error, dir))? else {
        anyhow::bail!(
            "go on with it: what is in the database came from another ledger; name another schema with ?schema=NAME"
        );
    };
    if let Standing::Whole(_) = standing {
        anyhow::bail!(
            "begin: it was moved before, up to group {}, and has recorded up to group {} since; a collector may have recorded \
             in the database too",
            mark.sequence,
            source.end().sequence
        );
    }
    let started = Instant::now();
    let n_records = move_all(source, dir, groups, &mut target)?;
    let bar = progress::Bar::spinning("folding");
    target.fold(|| bar.tick()).map_err(cut_short)?;
    bar.clear();
    let (first_group, last_group) = (mark.sequence + 1, source.end().sequence);
    let work = Work { first_group, last_group, n_records, seconds: started.elapsed().as_secs_f64() };
    let work = (first_group <= last_group).then_some(work);
    let compared = compare(source, &target).map_err(cut_short)?;
    Ok(match compared {
        Ok(figures) => {
            target.finish().map_err(cut_short)?;
            Outcome::Moved { figures, work }
        }
        Err(difference) => Outcome::Differs(difference),
    })
}

/// An error of the database, with the hint that it can go on when it can.
fn cut_short(error: LedgerError) -> anyhow::Error {
    match error.remedy() {
        Remedy::Retry | Remedy::FreeSpace => exit::with_hint(
            &error.into(),
            "what is there stays; give the command again, and it goes on from there",
        ),
        Remedy::Restart | Remedy::Repair => error.into(),
    }
}

fn compare(source: &Source, target: &Target) -> Result<Result<Figures, Difference>, LedgerError> {
    let (here, there) = (source.reader(), target.reader());
    let counts = here.counts();
    let here = Side {
        reader: &*here,
        counts,
        n_batch_rows: counts.n_batches,
        users: source.users(),
        revoked: source.revoked(),
    };
    let there = Side {
        reader: &*there,
        counts: target.counts()?,
        n_batch_rows: target.n_batch_rows()?,
        users: target.users()?,
        revoked: target.revoked()?,
    };
    let bar = progress::Bar::up_to("comparing", counts.n_batches);
    let mut compared = comparison::compare(&here, &there, |n_batches| bar.set_count(n_batches))?;
    if compared.is_ok()
        && let Some(uneven) = target.uneven()?
    {
        compared = Err(comparison::uneven(uneven));
    }
    bar.clear();
    Ok(compared)
}

/// Moves the groups; how many records they are.
fn move_all(
    source: &Source,
    dir: &Path,
    mut groups: SourceGroups,
    target: &mut Target,
) -> anyhow::Result<u64> {
    let bar = progress::Bar::up_to("moving", source.reader().counts().n_batches);
    bar.set_count(target.n_batches());
    let mut n_records = 0;
    thread::scope(|scope| {
        // What comes next is read while the database is at what was read before.
        let (reading, read) = sync_channel(1);
        scope.spawn(move || groups.all(|groups| reading.send(groups).is_ok()));
        for groups in read {
            let groups = groups.map_err(|error| ledger::explained(error, dir))?;
            n_records += groups.records.len() as u64;
            target.put(groups).map_err(cut_short)?;
            bar.set_count(target.n_batches());
        }
        Ok(n_records)
    })
}

fn table(outcome: &Outcome, dir: &Path, place: &str, out: &mut impl Write) -> std::io::Result<()> {
    let (figures, work) = match outcome {
        Outcome::Moved { figures, work } => (figures, work),
        Outcome::MovedBefore => {
            return writeln!(
                out,
                "ok: all of {} was moved to {place} before; nothing was done",
                dir.display()
            );
        }
        Outcome::Differs(Difference { what, here, there }) => {
            writeln!(out, "differs: {what}: {here} in {}, {there} in {place}", dir.display())?;
            return writeln!(
                out,
                "    no collector starts on the database; to begin anew, save with pg_dump what a collector may have \
                 recorded there, and drop its schema"
            );
        }
    };
    let Figures { counts, n_meters, n_statuses, n_users, n_revoked, n_released } = figures;
    writeln!(
        out,
        "ok: {} with {} of {} are in {place}",
        count(counts.n_batches, "batch", "batches"),
        count(counts.n_metrics, "metric", "metrics"),
        count(counts.n_models, "model", "models"),
    )?;
    writeln!(
        out,
        "    {}, {} released; {}, {}, {}",
        count(counts.n_quarantined, "quarantined element", "quarantined elements"),
        HumanCount(*n_released),
        count(*n_statuses, "status by hand", "statuses by hand"),
        count(*n_users, "user of a model", "users of models"),
        count(*n_revoked, "revoked credential", "revoked credentials"),
    )?;
    if let Some(Work { first_group, last_group, n_records, seconds }) = work {
        writeln!(
            out,
            "    groups {first_group} to {last_group} were moved in {seconds:.1} s, {} records a second",
            HumanCount((*n_records as f64 / seconds.max(1e-3)) as u64)
        )?;
    }
    writeln!(
        out,
        "    compared: every count, {} of all models and their usage, names, units, the quarantine, statuses, users and revocations are equal",
        count(*n_meters, "sum", "sums"),
    )
}

/// What programs read.
#[derive(Serialize)]
struct Json<'a> {
    is_equal: bool,
    was_moved_before: bool,
    figures: Option<&'a Figures>,
    work: Option<Work>,
    difference: Option<&'a Difference>,
}

fn json(outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
    let (figures, work, difference) = match outcome {
        Outcome::Moved { figures, work } => (Some(figures), *work, None),
        Outcome::MovedBefore => (None, None, None),
        Outcome::Differs(difference) => (None, None, Some(difference)),
    };
    let was_moved_before = matches!(outcome, Outcome::MovedBefore);
    let json = Json { is_equal: difference.is_none(), was_moved_before, figures, work, difference };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}

//! `tollgate spool`: what waits to be sent.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use comfy_table::CellAlignment::{Left, Right};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use tollgate_sender::{Look, Pending, Release, SpoolError};
use tollgate_wire::MetricBatch;

use crate::configuration::SenderFlags;
use crate::exit::{self, Exit};
use crate::listing::{Format, plain_table};
use crate::words::{count, printable, time};
use crate::{output, sending};

/// Shows what waits in a spool, checks it, and decides about what a collector does not acknowledge.
///
/// All but `import` and `release` read the folder itself, so they work with and without an agent that has it open.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate spool list
  tollgate spool list --refused --format json
  tollgate spool show 6f7c6a30-5b8e-4c8e-9d3c-5f6f2f8a1b11
  tollgate spool verify --spool /var/lib/tollgate-spool
  tollgate spool export > waiting.jsonl
  tollgate spool import --spool ./other < waiting.jsonl
  tollgate spool release --send-again
  tollgate spool release --give-up 6f7c6a30-5b8e-4c8e-9d3c-5f6f2f8a1b11

Exit codes: 0 all is well, 1 the spool is damaged or cannot be read, 2 wrong usage")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the batches that wait, with how often and why they were not acknowledged
    List {
        /// Only those that were sent and not acknowledged.
        #[arg(long)]
        refused: bool,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
        /// How the rows are printed.
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        flags: SenderFlags,
    },
    /// Show where the spool stands, or the bytes of one batch that waits
    Show {
        /// The batch's id.
        #[arg(value_name = "BATCH")]
        batch: Option<String>,
        #[command(flatten)]
        flags: SenderFlags,
    },
    /// Check every frame, checksum and the hash chain
    Verify {
        #[command(flatten)]
        flags: SenderFlags,
    },
    /// Print every batch that waits as its canonical JSON, one a line
    Export {
        #[command(flatten)]
        flags: SenderFlags,
    },
    /// Record batches that `export` printed, with their ids: from a file, or from standard input
    Import {
        /// The file; `-` is standard input.
        #[arg(value_name = "FILE", default_value = "-")]
        file: String,
        #[command(flatten)]
        flags: SenderFlags,
    },
    /// Decide about batches that are not acknowledged: all that were refused, or those named
    Release {
        /// Send them as if they were new.
        #[arg(long, required_unless_present = "give_up", conflicts_with = "give_up")]
        send_again: bool,
        /// Drop them for ever; they must be named.
        #[arg(long, requires = "batches")]
        give_up: bool,
        /// Their ids.
        #[arg(value_name = "BATCH")]
        batches: Vec<String>,
        #[command(flatten)]
        flags: SenderFlags,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::List { refused, limit, format, flags } => list(&look(flags)?, *refused, *limit, *format),
        Action::Show { batch: None, flags } => show(&look(flags)?),
        Action::Show { batch: Some(id), flags } => show_batch(&look(flags)?, id),
        Action::Verify { flags } => verify(&look(flags)?),
        Action::Export { flags } => export(&look(flags)?),
        Action::Import { file, flags } => import(flags, file),
        Action::Release { give_up, batches, flags, .. } => {
            let release = if *give_up { Release::GiveUp } else { Release::SendAgain };
            self::release(flags, batches, release)
        }
    }
}

fn look(flags: &SenderFlags) -> anyhow::Result<Look> {
    let dir = flags.load()?.sender.spool;
    Look::open(&dir).with_context(|| format!("look at {}", dir.display()))
}

/// A batch that waits, for people and programs.
#[derive(Serialize)]
struct Row {
    number: u64,
    recorded: String,
    batch: String,
    model: String,
    unit: String,
    n_metrics: usize,
    n_refused: u32,
    why: Option<String>,
}

impl From<Pending> for Row {
    fn from(pending: Pending) -> Self {
        let (n_refused, why) = pending.refusal.map_or((0, None), |refusal| (refusal.n_times, refusal.why));
        Self {
            number: pending.number,
            recorded: time(pending.recorded_ms),
            batch: pending.uuid,
            model: pending.model_uuid,
            unit: pending.unit_name,
            n_metrics: pending.n_metrics,
            n_refused,
            why,
        }
    }
}

fn list(look: &Look, refused_only: bool, limit: usize, format: Format) -> anyhow::Result<Exit> {
    let mut rows: Vec<Row> = Vec::new();
    look.each_pending(|pending| {
        if !refused_only || pending.refusal.is_some() {
            rows.push(pending.into());
        }
        rows.len() <= limit
    })?;
    let has_more = limit < rows.len();
    rows.truncate(limit);
    let mut out = output::stdout();
    match format {
        Format::Table => {
            let mut table = plain_table(&[
                ("NUMBER", Right),
                ("RECORDED", Left),
                ("BATCH", Left),
                ("MODEL", Left),
                ("UNIT", Left),
                ("METRICS", Right),
                ("REFUSED", Right),
                ("WHY", Left),
            ]);
            for row in &rows {
                table.add_row([
                    HumanCount(row.number).to_string(),
                    row.recorded.clone(),
                    printable(&row.batch),
                    printable(&row.model),
                    printable(&row.unit),
                    HumanCount(row.n_metrics as u64).to_string(),
                    HumanCount(row.n_refused.into()).to_string(),
                    printable(row.why.as_deref().unwrap_or_default()),
                ]);
            }
            writeln!(out, "{}", table.trim_fmt()).context("write the table")?;
        }
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &rows)
                .map_err(std::io::Error::from)
                .context("write the rows")?;
            writeln!(out).context("write the rows")?;
        }
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(&mut out);
            for row in &rows {
                writer.serialize(row).context("write a row")?;
            }
            writer.flush().context("write the rows")?;
        }
    }
    out.flush().context("write the rows")?;
    if has_more {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "tollgate: there are more; --limit shows them");
    }
    Ok(Exit::Ok)
}

fn show(look: &Look) -> anyhow::Result<Exit> {
    let summary = look.summary();
    let link = &summary.link;
    let mut text = format!(
        "{} of {} recorded here; {} refused, {} given up\n{} not in a batch yet\n{} on the disk\n",
        sending::still_wait(summary.n_pending),
        HumanCount(summary.n_recorded),
        HumanCount(summary.n_refused),
        HumanCount(summary.n_given_up),
        count(summary.n_readings, "reading", "readings"),
        HumanBytes(summary.n_bytes),
    );
    text.push_str(&match link.last_success_ms {
        Some(at) => format!("last acknowledgement at {}\n", time(at)),
        None => "nothing was ever acknowledged\n".to_owned(),
    });
    if let Some(error) = &link.last_error {
        text.push_str(&format!("the last attempt failed: {}\n", printable(error)));
    }
    if 0 < summary.set_aside.n_stretches {
        text.push_str(&format!(
            "damage was set aside {}, with {} as far as that can be counted\n",
            count(summary.set_aside.n_stretches, "time", "times"),
            count(summary.set_aside.n_records, "record", "records"),
        ));
    }
    print(text.as_bytes())
}

fn show_batch(look: &Look, id: &str) -> anyhow::Result<Exit> {
    let mut found = None;
    look.each_pending(|pending| {
        if pending.uuid == id {
            found = Some(pending);
        }
        found.is_none()
    })?;
    let pending = found.ok_or_else(|| SpoolError::Unknown { uuid: id.to_owned() })?;
    let mut json = pending.json;
    json.push(b'\n');
    print(&json)
}

fn verify(look: &Look) -> anyhow::Result<Exit> {
    let (n_groups, n_records) = look.verify()?;
    let mut text = format!(
        "ok: {}; {} in {}\n",
        sending::still_wait(look.summary().n_pending),
        count(n_records, "record", "records"),
        count(n_groups, "group", "groups"),
    );
    if let Some(tail) = look.tail() {
        text.push_str(&format!(
            "    {} at the end are a write that never finished; whoever opens the spool drops them\n",
            HumanBytes(tail.bytes)
        ));
    }
    print(text.as_bytes())
}

fn export(look: &Look) -> anyhow::Result<Exit> {
    let mut out = output::stdout();
    let mut written = Ok(());
    look.each_pending(|mut pending| {
        pending.json.push(b'\n');
        written = out.write_all(&pending.json);
        written.is_ok()
    })?;
    written.and_then(|()| out.flush()).context("write the batches")?;
    Ok(Exit::Ok)
}

/// Batches that become durable together: many enough that the syncs take little of the time.
const IMPORT_BATCHES: usize = 1_000;

fn import(flags: &SenderFlags, file: &str) -> anyhow::Result<Exit> {
    crate::logging::start(crate::logging::Format::Text)?;
    let settings = flags.load()?.sender;
    let input: Box<dyn BufRead> = match file {
        "-" => Box::new(std::io::stdin().lock()),
        path => Box::new(BufReader::new(File::open(path).with_context(|| format!("open {path}"))?)),
    };
    let spool = sending::open_spool(&settings)?;
    let mut n_batches = 0;
    let mut batches: Vec<MetricBatch> = Vec::new();
    for (index, line) in input.split(b'\n').enumerate() {
        let line = line.context("read the batches")?;
        let batch = tollgate_wire::from_slice(&line);
        batches.push(batch.with_context(|| format!("read the batch in line {}", index + 1))?);
        if batches.len() == IMPORT_BATCHES {
            n_batches += batches.len() as u64;
            spool.record_all(std::mem::take(&mut batches)).map_err(sending::spool_failure)?;
        }
    }
    n_batches += batches.len() as u64;
    spool.record_all(batches).map_err(sending::spool_failure)?;
    spool.close()?;
    print(format!("{} recorded\n", count(n_batches, "batch", "batches")).as_bytes())
}

fn release(flags: &SenderFlags, batches: &[String], release: Release) -> anyhow::Result<Exit> {
    crate::logging::start(crate::logging::Format::Text)?;
    let spool = sending::open_spool(&flags.load()?.sender)?;
    let ids = (!batches.is_empty()).then_some(batches);
    let n_batches = match spool.release(ids, release) {
        Ok(n_batches) => n_batches,
        Err(error @ SpoolError::Unknown { .. }) => {
            bail!(exit::with_hint(&error.into(), "nothing was released"))
        }
        Err(error) => return Err(error.into()),
    };
    spool.close()?;
    let what = match release {
        Release::SendAgain => "will be sent again",
        Release::GiveUp => "given up",
    };
    print(format!("{} {what}\n", count(n_batches, "batch", "batches")).as_bytes())
}

fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut out = output::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).context("write what was found")?;
    Ok(Exit::Ok)
}

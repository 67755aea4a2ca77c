//! `tollgate salvage`: what is intact of a damaged ledger, as a new one.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context as _;
use comfy_table::CellAlignment;
use indicatif::HumanCount;
use serde::Serialize;
use tollgate_ledger_embedded::{Loss, SalvageReport, Stretch};

use crate::exit::Exit;
use crate::listing::plain_table;
use crate::output::{self, Format};
use crate::words::{count, printable};
use crate::{ledger, progress};

/// Makes a new ledger of everything that is intact in a damaged one.
///
/// Nothing in the damaged folder is changed. What is intact comes in its order, each batch once, with the time at which it
/// was received; quarantined elements are counted anew. What is lost is listed on standard output.
///
/// Restore a backup rather than this when there is one that has everything: senders do not send again what was acknowledged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate salvage /var/lib/tollgate /var/lib/tollgate-salvaged
  tollgate salvage --format json /var/lib/tollgate /mnt/new > lost.json

Stop the collector first. Then let it serve the new ledger, and keep the damaged folder.

Exit codes: 0 nothing that was acknowledged is lost, 1 something is, or it cannot be told, or the
work failed (the reason is on standard error), 2 wrong usage")]
pub(crate) struct Args {
    /// The damaged ledger's folder.
    #[arg(value_name = "DAMAGED")]
    location: String,
    /// The folder of the new ledger, made when it is not there; it must be empty.
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// How what was found is printed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let dir = ledger::folder(&args.location)?;
    let bar = progress::Bar::of_batches("salvaging");
    let report = ledger::salvage(&dir, &args.target, &bar)?;
    bar.clear();
    let mut out = output::stdout();
    match args.format {
        Format::Table => table(&report, &args.target.display().to_string(), &mut out),
        Format::Json => json(&report, &mut out),
    }
    .and_then(|()| out.flush())
    .context("write what was found")?;
    Ok(if report.is_whole() { Exit::Ok } else { Exit::Failed })
}

fn table(report: &SalvageReport, target: &str, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{}: {} and {} of {} are in {target}",
        if report.is_whole() { "ok" } else { "lost" },
        count(report.n_batches, "batch", "batches"),
        count(report.n_quarantined, "quarantined element", "quarantined elements"),
        count(report.n_groups, "intact group", "intact groups"),
    )?;
    if 0 < report.n_repeated {
        let repeated = count(report.n_repeated, "record was there", "records were there");
        writeln!(out, "    {repeated} more than once, and counts once")?;
    }
    let lost: Vec<String> = report.lost_groups.iter().map(range).collect();
    if !lost.is_empty() {
        writeln!(out, "    groups that are lost: {}", lost.join(", "))?;
    }
    if report.damage.is_empty() {
        return writeln!(out, "    no damage was found");
    }
    let (left, right) = (CellAlignment::Left, CellAlignment::Right);
    let columns = [
        ("FILE", left),
        ("BYTES", right),
        ("GROUPS", right),
        ("RECORDS", right),
        ("COST", left),
        ("FAULT", left),
    ];
    let mut table = plain_table(&columns);
    for stretch in &report.damage {
        let Stretch { path, offsets, groups, n_records, why, loss, .. } = stretch;
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let unknown = || "?".to_owned();
        table.add_row([
            printable(&file),
            format!("{}-{}", offsets.start, offsets.end),
            groups.as_ref().map_or_else(unknown, range),
            n_records.map_or_else(unknown, |n_records| HumanCount(n_records).to_string()),
            cost(*loss).to_owned(),
            why.clone(),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn cost(loss: Loss) -> &'static str {
    match loss {
        Loss::Records => "lost",
        Loss::Unfinished => "none: never acknowledged",
        Loss::Nothing => "none",
        _ => "cannot be told",
    }
}

fn range(range: &RangeInclusive<u64>) -> String {
    let (first, last) = range.clone().into_inner();
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Json<'a> {
    is_whole: bool,
    n_groups: u64,
    n_batches: u64,
    n_quarantined: u64,
    n_repeated: u64,
    lost_groups: Vec<Groups>,
    damage: Vec<JsonStretch<'a>>,
}

#[derive(Serialize)]
struct Groups {
    first: u64,
    last: u64,
}

#[derive(Serialize)]
struct JsonStretch<'a> {
    path: String,
    start: u64,
    end: u64,
    groups: Option<Groups>,
    n_records: Option<u64>,
    cost: &'static str,
    fault: &'a str,
}

impl From<&RangeInclusive<u64>> for Groups {
    fn from(range: &RangeInclusive<u64>) -> Self {
        Self { first: *range.start(), last: *range.end() }
    }
}

impl<'a> From<&'a Stretch> for JsonStretch<'a> {
    fn from(stretch: &'a Stretch) -> Self {
        Self {
            path: stretch.path.to_string_lossy().into_owned(),
            start: stretch.offsets.start,
            end: stretch.offsets.end,
            groups: stretch.groups.as_ref().map(Groups::from),
            n_records: stretch.n_records,
            cost: match stretch.loss {
                Loss::Records => "lost",
                Loss::Unfinished => "unfinished",
                Loss::Nothing => "none",
                _ => "untold",
            },
            fault: &stretch.why,
        }
    }
}

fn json(report: &SalvageReport, out: &mut impl Write) -> std::io::Result<()> {
    let json = Json {
        is_whole: report.is_whole(),
        n_groups: report.n_groups,
        n_batches: report.n_batches,
        n_quarantined: report.n_quarantined,
        n_repeated: report.n_repeated,
        lost_groups: report.lost_groups.iter().map(Groups::from).collect(),
        damage: report.damage.iter().map(JsonStretch::from).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}

//! `tollgate verify`: whether a ledger holds what was recorded.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};

use crate::exit::Exit;
use crate::words::{count, hex};
use crate::{ledger, output, progress};

/// Checks every frame, checksum and the hash chain of a ledger.
///
/// Also that every batch in it can be counted, is canonical and is there once, and that the index says what the journal
/// does. Changes nothing, and works while a collector has the folder open.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate verify /var/lib/tollgate

The last line of output is the hash over everything recorded. Whoever notes it down can show later
that nothing before it was changed or removed.

Exit codes: 0 the ledger is whole, 1 it is damaged (the reason names file and offset) or cannot be
read, 2 wrong usage")]
pub(crate) struct Args {
    /// The ledger's folder.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let bar = progress::Bar::new("verifying");
    let report = ledger::verify(&args.dir, &bar)?;
    bar.clear();
    let counts = report.counts;
    let mut text = format!(
        "ok: {} with {} of {}, {} in quarantine\n    {} in {} and {}\n",
        count(counts.n_batches, "batch", "batches"),
        count(counts.n_metrics, "metric", "metrics"),
        count(counts.n_models, "model", "models"),
        HumanCount(counts.n_quarantined),
        HumanBytes(report.journal.record_bytes),
        count(report.journal.n_groups, "group", "groups"),
        count(report.journal.n_segments, "file", "files"),
    );
    if let Some(tail) = report.journal.tail {
        text.push_str(&format!(
            "    {} at the end are a group that was never acknowledged; the next start drops them\n",
            HumanBytes(tail.bytes)
        ));
    }
    text.push_str(&match report.index_sequence {
        Some(sequence) => format!("    the index was compared with the journal up to group {sequence}\n"),
        None => "    there is no index to compare; the next start makes it\n".to_owned(),
    });
    let end = report.journal.end;
    text.push_str(&format!("    group {} has the hash {}\n", end.sequence, hex(&end.chain)));
    let mut out = output::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("write the verdict")?;
    Ok(Exit::Ok)
}

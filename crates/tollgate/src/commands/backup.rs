//! `tollgate backup`: a copy of a ledger that may be in use.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::HumanBytes;

use crate::exit::Exit;
use crate::words::{count, hex};
use crate::{ledger, output, progress};

/// Copies a ledger, also while a collector has it open.
///
/// The copy holds all that was acknowledged before the command was given, and perhaps more. Every frame and checksum and
/// the hash chain are checked on the way. It is a ledger: `tollgate serve --ledger TARGET` goes on from it, and makes its
/// index at the first start. A copy that was cut short is refused by every command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate backup /var/lib/tollgate /backup/tollgate-2026-11-22
  tollgate backup /var/lib/tollgate /mnt/ledger && tollgate verify /mnt/ledger

The last line of output is the hash over everything in the copy, which `tollgate verify` gives too.

Exit codes: 0 the copy is whole and durable, 1 the ledger is damaged or cannot be read, or the
target holds something or cannot be written, 2 wrong usage")]
pub(crate) struct Args {
    /// The ledger's folder.
    #[arg(value_name = "LEDGER")]
    location: String,
    /// The folder of the copy, made when it is not there; it must be empty.
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let dir = ledger::folder(&args.location)?;
    let bar = progress::Bar::new("copying");
    let report = ledger::backup(&dir, &args.target, &bar)?;
    bar.clear();
    let (journal, end) = (report.journal, report.journal.end);
    let text = format!(
        "ok: copied {} in {}, {}, to {}\n    group {} has the hash {}\n",
        count(journal.n_groups, "group", "groups"),
        count(journal.n_segments, "file", "files"),
        HumanBytes(report.n_bytes),
        args.target.display(),
        end.sequence,
        hex(&end.chain),
    );
    let mut out = output::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("write what was copied")?;
    Ok(Exit::Ok)
}

//! `tollgate export`: every recorded batch.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::exit::Exit;
use crate::words::count;
use crate::{ledger, output, progress};

/// Prints every recorded batch once.
///
/// Reads the folder or the database itself, so it works with and without collectors that have it open; what is recorded
/// meanwhile may be in the output or not. Where retention dropped the credentials of old batches they are null, and standard error
/// says of how many.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate export /var/lib/tollgate > batches.jsonl
  tollgate export /var/lib/tollgate | zstd > batches.jsonl.zst
  tollgate export postgres://tollgate@db.example.com/tollgate > batches.jsonl
  tollgate export ./tollgate-ledger | jq -r '.metrics[] | [.key, .value] | @csv'

Exit codes: 0 everything was printed, 1 the ledger is damaged or cannot be read, 2 wrong usage")]
pub(crate) struct Args {
    /// The ledger's folder, or the URL of its database. With a password, name it in the environment.
    #[arg(value_name = "LEDGER", env = "TOLLGATE_LEDGER_LOCATION", hide_env_values = true)]
    location: String,
    /// How batches are written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// How batches are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each batch as its canonical JSON, one a line
    #[default]
    Jsonl,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let location = ledger::Location::of(&args.location)?;
    let Format::Jsonl = args.format;
    let mut out = output::stdout();
    // A bar between the lines of a terminal would only be in the way.
    let bar = (!std::io::stdout().is_terminal()).then(|| progress::Bar::of_batches("exporting"));
    let mut bodies = ledger::export(&location)?;
    for body in bodies.by_ref() {
        let mut body = body?;
        body.push(b'\n');
        out.write_all(&body).context("write a batch")?;
        if let Some(bar) = &bar {
            bar.count();
        }
    }
    out.flush().context("write the batches")?;
    if let Some(bar) = &bar {
        bar.clear();
    }
    if 0 < bodies.n_reduced() {
        let reduced = count(bodies.n_reduced(), "batch is", "batches are");
        // Nobody is left to tell when standard error is closed.
        let _ =
            writeln!(std::io::stderr(), "tollgate: {reduced} without credentials: retention dropped them");
    }
    Ok(Exit::Ok)
}

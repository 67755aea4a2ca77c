//! `tollgate meter-status`: where things stand on the sending side.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::ValueEnum;
use tollgate_sender::Look;

use crate::configuration::SenderFlags;
use crate::exit::Exit;
use crate::output;
use crate::words::printable;

/// Prints the meter status: GREEN, AMBER or RED, and why.
///
/// It is the worst of how sending goes and of what the collector said of models and units. Reads the spool's folder
/// itself, so it works with and without an agent that has it open.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate meter-status
  tollgate meter-status --spool /var/lib/tollgate-spool --model m1 --unit web/0
  test \"$(tollgate meter-status | cut -d: -f1)\" != RED

Exit codes: 0 it was printed, whatever it is; 1 the spool cannot be read; 2 wrong usage")]
pub(crate) struct Args {
    /// Of this model alone.
    #[arg(long, value_name = "UUID")]
    model: Option<String>,
    /// Of this unit of the model alone.
    #[arg(long, value_name = "UNIT", requires = "model")]
    unit: Option<String>,
    /// How it is printed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    flags: SenderFlags,
}

/// How the status is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One object
    Json,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let settings = args.flags.load()?.sender;
    let look =
        Look::open(&settings.spool).with_context(|| format!("look at {}", settings.spool.display()))?;
    let standing = look.meter_status(now_ms(), args.model.as_deref(), args.unit.as_deref());
    let line = match args.format {
        Format::Text => printable(&standing.to_string()),
        Format::Json => serde_json::to_string(&standing).context("write the status as JSON")?,
    };
    let mut out = output::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("write the status")?;
    Ok(Exit::Ok)
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the edge: what is asked is how it stands now")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

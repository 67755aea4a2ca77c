//! `tollgate status`: where models stand, and statuses by hand.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Subcommand;
use comfy_table::CellAlignment::{self, Left};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::{Address, Admin, block_on};
use crate::exit::{self, Exit};
use crate::listing::{self, Listing, Row};
use crate::output;
use crate::words::printable;

/// Lists where models stand, and sets or clears the status of a model or a unit by hand.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tollgate status
  tollgate status --format csv > statuses.csv
  tollgate status show MODEL
  tollgate status set MODEL RED --info \"unpaid since May\"
  tollgate status set MODEL AMBER --unit web/0 --for 2h
  tollgate status clear MODEL --unit web/0

A status set by hand outranks allowances until it expires or is cleared.

Exit codes: 0 everything was listed or done, 1 the collector cannot be reached or failed, 2 wrong usage"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: listing::Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows where a model stands and why, with what was used of each of its allowances, as JSON.
    #[command(after_help = "Examples:\n  tollgate status show deadbeef-0bad-400d-8000-4b1d0d06f00d")]
    Show {
        /// The model's uuid.
        model: String,
        #[command(flatten)]
        address: Address,
    },
    /// Sets a status by hand.
    #[command(after_help = "\
Examples:
  tollgate status set MODEL RED --info \"unpaid since May\"
  tollgate status set MODEL GREEN --expires 2026-12-31T00:00:00Z
  tollgate status set MODEL AMBER --unit web/0 --for 2h")]
    Set {
        /// The model's uuid.
        model: String,
        /// The colour.
        #[arg(value_parser = ["GREEN", "AMBER", "RED"], ignore_case = true)]
        status: String,
        /// The unit; without it the status is the model's own.
        #[arg(long)]
        unit: Option<String>,
        /// Why, in one line: whoever sees the status sees it.
        #[arg(long, default_value = "", hide_default_value = true)]
        info: String,
        /// Until then, RFC 3339.
        #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
        expires: Option<String>,
        /// For so long: 90s, 15m, 2h, 7d.
        #[arg(long = "for", value_name = "TIME")]
        lasting: Option<String>,
        #[command(flatten)]
        address: Address,
    },
    /// Takes back what was set by hand.
    #[command(after_help = "\
Examples:
  tollgate status clear MODEL
  tollgate status clear MODEL --unit web/0")]
    Clear {
        /// The model's uuid.
        model: String,
        /// The unit; without it the model's own status is cleared.
        #[arg(long)]
        unit: Option<String>,
        #[command(flatten)]
        address: Address,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let done = match &args.command {
        None => return listing::run::<Shown>(&args.flags, &Listing::new("statuses", COLUMNS)),
        Some(Command::Show { model, address }) => {
            let whole: Value = block_on(Admin::new(address)?.get(&path(model, None)))?;
            serde_json::to_string_pretty(&whole).context("write it")?
        }
        Some(Command::Set { model, status, unit, info, expires, lasting, address }) => {
            let for_seconds = lasting.as_deref().map(seconds).transpose()?;
            let wanted = json!({
                "status": status.to_uppercase(), "info": info, "expires": expires, "for_seconds": for_seconds,
            });
            let admin = Admin::new(address)?;
            let set: Set = block_on(admin.send(Method::PUT, &path(model, unit.as_deref()), &wanted))?;
            let until = set.expires.map_or_else(String::new, |time| format!(" until {time}"));
            format!("{} {}{until}", named(model, unit.as_deref()), set.status)
        }
        Some(Command::Clear { model, unit, address }) => {
            block_on(Admin::new(address)?.delete(&path(model, unit.as_deref())))?;
            format!("{} has no status by hand", named(model, unit.as_deref()))
        }
    };
    let mut out = output::stdout();
    writeln!(out, "{done}").and_then(|()| out.flush()).context("write what was done")?;
    Ok(Exit::Ok)
}

fn path<'a>(model: &'a str, unit: Option<&'a str>) -> Vec<&'a str> {
    match unit {
        None => vec!["models", model, "status"],
        Some(unit) => vec!["models", model, "units", unit, "status"],
    }
}

fn named(model: &str, unit: Option<&str>) -> String {
    unit.map_or_else(|| printable(model), |unit| format!("{} of {}", printable(unit), printable(model)))
}

/// Seconds of a time such as `2h`.
fn seconds(text: &str) -> anyhow::Result<u64> {
    let bad = || exit::usage(format!("use --for {text}: it is a time such as 90s, 15m, 2h or 7d"));
    let span: jiff::Span = text.parse().map_err(|_| bad())?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    u64::try_from(time.as_secs()).ok().filter(|seconds| 0 < *seconds).ok_or_else(bad)
}

/// What a collector says of a status that was set.
#[derive(Deserialize)]
struct Set {
    status: String,
    expires: Option<String>,
}

/// A row as a collector gives it.
#[derive(Serialize, Deserialize)]
struct Shown {
    model_uuid: String,
    unit_name: String,
    model_name: String,
    user: String,
    status: String,
    info: String,
    source: String,
    expires: Option<String>,
}

const COLUMNS: &[(&str, CellAlignment)] = &[
    ("MODEL", Left),
    ("UNIT", Left),
    ("NAME", Left),
    ("USER", Left),
    ("STATUS", Left),
    ("BY", Left),
    ("EXPIRES", Left),
    ("INFO", Left),
];

impl Row for Shown {
    fn cells(&self, _: &Listing) -> Vec<String> {
        let Self { model_uuid, unit_name, model_name, user, status, info, source, expires } = self;
        let expires = expires.as_deref().unwrap_or_default();
        [model_uuid, unit_name, model_name, user, status, source, expires, info].map(printable).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_seconds() {
        for (text, expected) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h 30m", 5_400)]
        {
            assert_eq!(seconds(text).expect(text), expected);
        }
        for bad in ["", "2", "-2h", "0s", "soon", "3 months"] {
            let error = seconds(bad).expect_err(bad).to_string();
            assert!(error.contains("such as 90s, 15m, 2h or 7d"), "{error}");
        }
    }
}

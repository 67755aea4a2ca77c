//! `tollgate quarantine`: what was set aside, and why.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Subcommand;
use comfy_table::CellAlignment::{self, Left, Right};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use tollgate_ledger::QuarantineItem;

use crate::admin::{Address, Admin, block_on};
use crate::exit::Exit;
use crate::listing::{self, Listing, Row};
use crate::output;
use crate::words::printable;

/// Lists what a collector has set aside, and why; shows one element whole; releases one.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tollgate quarantine
  tollgate quarantine --format json | jq -r '.[] | select(.code == \"conflict\") | .body'
  tollgate quarantine --released all --format csv > quarantine.csv
  tollgate quarantine show 17
  tollgate quarantine release 17

JSON and CSV also have the first 1,000 characters of the element, as its sender wrote it, and the length of all of
it in bytes; `show` gives all of it.

Exit codes: 0 everything was listed or done, 1 the collector cannot be reached or failed, or the element cannot
count, 2 wrong usage"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    flags: listing::Flags,
    /// Which elements: those in quarantine, those that were released from it, or both.
    #[arg(long, value_name = "WHICH", default_value = "false", value_parser = ["false", "true", "all"])]
    released: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows one element whole, as JSON.
    #[command(after_help = "Examples:\n  tollgate quarantine show 17")]
    Show {
        /// The element's id in the quarantine.
        id: u64,
        #[command(flatten)]
        address: Address,
    },
    /// Takes one element out of the quarantine, so that its batch counts.
    ///
    /// What still cannot count stays, and so does a batch whose id is recorded with other content.
    #[command(after_help = "\
Examples:
  tollgate quarantine release 17
  tollgate quarantine release 17 --dismiss")]
    Release {
        /// The element's id in the quarantine.
        id: u64,
        /// Take it out without counting it: it has been dealt with.
        #[arg(long)]
        dismiss: bool,
        #[command(flatten)]
        address: Address,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(&args.list),
        Some(Command::Show { id, address }) => {
            let admin = Admin::new(address)?;
            let id = id.to_string();
            let item: Listed = block_on(admin.get(&["quarantine", &id]))?;
            let mut out = output::stdout();
            serde_json::to_writer_pretty(&mut out, &item)
                .map_err(std::io::Error::from)
                .context("write it")?;
            writeln!(out).and_then(|()| out.flush()).context("write it")?;
            Ok(Exit::Ok)
        }
        Some(Command::Release { id, dismiss, address }) => {
            let admin = Admin::new(address)?;
            let done = block_on(release(&admin, &id.to_string(), *dismiss))?;
            let mut out = output::stdout();
            writeln!(out, "{id} {done}").and_then(|()| out.flush()).context("write what was done")?;
            Ok(Exit::Ok)
        }
    }
}

/// Says what was done.
async fn release(admin: &Admin, id: &str, dismiss: bool) -> anyhow::Result<&'static str> {
    let before: Listed = admin.get(&["quarantine", id]).await?;
    if dismiss && before.item.is_released {
        // Whether it counts was decided then.
        return Ok("has left the quarantine before: nothing was changed");
    }
    let wanted = serde_json::json!({ "count": !dismiss });
    let _: Listed = admin.send(Method::POST, &["quarantine", id, "release"], &wanted).await?;
    Ok(if dismiss { "dismissed: it does not count" } else { "released: its batch counts" })
}

fn list(args: &List) -> anyhow::Result<Exit> {
    let mut listing = Listing::new("quarantine", COLUMNS);
    listing.parameters.push(("released".to_owned(), args.released.clone()));
    listing::run::<Listed>(&args.flags, &listing)
}

/// An element as a collector lists it.
#[derive(Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    item: QuarantineItem,
    /// Of the whole body.
    body_bytes: u64,
}

const COLUMNS: &[(&str, CellAlignment)] = &[
    ("ID", Right),
    ("RECEIVED", Left),
    ("MODEL", Left),
    ("BATCH", Left),
    ("UNIT", Left),
    ("CODE", Left),
    ("REASON", Left),
];

impl Row for Listed {
    fn cells(&self, _: &Listing) -> Vec<String> {
        let QuarantineItem { id, received, model_uuid, batch_uuid, unit_name, code, reason, .. } = &self.item;
        let texts = [received, model_uuid, batch_uuid, unit_name, code, reason].map(|text| printable(text));
        [id.to_string()].into_iter().chain(texts).collect()
    }
}

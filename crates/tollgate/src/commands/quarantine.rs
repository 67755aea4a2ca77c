//! `tollgate quarantine`: what was set aside, and why.

use comfy_table::CellAlignment::{self, Left, Right};
use serde::{Deserialize, Serialize};
use tollgate_ledger::QuarantineItem;

use crate::exit::Exit;
use crate::listing::{self, Row};
use crate::words::printable;

/// Lists what a collector has set aside, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate quarantine
  tollgate quarantine --format json | jq -r '.[] | select(.code == \"conflict\") | .body'
  tollgate quarantine --format csv > quarantine.csv
  curl http://127.0.0.1:8481/api/v1/quarantine/17

JSON and CSV also have the first 1,000 characters of the element, as its sender wrote it, and the length of all of
it in bytes. The collector gives one element whole at /api/v1/quarantine/ID.

Exit codes: 0 everything was listed, 1 the collector cannot be reached or failed, 2 wrong usage")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: listing::Flags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    listing::run::<Listed>(&args.flags)
}

/// An element as a collector lists it.
#[derive(Serialize, Deserialize)]
struct Listed {
    #[serde(flatten)]
    item: QuarantineItem,
    /// Of the whole body.
    body_bytes: u64,
}

impl Row for Listed {
    const LISTING: &str = "quarantine";

    const COLUMNS: &[(&str, CellAlignment)] = &[
        ("ID", Right),
        ("RECEIVED", Left),
        ("MODEL", Left),
        ("BATCH", Left),
        ("UNIT", Left),
        ("CODE", Left),
        ("REASON", Left),
    ];

    fn cells(&self) -> Vec<String> {
        fields(&self.item).iter().map(|field| printable(field)).collect()
    }

    const CSV_COLUMNS: &[&str] =
        &["id", "received", "model_uuid", "batch_uuid", "unit_name", "code", "reason", "body_bytes", "body"];

    fn csv(&self) -> Vec<Vec<String>> {
        let mut line = fields(&self.item);
        line.extend([self.body_bytes.to_string(), self.item.body.clone()]);
        vec![line]
    }
}

/// What is printed of an element in every format but JSON.
fn fields(item: &QuarantineItem) -> Vec<String> {
    vec![
        item.id.to_string(),
        item.received.clone(),
        item.model_uuid.clone(),
        item.batch_uuid.clone(),
        item.unit_name.clone(),
        item.code.clone(),
        item.reason.clone(),
    ]
}

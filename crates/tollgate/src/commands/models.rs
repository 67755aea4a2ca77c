//! `tollgate models`: what each model has used.

use comfy_table::CellAlignment::{self, Left, Right};
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};
use tollgate_ledger::{MeterTotal, ModelSummary};

use crate::exit::Exit;
use crate::listing::{self, Listing, Row};
use crate::words::printable;

/// Lists the models of a collector and what each has used.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate models
  tollgate models --url http://127.0.0.1:8481 --format json | jq '.[] | select(.n_batches > 1000)'
  tollgate models --format csv > models.csv

Sums are exact. CSV has a line for each meter of each model.

Exit codes: 0 everything was listed, 1 the collector cannot be reached or failed, 2 wrong usage")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: listing::Flags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    listing::run::<Owned>(&args.flags, &Listing::new("models", COLUMNS))
}

/// A model as a collector lists it.
#[derive(Serialize, Deserialize)]
struct Owned {
    #[serde(flatten)]
    model: ModelSummary,
    user: String,
}

const COLUMNS: &[(&str, CellAlignment)] = &[
    ("MODEL", Left),
    ("NAME", Left),
    ("USER", Left),
    ("UNITS", Right),
    ("BATCHES", Right),
    ("NEWEST BATCH", Left),
    ("METER", Left),
    ("READINGS", Right),
    ("SUM", Right),
];

impl Row for Owned {
    fn cells(&self, _: &Listing) -> Vec<String> {
        let Self { model, user } = self;
        let of_meters = |cell: fn(&MeterTotal) -> String| -> String {
            model.meters.iter().map(cell).collect::<Vec<_>>().join("\n")
        };
        vec![
            printable(&model.model_uuid),
            printable(&model.model_name),
            printable(user),
            HumanCount(model.units.len() as u64).to_string(),
            HumanCount(model.n_batches).to_string(),
            model.last_created.clone(),
            of_meters(|meter| printable(&meter.key)),
            of_meters(|meter| HumanCount(meter.n_metrics).to_string()),
            of_meters(|meter| meter.sum.clone()),
        ]
    }
}

//! `tollgate models`: what each model has used.

use comfy_table::CellAlignment::{self, Left, Right};
use indicatif::HumanCount;
use tollgate_ledger::{MeterTotal, ModelSummary};

use crate::exit::Exit;
use crate::listing::{self, Row};
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
    listing::run::<ModelSummary>(&args.flags)
}

impl Row for ModelSummary {
    const LISTING: &str = "models";

    const COLUMNS: &[(&str, CellAlignment)] = &[
        ("MODEL", Left),
        ("NAME", Left),
        ("UNITS", Right),
        ("BATCHES", Right),
        ("NEWEST BATCH", Left),
        ("METER", Left),
        ("READINGS", Right),
        ("SUM", Right),
    ];

    fn cells(&self) -> Vec<String> {
        let of_meters = |cell: fn(&MeterTotal) -> String| -> String {
            self.meters.iter().map(cell).collect::<Vec<_>>().join("\n")
        };
        vec![
            printable(&self.model_uuid),
            printable(&self.model_name),
            HumanCount(self.units.len() as u64).to_string(),
            HumanCount(self.n_batches).to_string(),
            self.last_created.clone(),
            of_meters(|meter| printable(&meter.key)),
            of_meters(|meter| HumanCount(meter.n_metrics).to_string()),
            of_meters(|meter| meter.sum.clone()),
        ]
    }

    const CSV_COLUMNS: &[&str] =
        &["model_uuid", "model_name", "n_units", "n_batches", "last_created", "meter", "n_metrics", "sum"];

    fn csv(&self) -> Vec<Vec<String>> {
        let line = |meter: &str, n_metrics: String, sum: &str| {
            vec![
                self.model_uuid.clone(),
                self.model_name.clone(),
                self.units.len().to_string(),
                self.n_batches.to_string(),
                self.last_created.clone(),
                meter.to_owned(),
                n_metrics,
                sum.to_owned(),
            ]
        };
        if self.meters.is_empty() {
            return vec![line("", "0".to_owned(), "")];
        }
        self.meters.iter().map(|meter| line(&meter.key, meter.n_metrics.to_string(), &meter.sum)).collect()
    }
}

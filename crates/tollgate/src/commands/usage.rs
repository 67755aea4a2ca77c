//! `tollgate usage`: how much was used.

use comfy_table::CellAlignment::{Left, Right};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exit::{self, Exit};
use crate::listing::{self, Listing, Row};
use crate::words::printable;

/// Rows asked for at a time: the most that a collector gives.
const PAGE_ROWS: usize = 100_000;

/// Lists how much was used, by window and meter, and by whatever else is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate usage
  tollgate usage --meter requests --window day --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z
  tollgate usage --window month --tz Europe/Berlin --group-by user,label.tier --format csv > usage.csv
  tollgate usage --model deadbeef-0bad-400d-8000-4b1d0d06f00d --label az=eu-1 --aggregate last

Values are exact. Of a meter of kind absolute they are sums, of a gauge the largest reading of each series, summed,
unless --aggregate and --across say otherwise. docs/usage.md has it all.

Exit codes: 0 everything was listed, 1 the collector cannot be reached or failed, 2 wrong usage")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: listing::Flags,
    /// Of this meter alone.
    #[arg(long)]
    meter: Option<String>,
    /// Of this model alone.
    #[arg(long, value_name = "UUID")]
    model: Option<String>,
    /// Of this unit alone.
    #[arg(long)]
    unit: Option<String>,
    /// Of this charm alone.
    #[arg(long, value_name = "URL")]
    charm: Option<String>,
    /// Of the models of this user alone.
    #[arg(long)]
    user: Option<String>,
    /// Of what has this label alone; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// From this time on, RFC 3339, the beginning of an hour.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How long the stretches are: hour, day, week, month or total.
    #[arg(long, default_value = "total")]
    window: String,
    /// A row for each model, unit, charm, user or label.NAME; several with commas.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    group_by: Vec<String>,
    /// Of the readings of a series: sum, count, min, max, mean or last.
    #[arg(long)]
    aggregate: Option<String>,
    /// Of several series: sum, min or max.
    #[arg(long)]
    across: Option<String>,
    /// The time zone of the windows, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut listing = Listing::new("usage", &[("START", Left), ("END", Left), ("METER", Left)]);
    for group in &args.group_by {
        listing.columns.push((group.to_uppercase(), Left));
    }
    listing.columns.extend([("VALUE".to_owned(), Right), ("READINGS".to_owned(), Right)]);
    listing.parameters = parameters(args)?;
    listing.page_rows = PAGE_ROWS;
    listing::run::<Used>(&args.flags, &listing)
}

fn parameters(args: &Args) -> anyhow::Result<Vec<(String, String)>> {
    let mut parameters = vec![("window".to_owned(), args.window.clone())];
    for (name, value) in [
        ("meter", &args.meter),
        ("model", &args.model),
        ("unit", &args.unit),
        ("charm", &args.charm),
        ("user", &args.user),
        ("from", &args.from),
        ("to", &args.to),
        ("aggregate", &args.aggregate),
        ("across", &args.across),
        ("tz", &args.tz),
    ] {
        parameters.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
    }
    for label in &args.labels {
        let Some((name, value)) = label.split_once('=') else {
            return Err(exit::usage(format!("use --label {label}: it is NAME=VALUE, such as az=eu-1")));
        };
        parameters.push((format!("label.{name}"), value.to_owned()));
    }
    if !args.group_by.is_empty() {
        parameters.push((GROUP_BY.to_owned(), args.group_by.join(",")));
    }
    Ok(parameters)
}

/// The parameter that has the keys of the groups.
const GROUP_BY: &str = "group_by";

/// A row as a collector gives it.
#[derive(Serialize, Deserialize)]
struct Used {
    start: String,
    end: String,
    meter: String,
    #[serde(flatten)]
    group: Map<String, Value>,
    value: String,
    count: String,
}

impl Row for Used {
    fn cells(&self, listing: &Listing) -> Vec<String> {
        let groups = listing.parameters.iter().filter(|(name, _)| name == GROUP_BY);
        let groups = groups.flat_map(|(_, keys)| keys.split(','));
        let of_group = |key| self.group.get(key).and_then(Value::as_str).unwrap_or_default();
        let (first, last) = ([&*self.start, &*self.end, &*self.meter], [&*self.value, &*self.count]);
        first.into_iter().chain(groups.map(of_group)).chain(last).map(printable).collect()
    }
}

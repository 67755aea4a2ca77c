//! `tollgate record`: readings into the spool.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::SystemTime;

use anyhow::Context as _;
use tollgate_sender::Source;
use tollgate_wire::{Metric, Timestamp};

use crate::configuration::SenderFlags;
use crate::exit::{self, Exit};
use crate::{output, sending};

/// Records a batch of readings in a spool, and prints its id.
///
/// When it returns, the batch is durable; `tollgate send` takes it to a collector. A value is refused that no collector
/// could count. While an agent has the spool, post to the agent instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate record --model 2d5a8d5e-9c5c-4f1f-8a9b-0c9a5d7b7f11 --unit web/0 --charm ch:web-7 requests=12 gb=3.5
  tollgate record --model m1 requests=12 --label az=eu-1 --time 2026-11-01T00:00:00Z

Exit codes: 0 the batch is durable, 1 the spool cannot take it, 2 wrong usage or a value that cannot count")]
pub(crate) struct Args {
    /// The model's uuid [default: `model` of the section `[agent]`].
    #[arg(long, value_name = "UUID")]
    model: Option<String>,
    /// The model's name, for people.
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// The unit that was measured, such as web/0.
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// The charm or product that was measured.
    #[arg(long, value_name = "CHARM")]
    charm: Option<String>,
    /// When it was measured, in RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// A label of every reading; may be given more than once.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// The readings: a meter and its value each.
    #[arg(required = true, value_name = "METER=VALUE", value_parser = pair)]
    readings: Vec<(String, String)>,
    #[command(flatten)]
    flags: SenderFlags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    crate::logging::start(crate::logging::Format::Text)?;
    let configuration = args.flags.load()?;
    #[expect(clippy::disallowed_methods, reason = "the edge: one time for the whole batch")]
    let now = Timestamp::from_system_time(SystemTime::now());
    let time = match &args.time {
        None => now,
        Some(text) => Timestamp::parse(text).map_err(|error| exit::usage(format!("use --time: {error}")))?,
    };
    let agent = &configuration.agent;
    let or = |given: &Option<String>, default: &String| given.as_ref().unwrap_or(default).clone();
    let source = Source {
        model: or(&args.model, &agent.model),
        model_name: or(&args.model_name, &agent.model_name),
        unit: or(&args.unit, &agent.unit),
        charm: or(&args.charm, &agent.charm),
        credentials: sending::credentials(&configuration.sender)?,
    };
    if source.model.is_empty() {
        return Err(exit::usage("record a batch: it needs a model; give --model, or `model` in [agent]"));
    }
    let labels: BTreeMap<String, String> = args.labels.iter().cloned().collect();
    let metrics = args.readings.iter().map(|(key, value)| Metric {
        key: key.clone(),
        value: value.clone(),
        time,
        labels: labels.clone(),
    });
    let batch = source.batch(metrics.collect(), now);
    sending::check_batch(&batch)
        .map_err(|error| exit::as_usage(&error.context("record what no collector could count")))?;
    let spool = sending::open_spool(&configuration.sender)?;
    let id = spool.record(batch).map_err(sending::spool_failure)?;
    spool.close()?;
    let mut out = output::stdout();
    writeln!(out, "{id}").and_then(|()| out.flush()).context("write the batch's id")?;
    Ok(Exit::Ok)
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

//! `tollgate credential mint`: a credential made by hand.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::ValueEnum;
use tollgate_rules::{Terms, mint};
use tollgate_wire::Timestamp;

use crate::exit::{self, Exit};
use crate::{keys, output};

const SECONDS_A_DAY: i64 = 86_400;

/// Makes a credential and prints it.
///
/// What is given has to be so of every batch that carries it; what is left out is left open. Without --model it admits batches of
/// every model: make such a credential only for who may report for all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate credential mint --keys keys --model deadbeef-0bad-400d-8000-4b1d0d06f00d --user bob
  tollgate credential mint --keys keys --model $MODEL --charm ch:metered --service metered --valid-days 365
  tollgate credential mint --keys keys --user bob --format base64

Exit codes: 0 the credential was printed, 1 the keys cannot be read, 2 wrong usage")]
pub(super) struct Args {
    /// The file with the keys, of which the first is used.
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CREDENTIAL_KEYS_FILE", hide_env_values = true)]
    keys: PathBuf,
    /// The model: its uuid.
    #[arg(long, value_name = "UUID", required_unless_present = "user")]
    model: Option<String>,
    /// The charm, in any revision: ch:metered, cs:~owner/series/name.
    #[arg(long, value_name = "URL")]
    charm: Option<String>,
    /// The application: what its units are called before the slash.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The plan that use is charged by.
    #[arg(long, value_name = "URL")]
    plan: Option<String>,
    /// The user whom use is charged to.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The level of support.
    #[arg(long, value_name = "LEVEL")]
    sla: Option<String>,
    /// When it ends, in RFC 3339 [default: never].
    #[arg(long, value_name = "TIME", conflicts_with = "valid_days")]
    expires: Option<Timestamp>,
    /// In how many days it ends.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    valid_days: Option<u32>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON of version 1, which every Juju reads.
    #[default]
    V1,
    /// JSON of version 2, which is shorter.
    V2,
    /// Version 1 in base64: what goes between the quotes of a batch's `credentials`.
    Base64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let keys = keys::read(&args.keys)?;
    let terms = Terms {
        model_uuid: args.model.clone(),
        charm_url: args.charm.clone(),
        service: args.service.clone(),
        plan: args.plan.clone(),
        user: args.user.clone(),
        sla: args.sla.clone(),
        expires: args.expires.or(args.valid_days.and_then(after)),
    };
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).context("get random bytes from the system")?;
    let credential = mint(&terms, &keys, nonce).map_err(|error| exit::as_usage(&error.into()))?;
    let text = match args.format {
        Format::V1 => credential.to_json_v1(),
        Format::V2 => credential.to_json_v2(),
        Format::Base64 => base64_simd::STANDARD.encode_to_string(credential.to_json_v1()),
    };
    let mut out = output::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("write the credential")?;
    Ok(Exit::Ok)
}

/// The second in so many days; none when that is never.
fn after(n_days: u32) -> Option<Timestamp> {
    #[expect(clippy::disallowed_methods, reason = "the edge: the clock is read once")]
    let now = Timestamp::from_system_time(SystemTime::now());
    Timestamp::from_unix(now.unix_seconds() + i64::from(n_days) * SECONDS_A_DAY, 0)
}

//! `tollgate config`: the effective configuration, and where each value came from.

use std::io::Write as _;

use anyhow::Context as _;

use crate::configuration;
use crate::exit::Exit;
use crate::output;

/// Prints the effective configuration and where each value came from.
///
/// What it prints is itself a configuration file. Secrets are redacted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate config
  tollgate config --config /etc/tollgate.toml --listen 0.0.0.0:8480

Every key is also an environment variable: `listen` in [collector] is TOLLGATE_COLLECTOR_LISTEN.
The command line wins over the environment, the environment over the file, the file over the defaults.

Exit codes: 0 the configuration is good, 2 it is not")]
pub(crate) struct Args {
    #[command(flatten)]
    flags: configuration::Flags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let loaded = args.flags.load()?;
    let mut out = output::stdout();
    out.write_all(configuration::print(&loaded).as_bytes())
        .and_then(|()| out.flush())
        .context("write the configuration")?;
    Ok(Exit::Ok)
}

//! What can be asked on the command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    agent, backup, check, completions, config, credential, demo, export, man, meter_status, migrate, models,
    quarantine, record, salvage, send, serve, spool, status, usage, verify,
};

/// Usage metering: batches in, durable acknowledgements and meter statuses out.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    about,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  tollgate demo
  tollgate serve --ledger /var/lib/tollgate
  tollgate check batches.json

Exit codes:
  0  all is well
  1  what was checked is bad, or the work failed (the reason is on standard error)
  2  the command line or the configuration is wrong; nothing was done
 70  the ledger failed while serving; what was acknowledged is durable, start it again"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Check(check::Args),
    Usage(usage::Args),
    Status(status::Args),
    Models(models::Args),
    Quarantine(quarantine::Args),
    Verify(verify::Args),
    Export(export::Args),
    Backup(backup::Args),
    Salvage(salvage::Args),
    Migrate(migrate::Args),
    Record(record::Args),
    Send(send::Args),
    Spool(spool::Args),
    MeterStatus(meter_status::Args),
    Agent(agent::Args),
    Credential(credential::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(help.contains(&format!("  tollgate {name}")), "`tollgate {name} --help` has no example");
        }
    }
}

//! A file for each command.

use crate::cli::Command;
use crate::exit::Exit;

pub(crate) mod agent;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod credential;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod man;
pub(crate) mod meter_status;
pub(crate) mod migrate;
pub(crate) mod models;
pub(crate) mod quarantine;
pub(crate) mod record;
pub(crate) mod salvage;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod spool;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod verify;

/// Does what was asked.
pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Usage(args) => usage::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Salvage(args) => salvage::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Spool(args) => spool::run(&args),
        Command::MeterStatus(args) => meter_status::run(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Credential(args) => credential::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

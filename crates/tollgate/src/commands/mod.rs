//! A file for each command.

use crate::cli::Command;
use crate::exit::Exit;

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod man;

/// Does what was asked.
pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

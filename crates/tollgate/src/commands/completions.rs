//! `tollgate completions`: what makes a shell complete our commands.

use std::io::Write as _;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output;

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate completions bash > /etc/bash_completion.d/tollgate")]
pub(crate) struct Args {
    /// The shell to complete in.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    // Generated into memory: the generator would panic on a closed standard output.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tollgate", &mut script);
    let mut out = output::stdout();
    out.write_all(&script).and_then(|()| out.flush()).context("write the completion script")?;
    Ok(Exit::Ok)
}

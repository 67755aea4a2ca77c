//! `tollgate man`: the manual pages.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output;

/// Prints the manual page, or writes the pages of all commands into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate man | man -l -
  tollgate man --dir /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// Write tollgate.1 and a page for each command here; the folder must exist.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives the subcommands their full names (`tollgate check`), which the pages print.
    command.build();
    let Some(dir) = &args.dir else {
        let mut out = output::stdout();
        out.write_all(&page(&command)?).and_then(|()| out.flush()).context("write the manual page")?;
        return Ok(Exit::Ok);
    };
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    for command in std::iter::once(&command).chain(visible) {
        let path = dir.join(format!("{}.1", command.get_display_name().unwrap_or("tollgate")));
        fs::write(&path, page(command)?).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(Exit::Ok)
}

fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).context("render a manual page")?;
    Ok(page)
}

//! Tollgate's chores, so that nobody has to remember them: `cargo xtask --help`.
//!
//! In reading order: [`mod@test`], [`check`], [`durability`] and [`fuzz`] are the commands. They are lists of [`steps`], on
//! the programs that [`needs`], [`tools`], [`go`] and [`interop`] find or install in this [`workspace`]; [`manifests`], [`layers`] and
//! [`seeds`] are the work that no other program does for us.
//!
//! Nothing here is part of Tollgate, and nothing here is needed to build it: `cargo build` is enough for that.

#![expect(clippy::print_stdout, reason = "a chore tells what it does")]

mod check;
mod durability;
mod fuzz;
mod go;
mod interop;
mod layers;
mod manifests;
mod needs;
mod seeds;
mod steps;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::steps::Steps;
use crate::workspace::Workspace;

/// What to do before a change goes in.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Task {
    /// Install what the tests need, and run them all
    ///
    /// With Go on this machine they include the comparison with the reference. TOLLGATE_ROMULUS=/path/to/checkout runs that
    /// against the real types of github.com/juju/romulus.
    Test,
    /// Check everything that needs no run: formatting, lints, documentation, dependencies, the shape of the workspace
    Check,
    /// Run the fuzz targets for a while each, from the golden vectors on; needs a nightly toolchain
    Fuzz(fuzz::Options),
    /// Kill Tollgate, cut its power, let its system calls fail and damage its files, for as long as it takes; write docs/evidence.md
    Durability(durability::Options),
}

fn main() -> ExitCode {
    let task = Task::parse();
    let mut steps = Steps::default();
    let outcome = Workspace::find().and_then(|workspace| match task {
        Task::Test => test::run(&workspace, &mut steps),
        Task::Check => check::run(&workspace, &mut steps),
        Task::Durability(options) => durability::run(&workspace, &options, &mut steps),
        Task::Fuzz(options) => fuzz::run(&workspace, &options, &mut steps),
    });
    steps.finish(outcome)
}

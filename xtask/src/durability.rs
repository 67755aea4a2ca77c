//! `cargo xtask durability`: what was done to lose an acknowledged batch, and the table of what came of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::needs::{self, Need};
use crate::steps::{Steps, output};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A part and its options, such as `kills --cycles 100`; all of them when left out. `--help` alone tells more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Where the outcomes are written.
const EVIDENCE: &str = "docs/evidence.md";

/// The parts at the figures that they have by themselves.
const AT_LENGTH: &[&[&str]] =
    &[&["flips"], &["faults", "--pairs"], &["power"], &["kills"], &["deliveries"], &["migrate"], &["cuts"]];

/// A file system in memory, on nearly every Linux.
const MEMORY: &str = "/dev/shm";

/// The parts with the figures that fit into every test run.
const BRIEFLY: &[(&str, &[&str])] = &[
    ("durability: the program is killed under load", &["kills", "--cycles", "200"]),
    ("durability: sender and collector are killed", &["deliveries", "--cycles", "500"]),
    ("durability: a migration into PostgreSQL is killed", &["migrate", "--batches", "200000"]),
    ("durability: simulated power cuts", &["cuts", "--cuts", "100000"]),
    ("durability: every byte of a ledger damaged", &["flips", "--one-bit"]),
    ("durability: a fault at every system call", &["faults"]),
];

/// As [`BRIEFLY`], where the machine can.
const POWER: (&str, &[&str]) = ("durability: real power cuts", &["power", "--cycles", "20"]);

/// What power cuts of a real file system take, which only root may make.
const FOR_POWER: &[Need] = &[
    Need { program: "xfs_io", package: "xfsprogs", why: "it cuts the power of a file system" },
    Need { program: "mkfs.ext4", package: "e2fsprogs", why: "it makes a file system whose power is cut" },
    Need { program: "eatmydata", package: "eatmydata", why: "it leaves out every sync, which has to show" },
];

/// For a fault at every system call.
pub(crate) const STRACE: Need =
    Need { program: "strace", package: "strace", why: "it lets system calls fail, for the durability runs" };

/// Runs the parts that were asked for, at full length, and writes their rows.
///
/// # Errors
///
/// At a violation, or when something cannot be built or run.
pub(crate) fn run(workspace: &Workspace, options: &Options, steps: &mut Steps) -> Result<()> {
    let asked_for: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    let runs: Vec<&[&str]> = if asked_for.is_empty() { AT_LENGTH.to_vec() } else { vec![&asked_for] };
    steps.work("what the runs need", || {
        let is_needed = |part: &str| runs.iter().any(|arguments| arguments[0] == part);
        let strace: &[Need] = if is_needed("faults") { &[STRACE] } else { &[] };
        let for_power = if is_needed("power") { FOR_POWER } else { &[] };
        let postgres: &[Need] = if is_needed("migrate") { &[needs::POSTGRES] } else { &[] };
        needs::ensure(&[strace, for_power, postgres].concat())
    })?;
    build(workspace, steps)?;
    for arguments in runs {
        let arguments = [arguments, &["--evidence", EVIDENCE]].concat();
        steps.command(&format!("durability: {}", arguments[0]), &mut command(workspace, &arguments))?;
    }
    Ok(())
}

/// Runs every part for a little while.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_briefly(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    build(workspace, steps)?;
    for (title, arguments) in BRIEFLY {
        steps.command(title, &mut command(workspace, arguments))?;
    }
    let (title, arguments) = POWER;
    match try_power(workspace) {
        Ok(()) => steps.command(title, &mut command(workspace, arguments)),
        Err(why) => {
            steps.did_not_run(title, &format!("{why:#}"));
            Ok(())
        }
    }
}

/// Whether this machine can cut the power of a real file system; installs what that takes.
fn try_power(workspace: &Workspace) -> Result<()> {
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("only root may mount a file system");
    }
    needs::ensure(FOR_POWER)?;
    output(&mut command(workspace, &["power", "--try-out"])).map(drop)
}

/// Builds the program as it is shipped, and what tries it: apart, because the latter turns on features for testing.
///
/// # Errors
///
/// When one does not compile.
fn build(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    for (title, package) in [
        ("build of the program as it is shipped", "tollgate"),
        ("build of the durability runs", "tollgate-durability"),
    ] {
        steps.command(title, &mut workspace.cargo(&["build", "--release", "--package", package]))?;
    }
    Ok(())
}

/// The durability runs, on the program as it is shipped.
fn command(workspace: &Workspace, arguments: &[&str]) -> Command {
    let program = workspace.target.join("release").join("tollgate-durability");
    let mut command = workspace.command(program, arguments);
    command.arg("--tollgate").arg(workspace.release_binary());
    // Verifying makes an index in the folder for temporary files, tens of thousands of times.
    if ["flips", "faults"].contains(&arguments[0]) && Path::new(MEMORY).is_dir() {
        command.env("TMPDIR", MEMORY);
    }
    command
}

//! `cargo xtask fuzz`: the fuzz targets, each from its seeds on.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::steps::{Steps, output, run as run_command};
use crate::workspace::{Workspace, is_installed};
use crate::{needs, seeds, tools};

/// Longer than this for one input means that the time does not grow with the size as it should.
const INPUT_SECONDS_MAX: u32 = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The target; all of them when left out
    target: Option<Target>,
    /// How long to run each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// A fuzz target, by the name that it has in fuzz/Cargo.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Posted documents, owned and borrowed
    Batches,
    /// Credentials of batches
    Credential,
    /// What a collector answers
    Response,
    /// Values of metrics
    Value,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Credential => "credential",
            Self::Response => "response",
            Self::Value => "value",
        }
    }

    /// How long the inputs get, in bytes. Most rules fit into little, and little is quick.
    fn input_bytes_max(self) -> u32 {
        match self {
            Self::Batches | Self::Credential | Self::Response => 4096,
            Self::Value => 40,
        }
    }
}

/// Runs the targets that were asked for.
///
/// # Errors
///
/// When an input breaks a target; what libFuzzer printed names the file that holds it.
pub(crate) fn run(workspace: &Workspace, options: &Options, steps: &mut Steps) -> Result<()> {
    steps.work("what fuzzing needs", || {
        find_nightly()?;
        needs::ensure(&[needs::C_COMPILER, needs::CXX_COMPILER])?;
        tools::ensure(workspace, &tools::FUZZ)
    })?;
    let all = [Target::Batches, Target::Credential, Target::Response, Target::Value];
    let targets = options.target.map_or_else(|| all.to_vec(), |target| vec![target]);
    for target in targets {
        steps.work(&format!("fuzz target {}", target.name()), || {
            run_target(workspace, target, options.seconds)
        })?;
    }
    Ok(())
}

fn run_target(workspace: &Workspace, target: Target, seconds: u32) -> Result<()> {
    let folder = Path::new("fuzz").join("corpus").join(target.name());
    let n_seeds = seeds::write(workspace, target, &workspace.root.join(&folder))?;
    println!("    {n_seeds} seeds are in {}", folder.display());
    let mut fuzz = workspace.cargo(&["+nightly", "fuzz", "run", target.name()]);
    fuzz.arg(&folder).arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={}", target.input_bytes_max()),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-dict=fuzz/wire.dict".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    run_command(&mut fuzz)
}

/// cargo-fuzz builds with flags that only a nightly compiler takes.
fn find_nightly() -> Result<()> {
    if !is_installed("rustup") {
        bail!("find rustup: fuzzing needs a nightly toolchain beside the stable one; see https://rustup.rs");
    }
    let toolchains =
        output(Command::new("rustup").args(["toolchain", "list"])).context("list the toolchains")?;
    match toolchains.lines().find(|toolchain| toolchain.starts_with("nightly")) {
        Some(toolchain) => println!("    {toolchain} is here"),
        None => {
            bail!("find a nightly toolchain, which fuzzing needs: run `rustup toolchain install nightly`")
        }
    }
    Ok(())
}

//! `cargo xtask test`: everything that runs, from the smallest test to the whole program.

use anyhow::{Context, Result};

use crate::go::{self, Go};
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{durability, interop, needs};

/// Documents of the differential run: four times as many as it takes to reach every rule of the generator.
const N_DOCUMENTS: &str = "200000";

/// How often the collector is killed while batches are delivered to it.
const N_KILLS: &str = "20";

/// Runs all tests.
///
/// # Errors
///
/// At the first that fails.
pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.work("what the tests need", || {
        needs::ensure(&[needs::C_COMPILER, needs::FAKETIME, needs::POSTGRES, durability::STRACE])
    })?;
    steps.command(
        "unit, integration and documentation tests",
        &mut workspace.cargo(&["test", "--workspace"]),
    )?;
    durability::run_briefly(workspace, steps)?;
    match Go::find(workspace)? {
        Ok(go) => {
            compare_with_reference(workspace, &go, steps)?;
            interop::with_go(workspace, &go, steps)?;
        }
        Err(why) => steps.did_not_run(go::COMPARISON, &why),
    }
    interop::with_python(workspace, steps)?;
    steps.command(
        "demonstration with a fleet of senders",
        &mut workspace.command(workspace.release_binary(), &["demo", "--once"]),
    )
}

fn compare_with_reference(workspace: &Workspace, go: &Go, steps: &mut Steps) -> Result<()> {
    println!("\nGo {} is here; {} acts on {}", go.version, go::COMPARISON, go.types());
    let binary = workspace.release_binary();
    let tollgate = binary.to_str().with_context(|| format!("name {} in UTF-8", binary.display()))?;
    let mut step =
        |title: &str, arguments: &[&str]| steps.command(title, &mut go.command(workspace, arguments));

    step("Go: vet", &["vet", "./..."])?;
    step("Go: tests of the reference; golden files are what it writes", &["test", "-count=1", "./..."])?;
    step("differential run: planted mistakes are noticed", &["run", "./cmd/differential", "-self-test"])?;
    step(
        "differential run: tollgate check and the reference agree",
        &["run", "./cmd/differential", "-tollgate", tollgate, "-n", N_DOCUMENTS],
    )?;
    step("delivery run: each batch recorded exactly once", &["run", "./cmd/deliver", "-tollgate", tollgate])?;
    step(
        "delivery run: the same under kills",
        &["run", "./cmd/deliver", "-tollgate", tollgate, "-kill", "-kills", N_KILLS],
    )?;
    step(
        "sender: the requests are those of a Juju controller",
        &["run", "./cmd/sender", "-tollgate", tollgate],
    )?;
    steps.work("Go: formatting", || go.check_formatting(workspace))
}

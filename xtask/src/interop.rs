//! Other implementations of what Tollgate's credentials are made of: whether they can be had here, and how to run them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::go::Go;
use crate::steps::{Steps, output};
use crate::workspace::{Workspace, is_installed};

const WITH_GO: &str = "credentials: gopkg.in/macaroon.v2 and we verify each other's; a collector wants them";
const WITH_PYTHON: &str = "credentials: pymacaroons and we verify each other's";

/// The release that the comparison was written for; there has been none since 2018.
const PYMACAROONS: &str = "pymacaroons==0.13.0";

/// Runs the comparison with Go's macaroons.
///
/// # Errors
///
/// When the two disagree. Where the module cannot be had, as without a network, the steps say that they did not run.
pub(crate) fn with_go(workspace: &Workspace, go: &Go, steps: &mut Steps) -> Result<()> {
    let binary = release_binary(workspace)?;
    let command = |arguments: &[&str]| {
        let mut command = go.command_apart(workspace, "credentials");
        command.args(arguments);
        command
    };
    if let Err(error) = output(&mut command(&["mod", "download"])) {
        steps.did_not_run(WITH_GO, &format!("its module cannot be downloaded: {error:#}"));
        return Ok(());
    }
    steps.command("Go, credentials: vet", &mut command(&["vet", "./..."]))?;
    steps.command(
        "Go, credentials: golden files are what it writes",
        &mut command(&["test", "-count=1", "./..."]),
    )?;
    steps.command(WITH_GO, &mut command(&["run", "./cmd/interop", "-tollgate", &binary]))
}

/// Runs the comparison with Python's macaroons.
///
/// # Errors
///
/// When the two disagree. Where there is no Python, or the package cannot be had, the step says that it did not run.
pub(crate) fn with_python(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    if !is_installed("python3") {
        steps.did_not_run(WITH_PYTHON, "no python3 here");
        return Ok(());
    }
    let python = match environment(workspace) {
        Ok(python) => python,
        Err(error) => {
            steps.did_not_run(WITH_PYTHON, &format!("{PYMACAROONS} cannot be installed: {error:#}"));
            return Ok(());
        }
    };
    let mut command = workspace.command(python, &["conformance/credentials/interop.py"]);
    steps.command(WITH_PYTHON, command.arg(release_binary(workspace)?))
}

/// The Python of an environment of our own that has the package, below the build folder; made when it is not there.
fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.tools().join("python");
    let python = folder.join("bin").join("python");
    let has_package = || output(Command::new(&python).args(["-c", "import pymacaroons"])).is_ok();
    if !has_package() {
        output(Command::new("python3").args(["-m", "venv"]).arg(&folder)).context("make an environment")?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYMACAROONS];
        output(Command::new(&python).args(install)).context("install into it")?;
    }
    Ok(python)
}

fn release_binary(workspace: &Workspace) -> Result<String> {
    let binary = workspace.release_binary();
    let text = binary.to_str().with_context(|| format!("name {} in UTF-8", binary.display()))?;
    Ok(text.to_owned())
}

//! `cargo xtask check`: everything that can be said of a change without running it.

use anyhow::Result;

use crate::go::Go;
use crate::steps::{Steps, run as run_command};
use crate::workspace::Workspace;
use crate::{layers, manifests, tools};

const FUZZ_MANIFEST: &str = "fuzz/Cargo.toml";
const NO_WARNINGS: &[&str] = &["--", "-D", "warnings"];

/// Runs all checks, the quick ones first.
///
/// # Errors
///
/// At the first that fails.
pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let cargo = |arguments: &[&str]| workspace.cargo(arguments);
    steps.command("formatting", &mut cargo(&["fmt", "--all", "--", "--check"]))?;
    steps.command(
        "formatting of the fuzz targets",
        &mut cargo(&["fmt", "--manifest-path", FUZZ_MANIFEST, "--", "--check"]),
    )?;
    match Go::find(workspace)? {
        Ok(go) => steps.work("formatting of Go", || go.check_formatting(workspace))?,
        Err(why) => steps.did_not_run("formatting of Go", &why),
    }
    steps.work("crates inherit from the workspace", || manifests::check(workspace))?;
    steps.work("crates use only what they may", || layers::check(workspace))?;
    steps.command("lints", cargo(&["clippy", "--workspace", "--all-targets"]).args(NO_WARNINGS))?;
    // Tests turn on features that hide code which nothing else uses.
    steps.command(
        "lints of the program as it is shipped",
        cargo(&["clippy", "--package", "tollgate"]).args(NO_WARNINGS),
    )?;
    steps.command(
        "lints of the fuzz targets",
        cargo(&["clippy", "--manifest-path", FUZZ_MANIFEST, "--no-default-features"]).args(NO_WARNINGS),
    )?;
    steps.command(
        "documentation",
        cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    steps.work("licences, sources and versions of dependencies", || {
        tools::ensure(workspace, &tools::DENY)?;
        run_command(&mut cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]))
    })
}

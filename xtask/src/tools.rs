//! Cargo's own tools, at the versions that we know to work.

use anyhow::Result;

use crate::steps::{output, run};
use crate::workspace::Workspace;

/// A tool from crates.io: `cargo-NAME` is `cargo NAME`.
pub(crate) struct Tool {
    crate_name: &'static str,
    version: &'static str,
}

/// Licences, sources and versions of what we depend on.
pub(crate) const DENY: Tool = Tool { crate_name: "cargo-deny", version: "0.20.2" };

/// Builds and runs fuzz targets.
pub(crate) const FUZZ: Tool = Tool { crate_name: "cargo-fuzz", version: "0.13.2" };

/// Makes sure that a tool is in the tools' folder of the workspace; [`Workspace::cargo`] finds it there.
///
/// # Errors
///
/// When cargo cannot install it.
pub(crate) fn ensure(workspace: &Workspace, tool: &Tool) -> Result<()> {
    let Tool { crate_name, version } = tool;
    let path = workspace.tools().join("bin").join(crate_name);
    let is_there = path.is_file()
        && output(&mut workspace.command(&path, &["--version"]))
            .is_ok_and(|printed| printed.split_whitespace().any(|word| word == *version));
    if is_there {
        println!("    {crate_name} {version} is in {}", workspace.tools().display());
        return Ok(());
    }
    let mut install = workspace.cargo(&["install", "--locked", "--debug", crate_name, "--version", version]);
    // It runs for seconds and takes minutes to compile: spare the optimizer and the debugger's tables.
    install.arg("--root").arg(workspace.tools()).env("CARGO_PROFILE_DEV_DEBUG", "0");
    run(&mut install)
}

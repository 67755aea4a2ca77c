//! Where things are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::steps::output;

/// The checkout that this program was built in.
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Its packages, without what they depend on.
    pub(crate) packages: Vec<Package>,
}

/// A package, as `cargo metadata` tells of it.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` is a normal one.
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// When cargo cannot read the workspace.
    pub(crate) fn find() -> Result<Self> {
        let mut command = Command::new("cargo");
        command
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let metadata: Metadata =
            serde_json::from_str(&output(&mut command)?).context("read what cargo metadata prints")?;
        let Metadata { workspace_root: root, target_directory: target, packages } = metadata;
        Ok(Self { root, target, packages })
    }

    /// A command that runs in the folder of the workspace. Whatever configures Tollgate on this machine is kept from it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"TOLLGATE_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// `cargo`, with the tools that we installed ourselves.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo", arguments);
        command.env("PATH", self.path_with_tools());
        command
    }

    /// Where we install tools: below the build folder, so that they go when it goes.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The program as it is shipped.
    pub(crate) fn release_binary(&self) -> PathBuf {
        self.target.join("release").join("tollgate")
    }

    fn path_with_tools(&self) -> OsString {
        let mut path = OsString::from(self.tools().join("bin"));
        if let Some(inherited) = env::var_os("PATH") {
            path.push(":");
            path.push(inherited);
        }
        path
    }
}

/// Whether a program of this name is on the search path.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}

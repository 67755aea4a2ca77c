//! Go, for the comparison with the reference: whether it is here, and how to run it in `conformance/`.

use std::env;
use std::fs;
use std::path::{self, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::output;
use crate::workspace::{Workspace, is_installed};

/// What did not run when there is no Go, as one would say it.
pub(crate) const COMPARISON: &str = "the comparison with the reference (Go)";

const ROMULUS: &str = "TOLLGATE_ROMULUS";

/// A Go that is new enough.
pub(crate) struct Go {
    pub(crate) version: String,
    conformance: PathBuf,
    /// A checkout of the real romulus.
    romulus: Option<PathBuf>,
}

impl Go {
    /// Looks for Go; `Err` in the inner result says why there is none to use.
    ///
    /// # Errors
    ///
    /// When `conformance/go.mod` does not say which Go it wants.
    pub(crate) fn find(workspace: &Workspace) -> Result<Result<Self, String>> {
        let conformance = workspace.root.join("conformance");
        let path = conformance.join("go.mod");
        let module = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let wanted = module
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .with_context(|| format!("find the line \"go VERSION\" in {}", path.display()))?
            .trim();
        if !is_installed("go") || !is_installed("gofmt") {
            return Ok(Err("no Go here".to_owned()));
        }
        // What is installed, not what it could download.
        let mut command = Command::new("go");
        command.arg("version").env("GOTOOLCHAIN", "local");
        let printed = output(&mut command)?;
        let version =
            printed.split_whitespace().nth(2).unwrap_or_default().trim_start_matches("go").to_owned();
        if !is_at_least(&version, wanted) {
            return Ok(Err(format!("Go {version} is here, too old: conformance/go.mod asks for {wanted}")));
        }
        let romulus = match env::var_os(ROMULUS).filter(|checkout| !checkout.is_empty()) {
            None => None,
            Some(checkout) => Some(path::absolute(&checkout).with_context(|| format!("find {ROMULUS}"))?),
        };
        Ok(Ok(Self { version, conformance, romulus }))
    }

    /// Whose wire types the comparison acts on.
    pub(crate) fn types(&self) -> String {
        match &self.romulus {
            Some(checkout) => format!("the types of the romulus in {}", checkout.display()),
            None => {
                format!("our declarations of romulus' types ({ROMULUS} names no checkout of the real ones)")
            }
        }
    }

    /// `go` with these arguments, in `conformance/`, on [`Go::types`].
    pub(crate) fn command(&self, workspace: &Workspace, arguments: &[&str]) -> Command {
        let mut command = workspace.command("go", &[]);
        command.current_dir(&self.conformance).env("GOTOOLCHAIN", "local");
        if let Some(checkout) = &self.romulus {
            command.env(ROMULUS, checkout).args(["run", "./cmd/with-romulus", "go"]);
        }
        command.args(arguments);
        command
    }

    /// `go` in a module of its own in `conformance/`, which needs what the comparison does not.
    pub(crate) fn command_apart(&self, workspace: &Workspace, module: &str) -> Command {
        let mut command = workspace.command("go", &[]);
        command.current_dir(self.conformance.join(module)).env("GOTOOLCHAIN", "local");
        command
    }

    /// Wants every Go file as gofmt writes it.
    ///
    /// # Errors
    ///
    /// When one is not; names them.
    pub(crate) fn check_formatting(&self, workspace: &Workspace) -> Result<()> {
        let listed = output(workspace.command("gofmt", &["-l", "."]).current_dir(&self.conformance))?;
        if listed.is_empty() {
            println!("    gofmt would change nothing");
            return Ok(());
        }
        bail!("find every Go file formatted: run `gofmt -w` in conformance/ on\n{}", listed.trim_end());
    }
}

/// Compares versions like `1.26` and `1.26.8`; of `1.27rc1` it reads `1.27`, and what it cannot read is too old.
fn is_at_least(version: &str, wanted: &str) -> bool {
    fn numbers(version: &str) -> Option<Vec<u32>> {
        let is_released_part = |character: &char| character.is_ascii_digit() || *character == '.';
        let numbers: String = version.chars().take_while(is_released_part).collect();
        numbers.split('.').map(|number| number.parse().ok()).collect()
    }
    numbers(version).is_some_and(|version| numbers(wanted).is_some_and(|wanted| wanted <= version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_go_is_no_go() {
        for (version, wanted, expected) in [
            ("1.26.8", "1.26", true),
            ("1.26", "1.26", true),
            ("1.100", "1.26.1", true),
            ("1.27rc1", "1.26", true),
            ("1.26", "1.26.1", false),
            ("1.19.8", "1.26", false),
            ("", "1.26", false),
            ("devel", "1.26", false),
        ] {
            assert_eq!(is_at_least(version, wanted), expected, "{version} for {wanted}");
        }
    }
}

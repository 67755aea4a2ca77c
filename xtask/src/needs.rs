//! What has to be on the machine, beside Rust.

use std::process::Command;

use anyhow::{Result, bail};

use crate::steps::{output, run};
use crate::workspace::is_installed;

/// A program that we run, and the Debian package that brings it.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) why: &'static str,
}

/// For everything that is built. Rust itself cannot link without one, so it is nearly always there.
pub(crate) const C_COMPILER: Need =
    Need { program: "cc", package: "gcc", why: "it compiles zstd, and links every program" };

/// For the tests of what changes as time passes.
pub(crate) const FAKETIME: Need =
    Need { program: "faketime", package: "faketime", why: "it starts programs in other months" };

/// For the tests of the ledger that many collectors share.
pub(crate) const POSTGRES: Need = Need {
    program: "initdb",
    package: "postgresql",
    why: "it makes databases for tests, each in a folder of its own",
};

/// Where Debian has PostgreSQL's programs, which are not on the search path.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// For fuzzing alone.
pub(crate) const CXX_COMPILER: Need = Need { program: "c++", package: "g++", why: "it compiles libFuzzer" };

/// Makes sure that every need is met: by looking first, and by apt-get where something is missing.
///
/// # Errors
///
/// When something is missing and cannot be installed; says what to install by hand.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let mut packages = Vec::new();
    for Need { program, package, why } in needs {
        if is_installed(program) || is_installed_beside(program) {
            println!("    {program} is here; {why}");
        } else {
            println!("    {program} is missing; {why}");
            packages.push(*package);
        }
    }
    if packages.is_empty() { Ok(()) } else { install(&packages) }
}

fn is_installed_beside(program: &str) -> bool {
    let versions = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin").join(program).is_file())
}

fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("install the equivalent of Debian's {} and run this again", packages.join(" "));
    if !is_installed("apt-get") {
        bail!("find apt-get on this machine: {by_hand}");
    }
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root && !is_installed("sudo") {
        bail!("become root, who alone may install packages: there is no sudo; {by_hand}");
    }
    let apt_get = |arguments: &[&str]| {
        let words = if is_root { &["env"][..] } else { &["sudo", "--non-interactive", "env"] };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        command
    };
    run(&mut apt_get(&["update"]))?;
    run(apt_get(&["install", "--yes", "--no-install-recommends"]).args(packages))
}

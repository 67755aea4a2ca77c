//! What every Cargo.toml of the workspace leaves to the root: lints, versions and the package's particulars.

use std::fs;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::workspace::{Package, Workspace};

/// Fields of `[package]` that have one value for all.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "repository", "publish"];

/// Reads every manifest.
///
/// # Errors
///
/// When one says for itself what it has to leave to the root; names them all.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut faults = Vec::new();
    for Package { name, manifest_path, .. } in &workspace.packages {
        let context = || format!("read {}", manifest_path.display());
        let text = fs::read_to_string(manifest_path).with_context(context)?;
        let manifest: Table = text.parse().with_context(context)?;
        faults.extend(faults_of(name, &manifest).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if faults.is_empty() {
        println!("    {} manifests inherit what they should", workspace.packages.len());
        return Ok(());
    }
    bail!("leave to the root Cargo.toml what all crates share:\n{}", faults.join("\n"));
}

fn faults_of(name: &str, manifest: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    if !manifest.get("lints").is_some_and(inherits) {
        faults.push("[lints] has no `workspace = true`".to_owned());
    }
    let package = manifest.get("package");
    for field in INHERITED {
        if !package.and_then(|package| package.get(field)).is_some_and(inherits) {
            faults.push(format!("[package] has no `{field}.workspace = true`"));
        }
    }
    let per_target = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for holder in per_target.filter_map(Value::as_table).chain([manifest]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let used = holder.get(kind).and_then(Value::as_table).into_iter().flatten();
            // Tests of a crate may turn on its own features, which cargo allows by path alone.
            let is_itself = |used: &str| kind == "dev-dependencies" && used == name;
            faults.extend(
                used.filter(|(used, value)| !inherits(value) && !is_itself(used))
                    .map(|(used, _)| format!("[{kind}] has no `{used} = {{ workspace = true }}`")),
            );
        }
    }
    faults
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        lints.workspace = true
        [package]
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        repository.workspace = true
        publish.workspace = true
        [dependencies]
        memchr = { workspace = true, features = ["std"] }
        [dev-dependencies]
        ours = { path = ".", features = ["sim"] }
    "#;

    #[track_caller]
    fn check_faults(manifest: &str, expected: &[&str]) {
        assert_eq!(faults_of("ours", &manifest.parse().expect("TOML")), expected);
    }

    #[test]
    fn what_all_share_is_inherited() {
        check_faults(GOOD, &[]);
        check_faults(
            &GOOD.replace(
                "version.workspace = true\n        edition.workspace",
                "version = \"1.0.0\"\n edition.workspace",
            ),
            &["[package] has no `version.workspace = true`"],
        );
        check_faults(&GOOD.replace("lints", "lint"), &["[lints] has no `workspace = true`"]);
        check_faults(
            &GOOD.replace("workspace = true, features", "version = \"2\", features"),
            &["[dependencies] has no `memchr = { workspace = true }`"],
        );
        check_faults(
            &GOOD.replace("ours = {", "other = {"),
            &["[dev-dependencies] has no `other = { workspace = true }`"],
        );
        check_faults(
            &format!("{GOOD}\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\""),
            &["[dependencies] has no `libc = { workspace = true }`"],
        );
    }
}

//! Which crate may use which: the direction in which the design lets knowledge flow.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::workspace::{Package, Workspace};

/// Each crate with the crates that it may name. What those use, it may use too.
const MAY_USE: &[(&str, &[&str])] = &[
    ("tollgate-wire", &[]),
    ("tollgate-rules", &["tollgate-wire"]),
    ("tollgate-journal", &[]),
    ("tollgate-ledger", &["tollgate-wire", "tollgate-rules"]),
    ("tollgate-ledger-embedded", &["tollgate-ledger", "tollgate-journal"]),
    ("tollgate-ledger-postgres", &["tollgate-ledger"]),
    ("tollgate-collector", &["tollgate-ledger", "tollgate-rules", "tollgate-wire"]),
    ("tollgate-sender", &["tollgate-journal", "tollgate-wire"]),
    (
        "tollgate",
        &["tollgate-collector", "tollgate-ledger-embedded", "tollgate-ledger-postgres", "tollgate-sender"],
    ),
    ("tollgate-bench", &["tollgate"]),
    ("tollgate-durability", &["tollgate-ledger-embedded", "tollgate-ledger-postgres"]),
    ("xtask", &[]),
];

/// Crates that decide without acting, and what would let them act: a clock and a disk are a call away in any crate and are
/// the lints' affair.
const PURE: &[&str] = &["tollgate-wire", "tollgate-rules"];
const FOR_ACTING: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "futures",
    "futures-util",
    "hyper",
    "axum",
    "reqwest",
    "rustix",
    "tracing",
];

/// Compares what the crates use with the list above. Tests may use what they like.
///
/// # Errors
///
/// When a crate uses one that it must not know, or is not on the list.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let faults: Vec<String> = workspace.packages.iter().flat_map(faults_of).collect();
    if faults.is_empty() {
        println!("    {} crates use what they may", workspace.packages.len());
        return Ok(());
    }
    bail!("keep the crates apart (the list is in xtask/src/layers.rs):\n{}", faults.join("\n"));
}

fn faults_of(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some(allowed) = all_that_may_be_used_by(name) else {
        return vec![format!("{name} is not on the list: say there which crates it may use")];
    };
    let is_listed = |name: &str| MAY_USE.iter().any(|(listed, _)| *listed == name);
    let is_pure = PURE.contains(&name.as_str());
    let used = package.dependencies.iter().filter(|used| used.kind.is_none()).map(|used| used.name.as_str());
    used.filter(|used| is_listed(used) && !allowed.contains(used) || is_pure && FOR_ACTING.contains(used))
        .map(|used| format!("{name} must not use {used}"))
        .collect()
}

fn all_that_may_be_used_by(name: &str) -> Option<BTreeSet<&'static str>> {
    let (_, direct) = MAY_USE.iter().find(|(listed, _)| *listed == name)?;
    let mut all: BTreeSet<&str> = direct.iter().copied().collect();
    for used in *direct {
        all.extend(all_that_may_be_used_by(used)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[track_caller]
    fn check_faults(name: &str, uses: &[(&str, Option<&str>)], expected: &[&str]) {
        let dependencies = uses
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) })
            .collect();
        let package = Package { name: name.to_owned(), manifest_path: "Cargo.toml".into(), dependencies };
        assert_eq!(faults_of(&package), expected);
    }

    #[test]
    fn knowledge_flows_one_way() {
        check_faults("tollgate-ledger-embedded", &[("tollgate-wire", None), ("tokio", None)], &[]);
        check_faults(
            "tollgate-collector",
            &[("tollgate-ledger-embedded", None)],
            &["tollgate-collector must not use tollgate-ledger-embedded"],
        );
        check_faults("tollgate-collector", &[("tollgate-ledger-embedded", Some("dev"))], &[]);
        check_faults("tollgate", &[("tollgate-bench", None)], &["tollgate must not use tollgate-bench"]);
        check_faults("tollgate-rules", &[("tokio", None)], &["tollgate-rules must not use tokio"]);
        check_faults("fresh", &[], &["fresh is not on the list: say there which crates it may use"]);
    }

    #[test]
    fn the_list_is_whole() {
        for (name, _) in MAY_USE {
            assert!(all_that_may_be_used_by(name).is_some(), "{name} uses what is not on the list");
        }
    }
}

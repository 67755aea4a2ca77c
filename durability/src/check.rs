//! Asking the program what a ledger holds, and comparing that with the account.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::account::{Account, Holdings, Sums};
use crate::collector::{Collector, Program};

#[derive(Deserialize)]
struct Model {
    model_uuid: String,
    n_batches: u64,
    meters: Vec<Meter>,
}

#[derive(Deserialize)]
struct Meter {
    key: String,
    n_metrics: u64,
    sum: String,
}

#[derive(Deserialize)]
struct SetAside {
    batch_uuid: String,
    model_uuid: String,
}

/// Compares a folder that no collector has open: `verify` finds it whole, and `export` has what the account wants.
///
/// # Errors
///
/// At the first disagreement.
pub fn check_folder(program: &Program, ledger: &Path, account: &mut Account) -> Result<Holdings> {
    program.output(&[OsStr::new("verify"), ledger.as_os_str()])?;
    let exported = program.output(&[OsStr::new("export"), ledger.as_os_str()])?;
    let exported = std::str::from_utf8(&exported).context("read the export as UTF-8")?;
    account.compare_export(exported.lines())
}

/// Compares what a running collector answers: its models add up to exactly `holdings`, and its quarantine has what the
/// account wants.
///
/// # Errors
///
/// At the first disagreement.
pub fn check_answers(
    program: &Program,
    collector: &Collector,
    holdings: &Holdings,
    account: &mut Account,
) -> Result<()> {
    let url = collector.admin_url();
    let list = |what: &str| {
        let words = [what, "--format", "json", "--url", &url].map(OsStr::new);
        program.output(&words)
    };
    let models: Vec<Model> = serde_json::from_slice(&list("models")?).context("decode the models")?;
    let mut found = Holdings { n_batches: 0, sums: Sums::new() };
    for Model { model_uuid, n_batches, meters } in models {
        found.n_batches += n_batches;
        for Meter { key, n_metrics, sum } in meters {
            found.sums.insert((model_uuid.clone(), key), (n_metrics, thousandths(&sum)?));
        }
    }
    if found != *holdings {
        bail!("the models add up to {found:?}, and the export to {holdings:?}");
    }
    let quarantine: Vec<SetAside> =
        serde_json::from_slice(&list("quarantine")?).context("decode the quarantine")?;
    let mut bodies = Vec::new();
    for SetAside { batch_uuid, model_uuid } in quarantine {
        // The listing has the beginning of a body only, which the uuid stands for.
        let index = account.batches.index_of(&batch_uuid).filter(|&index| {
            let batch = account.batches.at(index);
            batch.uuid == batch_uuid && batch.model == model_uuid
        });
        let Some(index) = index else { bail!("the quarantine has {batch_uuid}, which nobody sent") };
        bodies.push(account.batches.at(index).body);
    }
    account.compare_quarantine(bodies.iter().map(String::as_str))
}

/// Reads a sum of numbers with three places after the point.
fn thousandths(sum: &str) -> Result<u64> {
    let (whole, fraction) = sum.split_once('.').unwrap_or((sum, ""));
    let digits = format!("{whole}{fraction:0<3}");
    match fraction.len() {
        0..=3 if !whole.is_empty() => digits.parse().with_context(|| format!("read the sum {sum}")),
        _ => bail!("the sum {sum} is none of numbers with three places after the point"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_exactly() {
        for (sum, expected) in [("0", 0), ("7", 7_000), ("7.5", 7_500), ("0.001", 1), ("12.34", 12_340)] {
            assert_eq!(thousandths(sum).expect("a sum"), expected, "{sum}");
        }
        for bad in ["1.0001", "", "x", "-1"] {
            assert!(thousandths(bad).is_err(), "{bad}");
        }
    }
}

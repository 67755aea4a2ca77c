//! The one place where a concrete ledger is named.

use std::path::{Path, PathBuf};

use tollgate_ledger::Ledger;
use tollgate_ledger_embedded::{EmbeddedLedger, Export, OpenReport, Options, VerifyReport};
use tracing::{info, warn};

use crate::configuration::LedgerSection;
use crate::{exit, progress};

/// Opens the ledger that the configuration names, for writing, and logs what was found.
pub(crate) fn open(section: &LedgerSection) -> anyhow::Result<Ledger> {
    let dir = folder(&section.location)?;
    let LedgerSection { segment_bytes_max, free_bytes_min, .. } = *section;
    let options = Options { segment_bytes_max, free_bytes_min, ..Options::default() };
    let bar = progress::Bar::new("opening the ledger");
    let (ledger, report) =
        EmbeddedLedger::open_with_progress(&dir, options, |done| bar.set(done.n_bytes, done.n_bytes_total))?;
    bar.clear();
    let OpenReport { is_new, counts, n_groups, n_segments, dropped, .. } = report;
    info!(
        ledger.dir = %dir.display(),
        ledger.is_new = is_new,
        n_batches = counts.n_batches,
        n_metrics = counts.n_metrics,
        n_models = counts.n_models,
        n_quarantined = counts.n_quarantined,
        n_groups,
        n_segments,
        "opened the ledger"
    );
    if let Some(tail) = dropped {
        warn!(
            segment = format_args!("{:016x}", tail.segment),
            offset = tail.offset,
            n_bytes = tail.bytes,
            fault = %tail.fault,
            "dropped the end of the journal: a group that was being written when the collector died, and was never \
             acknowledged"
        );
    }
    Ok(ledger)
}

/// Opens the ledger in a folder that no collector has open.
pub(crate) fn open_folder(dir: &Path) -> anyhow::Result<Ledger> {
    Ok(EmbeddedLedger::open(dir, Options::default())?.0)
}

/// Every recorded batch of the ledger in a folder, once, as canonical JSON. A collector may have it open.
pub(crate) fn export(dir: &Path) -> anyhow::Result<Export> {
    Ok(tollgate_ledger_embedded::export(dir)?)
}

/// Checks everything in a ledger's folder. A collector may have it open.
pub(crate) fn verify(dir: &Path, bar: &progress::Bar) -> anyhow::Result<VerifyReport> {
    Ok(tollgate_ledger_embedded::verify(dir, |done| bar.set(done.n_bytes, done.n_bytes_total))?)
}

/// The folder that a location names.
pub(crate) fn folder(location: &str) -> anyhow::Result<PathBuf> {
    const A_FOLDER: &str = "name a folder, such as /var/lib/tollgate";
    match location.split_once("://") {
        Some(("postgres" | "postgresql", _)) => Err(exit::usage(format!(
            "open a ledger in PostgreSQL: this version keeps its ledger in a folder only; {A_FOLDER}"
        ))),
        Some((scheme, _)) => Err(exit::usage(format!("open a ledger at {scheme}://…: {A_FOLDER}"))),
        None if location.is_empty() => {
            Err(exit::usage(format!("open the ledger: its location is empty; {A_FOLDER}")))
        }
        None => Ok(Path::new(location).to_owned()),
    }
}

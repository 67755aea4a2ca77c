//! The one place where a concrete ledger is named.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tollgate_ledger::{Ledger, LedgerError};
use tollgate_ledger_embedded::{
    BackupReport, EmbeddedLedger, OpenReport, Options, Retention, SalvageReport, Source, VerifyReport,
};
use tollgate_ledger_postgres::{PostgresLedger, Standing, Target};
use tollgate_wire::Timestamp;
use tracing::{info, warn};

use crate::configuration::LedgerSection;
use crate::{exit, progress};

/// Opens the ledger that the configuration names, for writing, and logs what was found.
pub(crate) fn open(section: &LedgerSection) -> anyhow::Result<Ledger> {
    match Location::of(&section.location)? {
        Location::Folder(dir) => open_embedded(section, &dir),
        Location::Postgres(url) => open_postgres(section, &url),
    }
}

fn open_embedded(section: &LedgerSection, dir: &Path) -> anyhow::Result<Ledger> {
    let LedgerSection { segment_bytes_max, free_bytes_min, retention_days, .. } = *section;
    let retention = (0 < retention_days).then_some(Retention { days: retention_days, now });
    let options = Options { segment_bytes_max, free_bytes_min, retention, ..Options::default() };
    let bar = progress::Bar::new("opening the ledger");
    let (ledger, report) =
        EmbeddedLedger::open_with_progress(dir, options, |done| bar.set(done.n_bytes, done.n_bytes_total))
            .map_err(|error| explained(error, dir))?;
    bar.clear();
    let OpenReport { is_new, counts, n_groups, n_segments, weakness, .. } = report;
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
    if let Some(weakness) = weakness {
        warn!(
            ledger.dir = %dir.display(),
            reason = %weakness,
            "the ledger is where an acknowledged batch can be lost; for more than a try, keep it on a local disk"
        );
    }
    Ok(ledger)
}

fn open_postgres(section: &LedgerSection, url: &str) -> anyhow::Result<Ledger> {
    tollgate_ledger_postgres::check_url(url).map_err(|error| exit::as_usage(&error.into()))?;
    if section.retention_days != 0 {
        return Err(exit::usage(
            "use the setting ledger.retention_days: a ledger in PostgreSQL keeps every body; leave it at 0"
                .to_owned(),
        ));
    }
    let options =
        tollgate_ledger_postgres::Options { n_recording_max: section.connections_max, ..Default::default() };
    let (ledger, report) = PostgresLedger::open(url, options)?;
    let tollgate_ledger_postgres::OpenReport { is_new, server_version, is_citus, synchronous_commit } =
        report;
    info!(
        ledger.url = tollgate_ledger_postgres::redacted(url),
        ledger.is_new = is_new,
        server_version,
        is_citus,
        synchronous_commit,
        "opened the ledger"
    );
    Ok(ledger)
}

/// Opens the ledger in a folder that no collector has open.
pub(crate) fn open_folder(dir: &Path) -> anyhow::Result<Ledger> {
    Ok(EmbeddedLedger::open(dir, Options::default())?.0)
}

/// Every recorded batch of a ledger, once, as canonical JSON. Collectors may have it open.
pub(crate) fn export(location: &Location) -> anyhow::Result<Export> {
    Ok(match location {
        Location::Folder(dir) => Export::Folder(Box::new(tollgate_ledger_embedded::export(dir)?)),
        Location::Postgres(url) => {
            tollgate_ledger_postgres::check_url(url).map_err(|error| exit::as_usage(&error.into()))?;
            Export::Postgres(tollgate_ledger_postgres::export(url)?)
        }
    })
}

/// The batches of a ledger.
pub(crate) enum Export {
    Folder(Box<tollgate_ledger_embedded::Export>),
    Postgres(tollgate_ledger_postgres::Export),
}

impl Export {
    /// Of those that were given, how many are without their credentials, because retention dropped these.
    pub(crate) fn n_reduced(&self) -> u64 {
        match self {
            Self::Folder(export) => export.n_reduced(),
            Self::Postgres(export) => export.n_reduced(),
        }
    }
}

impl Iterator for Export {
    type Item = Result<Vec<u8>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Folder(export) => export.next(),
            Self::Postgres(export) => export.next(),
        }
    }
}

/// Checks everything in a ledger's folder. A collector may have it open.
pub(crate) fn verify(dir: &Path, bar: &progress::Bar) -> anyhow::Result<VerifyReport> {
    tollgate_ledger_embedded::verify(dir, |done| bar.set(done.n_bytes, done.n_bytes_total))
        .map_err(|error| explained(error, dir))
}

/// Copies the ledger in a folder. A collector may have it open.
pub(crate) fn backup(dir: &Path, target: &Path, bar: &progress::Bar) -> anyhow::Result<BackupReport> {
    tollgate_ledger_embedded::backup(dir, target, |done| bar.set(done.n_bytes, done.n_bytes_total))
        .map_err(|error| explained(error, dir))
}

/// Makes a ledger in `target` of what is intact of a damaged one.
pub(crate) fn salvage(dir: &Path, target: &Path, bar: &progress::Bar) -> anyhow::Result<SalvageReport> {
    let options = Options::default();
    Ok(tollgate_ledger_embedded::salvage(dir, target, options, |n_batches| bar.set_count(n_batches))?)
}

/// Opens the ledger in a folder to move it, and nobody else can meanwhile.
pub(crate) fn source(dir: &Path, bar: &progress::Bar) -> anyhow::Result<Source> {
    Source::open(dir, |done| bar.set(done.n_bytes, done.n_bytes_total)).map_err(|error| explained(error, dir))
}

/// Opens the ledger in a database to move another one into it, and tells how far that has come.
pub(crate) fn target(url: &str) -> anyhow::Result<(Target, Standing)> {
    Ok(Target::open(url)?)
}

/// With what to do when the ledger is damaged.
pub(crate) fn explained(error: LedgerError, dir: &Path) -> anyhow::Error {
    let is_damage = tollgate_ledger_embedded::is_damage(&error);
    let error = anyhow::Error::from(error);
    if !is_damage {
        return error;
    }
    let hint = format!(
        "restore a backup, or let `tollgate salvage {} NEW-FOLDER` get out what is intact",
        dir.display()
    );
    exit::with_hint(&error, &hint)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge: retention compares with the collector's clock"
)]
fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

/// Where a ledger is.
pub(crate) enum Location {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In PostgreSQL, at this URL.
    Postgres(String),
}

impl Location {
    /// What the text says.
    pub(crate) fn of(location: &str) -> anyhow::Result<Self> {
        const NAME_ONE: &str = "name a folder, such as /var/lib/tollgate, or a database, such as postgres://tollgate@db/tollgate";
        match location.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(location.to_owned())),
            Some((scheme, _)) => Err(exit::usage(format!("open a ledger at {scheme}://…: {NAME_ONE}"))),
            None if location.is_empty() => {
                Err(exit::usage(format!("open the ledger: its location is empty; {NAME_ONE}")))
            }
            None => Ok(Self::Folder(Path::new(location).to_owned())),
        }
    }

    /// As people may read it: without a password.
    pub(crate) fn printable(location: &str) -> String {
        tollgate_ledger_postgres::redacted(location)
    }
}

/// The folder that a location names.
pub(crate) fn folder(location: &str) -> anyhow::Result<PathBuf> {
    match Location::of(location)? {
        Location::Folder(dir) => Ok(dir),
        Location::Postgres(_) => Err(exit::usage(
            "read a ledger in PostgreSQL: this command reads a folder; PostgreSQL has tools of its own, such as pg_dump"
                .to_owned(),
        )),
    }
}

/// The URL of a database that a location names.
pub(crate) fn database(location: &str) -> anyhow::Result<String> {
    match Location::of(location)? {
        Location::Postgres(url) => {
            tollgate_ledger_postgres::check_url(&url).map_err(|error| exit::as_usage(&error.into()))?;
            Ok(url)
        }
        Location::Folder(dir) => Err(exit::usage(format!(
            "move a ledger to {}: that is a folder; name a database, such as postgres://tollgate@db/tollgate",
            dir.display()
        ))),
    }
}

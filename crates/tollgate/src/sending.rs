//! What the commands of the sending side share.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tollgate_rules::Verdict;
use tollgate_sender::{ClientError, Opened, Remedy, Settings, Spool, SpoolError, SystemClock};
use tollgate_wire::{Document, MetricBatch};
use tracing::warn;

use crate::exit;
use crate::words::count;

/// How long a short command waits for another one to leave the spool.
const IN_USE_FOR: Duration = Duration::from_secs(10);

/// Opens the spool, and waits a little while somebody has it.
pub(crate) fn open_spool(settings: &Settings) -> anyhow::Result<Spool> {
    let started = Instant::now();
    loop {
        match Spool::open(&settings.spool, settings.spool_options(), Arc::new(SystemClock)) {
            Ok((spool, opened)) => {
                tell(&settings.spool, &opened);
                return Ok(spool);
            }
            Err(error) if error.remedy() == Remedy::Retry && started.elapsed() < IN_USE_FOR => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                let is_in_use = error.remedy() == Remedy::Retry;
                let error = anyhow::Error::from(error).context(format!("open {}", settings.spool.display()));
                let hint = "when that is an agent, ask it over its socket";
                return Err(if is_in_use { exit::with_hint(&error, hint) } else { error });
            }
        }
    }
}

/// Says what was found that nobody expects.
pub(crate) fn tell(folder: &Path, opened: &Opened) {
    if let Some(damaged) = opened.damaged {
        warn!(
            spool.dir = %folder.display(),
            n_records = damaged.n_records,
            n_stretches = damaged.n_stretches,
            "the spool was damaged: what could not be read is in its folder `set-aside`, and the rest goes on"
        );
    }
    if 0 < opened.dropped_bytes {
        warn!(
            spool.dir = %folder.display(),
            n_bytes = opened.dropped_bytes,
            "dropped the end of a write that never finished; nobody was told that it was recorded"
        );
    }
}

/// What the file for credentials holds, without the line end behind it.
pub(crate) fn credentials(settings: &Settings) -> anyhow::Result<String> {
    if settings.credentials.as_os_str().is_empty() {
        return Ok(String::new());
    }
    let path = &settings.credentials;
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => anyhow::anyhow!("it is not UTF-8"),
        _ => error.into(),
    });
    let text = text.with_context(|| format!("read the credentials {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Fails when a collector would have to put the batch in quarantine.
pub(crate) fn check_batch(batch: &MetricBatch) -> anyhow::Result<()> {
    let json = tollgate_wire::to_vec(batch).context("encode the batch")?;
    let array = [b"[", &json[..], b"]"].concat();
    let document = Document::new(&array);
    let elements = document.batches().context("read the batch again")?;
    for element in &elements {
        if let Verdict::Quarantined(quarantined) = tollgate_rules::judge(element) {
            bail!("{}", quarantined.reason);
        }
    }
    Ok(())
}

/// An error of the settings is one of usage.
pub(crate) fn client_failure(error: ClientError) -> anyhow::Error {
    exit::as_usage(&error.into())
}

/// A spool's error as that of a command.
pub(crate) fn spool_failure(error: SpoolError) -> anyhow::Error {
    match error.remedy() {
        Remedy::Mend => exit::as_usage(&error.into()),
        Remedy::Retry | Remedy::Restart => error.into(),
    }
}

/// How many batches wait, in words.
pub(crate) fn still_wait(n_pending: u64) -> String {
    match n_pending {
        0 => "nothing waits".to_owned(),
        1 => "1 batch still waits".to_owned(),
        n => format!("{} still wait", count(n, "batch", "batches")),
    }
}

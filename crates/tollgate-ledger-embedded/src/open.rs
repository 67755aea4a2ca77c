//! Opening a ledger.

use std::path::Path;
use std::sync::Arc;

use tollgate_journal::{
    Disk, Journal, JournalError, Kind, Packer, Progress, RealDisk, Recovery, Tail, Weakness,
};
use tollgate_ledger::{Counts, Ledger, LedgerError, Remedy};

use crate::error::{at_open, at_read, groups_missing};
use crate::index::{Index, Upkeep, UpkeepMode};
use crate::prepare::EmbeddedPreparer;
use crate::reader::EmbeddedReader;
use crate::replay::{OpenFailure, Replay};
use crate::retention::{Reducer, Retention, RetentionThread};
use crate::target::check_finished;
use crate::writer::EmbeddedWriter;

/// What the records of a ledger's journal are.
pub(crate) const KIND: Kind = Kind::new("ledger");

/// How a ledger is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of one segment of the journal, at most, unless one group is longer.
    pub segment_bytes_max: u64,
    /// Free bytes that recording leaves on the disk: below, groups are refused with [`Remedy::FreeSpace`].
    pub free_bytes_min: u64,
    /// The zstd level at which groups are compressed; `None` leaves them as they are.
    pub compression: Option<i32>,
    /// As [`tollgate_journal::Options::room_bytes`].
    pub room_bytes: u32,
    /// Ids, and rollups of series and hours, that are kept in memory, at least, before the index writes them to the disk. After a crash up to four times as many
    /// batches are read from the journal at the next start.
    pub run_ids: usize,
    /// Who writes the index and sees to retention: threads, or whoever records and opens.
    pub upkeep: UpkeepMode,
    /// When old batches lose what is not needed for counting; `None` keeps all of them whole for ever.
    pub retention: Option<Retention>,
}

impl Default for Options {
    fn default() -> Self {
        let tollgate_journal::Options { segment_bytes_max, free_bytes_min, compression, room_bytes, .. } =
            tollgate_journal::Options::new(KIND);
        Self {
            segment_bytes_max,
            // Retention takes up to a segment of it for a while: on a full disk it is what makes room.
            free_bytes_min: free_bytes_min + segment_bytes_max,
            compression,
            room_bytes,
            run_ids: 100_000,
            upkeep: UpkeepMode::Threads,
            retention: None,
        }
    }
}

impl Options {
    /// Small figures, so that a test meets every branch, and everything in one order.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            segment_bytes_max: 4 << 10,
            free_bytes_min: 0,
            room_bytes: 512,
            run_ids: 5,
            upkeep: UpkeepMode::Inline,
            ..Self::default()
        }
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether there was no ledger, and one was made.
    pub is_new: bool,
    /// What the ledger holds.
    pub counts: Counts,
    /// The last group.
    pub n_groups: u64,
    /// Files of the journal.
    pub n_segments: u64,
    /// What a crash had left of a group that was never acknowledged, and was dropped. A warning in the log said so before.
    pub dropped: Option<Tail>,
    /// Why the file system may not keep what is recorded, if its kind is a reason.
    pub weakness: Option<Weakness>,
}

/// A ledger in one folder.
#[derive(Debug)]
pub struct EmbeddedLedger;

impl EmbeddedLedger {
    /// Opens the ledger in the folder `dir`, and makes it when there is none; its parent folder must exist.
    ///
    /// ```
    /// use tollgate_ledger_embedded::{EmbeddedLedger, Options};
    /// # let parent = tempfile::tempdir()?;
    /// # let dir = parent.path().join("ledger");
    ///
    /// let (ledger, report) = EmbeddedLedger::open(&dir, Options::default())?;
    /// assert!(report.is_new);
    /// assert_eq!(ledger.reader.counts().n_batches, 0);
    /// ledger.writer.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Remedy::Retry`] while another process has it, [`Remedy::Repair`] when anything in it is damaged (then nothing was
    /// changed), [`Remedy::Restart`] when the disk fails.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Ledger, OpenReport), LedgerError> {
        Self::open_with_progress(dir, options, |_| {})
    }

    /// As [`EmbeddedLedger::open`], and tells how far it has come: a large ledger takes a while.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedLedger::open`].
    pub fn open_with_progress(
        dir: impl AsRef<Path>,
        options: Options,
        progress: impl FnMut(Progress),
    ) -> Result<(Ledger, OpenReport), LedgerError> {
        let dir = dir.as_ref();
        let failed = |error| {
            LedgerError::new(Remedy::Restart, format!("open the folder {}", dir.display())).because(error)
        };
        let disk = RealDisk::open_or_create(dir).map_err(failed)?;
        let weakness = disk.weakness();
        let (ledger, report) = Self::open_disk(Arc::new(disk), options, progress)?;
        Ok((ledger, OpenReport { weakness, ..report }))
    }

    /// As [`EmbeddedLedger::open_with_progress`], on any disk.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedLedger::open`].
    pub fn open_disk(
        disk: Arc<dyn Disk>,
        options: Options,
        progress: impl FnMut(Progress),
    ) -> Result<(Ledger, OpenReport), LedgerError> {
        check_finished(&*disk)?;
        let Options { compression, retention, upkeep: mode, .. } = options;
        let Parts { journal, recovery, index, upkeep } = open_parts(disk, options, progress)?;
        let packer = compression.map(Packer::new).transpose().map_err(|error| {
            LedgerError::new(Remedy::Retry, "prepare the compression of groups").because(error)
        })?;
        let report = OpenReport {
            is_new: recovery.is_new,
            counts: index.counts(),
            n_groups: recovery.end.sequence,
            n_segments: recovery.n_segments,
            dropped: recovery.dropped,
            weakness: None,
        };
        let retention = retention.map(|retention| keep_to(retention, &journal, mode)).transpose()?.flatten();
        let reader = journal.reader();
        let ledger = Ledger {
            preparer: Arc::new(EmbeddedPreparer::new(index.keys, compression)),
            writer: Box::new(EmbeddedWriter::new(journal, index.clone(), upkeep, retention, packer)),
            reader: Arc::new(EmbeddedReader::new(reader, index)),
        };
        Ok((ledger, report))
    }
}

/// What a ledger open for writing is made of.
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) recovery: Recovery,
    pub(crate) index: Arc<Index>,
    pub(crate) upkeep: Upkeep,
}

/// Opens the journal, and the index with it.
pub(crate) fn open_parts(
    disk: Arc<dyn Disk>,
    options: Options,
    progress: impl FnMut(Progress),
) -> Result<Parts, LedgerError> {
    let Options { segment_bytes_max, free_bytes_min, compression, room_bytes, run_ids, upkeep, .. } = options;
    let options =
        tollgate_journal::Options { kind: KIND, segment_bytes_max, free_bytes_min, compression, room_bytes };
    let step = format!("open the ledger in {}", disk.folder().display());
    let index_disk = disk.clone();
    let mut replay = Replay {
        disk: &*index_disk,
        mode: upkeep,
        run_entries: run_ids,
        free_bytes_min,
        progress,
        index: None,
        last: None,
    };
    let opened = Journal::open_visiting(disk, options, &mut replay);
    let (journal, recovery) = opened.map_err(|failure| match failure {
        OpenFailure::Journal(JournalError::UnknownCheckpoint { sequence, .. }) => {
            // Damage on the way to that group tells more.
            match tollgate_journal::verify(&index_disk, |_, _| {}) {
                Ok(verified) => groups_missing(step, sequence, Some(verified.end.sequence)),
                Err(JournalError::Missing { .. }) => groups_missing(step, sequence, None),
                Err(error) => at_open(step)(error),
            }
        }
        OpenFailure::Journal(error) => at_open(step)(error),
        OpenFailure::Ledger(error) => error,
    })?;
    let (index, upkeep) = replay.index.expect("opening a journal opens the index");
    Ok(Parts { journal, recovery, index, upkeep })
}

/// Reduces old batches: now, or on a thread that is given.
fn keep_to(
    retention: Retention,
    journal: &Journal,
    mode: UpkeepMode,
) -> Result<Option<RetentionThread>, LedgerError> {
    let (compactor, reader) = (journal.compactor(), journal.reader());
    let reducer = Reducer { retention, compactor, reader, stop: Arc::default() };
    match mode {
        UpkeepMode::Inline => {
            reducer.round();
            Ok(None)
        }
        UpkeepMode::Threads => RetentionThread::start(reducer).map(Some).map_err(|error| {
            LedgerError::new(Remedy::Restart, "start a thread for retention").because(error)
        }),
    }
}

/// Opens the journal of a ledger for reading alone.
pub(crate) fn open_to_read(disk: Arc<dyn Disk>) -> Result<tollgate_journal::Reader, LedgerError> {
    check_finished(&*disk)?;
    let step = format!("open the ledger in {} for reading", disk.folder().display());
    tollgate_journal::Reader::open(disk).and_then(|reader| reader.expect_kind(KIND)).map_err(at_read(step))
}

/// The folder `dir`, which must exist.
pub(crate) fn existing_folder(dir: &Path) -> Result<Arc<dyn Disk>, LedgerError> {
    let failed =
        |error| LedgerError::new(Remedy::Retry, format!("open the folder {}", dir.display())).because(error);
    Ok(Arc::new(RealDisk::open(dir).map_err(failed)?))
}

//! Opening a ledger.

use std::path::Path;
use std::sync::{Arc, RwLock};

use tollgate_journal::{
    Disk, Group, Journal, JournalError, Kind, Progress, RealDisk, RecordPosition, Tail, Visitor,
};
use tollgate_ledger::{Counts, Ledger, LedgerError, Remedy};
use tollgate_rules::Admitted;
use tracing::warn;

use crate::error::{Unusable, at_open, at_read, unusable};
use crate::index::{ElementKey, Index};
use crate::reader::EmbeddedReader;
use crate::record::Record;
use crate::writer::EmbeddedWriter;

/// What the records of a ledger's journal are.
pub(crate) const KIND: Kind = Kind::new("ledger");

/// How a ledger is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one segment of the journal, at most, unless one group is longer.
    pub segment_bytes_max: u64,
    /// Free bytes that recording leaves on the disk: below, groups are refused with [`Remedy::FreeSpace`].
    pub free_bytes_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        let journal = tollgate_journal::Options::new(KIND);
        Self { segment_bytes_max: journal.segment_bytes_max, free_bytes_min: journal.free_bytes_min }
    }
}

impl Options {
    /// Small figures, so that a test meets every branch.
    #[must_use]
    pub fn for_testing() -> Self {
        Self { segment_bytes_max: 4 << 10, free_bytes_min: 0 }
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
        Self::open_disk(Arc::new(disk), options, progress)
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
        let Options { segment_bytes_max, free_bytes_min } = options;
        let options = tollgate_journal::Options { kind: KIND, segment_bytes_max, free_bytes_min };
        let step = format!("open the ledger in {}", disk.folder().display());
        let mut replay = Replay { index: Index::default(), progress };
        let opened = Journal::open_visiting(disk, options, &mut replay);
        let (journal, recovery) = opened.map_err(|failure| match failure {
            OpenFailure::Journal(error) => at_open(step)(error),
            OpenFailure::Unusable(error) => error,
        })?;
        let index = replay.index;
        let report = OpenReport {
            is_new: recovery.is_new,
            counts: index.counts(),
            n_groups: recovery.end.sequence,
            n_segments: recovery.n_segments,
            dropped: recovery.dropped,
        };
        let reader = journal.reader();
        let index = Arc::new(RwLock::new(index));
        let ledger = Ledger {
            writer: Box::new(EmbeddedWriter::new(journal, index.clone())),
            reader: Arc::new(EmbeddedReader::new(reader, index)),
        };
        Ok((ledger, report))
    }
}

/// Builds the index while the journal is opened.
struct Replay<P> {
    index: Index,
    progress: P,
}

/// Why the journal was not opened.
enum OpenFailure {
    Journal(JournalError),
    Unusable(LedgerError),
}

impl From<JournalError> for OpenFailure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl<P: FnMut(Progress)> Visitor for Replay<P> {
    type Error = OpenFailure;

    fn visit(&mut self, group: &Group, progress: Progress) -> Result<(), OpenFailure> {
        replay(&mut self.index, group).map_err(OpenFailure::Unusable)?;
        (self.progress)(progress);
        Ok(())
    }

    fn before_cut(&mut self, tail: &Tail) {
        // Logged here and not by the caller: should this process not come so far as to give its report, nothing
        // else would show that something was cut off.
        warn!(
            segment = format_args!("{:016x}", tail.segment),
            offset = tail.offset,
            n_bytes = tail.bytes,
            fault = %tail.fault,
            "cutting off the end of the journal: a group whose writing never ended, and that was never acknowledged"
        );
    }
}

/// Adds the records of a durable group to the index.
pub(crate) fn replay(index: &mut Index, group: &Group) -> Result<(), LedgerError> {
    for (position, bytes) in group.records() {
        replay_record(index, bytes, position).map_err(|why| unusable(position, why))?;
    }
    Ok(())
}

fn replay_record(index: &mut Index, bytes: &[u8], position: RecordPosition) -> Result<(), Unusable> {
    match Record::decode(bytes)? {
        Record::Batch { body, .. } => Ok(index.add_batch(&Admitted::from_canonical(body)?, position)?),
        Record::Quarantined(element) => {
            let key = ElementKey::new(element.model_uuid, element.batch_uuid, element.digest);
            Ok(index.add_quarantined(element.id, key, position)?)
        }
    }
}

/// Opens the journal of a ledger for reading alone.
pub(crate) fn open_to_read(disk: Arc<dyn Disk>) -> Result<tollgate_journal::Reader, LedgerError> {
    let step = format!("open the ledger in {} for reading", disk.folder().display());
    tollgate_journal::Reader::open(disk).and_then(|reader| reader.expect_kind(KIND)).map_err(at_read(step))
}

/// The folder `dir`, which must exist.
pub(crate) fn existing_folder(dir: &Path) -> Result<Arc<dyn Disk>, LedgerError> {
    let failed =
        |error| LedgerError::new(Remedy::Retry, format!("open the folder {}", dir.display())).because(error);
    Ok(Arc::new(RealDisk::open(dir).map_err(failed)?))
}

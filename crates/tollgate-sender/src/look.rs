//! Looking at a spool that another process may have.

use std::path::Path;
use std::sync::Arc;

use tollgate_journal::{Disk, JournalError, Reader, RealDisk, Tail, verify};

use crate::SpoolError;
use crate::core::{each_pending, pending, summary};
use crate::spool::{KIND, Pending, Summary, standing};
use crate::state::Fold;
use crate::status::Standing;

/// How often a look begins again when what it reads is forgotten at the same time.
const ATTEMPTS_MAX: u32 = 5;

/// A spool as it was at one moment. Takes no lock and changes nothing.
#[derive(Debug)]
pub struct Look {
    disk: Arc<dyn Disk>,
    fold: Fold,
    n_bytes: u64,
    tail: Option<Tail>,
}

impl Look {
    /// Reads the spool in `folder`.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged: what has it sets damage aside when it starts.
    pub fn open(folder: &Path) -> Result<Self, SpoolError> {
        let disk = RealDisk::open(folder).map_err(|source| SpoolError::Folder {
            step: "open the folder",
            path: folder.to_owned(),
            source,
        })?;
        Self::open_on(&(Arc::new(disk) as Arc<dyn Disk>))
    }

    /// As [`Look::open`], on a disk of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Look::open`].
    pub fn open_on(disk: &Arc<dyn Disk>) -> Result<Self, SpoolError> {
        let mut n_attempts = 0;
        loop {
            n_attempts += 1;
            match Self::read(disk.clone()) {
                Err(SpoolError::Journal(JournalError::Damaged { .. })) if n_attempts < ATTEMPTS_MAX => {}
                read => return read,
            }
        }
    }

    fn read(disk: Arc<dyn Disk>) -> Result<Self, SpoolError> {
        let reader = Reader::open(disk.clone())?.expect_kind(KIND)?;
        let mut fold = Fold::default();
        let mut groups = reader.groups()?;
        while let Some(group) = groups.next().transpose()? {
            fold.take_in(&group, |_, _, _| {})?;
        }
        let (n_bytes, tail) = (reader.n_bytes()?, groups.tail());
        Ok(Self { disk, fold, n_bytes, tail })
    }

    /// Where it stands.
    #[must_use]
    pub fn summary(&self) -> Summary {
        summary(&self.fold.state, self.n_bytes)
    }

    /// As [`crate::Spool::meter_status`], at `now_ms` milliseconds since 1970.
    #[must_use]
    pub fn meter_status(&self, now_ms: i64, model: Option<&str>, unit: Option<&str>) -> Standing {
        standing(&self.fold.state.link, &self.fold.state.standings, now_ms, model, unit)
    }

    /// What an unfinished write left, which whoever opens the spool drops.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// Shows `visit` each batch that waits to be acknowledged, in the order in which they lie there: the oldest first, but for those that were carried
    /// on. Returns early when `visit` says so.
    ///
    /// # Errors
    ///
    /// When the spool cannot be read any more.
    pub fn each_pending(&self, mut visit: impl FnMut(Pending) -> bool) -> Result<(), SpoolError> {
        let state = &self.fold.state;
        let mut goes_on = true;
        for group in Reader::open(self.disk.clone())?.groups()? {
            each_pending((state, &self.fold.places), &group?, &mut |_, number, body| {
                // What was recorded after the look is not in it.
                if goes_on && number < state.next_number {
                    goes_on = visit(pending(number, body, state));
                }
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// Checks every checksum and the hash chain, and gives how many groups and records there are.
    ///
    /// # Errors
    ///
    /// The first damage, with its file and offset.
    pub fn verify(&self) -> Result<(u64, u64), SpoolError> {
        let verified = verify(&self.disk, |_, _| {})?;
        Ok((verified.n_groups, verified.n_records))
    }
}

//! Every recorded batch, once.

use std::path::Path;
use std::sync::Arc;
use std::vec;

use tollgate_journal::{Disk, Groups};
use tollgate_ledger::LedgerError;

use crate::error::{at_read, unusable};
use crate::open::{existing_folder, open_to_read};
use crate::record::Record;

/// The canonical JSON of each recorded batch, in the order of recording; without credentials where retention dropped them. Ends
/// after an error.
#[derive(Debug)]
pub struct Export {
    groups: Groups,
    bodies: vec::IntoIter<Vec<u8>>,
    n_reduced: u64,
    is_finished: bool,
}

/// Reads the ledger in `dir`, which a collector may have open: what it records meanwhile may be part of the export or
/// not, but of its groups none is left out before one that is given. Changes nothing.
///
/// # Errors
///
/// When there is no ledger in the folder or it cannot be read.
pub fn export(dir: impl AsRef<Path>) -> Result<Export, LedgerError> {
    Export::of_disk(existing_folder(dir.as_ref())?)
}

impl Export {
    /// As [`export`], on any disk.
    ///
    /// # Errors
    ///
    /// As [`export`].
    pub fn of_disk(disk: Arc<dyn Disk>) -> Result<Self, LedgerError> {
        let groups = open_to_read(disk)?.groups().map_err(at_read("export a ledger"))?;
        Ok(Self { groups, bodies: Vec::new().into_iter(), n_reduced: 0, is_finished: false })
    }

    /// Of the batches that were given, and of those in the group that is being given, how many are without their credentials,
    /// because retention dropped these.
    #[must_use]
    pub fn n_reduced(&self) -> u64 {
        self.n_reduced
    }

    fn next_group(&mut self) -> Result<Option<Vec<Vec<u8>>>, LedgerError> {
        let Some(group) = self.groups.next().transpose().map_err(at_read("export a ledger"))? else {
            return Ok(None);
        };
        let mut bodies = Vec::new();
        for (position, record) in group.records() {
            match Record::decode(record).map_err(|error| unusable(position, error.into()))? {
                Record::Batch { body, .. } => bodies.push(body.to_vec()),
                Record::Reduced { body, .. } => {
                    self.n_reduced += 1;
                    bodies.push(body.to_vec());
                }
                Record::Quarantined(_) | Record::Act { .. } => {}
            }
        }
        Ok(Some(bodies))
    }
}

impl Iterator for Export {
    type Item = Result<Vec<u8>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(body) = self.bodies.next() {
                return Some(Ok(body));
            }
            if self.is_finished {
                return None;
            }
            match self.next_group() {
                Ok(Some(bodies)) => self.bodies = bodies.into_iter(),
                Ok(None) => self.is_finished = true,
                Err(error) => {
                    self.is_finished = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

//! Recorded batches in the order of recording, a page at a time.

use tollgate_journal::{Group, Reader, RecordPosition};
use tollgate_ledger::{BadCursor, BatchItem, BatchPage, BatchSelect, LedgerError, Page, Remedy};
use tollgate_rules::RecoverError;
use tollgate_wire::{Document, Timestamp};

use crate::error::{Unusable, at_read, unusable};
use crate::record::Record;

/// A page ends behind the group with which so many were read, or so many bytes of them: whoever asks for what is rare goes on with
/// the next page, and nobody waits long for one.
const PAGE_GROUPS: u64 = 64;
const PAGE_BYTES: usize = 8 << 20;

const STEP: &str = "list the batches";

/// The batches that are asked for, in a journal up to some group.
pub(crate) struct Listing<'a> {
    journal: &'a Reader,
    last: u64,
    select: &'a BatchSelect,
}

impl<'a> Listing<'a> {
    /// `last` is the last group that is known to be durable.
    pub(crate) fn new(journal: &'a Reader, last: u64, select: &'a BatchSelect) -> Self {
        Self { journal, last, select }
    }

    pub(crate) fn page(&self, page: &Page) -> Result<BatchPage, LedgerError> {
        let mut at = match &page.cursor {
            None => RecordPosition { sequence: 1, index: 0 },
            Some(cursor) => self.position(cursor).ok_or_else(bad_cursor)?,
        };
        let (start, mut n_bytes) = (at, 0);
        let mut batches = Vec::new();
        while at.sequence <= self.last {
            if page.limit <= batches.len()
                || PAGE_GROUPS <= at.sequence - start.sequence
                || PAGE_BYTES <= n_bytes
            {
                return Ok(BatchPage { batches, next_cursor: Some(text(at)) });
            }
            let group = self.journal.group(at.sequence).map_err(at_read(STEP))?;
            let n_records = group.records().len() as u32;
            if n_records < at.index {
                return Err(bad_cursor());
            }
            at.index = self.add(&group, at.index, page.limit, &mut batches)?;
            n_bytes += group.records().map(|(_, record)| record.len()).sum::<usize>();
            if at.index == n_records {
                at = RecordPosition { sequence: at.sequence + 1, index: 0 };
            }
        }
        Ok(BatchPage { batches, next_cursor: None })
    }

    /// Adds batches of a group from `index` on, until there are `limit`; gives where it has come to.
    fn add(
        &self,
        group: &Group,
        index: u32,
        limit: usize,
        batches: &mut Vec<BatchItem>,
    ) -> Result<u32, LedgerError> {
        for (position, record) in group.records().skip(index as usize) {
            if limit <= batches.len() {
                return Ok(position.index);
            }
            let item = Record::decode(record).map_err(Unusable::from).and_then(|record| match record {
                Record::Batch { received, body } | Record::Reduced { received, body, .. } => {
                    Ok(self.item(body, received)?)
                }
                Record::Quarantined(_) | Record::Act { .. } => Ok(None),
            });
            batches.extend(item.map_err(|why| unusable(position, why))?);
        }
        Ok(group.records().len() as u32)
    }

    /// The batch, if it is asked for.
    fn item(&self, body: &[u8], received: Timestamp) -> Result<Option<BatchItem>, RecoverError> {
        let array = [b"[", body, b"]"].concat();
        let document = Document::new(&array);
        let element = document.batches()?.into_iter().next().ok_or(RecoverError::NotCanonical)?;
        let batch = element.batch.map_err(|_| RecoverError::NotCanonical)?;
        if !self.select.has(&batch.model_uuid, &batch.unit_name) {
            return Ok(None);
        }
        Ok(Some(BatchItem {
            model_uuid: batch.model_uuid.to_string(),
            batch_uuid: batch.uuid.to_string(),
            model_name: batch.model_name.to_string(),
            unit_name: batch.unit_name.to_string(),
            charm_url: batch.charm_url.to_string(),
            created: batch.created.to_string(),
            received: received.to_string(),
            n_metrics: batch.metrics.as_ref().map_or(0, |metrics| metrics.len() as u64),
        }))
    }

    /// Where a cursor stands; `None` when this listing did not give it.
    fn position(&self, cursor: &str) -> Option<RecordPosition> {
        let (sequence, index) = cursor.split_once('.')?;
        let at = RecordPosition { sequence: sequence.parse().ok()?, index: index.parse().ok()? };
        // Other spellings of the same numbers are none that it gave.
        ((1..=self.last).contains(&at.sequence) && text(at) == cursor).then_some(at)
    }
}

fn text(RecordPosition { sequence, index }: RecordPosition) -> String {
    format!("{sequence}.{index}")
}

fn bad_cursor() -> LedgerError {
    LedgerError::new(Remedy::Repair, STEP).because(BadCursor)
}

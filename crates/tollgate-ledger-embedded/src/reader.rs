//! The read half.

use std::sync::Arc;

use tollgate_journal::{Group, RecordPosition};
use tollgate_ledger::{
    BatchPage, BatchSelect, Counts, HandStatus, LedgerError, ModelSummary, Ownership, Page, QuarantineItem,
    Reader, Remedy,
};
use tollgate_rules::{BatchId, Digest, Select, Visitor};

use crate::error::{Unusable, at_read, dropped, mismatch, of_index};
use crate::index::{Index, unpack};
use crate::listing::Listing;
use crate::record::{Record, RecordError, SetAside};

/// A page of the quarantine ends behind the body with which it has this many bytes of them: each may be as long as a
/// request.
const PAGE_BYTES: usize = 8 << 20;

/// Answers from the index, and bodies from the journal.
#[derive(Debug)]
pub(crate) struct EmbeddedReader {
    journal: tollgate_journal::Reader,
    index: Arc<Index>,
}

impl EmbeddedReader {
    pub(crate) fn new(journal: tollgate_journal::Reader, index: Arc<Index>) -> Self {
        Self { journal, index }
    }
}

/// Reads a quarantined element of its group.
fn quarantine_item(group: &Group, index: u32, is_released: bool) -> Result<QuarantineItem, LedgerError> {
    let step = "read a quarantined element";
    let unexpected = |what| LedgerError::new(Remedy::Repair, format!("{step}: {what} is in its place"));
    match group.record(index).map(Record::decode) {
        Some(Ok(Record::Quarantined(element))) => Ok(item(&element, is_released)),
        Some(Ok(Record::Batch { .. } | Record::Reduced { .. })) => Err(unexpected("a batch")),
        Some(Ok(Record::Act { .. })) => Err(unexpected("an act")),
        Some(Err(error)) => Err(unreadable(step, error)),
        None => Err(unexpected("nothing")),
    }
}

fn item(element: &SetAside<'_>, is_released: bool) -> QuarantineItem {
    QuarantineItem {
        id: element.id,
        model_uuid: element.model_uuid.to_owned(),
        batch_uuid: element.batch_uuid.to_owned(),
        unit_name: element.unit_name.to_owned(),
        code: element.code.to_owned(),
        reason: element.reason.to_owned(),
        received: element.received.to_string(),
        is_released,
        body: String::from_utf8_lossy(element.body).into_owned(),
    }
}

fn unreadable(step: &str, error: RecordError) -> LedgerError {
    LedgerError::new(Remedy::Repair, step).because(Unusable::from(error))
}

impl Reader for EmbeddedReader {
    fn counts(&self) -> Counts {
        self.index.counts()
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.catalogue.list(page.cursor.as_deref(), page.limit)))
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.catalogue.find(model_uuid)))
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        let found =
            self.index.find(self.index.keys.batch(id.borrowed())).map_err(of_index("read a batch"))?;
        let Some(known) = found else { return Ok(None) };
        let record = self.journal.record(unpack(known.value)).map_err(at_read("read a batch"))?;
        match Record::decode(&record).map_err(|error| unreadable("read a batch", error))? {
            Record::Batch { body, .. } if Digest::of(body) == known.digest => Ok(Some(body.to_vec())),
            Record::Reduced { digest, .. } if digest == known.digest => Err(dropped(id)),
            _ => Err(mismatch(id)),
        }
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        let step = "read a quarantined element";
        let mut items = Vec::new();
        let (mut id, mut n_bytes) = (page.after_id(), 0);
        // Elements that came together are in one group.
        let mut group: Option<Group> = None;
        while items.len() < page.limit && n_bytes < PAGE_BYTES {
            let Some(next) = id.checked_add(1) else { break };
            let found = self.index.find(self.index.keys.quarantine(next)).map_err(of_index(step))?;
            let Some(known) = found else { break };
            let RecordPosition { sequence, index } = unpack(known.value);
            let group = match &mut group {
                Some(group) if group.position().sequence == sequence => group,
                other => other.insert(self.journal.group(sequence).map_err(at_read(step))?),
            };
            let is_released = self.index.with_facts(|facts| facts.acts.is_released(next));
            let item = quarantine_item(group, index, is_released)?;
            id = next;
            n_bytes += item.body.len();
            items.push(item);
        }
        Ok(items)
    }

    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError> {
        Listing::new(&self.journal, self.index.sequence(), select).page(page)
    }

    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        self.index.usage(select, visitor).map_err(of_index("read what was used"))
    }

    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.acts.status(model_uuid, unit_name).cloned()))
    }

    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.acts.statuses(model_uuid)))
    }

    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.acts.is_revoked(credential_id)))
    }

    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError> {
        Ok(self.index.with_facts(|facts| facts.acts.user(model_uuid).map(Into::into)))
    }

    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        Ok(self.index.with_facts(|facts| model_uuids.iter().map(|uuid| facts.ownership(uuid)).collect()))
    }

    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        Ok(self.index.with_facts(|facts| {
            let uuids = facts.catalogue.uuids(page.cursor.as_deref()).take(page.limit);
            uuids.map(|uuid| (uuid.into(), facts.ownership(uuid))).collect()
        }))
    }
}

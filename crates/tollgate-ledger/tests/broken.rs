//! The suite finds what is wrong with a ledger: the reference with one fault planted.

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use tollgate_ledger::{
    Act, BatchPage, BatchSelect, Counts, Entry, HandStatus, Ledger, LedgerError, MemoryLedger, ModelSummary,
    NothingToPrepare, Outcome, Ownership, Page, QuarantineItem, Reader, Received, Writer, conformance,
};
use tollgate_rules::{BatchId, Rollup, Select, Series, Visitor};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    ForgetsWhenOpenedAgain,
    SaysRecordedTwice,
    AnswersInReverse,
    TakesConflictsForDuplicates,
    NumbersQuarantineAnew,
    FoldsCaseOfIds,
    IgnoresModels,
    SumsInFloats,
    ReadsBackOtherBytes,
    IgnoresCursors,
    IgnoresLimits,
    SortsWithoutCase,
    TakesRefusedBatches,
    ReleasesAgain,
    ForgetsThatItReleased,
    KeepsClearedStatuses,
    SortsUnitsWithoutCase,
    RevokesWithoutCase,
    KeepsTheFirstUser,
    ForgetsUsersOfUnseenModels,
    ListsOwnersFromTheStart,
    AddsRollupsTwice,
    IgnoresHours,
    IgnoresMeters,
    IgnoresUnits,
    TakesAnyCursor,
}

#[test]
fn each_fault_is_found() {
    check_found(Fault::ForgetsWhenOpenedAgain, "a duplicate after opening again counts once");
    check_found(Fault::SaysRecordedTwice, "a duplicate in a later group counts once");
    check_found(Fault::AnswersInReverse, "outcomes are in the order of the group");
    check_found(Fault::TakesConflictsForDuplicates, "of a conflict the first stands");
    check_found(Fault::NumbersQuarantineAnew, "the same conflict again is the same item");
    check_found(Fault::FoldsCaseOfIds, "ids are kept as exact strings");
    check_found(Fault::IgnoresModels, "one uuid in two models is two batches");
    check_found(Fault::SumsInFloats, "sums are exact");
    check_found(Fault::ReadsBackOtherBytes, "a batch reads back as its canonical bytes");
    check_found(Fault::IgnoresCursors, "models come in pages");
    check_found(Fault::IgnoresLimits, "quarantine comes in pages");
    check_found(Fault::SortsWithoutCase, "models come in pages");
    check_found(Fault::TakesRefusedBatches, "a refused batch is set aside");
    check_found(Fault::ReleasesAgain, "a released element leaves the quarantine");
    check_found(Fault::ForgetsThatItReleased, "a released element leaves the quarantine");
    check_found(Fault::KeepsClearedStatuses, "a status stands until another is set or it is cleared");
    check_found(Fault::SortsUnitsWithoutCase, "statuses are in the order of units");
    let says = "the newest name and the declared user say whose a model is";
    check_found(Fault::ForgetsUsersOfUnseenModels, says);
    check_found(Fault::ListsOwnersFromTheStart, says);
    check_found(Fault::RevokesWithoutCase, "a credential is revoked for ever");
    check_found(Fault::KeepsTheFirstUser, "the user declared last owns the model");
    check_found(Fault::AddsRollupsTwice, "readings of one hour are one rollup");
    check_found(Fault::IgnoresHours, "usage is selected");
    check_found(Fault::IgnoresMeters, "usage is selected");
    check_found(Fault::IgnoresUnits, "batches are listed by model and unit");
    check_found(Fault::TakesAnyCursor, "a bad cursor is told");
}

#[track_caller]
fn check_found(fault: Fault, expected: &str) {
    let create = || Broken { fault, inner: MemoryLedger::default(), ids: Arc::default() };
    let open = |broken: &Broken| {
        let mut broken = broken.clone();
        if fault == Fault::ForgetsWhenOpenedAgain {
            broken.inner = MemoryLedger::default();
        }
        let preparer = Arc::new(NothingToPrepare);
        Ledger { preparer, writer: Box::new(broken.clone()), reader: Arc::new(broken) }
    };
    let panic = catch_unwind(|| conformance::run(create, open)).expect_err("the fault was not found");
    let found = panic.downcast_ref::<String>().expect("the panic has a message");
    assert!(found.contains(expected), "{fault:?} was found otherwise: {found}");
}

#[derive(Clone)]
struct Broken {
    fault: Fault,
    inner: MemoryLedger,
    /// The first id that came, by what a faulty ledger takes for the same.
    ids: Arc<Mutex<HashMap<String, BatchId>>>,
}

impl Broken {
    /// Whether the fault makes another batch than this one stand under this one's id.
    fn mistakes(&self, id: &BatchId) -> bool {
        let taken_for = match self.fault {
            Fault::FoldsCaseOfIds => format!("{} {}", id.model_uuid, id.batch_uuid).to_lowercase(),
            Fault::IgnoresModels => id.batch_uuid.to_string(),
            _ => return false,
        };
        self.ids.lock().expect("no holder panics").entry(taken_for).or_insert_with(|| id.clone()) != id
    }
}

impl Writer for Broken {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        let mut outcomes = Vec::new();
        for entry in group {
            let is_mistaken = matches!(&entry, Entry::Batch(batch) if self.mistakes(&batch.id().owned()));
            let is_release = matches!(entry, Entry::Act(Act::Release { .. }));
            let entry = match (self.fault, entry) {
                (Fault::TakesRefusedBatches, Entry::Refused(batch, _)) => Entry::Batch(batch),
                (Fault::RevokesWithoutCase, Entry::Act(Act::Revoke { credential_id })) => {
                    Entry::Act(Act::Revoke { credential_id: credential_id.to_lowercase().into() })
                }
                (Fault::KeepsTheFirstUser, Entry::Act(Act::Declare { model_uuid, user })) => {
                    let user = self.inner.declared_user(&model_uuid)?.unwrap_or(user);
                    Entry::Act(Act::Declare { model_uuid, user })
                }
                (Fault::KeepsClearedStatuses, Entry::Act(Act::ClearStatus { model_uuid, .. })) => {
                    // Of another unit, which has none.
                    Entry::Act(Act::ClearStatus { model_uuid, unit_name: "cleared".into() })
                }
                (_, entry) => entry,
            };
            let mut recorded = self.inner.record(vec![entry], received)?;
            if self.fault == Fault::ReleasesAgain && is_release {
                recorded = vec![Outcome::Recorded];
            }
            if is_mistaken {
                recorded = vec![Outcome::Duplicate];
            }
            outcomes.append(&mut recorded);
        }
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            match (self.fault, &mut *outcome) {
                (Fault::SaysRecordedTwice, Outcome::Duplicate) => *outcome = Outcome::Recorded,
                (Fault::TakesConflictsForDuplicates, Outcome::Conflict { .. }) => {
                    *outcome = Outcome::Duplicate;
                }
                (Fault::NumbersQuarantineAnew, Outcome::Conflict { quarantine_id, .. }) => {
                    *quarantine_id += index as u64;
                }
                _ => {}
            }
        }
        if self.fault == Fault::AnswersInReverse {
            outcomes.reverse();
        }
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl Reader for Broken {
    fn counts(&self) -> Counts {
        self.inner.counts()
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        let mut page = page.clone();
        if self.fault == Fault::IgnoresCursors {
            page.cursor = None;
        }
        let mut models = self.inner.models(&page)?;
        if self.fault == Fault::SortsWithoutCase {
            models.sort_by_key(|model| model.model_uuid.to_lowercase());
        }
        Ok(models)
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        let mut model = self.inner.model(model_uuid)?;
        if self.fault == Fault::SumsInFloats {
            for meter in model.iter_mut().flat_map(|model| &mut model.meters) {
                meter.sum = meter.sum.parse::<f64>().expect("a sum is a number").to_string();
            }
        }
        Ok(model)
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut body = self.inner.batch(id)?;
        if let (Fault::ReadsBackOtherBytes, Some(body)) = (self.fault, &mut body) {
            body.push(b'\n');
        }
        Ok(body)
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        let mut page = page.clone();
        if self.fault == Fault::IgnoresLimits {
            page.limit = usize::MAX;
        }
        let mut items = self.inner.quarantine(&page)?;
        if self.fault == Fault::ForgetsThatItReleased {
            items.iter_mut().for_each(|item| item.is_released = false);
        }
        Ok(items)
    }

    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError> {
        let (mut select, mut page) = (select.clone(), page.clone());
        match self.fault {
            Fault::IgnoresUnits => select.unit_name = None,
            Fault::TakesAnyCursor => {
                page.cursor = page.cursor.filter(|cursor| cursor.parse::<usize>().is_ok());
            }
            _ => {}
        }
        self.inner.batches(&select, &page)
    }

    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        let mut select = *select;
        match self.fault {
            Fault::IgnoresHours => (select.from_hour, select.to_hour) = (i64::MIN, i64::MAX),
            Fault::IgnoresMeters => select.meter = None,
            Fault::AddsRollupsTwice => return self.inner.usage(&select, &mut Twice(visitor)),
            _ => {}
        }
        self.inner.usage(&select, visitor)
    }

    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError> {
        self.inner.hand_status(model_uuid, unit_name)
    }

    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError> {
        let mut statuses = self.inner.hand_statuses(model_uuid)?;
        if self.fault == Fault::SortsUnitsWithoutCase {
            statuses.sort_by_key(|status| status.unit_name.to_lowercase());
        }
        Ok(statuses)
    }

    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError> {
        self.inner.is_revoked(credential_id)
    }

    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError> {
        self.inner.declared_user(model_uuid)
    }

    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        let mut found = self.inner.ownership(model_uuids)?;
        if self.fault == Fault::ForgetsUsersOfUnseenModels {
            found.iter_mut().filter(|of| of.model_name.is_none()).for_each(|of| of.declared_user = None);
        }
        Ok(found)
    }

    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        let mut page = page.clone();
        if self.fault == Fault::ListsOwnersFromTheStart {
            page.cursor = None;
        }
        self.inner.ownerships(&page)
    }
}

/// Shows everything twice.
struct Twice<'a>(&'a mut dyn Visitor);

impl Visitor for Twice<'_> {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.0.series(series)
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        self.0.rollup(hour, rollup);
        self.0.rollup(hour, rollup);
    }
}

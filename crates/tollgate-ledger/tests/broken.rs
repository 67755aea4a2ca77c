//! The suite finds what is wrong with a ledger: the reference with one fault planted.

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use tollgate_ledger::{
    Counts, Entry, Ledger, LedgerError, MemoryLedger, ModelSummary, NothingToPrepare, Outcome, Page,
    QuarantineItem, Reader, Received, Writer, conformance,
};
use tollgate_rules::BatchId;

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
            let is_mistaken = matches!(&entry, Entry::Batch(batch) if self.mistakes(batch.id()));
            let mut recorded = self.inner.record(vec![entry], received)?;
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
        self.inner.quarantine(&page)
    }
}

//! A ledger under test, beside the reference.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_rules::BatchId;

use super::sample;
use crate::{Counts, Entry, Ledger, MemoryLedger, ModelSummary, Outcome, Page, QuarantineItem, Reader};

/// More rows than any check makes.
const ALL: usize = 1_000_000;

pub(super) struct Subject<'a> {
    name: &'static str,
    open: &'a dyn Fn() -> Ledger,
    /// `None` only between closing and opening.
    ledger: Option<Ledger>,
    reference: Ledger,
    /// From the reference's quarantine ids to the ledger's own, which may have gaps.
    quarantine_ids: BTreeMap<u64, u64>,
    /// All ids that were ever handed over.
    ids: BTreeSet<BatchId>,
    n_groups: i64,
}

impl<'a> Subject<'a> {
    pub(super) fn open(name: &'static str, open: &'a dyn Fn() -> Ledger) -> Self {
        Self {
            name,
            open,
            ledger: Some(open()),
            reference: MemoryLedger::default().open(),
            quarantine_ids: BTreeMap::new(),
            ids: BTreeSet::new(),
            n_groups: 0,
        }
    }

    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().expect("the ledger is open")
    }

    pub(super) fn reader(&self) -> &dyn Reader {
        &*self.ledger.as_ref().expect("the ledger is open").reader
    }

    /// Records a group. The outcomes have the quarantine ids that the reference gives: 1, 2, 3, …
    #[track_caller]
    pub(super) fn record(&mut self, group: impl IntoIterator<Item = Entry>) -> Vec<Outcome> {
        let group: Vec<Entry> = group.into_iter().collect();
        let name = self.name;
        self.n_groups += 1;
        let received = sample::seconds(self.n_groups);
        self.ids.extend(group.iter().filter_map(|entry| match entry {
            Entry::Batch(batch) | Entry::Refused(batch, _) => Some(batch.id().clone()),
            Entry::Quarantine(element) => Some(element.id.clone()),
            Entry::Act(_) => None,
        }));
        let expected =
            self.reference.writer.record(group.clone(), received).expect("the reference cannot fail");
        let outcomes = self.ledger().writer.record(group, received).expect("record a group");
        assert_eq!(outcomes.len(), expected.len(), "{name}: one outcome for each element");
        for (index, (outcome, expected)) in outcomes.iter().zip(&expected).enumerate() {
            let translated = self.translate(*outcome, *expected);
            assert_eq!(translated, *expected, "{name}: group {}, element {index}", self.n_groups);
        }
        expected
    }

    /// The outcome with the reference's quarantine id, where that is the one that stands for the ledger's.
    fn translate(&mut self, outcome: Outcome, expected: Outcome) -> Outcome {
        let (Some(own), Some(reference)) = (quarantine_id(outcome), quarantine_id(expected)) else {
            return outcome;
        };
        let is_it = *self.quarantine_ids.entry(reference).or_insert(own) == own;
        let quarantine_id = if is_it { reference } else { own };
        match outcome {
            Outcome::Conflict { recorded, .. } => Outcome::Conflict { quarantine_id, recorded },
            Outcome::Quarantined { .. } => Outcome::Quarantined { quarantine_id },
            Outcome::Recorded | Outcome::Duplicate => outcome,
        }
    }

    /// The quarantine, its ids translated.
    pub(super) fn quarantine(&self) -> Vec<QuarantineItem> {
        let own_to_reference: BTreeMap<u64, u64> =
            self.quarantine_ids.iter().map(|(reference, own)| (*own, *reference)).collect();
        let page = Page { cursor: None, limit: ALL };
        let mut items = self.reader().quarantine(&page).expect("list the quarantine");
        assert!(items.is_sorted_by_key(|item| item.id), "{}: quarantine in the order of ids", self.name);
        for item in &mut items {
            item.id = *own_to_reference.get(&item.id).expect("an id that an outcome named");
        }
        items
    }

    /// Closes the ledger and opens it again; all must be as before.
    pub(super) fn reopen(&mut self) {
        let ledger = self.ledger.take().expect("the ledger is open");
        ledger.writer.close().expect("close the ledger");
        drop(ledger.reader);
        self.ledger = Some((self.open)());
        self.compare("after closing and opening again");
    }

    /// Drops the ledger unclosed and opens it again; all must be as before.
    pub(super) fn abandon(&mut self) {
        self.ledger = None;
        self.ledger = Some((self.open)());
        self.compare("after dropping it unclosed and opening again");
    }

    pub(super) fn finish(&mut self) {
        self.compare("at the end");
        self.reopen();
        self.abandon();
    }

    /// Compares every answer with the reference's.
    pub(super) fn compare(&self, when: &str) {
        let name = self.name;
        let own = Answers::of(self.reader(), &self.ids);
        let reference = Answers::of(&*self.reference.reader, &self.ids);
        assert_eq!(own.counts, reference.counts, "{name}: counts {when}");
        assert_eq!(own.models, reference.models, "{name}: models {when}");
        assert_eq!(own.models_alone, reference.models_alone, "{name}: models one by one {when}");
        for (id, (own, reference)) in self.ids.iter().zip(own.bodies.iter().zip(&reference.bodies)) {
            assert_eq!(own, reference, "{name}: batch {id:?} {when}");
        }
        assert_eq!(self.quarantine(), reference.quarantine, "{name}: quarantine {when}");
    }
}

fn quarantine_id(outcome: Outcome) -> Option<u64> {
    match outcome {
        Outcome::Recorded | Outcome::Duplicate => None,
        Outcome::Conflict { quarantine_id, .. } | Outcome::Quarantined { quarantine_id } => {
            Some(quarantine_id)
        }
    }
}

/// All that a ledger can say.
struct Answers {
    counts: Counts,
    models: Vec<ModelSummary>,
    models_alone: Vec<Option<ModelSummary>>,
    bodies: Vec<Option<String>>,
    quarantine: Vec<QuarantineItem>,
}

impl Answers {
    fn of(reader: &dyn Reader, ids: &BTreeSet<BatchId>) -> Self {
        let page = Page { cursor: None, limit: ALL };
        let model_uuids: BTreeSet<&str> = ids.iter().map(|id| &*id.model_uuid).collect();
        let text = |body: Vec<u8>| String::from_utf8(body).expect("a batch is UTF-8");
        Self {
            counts: reader.counts(),
            models: reader.models(&page).expect("list the models"),
            models_alone: model_uuids.iter().map(|uuid| reader.model(uuid).expect("read a model")).collect(),
            bodies: ids.iter().map(|id| reader.batch(id).expect("read a batch").map(text)).collect(),
            quarantine: reader.quarantine(&page).expect("list the quarantine"),
        }
    }
}

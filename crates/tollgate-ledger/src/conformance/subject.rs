//! A ledger under test, beside the reference.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_rules::{BatchId, Rollup, Select, Series, Visitor};

use super::sample;
use crate::{
    Act, BatchItem, BatchSelect, Counts, Entry, HandStatus, Ledger, MemoryLedger, ModelSummary, Outcome,
    Ownership, Page, QuarantineItem, Reader,
};

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
    /// All that was ever named.
    named: Named,
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
            named: Named::default(),
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
        group.iter().for_each(|entry| self.named.add(entry));
        let expected =
            self.reference.writer.record(group.clone(), received).expect("the reference cannot fail");
        let own = group.into_iter().map(|entry| self.with_own_id(entry)).collect();
        let outcomes = self.ledger().writer.record(own, received).expect("record a group");
        assert_eq!(outcomes.len(), expected.len(), "{name}: one outcome for each element");
        for (index, (outcome, expected)) in outcomes.iter().zip(&expected).enumerate() {
            let translated = self.translate(*outcome, *expected);
            assert_eq!(translated, *expected, "{name}: group {}, element {index}", self.n_groups);
        }
        expected
    }

    fn with_own_id(&self, entry: Entry) -> Entry {
        match entry {
            Entry::Act(Act::Release { quarantine_id, batch }) => {
                let own = self.quarantine_ids.get(&quarantine_id).expect("an id that an outcome named");
                Entry::Act(Act::Release { quarantine_id: *own, batch })
            }
            entry => entry,
        }
    }

    /// How many elements the reference has in quarantine, with ids from 1 on.
    pub(super) fn n_quarantined(&self) -> u64 {
        self.reference.reader.counts().n_quarantined
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
        let own = Answers::of(self.reader(), &self.named);
        let reference = Answers::of(&*self.reference.reader, &self.named);
        assert_eq!(own.counts, reference.counts, "{name}: counts {when}");
        assert_eq!(own.models, reference.models, "{name}: models {when}");
        assert_eq!(own.models_alone, reference.models_alone, "{name}: models one by one {when}");
        for (id, (own, reference)) in self.named.ids.iter().zip(own.bodies.iter().zip(&reference.bodies)) {
            assert_eq!(own, reference, "{name}: batch {id:?} {when}");
        }
        assert_eq!(self.quarantine(), reference.quarantine, "{name}: quarantine {when}");
        assert_eq!(own.usage, reference.usage, "{name}: usage {when}");
        assert_eq!(own.listed, reference.listed, "{name}: batches {when}");
        assert_eq!(own.statuses, reference.statuses, "{name}: statuses {when}");
        assert_eq!(own.statuses_alone, reference.statuses_alone, "{name}: statuses one by one {when}");
        assert_eq!(own.revoked, reference.revoked, "{name}: revoked credentials {when}");
        assert_eq!(own.users, reference.users, "{name}: declared users {when}");
        assert_eq!(own.ownership, reference.ownership, "{name}: who owns models {when}");
        assert_eq!(own.ownerships, reference.ownerships, "{name}: who owns all models {when}");
    }

    /// What a select gives, which must be what it gives of the reference.
    #[track_caller]
    pub(super) fn usage(&self, select: &Select<'_>) -> Usage {
        let own = Usage::of(self.reader(), select);
        assert_eq!(own, Usage::of(&*self.reference.reader, select), "{}: {select:?}", self.name);
        own
    }

    /// All batches that a select gives in pages of some length, which must be what it gives of the reference.
    #[track_caller]
    pub(super) fn list(&self, select: &BatchSelect, limit: usize) -> Vec<BatchItem> {
        let own = list(self.reader(), select, limit);
        assert_eq!(own, list(&*self.reference.reader, select, limit), "{}: {select:?}", self.name);
        own
    }
}

/// All that was named in groups.
#[derive(Debug, Default)]
struct Named {
    ids: BTreeSet<BatchId>,
    places: BTreeSet<(Box<str>, Box<str>)>,
    credential_ids: BTreeSet<Box<str>>,
}

impl Named {
    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Batch(batch) | Entry::Refused(batch, _) => drop(self.ids.insert(batch.id().owned())),
            Entry::Quarantine(element) => drop(self.ids.insert(element.id.clone())),
            Entry::Act(act) => self.add_act(act),
        }
    }

    fn add_act(&mut self, act: &Act) {
        match act {
            Act::SetStatus(HandStatus { model_uuid, unit_name, .. })
            | Act::ClearStatus { model_uuid, unit_name } => {
                self.places.insert((model_uuid.clone(), unit_name.clone()));
            }
            Act::Revoke { credential_id } => drop(self.credential_ids.insert(credential_id.clone())),
            Act::Declare { model_uuid, .. } => drop(self.places.insert((model_uuid.clone(), "".into()))),
            Act::Release { batch, .. } => self.ids.extend(batch.iter().map(|batch| batch.id().owned())),
        }
    }
}

/// What series used, by their names and by hour.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) series: BTreeMap<[String; 5], BTreeMap<i64, Rollup>>,
    announced: Vec<[String; 5]>,
}

impl Usage {
    fn of(reader: &dyn Reader, select: &Select<'_>) -> Self {
        let mut usage = Self::default();
        reader.usage(select, &mut usage).expect("read the usage");
        usage.announced.clear();
        usage
    }
}

impl Visitor for Usage {
    fn series(&mut self, series: &Series<'_>) -> bool {
        let Series { model_uuid, unit_name, charm_url, meter, labels } = *series;
        let names = [model_uuid, unit_name, charm_url, meter, labels].map(str::to_owned);
        assert!(!self.announced.contains(&names), "{names:?} is announced again");
        self.announced.push(names);
        true
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        let names = self.announced.last().expect("a series is announced first");
        let rollups = self.series.entry(names.clone()).or_default();
        rollups.entry(hour).and_modify(|sum| sum.merge(rollup)).or_insert(*rollup);
    }
}

/// Page by page.
fn list(reader: &dyn Reader, select: &BatchSelect, limit: usize) -> Vec<BatchItem> {
    let mut batches = Vec::new();
    let mut page = Page { cursor: None, limit };
    loop {
        let listed = reader.batches(select, &page).expect("list the batches");
        assert!(listed.batches.len() <= limit, "a page of {}, not {limit}", listed.batches.len());
        batches.extend(listed.batches);
        match listed.next_cursor {
            None => return batches,
            Some(cursor) => page.cursor = Some(cursor),
        }
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
    usage: Usage,
    listed: Vec<BatchItem>,
    statuses: Vec<HandStatus>,
    statuses_alone: Vec<Option<HandStatus>>,
    revoked: Vec<bool>,
    users: Vec<Option<Box<str>>>,
    ownership: Vec<Ownership>,
    ownerships: Vec<(Box<str>, Ownership)>,
}

impl Answers {
    fn of(reader: &dyn Reader, named: &Named) -> Self {
        let Named { ids, places, credential_ids } = named;
        let page = Page { cursor: None, limit: ALL };
        let model_uuids: BTreeSet<&str> = ids.iter().map(|id| &*id.model_uuid).collect();
        let of_all: Vec<&str> = model_uuids.iter().copied().collect();
        let text = |body: Vec<u8>| String::from_utf8(body).expect("a batch is UTF-8");
        Self {
            counts: reader.counts(),
            models: reader.models(&page).expect("list the models"),
            models_alone: model_uuids.iter().map(|uuid| reader.model(uuid).expect("read a model")).collect(),
            bodies: ids.iter().map(|id| reader.batch(id).expect("read a batch").map(text)).collect(),
            quarantine: reader.quarantine(&page).expect("list the quarantine"),
            usage: Usage::of(reader, &Select::ALL),
            listed: list(reader, &BatchSelect::default(), ALL),
            statuses: reader.hand_statuses(None).expect("list the statuses"),
            statuses_alone: places
                .iter()
                .map(|(model, unit)| reader.hand_status(model, unit).expect("read a status"))
                .collect(),
            revoked: credential_ids
                .iter()
                .map(|id| reader.is_revoked(id).expect("look for a credential"))
                .collect(),
            users: places
                .iter()
                .map(|(model, _)| reader.declared_user(model).expect("read a user"))
                .collect(),
            ownership: reader.ownership(&of_all).expect("read who owns models"),
            ownerships: reader.ownerships(&page).expect("list who owns models"),
        }
    }
}

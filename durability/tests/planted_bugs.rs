//! Mistakes that break the promise, each planted at a seam. The simulation has to notice every one of them, or it shows
//! nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_durability::lives::{Sound, Subject, Tally, live};
use tollgate_journal::sim::{Lies, SimDisk};
use tollgate_ledger::{
    BatchPage, BatchSelect, Counts, Entry, HandStatus, Ledger, LedgerError, ModelSummary, Outcome, Ownership,
    Page, QuarantineItem, Reader, Received, Writer,
};
use tollgate_rules::{BatchId, Digest, Rollup, Select, Series, Visitor};

const N_SEEDS: u64 = 300;

#[track_caller]
fn check_caught(subject: &dyn Subject) {
    let n_caught = (0..N_SEEDS).filter(|&seed| live(subject, seed).is_err()).count();
    assert!(3 < n_caught, "caught by {n_caught} of {N_SEEDS} seeds only");
}

/// The disk, or its user, does what it must not.
struct Lying(Lies);

impl Subject for Lying {
    fn lies(&self) -> Lies {
        self.0
    }
}

#[test]
fn without_a_mistake_nothing_is_noticed_and_everything_is_met() {
    let lived =
        (0..N_SEEDS).map(|seed| live(&Sound, seed).unwrap_or_else(|what| panic!("seed {seed}: {what}")));
    let sum = lived.fold(Tally::default(), Tally::and);
    let Tally { n_cuts, n_cuts_in_recovery, n_kills, n_groups, n_rotations, .. } = sum;
    let Tally { n_recorded, n_duplicates, n_conflicts, n_quarantined, n_acts, n_releases, .. } = sum;
    for n in [n_cuts, n_cuts_in_recovery, n_kills, n_groups, n_rotations] {
        assert!(N_SEEDS / 2 < n, "{sum:?}");
    }
    for n in [n_recorded, n_duplicates, n_conflicts, n_quarantined, n_acts, n_releases] {
        assert!(N_SEEDS / 2 < n, "{sum:?}");
    }
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    check_caught(&Lying(Lies { skips_sync_data: true, ..Lies::default() }));
}

#[test]
fn a_folder_that_is_not_synced_is_caught() {
    check_caught(&Lying(Lies { skips_sync_folder: true, ..Lies::default() }));
}

#[test]
fn a_failed_sync_that_is_retried_is_caught() {
    check_caught(&Lying(Lies { retries_failed_sync: true, ..Lies::default() }));
}

#[test]
fn a_short_write_that_is_ignored_is_caught() {
    check_caught(&Lying(Lies { hides_short_writes: true, ..Lies::default() }));
}

/// What a copy has in common with its first.
type Content = (BatchId, Digest);

fn content(entry: &Entry) -> Option<Content> {
    match entry {
        Entry::Batch(batch) => Some((batch.id().owned(), batch.digest())),
        Entry::Refused(..) | Entry::Quarantine(_) | Entry::Act(_) => None,
    }
}

/// Acknowledges copies by a set that it fills before the sync of the first.
struct HastyDuplicates;

impl Subject for HastyDuplicates {
    fn open(&self, disk: &SimDisk) -> Result<Ledger, LedgerError> {
        let Ledger { writer: inner, reader, preparer } = Sound.open(disk)?;
        Ok(Ledger { writer: Box::new(HastyWriter { inner, known: HashSet::new() }), reader, preparer })
    }
}

struct HastyWriter {
    inner: Box<dyn Writer>,
    known: HashSet<Content>,
}

impl Writer for HastyWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        let contents: Vec<Option<Content>> = group.iter().map(content).collect();
        if contents.iter().all(|content| content.as_ref().is_some_and(|content| self.known.contains(content)))
        {
            return Ok(vec![Outcome::Duplicate; group.len()]);
        }
        // Of two contents under one id only the first is a batch; the other must not be taken for a copy of it.
        let ids: HashSet<BatchId> = self.known.iter().map(|(id, _)| id.clone()).collect();
        self.known.extend(contents.into_iter().flatten().filter(|(id, _)| !ids.contains(id)));
        self.inner.record(group, received)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        self.inner.close()
    }
}

#[test]
fn a_duplicate_that_is_acknowledged_early_is_caught() {
    check_caught(&HastyDuplicates);
}

/// Knows the ids of this opening alone, and counts a batch of an earlier one again.
struct ForgottenIds;

impl Subject for ForgottenIds {
    fn open(&self, disk: &SimDisk) -> Result<Ledger, LedgerError> {
        let Ledger { writer: inner, reader, preparer } = Sound.open(disk)?;
        let n_counted_again = Arc::new(AtomicU64::new(0));
        let writer =
            ForgetfulWriter { inner, known: HashSet::new(), n_counted_again: n_counted_again.clone() };
        let reader = WrongReader { inner: reader, n_counted_again, mistake: Mistake::CountsAgain };
        Ok(Ledger { writer: Box::new(writer), reader: Arc::new(reader), preparer })
    }
}

struct ForgetfulWriter {
    inner: Box<dyn Writer>,
    known: HashSet<Content>,
    n_counted_again: Arc<AtomicU64>,
}

impl Writer for ForgetfulWriter {
    fn record(&mut self, group: Vec<Entry>, received: Received) -> Result<Vec<Outcome>, LedgerError> {
        let contents: Vec<Option<Content>> = group.iter().map(content).collect();
        let mut outcomes = self.inner.record(group, received)?;
        for (outcome, content) in outcomes.iter_mut().zip(contents) {
            let is_new = content.is_some_and(|content| self.known.insert(content));
            if is_new && *outcome == Outcome::Duplicate {
                *outcome = Outcome::Recorded;
                self.n_counted_again.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(outcomes)
    }

    fn close(self: Box<Self>) -> Result<(), LedgerError> {
        self.inner.close()
    }
}

/// Answers wrongly in one way.
struct WrongReader {
    inner: Arc<dyn Reader>,
    n_counted_again: Arc<AtomicU64>,
    mistake: Mistake,
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    CountsAgain,
    ForgetsStatuses,
    RepeatsRollups,
}

impl Reader for WrongReader {
    fn counts(&self) -> Counts {
        let mut counts = self.inner.counts();
        counts.n_batches += self.n_counted_again.load(Ordering::Relaxed);
        counts
    }

    fn models(&self, page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        self.inner.models(page)
    }

    fn model(&self, model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        self.inner.model(model_uuid)
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        self.inner.batch(id)
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        self.inner.quarantine(page)
    }

    fn batches(&self, select: &BatchSelect, page: &Page) -> Result<BatchPage, LedgerError> {
        self.inner.batches(select, page)
    }

    fn usage(&self, select: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        match self.mistake {
            Mistake::RepeatsRollups => self.inner.usage(select, &mut Repeating(visitor)),
            Mistake::CountsAgain | Mistake::ForgetsStatuses => self.inner.usage(select, visitor),
        }
    }

    fn hand_status(&self, model_uuid: &str, unit_name: &str) -> Result<Option<HandStatus>, LedgerError> {
        self.inner.hand_status(model_uuid, unit_name)
    }

    fn hand_statuses(&self, model_uuid: Option<&str>) -> Result<Vec<HandStatus>, LedgerError> {
        match self.mistake {
            Mistake::ForgetsStatuses => Ok(Vec::new()),
            Mistake::CountsAgain | Mistake::RepeatsRollups => self.inner.hand_statuses(model_uuid),
        }
    }

    fn is_revoked(&self, credential_id: &str) -> Result<bool, LedgerError> {
        self.inner.is_revoked(credential_id)
    }

    fn declared_user(&self, model_uuid: &str) -> Result<Option<Box<str>>, LedgerError> {
        self.inner.declared_user(model_uuid)
    }

    fn ownership(&self, model_uuids: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        self.inner.ownership(model_uuids)
    }

    fn ownerships(&self, page: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        self.inner.ownerships(page)
    }
}

/// Shows what is in memory and in a run from both.
struct Repeating<'a>(&'a mut dyn Visitor);

impl Visitor for Repeating<'_> {
    fn series(&mut self, series: &Series<'_>) -> bool {
        self.0.series(series)
    }

    fn rollup(&mut self, hour: i64, rollup: &Rollup) {
        self.0.rollup(hour, rollup);
        self.0.rollup(hour, rollup);
    }
}

impl Subject for Mistake {
    fn open(&self, disk: &SimDisk) -> Result<Ledger, LedgerError> {
        let Ledger { writer, reader: inner, preparer } = Sound.open(disk)?;
        let reader = WrongReader { inner, n_counted_again: Arc::default(), mistake: *self };
        Ok(Ledger { writer, reader: Arc::new(reader), preparer })
    }
}

#[test]
fn statuses_that_are_forgotten_at_a_restart_are_caught() {
    check_caught(&Mistake::ForgetsStatuses);
}

#[test]
fn usage_that_is_counted_twice_is_caught() {
    check_caught(&Mistake::RepeatsRollups);
}

#[test]
fn ids_that_are_forgotten_at_a_restart_are_caught() {
    check_caught(&ForgottenIds);
}

//! From a document to what is recorded: each element admitted or set aside.

use tollgate_ledger::{Entry, Prepared, Preparing};
use tollgate_rules::{Posted, judge_each, limits};
use tollgate_wire::{Document, Element};

use crate::budget::{BudgetError, Reservation};
use crate::claims::{Claim, Claiming};
use crate::gate::Gate;
use crate::problem::Problem;

/// Metrics of one batch and labels of one metric that are kept while they are decided on. Some more than are admitted, so that
/// the reason can say how many there were; what has more is set aside unread.
const KEPT_MAX: usize = 2 * limits::METRICS_PER_BATCH_MAX;

/// Elements that are decided on together: as many as their digests can be computed at once.
const TOGETHER_MAX: usize = 16;

/// Elements with more bytes of JSON than this are decided on by themselves: what they are decoded into is not reserved before.
const TOGETHER_BYTES_MAX: usize = 16 << 10;

/// What an element takes besides its texts and its metrics, from here until its answer is written: its places in the lists
/// and maps of a group and of the ledger, and its part of the answer.
const ELEMENT_BYTES: usize = 768;

/// What a text takes besides its bytes.
const ALLOCATION_BYTES: usize = 16;

/// What takes the elements of a request, one after the other. Each is handed on as soon as it is decided on, and mostly its memory is
/// there for the next one.
pub(crate) struct Intake<'i> {
    gate: Gate<'i>,
    preparing: Box<dyn Preparing + 'i>,
    claiming: Claiming,
    n_metrics: Vec<Option<usize>>,
    posted: Posted,
}

/// A decoded document, on its way into the ledger.
pub(crate) struct Decoded {
    /// An entry for each element, in order. Behind them may be entries that nobody posted.
    pub(crate) request: Prepared,
    /// Of each entry; `None` of one that nobody posted.
    pub(crate) n_metrics: Vec<Option<usize>>,
    /// What it brings to the allowances.
    pub(crate) claim: Claim,
    /// What the answer needs of each element.
    pub(crate) posted: Posted,
}

/// Decides on every element. Only a document that is not JSON of the right outer shape, or that has too many elements, is
/// refused; a bad element is set aside and its neighbours go on.
///
/// A few bytes of JSON can become hundreds in memory, so `reservation`, which covers the document, grows with what is
/// decoded. In the end it covers that, and as much as the document again: what the ledger prepares of it is no longer.
pub(crate) fn decode(
    document: &[u8],
    batches_max: usize,
    mut intake: Intake<'_>,
    reservation: &mut Reservation,
) -> Result<Decoded, Problem> {
    let mut n_bytes = 0;
    let (elements, n_document_bytes) = read(document, reservation)?;
    let elements = elements.keeping_at_most(KEPT_MAX);
    let mut together = Together::default();
    for element in elements.elements() {
        let element = element.map_err(|error| Problem::BadJson {
            reason: format!("Failed to {error}. Nothing of it was recorded."),
            offset: error.offset(),
        })?;
        if batches_max == intake.posted.len() + together.elements.len() {
            return Err(Problem::TooManyBatches { batches_max });
        }
        if !together.has_room_for(&element) {
            n_bytes += intake.take(&mut together);
            reservation.grow_to(n_document_bytes + n_bytes)?;
        }
        together.push(element);
    }
    n_bytes += intake.take(&mut together);
    reservation.grow_to(n_document_bytes + n_bytes)?;
    reservation.shrink_to(document.len() + n_bytes);
    let decoded = intake.finish()?;
    reservation.grow_by(decoded.claim.n_bytes())?;
    Ok(decoded)
}

/// Elements that wait until there are enough of them to be decided on.
#[derive(Default)]
struct Together<'d> {
    elements: Vec<Element<'d>>,
    /// Of their JSON.
    n_bytes: usize,
}

impl<'d> Together<'d> {
    fn has_room_for(&self, element: &Element<'d>) -> bool {
        let fits = self.n_bytes + element.raw.len() <= TOGETHER_BYTES_MAX;
        self.elements.is_empty() || (fits && self.elements.len() < TOGETHER_MAX)
    }

    fn push(&mut self, element: Element<'d>) {
        self.n_bytes += element.raw.len();
        self.elements.push(element);
    }
}

impl<'i> Intake<'i> {
    pub(crate) fn new(gate: Gate<'i>, preparing: Box<dyn Preparing + 'i>, claiming: Claiming) -> Self {
        Self { gate, preparing, claiming, n_metrics: Vec::new(), posted: Posted::default() }
    }

    /// Decides on the elements that waited, and says how many bytes what is kept of them takes at most.
    fn take(&mut self, together: &mut Together<'_>) -> usize {
        let mut n_bytes = 0;
        for (element, verdict) in together.elements.iter().zip(judge_each(&together.elements)) {
            let (entry, set_aside_for) = self.gate.entry(element, verdict);
            let n_posted_bytes = self.posted.n_text_bytes();
            self.posted.push(element, set_aside_for);
            n_bytes += ELEMENT_BYTES + entry_bytes(&entry);
            // The room for texts grows by doubling.
            n_bytes += 2 * (self.posted.n_text_bytes() - n_posted_bytes);
            self.n_metrics.push(Some(entry.batch().map_or(0, |batch| batch.readings().len())));
            self.claiming.add(&entry);
            self.preparing.add(entry);
        }
        together.elements.clear();
        together.n_bytes = 0;
        n_bytes
    }

    fn finish(mut self) -> Result<Decoded, Problem> {
        for act in self.gate.finish()? {
            self.claiming.add(&act);
            self.preparing.add(act);
            self.n_metrics.push(None);
        }
        Ok(Decoded {
            request: self.preparing.finish(),
            n_metrics: self.n_metrics,
            claim: self.claiming.finish(),
            posted: self.posted,
        })
    }
}

impl From<BudgetError> for Problem {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Spent => Self::Overloaded { what: "bytes" },
            BudgetError::NeverEnough { bytes_max } => Self::TooManyMetrics { bytes_max },
        }
    }
}

/// The document as text, and how many bytes it takes with the text that is made of it when it has to be repaired: three for each
/// byte that is not UTF-8.
fn read<'d>(document: &'d [u8], reservation: &mut Reservation) -> Result<(Document<'d>, usize), Problem> {
    if let Ok(text) = std::str::from_utf8(document) {
        reservation.grow_to(document.len())?;
        return Ok((Document::of_text(text), document.len()));
    }
    let n_bytes = 4 * document.len();
    reservation.grow_to(n_bytes)?;
    Ok((Document::new(document), n_bytes))
}

fn entry_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Batch(batch) | Entry::Refused(batch, _) => batch.n_bytes(),
        Entry::Quarantine(element) => {
            let texts = [&element.id.model_uuid, &element.id.batch_uuid, &element.unit_name];
            texts.into_iter().map(|text| bytes_of(text)).sum::<usize>() + element.body.len()
        }
        // Nobody posts these.
        Entry::Act(_) => 0,
    }
}

fn bytes_of(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + ALLOCATION_BYTES }
}

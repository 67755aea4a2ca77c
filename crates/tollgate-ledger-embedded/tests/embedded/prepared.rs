//! Requests that were prepared before they are recorded, held to the reference ledger, which knows nothing of that.

use tollgate_journal::sim::SimDisk;
use tollgate_ledger::{Counts, Entry, Ledger, MemoryLedger, Outcome, Page, Prepared, Reader};
use tollgate_rules::judge;
use tollgate_wire::{Document, Timestamp};

use crate::common::open;

/// The batch with this number; contents differ.
fn entry(number: u32, content: u32) -> Entry {
    let body = format!(
        r#"[{{"uuid":"batch-{number}","env-uuid":"model-{}","metrics":[{{"key":"pings","value":"{content}"}}],"credentials":"{}"}}]"#,
        number % 3,
        "bWFj".repeat(1_000)
    );
    judged(&body)
}

/// An element that is set aside.
fn bad(number: u32) -> Entry {
    judged(&format!(r#"[{{"uuid":"bad-{number}"}}]"#))
}

fn judged(body: &str) -> Entry {
    let document = Document::new(body.as_bytes());
    let elements = document.batches().expect("JSON");
    judge(&elements[0]).into()
}

/// Batches with 4 KB each, of which a run is compressed before it has an order when it has some sixteen; and between them, at times,
/// what ends a run: an element that is set aside, or a batch again.
fn random_request(random: &mut fastrand::Rng) -> Vec<Entry> {
    let first = random.u32(0..300);
    let content = |random: &mut fastrand::Rng| if random.u32(0..200) == 0 { 2 } else { 1 };
    let numbers = first..first + random.u32(10..80);
    let mut entries: Vec<Entry> = numbers.map(|number| entry(number, content(random))).collect();
    for _ in 0..random.u32(0..3) {
        let place = random.usize(0..entries.len());
        let inserted = if random.bool() {
            bad(random.u32(0..30))
        } else {
            random.choice(&entries).expect("one").clone()
        };
        entries.insert(place, inserted);
    }
    entries
}

fn received(n: i64) -> Timestamp {
    Timestamp::from_unix(1_700_000_000 + n, 0).expect("a time of this century")
}

/// An outcome without the ledger's own ids.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Recorded => "recorded",
        Outcome::Duplicate => "duplicate",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Quarantined { .. } => "quarantined",
    }
}

/// Records the requests as one group, and one after the other in the reference.
#[track_caller]
fn check(ledger: &mut Ledger, reference: &mut Ledger, n: i64, requests: &[Vec<Entry>]) -> Vec<&'static str> {
    let prepared: Vec<Prepared> =
        requests.iter().map(|entries| ledger.preparer.prepare(entries.clone(), received(n))).collect();
    let outcomes = ledger.writer.record_prepared(prepared).expect("recorded");
    let expected = requests.iter().flat_map(|entries| {
        reference.writer.record(entries.clone(), received(n)).expect("the reference cannot fail")
    });
    let kinds: Vec<&str> = outcomes.iter().map(kind).collect();
    assert_eq!(kinds, expected.map(|outcome| kind(&outcome)).collect::<Vec<_>>(), "group {n}");
    kinds
}

#[track_caller]
fn check_same(ledger: &Ledger, reference: &Ledger) -> Counts {
    let all = Page { cursor: None, limit: 1_000 };
    let models = |reader: &dyn Reader| reader.models(&all).expect("models");
    assert_eq!(models(&*ledger.reader), models(&*reference.reader));
    let counts = ledger.reader.counts();
    assert_eq!(counts, reference.reader.counts());
    counts
}

#[test]
fn a_request_again_is_a_duplicate_whole_or_in_part() {
    let disk = SimDisk::new();
    let (mut ledger, mut reference) = (open(&disk).0, MemoryLedger::default().open());
    let request = |numbers: std::ops::Range<u32>| numbers.map(|number| entry(number, 1)).collect::<Vec<_>>();
    let mut n_of = |n: i64, requests: &[Vec<Entry>], wanted: &str| {
        let kinds = check(&mut ledger, &mut reference, n, requests);
        kinds.iter().filter(|kind| **kind == wanted).count()
    };
    assert_eq!(n_of(1, &[request(0..20)], "recorded"), 20);
    assert_eq!(n_of(2, &[request(0..20)], "duplicate"), 20);
    assert_eq!(n_of(3, &[request(10..30)], "duplicate"), 10);
    assert_eq!(n_of(4, &[request(30..50), request(30..50), request(0..20)], "recorded"), 20);
    assert_eq!(n_of(5, &[(30..50).map(|number| entry(number, 2)).collect()], "conflict"), 20);
    assert_eq!(n_of(6, &[request(60..80).into_iter().chain(request(60..80)).collect()], "recorded"), 20);
    let counts = check_same(&ledger, &reference);
    assert_eq!((counts.n_batches, counts.n_quarantined), (70, 20));
}

#[test]
fn random_requests_come_to_what_the_reference_says_and_last() {
    for seed in 1..=4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::new();
        let (mut ledger, mut reference) = (open(&disk).0, MemoryLedger::default().open());
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..40 {
            let requests: Vec<Vec<Entry>> =
                (0..random.usize(1..4)).map(|_| random_request(&mut random)).collect();
            seen.extend(check(&mut ledger, &mut reference, n, &requests));
            if random.u32(0..10) == 0 {
                check_same(&ledger, &reference);
                drop(ledger);
                disk.cut_power(disk.n_changes());
                ledger = open(&disk).0;
                check_same(&ledger, &reference);
            }
        }
        check_same(&ledger, &reference);
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["conflict", "duplicate", "quarantined", "recorded"],
            "seed {seed}"
        );
    }
}

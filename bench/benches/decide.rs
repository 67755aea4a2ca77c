//! What a request of 1,000 batches takes of a processor between its bytes and its answer's, step by step; no network, no disk.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use tollgate_bench::document::{N_BATCHES, batches};
use tollgate_bench::rounds::{Contender, Row, measure};
use tollgate_rules::{Digest, Posted, Unlimited, Verdict, judge, judge_each, response};
use tollgate_wire::{Document, Nanoseconds, to_vec};

const N_ROUNDS: usize = 50;

fn main() {
    let document = to_vec(&Some(batches())).expect("the times of the document can be written");
    let elements = Document::new(&document);
    let elements = elements.batches().expect("JSON");
    let verdicts: Vec<Verdict> = elements.iter().map(judge).collect();
    let remember = || {
        let mut posted = Posted::default();
        elements.iter().for_each(|element| posted.push(element, None));
        posted
    };
    let mut posted = remember();
    posted.fates_mut().for_each(|fate| fate.is_new = true);
    let bodies: Vec<&[u8]> = verdicts.iter().filter_map(body).collect();
    assert_eq!(bodies.len(), N_BATCHES, "all are admitted");

    let mut copy = vec![0; document.len()];
    let rows = measure(
        N_ROUNDS,
        &mut [
            Contender::here("memcpy (limit)", || {
                copy.copy_from_slice(std::hint::black_box(&document));
                copy.len() as u64
            }),
            Contender::here("decode", || {
                let decoded = Document::new(&document);
                decoded
                    .elements()
                    .filter(|element| element.as_ref().is_ok_and(|element| element.batch.is_ok()))
                    .count() as u64
            }),
            Contender::here("digest", || bodies.iter().map(|body| u64::from(Digest::of(body).0[0])).sum()),
            Contender::here("judge, digest included", || {
                elements.iter().map(|element| body(&judge(element)).map_or(0, <[u8]>::len) as u64).sum()
            }),
            Contender::here("judge, sixteen at once", || {
                let verdicts = elements.chunks(16).flat_map(judge_each);
                verdicts.map(|verdict| body(&verdict).map_or(0, <[u8]>::len) as u64).sum()
            }),
            Contender::here("remember for the answer", || remember().len() as u64),
            Contender::here("answer", || {
                let answer = response(String::new(), &posted, &Unlimited, Nanoseconds(0));
                to_vec(&answer).expect("no times").len() as u64
            }),
        ],
    );
    println!("{:<32} {:>18} {:>14}", "a batch, one core", "median ns", "best ns");
    for Row { name, median, fastest, .. } in rows {
        let each = |time: std::time::Duration| time.as_nanos() as f64 / N_BATCHES as f64;
        println!("{name:<32} {:>18.0} {:>14.0}", each(median), each(fastest));
    }
}

fn body(verdict: &Verdict) -> Option<&[u8]> {
    match verdict {
        Verdict::Admitted(admitted) => Some(admitted.body()),
        Verdict::Quarantined(_) => None,
    }
}

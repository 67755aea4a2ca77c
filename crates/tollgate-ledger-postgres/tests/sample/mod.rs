//! Batches to record, and what they come to.

use std::ops::Range;

use tollgate_ledger::{Entry, Ledger, Reader};
use tollgate_ledger_postgres::{Options, PostgresLedger};
use tollgate_rules::{Rollup, Select, Series, Visitor, judge};
use tollgate_wire::Document;

pub(crate) const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";

pub(crate) fn open(url: &str, options: Options) -> Ledger {
    PostgresLedger::open(url, options).expect("open the ledger").0
}

/// Batches of one model, each with one reading of its own number, over some units and hours.
pub(crate) fn entries(numbers: Range<usize>) -> Vec<Entry> {
    let element = |n: usize| {
        format!(
            r#"{{"uuid":"batch {n}","env-uuid":"{MODEL}","unit-name":"u/{}","created":"2024-01-01T00:00:00Z",
                "metrics":[{{"key":"pings","value":"{n}.5","time":"2024-01-01T{:02}:00:00Z"}}]}}"#,
            n % 3,
            n % 24
        )
    };
    let body = format!("[{}]", numbers.map(element).collect::<Vec<_>>().join(","));
    let document = Document::new(body.as_bytes());
    document.batches().expect("a sample is JSON").iter().map(|element| judge(element).into()).collect()
}

/// What a ledger says of all batches, in three ways that have to agree.
#[derive(Debug, PartialEq)]
pub(crate) struct Total {
    n_batches: [u64; 3],
    sum: [String; 2],
}

impl Total {
    pub(crate) fn of(numbers: Range<usize>) -> Self {
        let n_batches = numbers.len() as u64;
        let twice: usize = numbers.map(|n| 2 * n + 1).sum();
        let sum = if twice.is_multiple_of(2) { format!("{}", twice / 2) } else { format!("{}.5", twice / 2) };
        Self { n_batches: [n_batches; 3], sum: [sum.clone(), sum] }
    }
}

pub(crate) fn total(reader: &dyn Reader) -> Total {
    let model = reader.model(MODEL).expect("read the model").expect("the model is there");
    let mut adder = Adder::default();
    reader.usage(&Select::ALL, &mut adder).expect("read the usage");
    let sum = adder.0.map_or_else(String::new, |rollup| rollup.sum.to_string());
    Total {
        n_batches: [reader.counts().n_batches, model.n_batches, adder.0.map_or(0, |rollup| rollup.count)],
        sum: [model.meters[0].sum.clone(), sum],
    }
}

#[derive(Default)]
struct Adder(Option<Rollup>);

impl Visitor for Adder {
    fn series(&mut self, _: &Series<'_>) -> bool {
        true
    }

    fn rollup(&mut self, _: i64, rollup: &Rollup) {
        match &mut self.0 {
            Some(all) => all.merge(rollup),
            None => self.0 = Some(*rollup),
        }
    }
}

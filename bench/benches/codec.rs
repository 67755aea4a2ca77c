//! Decoding and encoding one posted document: this crate, plain serde_json, Go's encoding/json, and memcpy as the limit.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_bench::document::{N_BATCHES, batches};
use tollgate_bench::rounds::{Contender, Measured, Row, measure};
use tollgate_wire::{Document, MetricBatch, encode, from_slice, to_vec};

const N_ROUNDS: usize = 25;

/// What one writes without this crate: serde's derive, times and credentials left as text.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PlainBatch {
    uuid: String,
    env_uuid: String,
    model_name: String,
    unit_name: String,
    charm_url: String,
    created: String,
    metrics: Vec<PlainMetric>,
    credentials: Option<String>,
    reseller_credentials: Option<String>,
    sla_credentials: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PlainMetric {
    key: String,
    value: String,
    time: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

fn main() {
    let owned = Some(batches());
    let document = to_vec(&owned).expect("the times of the document can be written");
    println!(
        "one document: {N_BATCHES} batches, {} bytes, {} a batch; {N_ROUNDS} rounds in turns, one core each\n",
        document.len(),
        document.len() / N_BATCHES
    );
    let path = std::env::temp_dir().join(format!("tollgate-codec-{}.json", std::process::id()));
    std::fs::write(&path, &document).expect("write the document for Go");

    let decode = measure(N_ROUNDS, &mut decoders(&document, &path));
    report("decode", &decode, document.len());
    let encode = measure(N_ROUNDS, &mut encoders(&document, &owned, &path));
    report("encode", &encode, document.len());
    std::fs::remove_file(&path).expect("remove the document for Go");
}

fn decoders<'c>(document: &'c [u8], path: &Path) -> Vec<Contender<'c>> {
    let mut copy = vec![0; document.len()];
    let mut contenders = vec![
        Contender::here("memcpy (limit)", move || {
            copy.copy_from_slice(std::hint::black_box(document));
            n_bytes(&copy)
        }),
        Contender::here("tollgate-wire, borrowed, element by element", || {
            let document = Document::new(document);
            document
                .elements()
                .map(|element| {
                    let batch = element.expect("JSON").batch.expect("a batch");
                    batch.uuid.len() as u64 + batch.metrics.map_or(0, |metrics| metrics.len() as u64)
                })
                .sum()
        }),
        Contender::here("tollgate-wire, owned", || {
            let batches: Option<Vec<MetricBatch>> = from_slice(document).expect("batches");
            let batches = batches.expect("not null");
            batches
                .iter()
                .map(|batch| (batch.uuid.len() + batch.metrics.as_ref().map_or(0, Vec::len)) as u64)
                .sum()
        }),
        Contender::here("serde_json, derived", || {
            let batches: Vec<PlainBatch> = serde_json::from_slice(document).expect("batches");
            batches.iter().map(|batch| (batch.uuid.len() + batch.metrics.len()) as u64).sum()
        }),
    ];
    contenders.extend(Go::start("decode", path).map(Go::contender));
    contenders
}

fn encoders<'c>(document: &'c [u8], owned: &'c Option<Vec<MetricBatch>>, path: &Path) -> Vec<Contender<'c>> {
    let mut copy = vec![0; document.len()];
    let plain: Vec<PlainBatch> = serde_json::from_slice(document).expect("batches");
    let mut out = Vec::new();
    let mut contenders = vec![
        Contender::here("memcpy (limit)", move || {
            copy.copy_from_slice(std::hint::black_box(document));
            n_bytes(&copy)
        }),
        Contender::here("tollgate-wire, into a buffer used again", move || {
            out.clear();
            encode(owned, &mut out).expect("times of this century");
            n_bytes(&out)
        }),
        Contender::here("tollgate-wire, into a new buffer", || {
            n_bytes(&to_vec(owned).expect("times of this century"))
        }),
        Contender::here("serde_json, derived", move || {
            n_bytes(&serde_json::to_vec(&plain).expect("plain strings"))
        }),
    ];
    contenders.extend(Go::start("encode", path).map(Go::contender));
    contenders
}

fn n_bytes(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// Go's `encoding/json` on romulus' types, in a process of its own that works when it is asked to.
struct Go {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    /// `None`, and a line that says so, where there is no Go.
    fn start(direction: &str, document: &Path) -> Option<Self> {
        let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
        let program = std::env::temp_dir().join(format!("tollgate-codec-go-{}", std::process::id()));
        let built = Command::new("go")
            .current_dir(conformance)
            .args(["build", "-o"])
            .arg(&program)
            .arg("./cmd/codec")
            .status();
        if !built.is_ok_and(|status| status.success()) {
            println!(
                "Go's encoding/json did not run: `go build` of conformance/cmd/codec failed or there is no Go here"
            );
            return None;
        }
        let mut child = Command::new(&program)
            .arg(direction)
            .arg(document)
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the program that was just built");
        std::fs::remove_file(&program).expect("remove the program that runs by now");
        let ask = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self { child, ask, answers })
    }

    fn contender<'c>(mut self) -> Contender<'c> {
        Contender { name: "Go encoding/json, one core".to_owned(), run: Box::new(move || self.turn()) }
    }

    /// Asks for a turn; the answer is the nanoseconds of one pass and the figure that was checked.
    fn turn(&mut self) -> Measured {
        writeln!(self.ask, "go").expect("ask the Go program");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("hear the Go program");
        let mut words = answer.split_whitespace().map(|word| word.parse().expect("two numbers"));
        let pass = Duration::from_nanos(words.next().expect("nanoseconds"));
        Measured { pass, checked: words.next().expect("a figure") }
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        // It only ever waits to be asked.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn report(title: &str, rows: &[Row], document_bytes: usize) {
    let go = rows.iter().find(|row| row.name.starts_with("Go"));
    let times_go = |of: fn(&Row) -> Duration, row: &Row| {
        go.map_or("-".to_owned(), |go| format!("{:.1}", of(go).as_secs_f64() / of(row).as_secs_f64()))
    };
    println!(
        "{title:<44} {:>9} {:>8} {:>9} {:>8} {:>7}",
        "median µs", "times Go", "best µs", "times Go", "MB/s"
    );
    for row in rows {
        let (median, fastest) = (row.median.as_secs_f64() * 1e6, row.fastest.as_secs_f64() * 1e6);
        let (by_median, by_fastest) = (times_go(|row| row.median, row), times_go(|row| row.fastest, row));
        let rate = document_bytes as f64 / median;
        println!("{:<44} {median:>9.1} {by_median:>8} {fastest:>9.1} {by_fastest:>8} {rate:>7.0}", row.name);
    }
    let figures: Vec<u64> = rows.iter().map(|row| row.checked).collect();
    println!("checked: {figures:?}\n");
}

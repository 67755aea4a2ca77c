//! A process that records and is killed, again and again, on a real disk.
//!
//! This program is both: started with a folder as its argument it records until it is killed, and says on its standard
//! output what was acknowledged; otherwise it is the test.

#![expect(clippy::print_stdout, reason = "a test without a harness says itself what it did")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate_ledger::Outcome;
use tollgate_ledger_embedded::{EmbeddedLedger, Options, export, verify};
use tollgate_rules::judge;
use tollgate_wire::{Document, Timestamp};

const N_KILLS: usize = 40;

/// Batches of each group: new ones, and as many of the group before it.
const N_NEW: u64 = 5;

fn main() {
    match std::env::args_os().nth(1) {
        Some(dir) if dir.as_encoded_bytes().starts_with(b"/") => record_until_killed(Path::new(&dir)),
        // Whatever else the test runner was asked for.
        _ => every_acknowledged_batch_survives(),
    }
}

fn posted(numbers: impl Iterator<Item = u64>) -> String {
    let batches = numbers.map(|number| {
        format!(r#"{{"uuid":"00000000-0000-4000-8000-{number:012x}","env-uuid":"m","metrics":[{{"key":"k","value":"1"}}]}}"#)
    });
    format!("[{}]", batches.collect::<Vec<_>>().join(","))
}

fn record_until_killed(dir: &Path) {
    let (mut ledger, report) =
        EmbeddedLedger::open(dir, Options { segment_bytes_max: 20_000, ..Options::default() }).expect("open");
    let mut next = report.counts.n_batches;
    let mut output = std::io::stdout().lock();
    loop {
        let posted = posted(next.saturating_sub(N_NEW)..next + N_NEW);
        let document = Document::new(posted.as_bytes());
        let group =
            document.batches().expect("a document").iter().map(|element| judge(element).into()).collect();
        let outcomes = ledger.writer.record(group, Timestamp::default()).expect("record");
        let n_recorded = outcomes.iter().filter(|outcome| **outcome == Outcome::Recorded).count() as u64;
        assert_eq!(n_recorded, N_NEW, "{outcomes:?}");
        next += N_NEW;
        writeln!(output, "{next}").expect("the test listens");
    }
}

fn every_acknowledged_batch_survives() {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("ledger");
    let mut n_acknowledged = 0;
    for kill in 0..N_KILLS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg(&dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the recording process");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // At another moment each time, the very first ones included.
        for _ in 0..kill % 13 {
            n_acknowledged = lines.next().expect("a line").expect("text").parse().expect("a number");
        }
        child.kill().expect("kill");
        child.wait().expect("the end of it");
        for line in lines.map_while(Result::ok) {
            n_acknowledged = line.parse().unwrap_or(n_acknowledged);
        }
        check(&dir, n_acknowledged);
    }
    assert!(100 < n_acknowledged, "{n_acknowledged}");
    println!("{N_KILLS} kills, {n_acknowledged} batches acknowledged: each is there once");
}

/// All that was acknowledged is there once, and of the rest only a whole group.
fn check(dir: &Path, n_acknowledged: u64) {
    if n_acknowledged == 0 && !dir.exists() {
        return;
    }
    let (ledger, report) =
        EmbeddedLedger::open(dir, Options::default()).expect("a kill leaves a ledger that opens");
    let n_batches = report.counts.n_batches;
    assert!(
        n_batches == n_acknowledged || n_batches == n_acknowledged + N_NEW,
        "{n_batches}, {n_acknowledged}"
    );
    assert_eq!(ledger.reader.model("m").expect("readable").map_or(0, |model| model.n_batches), n_batches);
    let bodies: Vec<Vec<u8>> = export(dir).expect("export").collect::<Result<_, _>>().expect("bodies");
    assert_eq!(bodies.len() as u64, n_batches);
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len() as u64, n_batches);
    assert_eq!(verify(dir, |_| {}).expect("intact").counts, report.counts);
}

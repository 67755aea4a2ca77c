//! `tollgate backup`, `salvage`, and what `serve` does about old batches and weak file systems.

use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_ledger::LedgerError;
use tollgate_ledger_embedded::{EmbeddedLedger, Options};
use tollgate_rules::judge;
use tollgate_wire::{Document, Timestamp};

use crate::collector::{Collector, batch};
use crate::tollgate::{Run, run, run_on};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Flips a bit of the ledger's first file.
fn damage(ledger: &Path, offset: usize) {
    let file = ledger.join("0000000000000001.segment");
    let mut bytes = std::fs::read(&file).expect("read a segment");
    bytes[offset] ^= 1;
    std::fs::write(&file, bytes).expect("write a segment");
}

/// A ledger of that many groups.
fn record(ledger: &Path, n_groups: u64) {
    let collector = Collector::start(ledger);
    for number in 0..n_groups {
        assert_eq!(collector.post(&format!("[{}]", batch("m", &format!("b{number}"), "1.5"))).0, 200);
    }
    collector.signal("TERM");
    collector.wait();
}

/// Starts a collector on the ledger, and stops it when it is ready.
fn serve_once(ledger: &Path, more: &[&str]) -> Run {
    let args =
        ["serve", "--until-stdin-closes", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger"];
    run_on(&[&args[..], &[text(ledger)], more].concat(), b"")
}

#[test]
fn a_backup_of_a_ledger_in_use_is_a_ledger() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (ledger, copy) = (dir.path().join("ledger"), dir.path().join("copy"));
    let collector = Collector::start(&ledger);
    for number in 0..3 {
        assert_eq!(collector.post(&format!("[{}]", batch("m", &format!("b{number}"), "1"))).0, 200);
    }
    let backup = run(&["backup", text(&ledger), text(&copy)]);
    assert_eq!((backup.exit, backup.stderr.as_str()), (Some(0), ""), "{backup:?}");
    assert!(backup.stdout.starts_with("ok: copied 3 groups in 1 file, "), "{backup:?}");
    assert_eq!(collector.post(&format!("[{}]", batch("m", "later", "1"))).0, 200);

    let last_line = |run: &Run| run.stdout.lines().last().expect("a line").to_owned();
    let verified = run(&["verify", text(&copy)]);
    assert_eq!(verified.exit, Some(0), "{verified:?}");
    assert_eq!(last_line(&verified), last_line(&backup), "the hash");
    assert!(verified.stdout.contains("there is no index to compare"), "{verified:?}");

    let again = run(&["backup", text(&ledger), text(&copy)]);
    assert_eq!(again.exit, Some(1));
    assert!(again.stderr.contains("choose a new or empty folder"), "{again:?}");

    drop(collector);
    let collector = Collector::start(&copy);
    let (status, answer) =
        collector.post(&format!("[{},{}]", batch("m", "b1", "1"), batch("m", "later", "1")));
    assert_eq!(status, 200);
    assert!(answer.contains(r#""acks":["b1","later"]"#), "{answer}");
    collector.signal("TERM");
    collector.wait();
    let verified = run(&["verify", text(&copy)]);
    assert!(verified.stdout.starts_with("ok: 4 batches"), "{verified:?}");
    assert!(
        verified.stdout.contains("the index was compared with the journal up to group 4"),
        "{verified:?}"
    );
}

#[test]
fn of_a_damaged_ledger_what_is_intact_is_salvaged_and_what_is_lost_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (ledger, new) = (dir.path().join("ledger"), dir.path().join("new"));
    record(&ledger, 4);
    let whole = run(&["salvage", text(&ledger), text(&dir.path().join("whole"))]);
    assert_eq!((whole.exit, whole.stderr.as_str()), (Some(0), ""), "{whole:?}");
    assert!(
        whole.stdout.starts_with("ok: 4 batches and 0 quarantined elements of 4 intact groups"),
        "{whole:?}"
    );
    assert!(whole.stdout.contains("no damage was found"), "{whole:?}");

    // In the payload of the first group.
    damage(&ledger, 300);
    let verified = run(&["verify", text(&ledger)]);
    assert_eq!(verified.exit, Some(1));
    let hint = format!("`tollgate salvage {} NEW-FOLDER`", ledger.display());
    assert!(verified.stderr.contains(&hint), "{verified:?}");
    std::fs::remove_dir_all(ledger.join("index")).expect("remove the index");
    let served = serve_once(&ledger, &[]);
    assert_eq!(served.exit, Some(1));
    assert!(served.stderr.contains(&hint), "{served:?}");

    let before = std::fs::read(ledger.join("0000000000000001.segment")).expect("read");
    let salvaged = run(&["salvage", text(&ledger), text(&new)]);
    assert_eq!((salvaged.exit, salvaged.stderr.as_str()), (Some(1), ""), "{salvaged:?}");
    assert!(salvaged.stdout.starts_with("lost: 3 batches"), "{salvaged:?}");
    assert!(salvaged.stdout.contains("groups that are lost: 1\n"), "{salvaged:?}");
    let row = salvaged.stdout.lines().last().expect("a row");
    assert!(row.starts_with("0000000000000001.segment") && row.contains("lost"), "{row}");
    assert_eq!(std::fs::read(ledger.join("0000000000000001.segment")).expect("read"), before);
    let verified = run(&["verify", text(&new)]);
    assert!(verified.stdout.starts_with("ok: 3 batches"), "{verified:?}");

    let json = run(&["salvage", "--format", "json", text(&ledger), text(&dir.path().join("other"))]);
    assert_eq!(json.exit, Some(1));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&json["is_whole"], &json["n_batches"]), (&false.into(), &3.into()));
    assert_eq!(json["lost_groups"], serde_json::json!([{"first": 1, "last": 1}]));
    let stretch = &json["damage"][0];
    assert_eq!((&stretch["cost"], &stretch["n_records"]), (&"lost".into(), &1.into()));
    assert!(
        stretch["path"].as_str().is_some_and(|path| path.ends_with("0000000000000001.segment")),
        "{json}"
    );
}

/// A ledger in small files, of batches that were received long ago.
fn record_long_ago(ledger: &Path, batches: &[String]) -> Result<(), LedgerError> {
    let options = Options { segment_bytes_max: 2_000, free_bytes_min: 0, ..Options::default() };
    let (mut ledger, _) = EmbeddedLedger::open(ledger, options)?;
    let received = Timestamp::from_unix(1_500_000_000, 0).unwrap_or_default();
    for batch in batches {
        let posted = format!("[{batch}]");
        let document = Document::new(posted.as_bytes());
        let elements = document.batches().unwrap_or_default();
        ledger.writer.record(elements.iter().map(|element| judge(element).into()).collect(), received)?;
    }
    ledger.writer.close()
}

#[test]
fn the_credentials_of_old_batches_are_dropped_and_their_copies_stay_duplicates() {
    const SECRET: &str = "c2VjcmV0";
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    let credentials = format!(r#""credentials":"{SECRET}""#);
    let body =
        |number: u64| batch("m", &format!("b{number}"), "1").replace(r#""credentials":null"#, &credentials);
    let batches: Vec<String> = (0..30).map(body).collect();
    record_long_ago(&ledger, &batches).expect("record");
    let export = || run(&["export", text(&ledger)]);
    let n_secrets = || export().stdout.matches(SECRET).count();
    assert_eq!(n_secrets(), 30);

    drop(Collector::start(&ledger));
    assert_eq!(n_secrets(), 30, "all are kept unless the configuration says otherwise");
    let collector =
        Collector::start_with(&ledger, |command| command.env("TOLLGATE_LEDGER_RETENTION_DAYS", "30"));
    let started = Instant::now();
    // The last file is not sealed.
    while 10 < n_secrets() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is dropped");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (status, answer) = collector.post(&format!("[{}]", batches.join(",")));
    assert_eq!(status, 200);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["env-responses"]["m"]["acks"].as_array().map(Vec::len), Some(30), "{answer}");
    collector.signal("TERM");
    assert_eq!(collector.wait().0.code(), Some(0));

    let exported = export();
    let n_reduced = 30 - n_secrets();
    assert_eq!(exported.stdout.lines().count(), 30, "none is counted twice");
    assert!(
        exported.stderr.contains(&format!("{n_reduced} batches are without credentials")),
        "{exported:?}"
    );
    let verified = run(&["verify", text(&ledger)]);
    assert!(verified.stdout.starts_with("ok: 30 batches with 30 metrics of 1 model, 0 in"), "{verified:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn who_keeps_a_ledger_in_memory_is_warned_once() {
    let memory = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let served = serve_once(&memory.path().join("ledger"), &[]);
    assert_eq!(served.exit, Some(0), "{served:?}");
    let warnings: Vec<&str> = served.stderr.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = &warnings[..] else { panic!("{served:?}") };
    assert!(warning.contains("all is lost when the machine stops"), "{warning}");
}

#[test]
fn a_dropped_end_is_logged_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    record(&ledger, 2);
    let file = ledger.join("0000000000000001.segment");
    let mut bytes = std::fs::read(&file).expect("read a segment");
    bytes.extend_from_slice(&[7; 30]);
    std::fs::write(&file, bytes).expect("write a segment");
    let served = serve_once(&ledger, &[]);
    assert_eq!(served.exit, Some(0), "{served:?}");
    let n_told = served.stderr.lines().filter(|line| line.contains("never acknowledged")).count();
    assert_eq!(n_told, 1, "{served:?}");
}

//! `tollgate check`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::tollgate::{command, run, run_on};

const BATCH: &str = r#"{"uuid":"u","env-uuid":"","model-name":"","unit-name":"","charm-url":"","created":"0001-01-01T00:00:00Z","metrics":null,"credentials":null,"reseller-credentials":null,"sla-credentials":null}"#;

/// Standard output and exit code for a document on standard input.
#[track_caller]
fn check(args: &[&str], input: impl AsRef<[u8]>, stdout: &str, exit: i32) -> String {
    let run = run_on(&[&["check"], args].concat(), input.as_ref());
    assert_eq!((run.stdout.as_str(), run.exit), (stdout, Some(exit)), "standard error: {}", run.stderr);
    run.stderr
}

#[test]
fn a_good_document_is_summed_up() {
    check(&[], "null", "ok: null, no batches\n", 0);
    check(&[], r#"[{"uuid":"u","metrics":[{},{}]}]"#, "ok: 1 batch and 2 metrics\n", 0);
    check(&["--type", "response"], "{}", "ok: 0 acknowledgements for 0 models\n", 0);
    check(
        &["--type", "user-status-response"],
        r#"{"user-responses":{"bob":{"acks":["a"]}}}"#,
        "ok: 1 acknowledgement for 1 user\n",
        0,
    );
}

#[test]
fn canonical_is_exactly_the_bytes_of_go() {
    check(&["--canonical"], " [ {\"UUID\": \"u\"} ]\n", &format!("[{BATCH}]"), 0);
    check(
        &["--canonical", "--type", "response"],
        "null",
        r#"{"uuid":"","env-responses":null,"new-grace-period":0}"#,
        0,
    );
    check(
        &["--canonical", "--type", "user-status-response", "-"],
        "{}",
        r#"{"uuid":"","user-responses":null}"#,
        0,
    );
}

#[test]
fn a_bad_document_shows_the_place() {
    let stderr = check(&[], "[\n  {\"uuid\": 1}\n]", "", 1);
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines[0].starts_with("standard input:2:12: "), "{stderr}");
    assert!(lines[0].contains("byte 13"), "{stderr}");
    assert_eq!(lines[1..], ["      {\"uuid\": 1}", "               ^"]);
}

#[test]
fn a_time_that_go_cannot_write_decodes_but_has_no_canonical_form() {
    let document = r#"[{"created":"2020-01-01T00:00:00+24:00"}]"#;
    check(&[], document, "ok: 1 batch and 0 metrics\n", 0);
    assert!(check(&["--canonical"], document, "", 1).contains("offset"));
}

#[test]
fn a_file_is_read_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("batches.json");
    std::fs::write(&path, "[]").expect("write");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(run(&["check", path]).stdout, "ok: 0 batches and 0 metrics\n");

    let missing = run(&["check", "no/such/file"]);
    assert_eq!(missing.exit, Some(1));
    assert!(missing.stderr.starts_with("tollgate: failed to open no/such/file: "), "{}", missing.stderr);
}

#[test]
fn each_line_is_a_document() {
    check(&["--lines"], "null\n[]\n", "ok\nok\n", 0);
    check(&["--lines", "--canonical"], "null\n[]", "null\n[]\n", 0);
    check(&["--lines"], "", "", 0);
    // A carriage return belongs to the document, where JSON takes it as a blank.
    check(&["--lines", "--canonical"], "[]\r\n", "[]\n", 0);
    let inside = run_on(&["check", "--lines"], b"[{\"uuid\":\"a\rb\"}]\n");
    assert!(inside.stdout.starts_with("! ") && inside.stdout.contains("byte 11"), "{inside:?}");
}

#[test]
fn a_bad_line_is_answered_by_one_line() {
    let run = run_on(&["check", "--lines", "--canonical"], b"[]\n\n[{\"uuid\":\"\xff\"}]\n{\xff\n[1]");
    let answers: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert_eq!(answers[0], "[]");
    assert!(answers[1].starts_with("! "), "an empty line is no document: {answers:?}");
    assert!(
        answers[2].starts_with("[{\"uuid\":\"\u{fffd}\""),
        "broken UTF-8 is repaired as Go does: {answers:?}"
    );
    assert!(answers[3].starts_with("! "), "{answers:?}");
    assert!(answers[4].starts_with("! "), "{answers:?}");
    assert_eq!(run.exit, Some(1));
}

#[test]
fn an_answer_is_not_held_back_while_the_input_pauses() {
    let mut child = command(&["check", "--lines"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start tollgate");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    for _ in 0..3 {
        // A whole line, and the beginning of the next.
        stdin.write_all(b"[]\n[").expect("write");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("read");
        assert_eq!(answer, "ok\n");
        stdin.write_all(b"]\n").expect("write");
        answer.clear();
        stdout.read_line(&mut answer).expect("read");
        assert_eq!(answer, "ok\n");
    }
    drop(stdin);
    assert!(child.wait().expect("wait").success());
}

#[test]
fn a_peer_may_write_thousands_of_lines_before_it_reads() {
    let lines = format!("[{BATCH}]\n").repeat(20_000);
    let mut child = command(&["check", "--lines", "--canonical"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start tollgate");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn({
        let lines = lines.clone();
        move || stdin.write_all(lines.as_bytes())
    });
    for _ in 0..600 {
        if writer.is_finished() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert!(writer.is_finished(), "it stands still: it does not read on while its answers wait");
    writer.join().expect("join").expect("write");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.stdout, lines.as_bytes());
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let lines = format!("[{BATCH}]\n").repeat(50_000);
    let mut child = command(&["check", "--lines", "--canonical"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start tollgate");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || drop(stdin.write_all(lines.as_bytes())));
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("join");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [&["--type", "batches"][..], &["--lines=yes"], &["a", "b"], &["--no-such-flag"]] {
        let run = run(&[&["check"], args].concat());
        assert_eq!(run.exit, Some(2), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

//! `tollgate serve`, and what reads its ledger: `export`, `verify`, `models`, `quarantine`.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::collector::{Collector, batch};
use crate::tollgate::{command, run};

/// The lines of an export.
fn export(ledger: &Path) -> Vec<String> {
    let run = run(&["export", ledger.to_str().expect("UTF-8")]);
    assert_eq!((run.exit, run.stderr.as_str()), (Some(0), ""));
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn what_was_acknowledged_survives_kill_9_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    let mut sent = BTreeSet::new();
    for round in 0..4 {
        let collector = Collector::start(&ledger);
        for index in 0..5 {
            let batch = batch("m", &format!("{round}-{index}"), "1");
            let (status, answer) = collector.post(&format!("[{batch}]"));
            assert_eq!(status, 200);
            assert!(answer.contains(&format!("\"acks\":[\"{round}-{index}\"]")), "{answer}");
            sent.insert(batch);
        }
        // What an earlier process recorded is known to this one.
        if 0 < round {
            let again = batch("m", &format!("{}-0", round - 1), "1");
            let (status, answer) = collector.post(&format!("[{again},{again}]"));
            assert_eq!(status, 200);
            assert!(answer.contains(&format!("\"acks\":[\"{}-0\"]", round - 1)), "{answer}");
        }
        collector.kill();
    }
    let exported = export(&ledger);
    assert_eq!(exported.len(), sent.len());
    assert_eq!(exported.into_iter().collect::<BTreeSet<_>>(), sent);

    let verified = run(&["verify", ledger.to_str().expect("UTF-8")]);
    assert_eq!(verified.exit, Some(0), "{}", verified.stderr);
    assert!(
        verified.stdout.starts_with("ok: 20 batches with 20 metrics of 1 model, 0 in quarantine"),
        "{verified:?}"
    );
}

#[test]
fn it_says_once_that_it_is_ready_and_drains_when_told_to() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ledger = dir.path().join("ledger");
        let collector = Collector::start(&ledger);
        let (listen, admin) = (collector.listen, collector.admin);
        let expected = format!("ready listen={listen} admin={admin} ledger={}\n", ledger.display());
        assert_eq!(collector.ready_line, expected);
        assert_eq!(collector.post("null").0, 200);
        collector.signal(signal);
        let (status, rest) = collector.wait();
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "after SIG{signal}");
    }
}

/// Puts a pipe in the place of the ledger's segment: who opens it waits for a writer, and so for ever, as on a dead
/// disk.
fn replace_segment_by_pipe(ledger: &Path) {
    let segment = ledger.join("0000000000000001.segment");
    std::fs::remove_file(&segment).expect("remove the segment");
    assert!(Command::new("mkfifo").arg(&segment).status().expect("run mkfifo").success());
}

#[test]
fn a_read_that_never_ends_does_not_keep_it_from_ending() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    let collector = Collector::start(&ledger);
    assert_eq!(collector.post(&format!("[{}]", batch("m", "b", "1"))).0, 200);
    replace_segment_by_pipe(&ledger);
    let mut reader = TcpStream::connect(collector.admin).expect("connect");
    reader.write_all(b"GET /api/v1/batches/m/b HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("ask");
    reader.set_read_timeout(Some(Duration::from_millis(300))).expect("set a time limit");
    assert!(reader.read(&mut [0]).is_err(), "it waits for the disk");
    collector.signal("TERM");
    assert_eq!(collector.wait().0.code(), Some(0));
}

#[test]
fn a_signal_is_obeyed_while_the_ledger_is_being_opened() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ledger = dir.path().join("ledger");
        Collector::start(&ledger).kill();
        replace_segment_by_pipe(&ledger);
        let opening = Collector::spawn_unready(command(&["serve", "--ledger"]).arg(&ledger));
        opening.wait_until_it_handles_signals();
        opening.signal(signal);
        let (status, rest) = opening.wait();
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "after SIG{signal}");
    }
}

#[test]
fn it_stops_with_whoever_started_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start_with(&dir.path().join("ledger"), |command| {
        // A pipe that nobody writes to and that is closed at once.
        command.arg("--until-stdin-closes").stdin(Stdio::null())
    });
    assert_eq!(collector.wait().0.code(), Some(0));
}

#[test]
fn a_closed_standard_input_alone_does_not_stop_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start_with(&dir.path().join("ledger"), |command| command.stdin(Stdio::null()));
    assert_eq!(collector.post("[]").0, 200);
    assert_eq!(collector.get("/readyz").0, 200);
}

#[test]
fn a_ledger_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    let collector = Collector::start(&ledger);
    let second = run(&["serve", "--ledger", ledger.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0"]);
    assert_eq!((second.exit, second.stdout.as_str()), (Some(1), ""));
    let id = collector.id().to_string();
    let last = second.stderr.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("tollgate: failed to open the ledger") && last.contains(&id),
        "{}",
        second.stderr
    );
    // Reading needs no lock.
    assert_eq!(export(&ledger), Vec::<String>::new());
}

#[test]
fn an_address_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = taken.local_addr().expect("an address").to_string();
    let ledger = dir.path().join("ledger");
    let run = run(&["serve", "--ledger", ledger.to_str().expect("UTF-8"), "--listen", &addr]);
    assert_eq!(run.exit, Some(1));
    assert!(run.stderr.contains(&format!("failed to bind the wire listener to {addr}")), "{}", run.stderr);
}

#[test]
fn what_cannot_work_is_wrong_usage() {
    let cases = [
        (&["--ledger", "postgres://db/x?sslmode=prefer"][..], "verify-full"),
        (&["--ledger", "s3://bucket"], "s3://"),
        (&["--ledger", ""], "empty"),
        (&["--listen", "localhost"], "--listen"),
        (&["--admin", "0.0.0.0:0", "--ledger", "LEDGER"], "loopback"),
    ];
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    for (args, reason) in cases {
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == "LEDGER" { ledger.to_str().expect("UTF-8") } else { *arg })
            .collect();
        let run = run(&[&["serve"], &args[..]].concat());
        assert_eq!(run.exit, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "{args:?}: {}", run.stderr);
    }
    assert_eq!(run(&["backup", "postgres://db/x", "./copy"]).exit, Some(2));
}

#[test]
fn a_setting_from_the_environment_counts() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start_with(&dir.path().join("ledger"), |command| {
        command
            .env("TOLLGATE_COLLECTOR_BODY_BYTES_MAX", "10")
            .env("TOLLGATE_COLLECTOR_GRACE_PERIOD_SECONDS", "7")
    });
    assert_eq!(collector.post("[           ]").0, 413);
    let (status, answer) = collector.post("[]");
    assert_eq!(status, 200);
    assert!(answer.contains("\"new-grace-period\":7000000000"), "{answer}");
}

#[test]
fn logs_go_to_standard_error_as_text_or_json() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let stderr = |format: &str| {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let output = command
            .args(["--log-format", format, "--until-stdin-closes", "--ledger"])
            .arg(dir.path().join("ledger"))
            .stdin(Stdio::null())
            .output()
            .expect("run");
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let text = stderr("text");
    assert!(text.lines().any(|line| line.contains("INFO") && line.contains("opened the ledger")), "{text}");
    assert!(!text.contains('\x1b'), "no colours in a pipe: {text}");
    for line in stderr("json").lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        assert!(event["message"].is_string(), "{line}");
    }
}

#[test]
fn a_failed_write_ends_it_with_70_and_a_restart_recovers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    // No file may grow beyond 32 KiB (64 blocks of 512 bytes): a write fails in its middle, as on a broken disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --ledger \"$1\"",
        env!("CARGO_BIN_EXE_tollgate")
    );
    let collector = Collector::spawn(Command::new("sh").args(["-c", &limited, "sh"]).arg(&ledger));
    let mut acknowledged = BTreeSet::new();
    let refusal = (0..1_000).find_map(|index| {
        let uuid = format!("batch-{index}");
        let batch = batch("m", &uuid, "1");
        let (status, answer) = collector.post(&format!("[{batch}]"));
        if status == 200 {
            assert!(answer.contains(&uuid), "{answer}");
            acknowledged.insert(batch);
        }
        (status != 200).then_some(status)
    });
    assert_eq!(refusal, Some(503), "after {} batches", acknowledged.len());
    assert_eq!(collector.wait().0.code(), Some(70));
    assert!(!acknowledged.is_empty());

    let collector = Collector::start(&ledger);
    assert_eq!(collector.post(&format!("[{}]", batch("m", "one more", "1"))).0, 200);
    let exported: BTreeSet<String> = export(&ledger).into_iter().collect();
    assert!(acknowledged.is_subset(&exported));
    // At most the one that was never acknowledged is there as well.
    assert!(exported.len() <= acknowledged.len() + 2);
}

#[test]
fn damage_is_found_and_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ledger = dir.path().join("ledger");
    let collector = Collector::start(&ledger);
    for index in 0..3 {
        assert_eq!(collector.post(&format!("[{}]", batch("m", &index.to_string(), "1"))).0, 200);
    }
    collector.signal("TERM");
    assert_eq!(collector.wait().0.code(), Some(0));

    // One bit in the middle of the file that holds the batches. With an index the start does not read what it covers.
    std::fs::remove_dir_all(ledger.join("index")).expect("remove the index");
    let file = ledger.join("0000000000000001.segment");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("write");

    let ledger = ledger.to_str().expect("UTF-8");
    for args in [&["verify", ledger][..], &["export", ledger], &["serve", "--ledger", ledger]] {
        let run = run(args);
        assert_eq!(run.exit, Some(1), "{args:?}: {}", run.stdout);
        assert!(run.stderr.contains(file.to_str().expect("UTF-8")), "{args:?}: {}", run.stderr);
    }
    assert_eq!(run(&["verify", "no/such/folder"]).exit, Some(1));
    assert_eq!(run(&["export", "no/such/folder"]).exit, Some(1));
}

#[test]
fn every_page_of_a_listing_is_followed() {
    const N_MODELS: usize = 2_345;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start(&dir.path().join("ledger"));
    let batches: Vec<String> =
        (0..N_MODELS).map(|model| batch(&format!("m{model:05}"), "b", "0.1")).collect();
    assert_eq!(collector.post(&format!("[{}]", batches.join(","))).0, 200);
    let bad: Vec<String> = (0..N_MODELS).map(|index| batch("m", &index.to_string(), "NaN")).collect();
    assert_eq!(collector.post(&format!("[{}]", bad.join(","))).0, 200);
    let url = collector.admin_url();
    let list = |listing: &str, format: &str| {
        let run = run(&[listing, "--url", &url, "--format", format]);
        assert_eq!((run.exit, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };

    for (listing, key) in [("models", "model_uuid"), ("quarantine", "id")] {
        let json = list(listing, "json");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json).expect("an array");
        let keys: BTreeSet<String> = rows.iter().map(|row| row[key].to_string()).collect();
        assert_eq!((rows.len(), keys.len()), (N_MODELS, N_MODELS), "{listing}");
        assert_eq!(list(listing, "csv").lines().count(), N_MODELS + 1, "{listing}");
        assert_eq!(list(listing, "table").lines().count(), N_MODELS + 1, "{listing}");
    }
    assert_eq!(
        list("models", "csv").lines().nth(1),
        Some("m00000,team/m00000,team,1,1,2026-01-02T03:04:05.678Z,requests,1,0.1")
    );
    assert!(list("quarantine", "csv").starts_with(
        "id,model_uuid,batch_uuid,unit_name,code,reason,received,is_released,body_bytes,body\n1,"
    ));
}

#[test]
fn names_cannot_move_the_cursor_of_a_terminal() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start(&dir.path().join("ledger"));
    assert_eq!(collector.post(&format!("[{}]", batch("\\u001b[2J", "b", "1"))).0, 200);
    let table = run(&["models", "--url", &collector.admin_url()]).stdout;
    assert!(table.contains("\u{fffd}[2J") && !table.contains('\x1b'), "{table:?}");
}

#[test]
fn a_collector_that_is_not_there_is_told_apart_from_one_that_refuses() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.local_addr().expect("an address")
    };
    let run_on = |url: &str| run(&["models", "--url", url]);
    let unreachable = run_on(&format!("http://{gone}"));
    assert_eq!(unreachable.exit, Some(1));
    assert!(unreachable.stderr.contains("is it running?"), "{}", unreachable.stderr);

    let dir = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start(&dir.path().join("ledger"));
    let wrong_listener = run_on(&format!("http://{}", collector.listen));
    assert_eq!(wrong_listener.exit, Some(1));
    assert!(wrong_listener.stderr.contains("404"), "{}", wrong_listener.stderr);

    for url in ["https://127.0.0.1:1", "127.0.0.1:8481", "nonsense"] {
        assert_eq!(run_on(url).exit, Some(2), "{url}");
    }
}

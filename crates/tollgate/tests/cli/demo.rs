//! `tollgate demo`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tollgate::command;

const SMALL: [&str; 8] = ["demo", "--models", "20", "--units-per-model", "5", "--rate", "1000", "--once"];

/// Whether nothing of a demo that used this folder for temporary files is left.
fn is_clean(tmp: &Path) -> bool {
    let is_empty = std::fs::read_dir(tmp).expect("read the folder").next().is_none();
    let ours = tmp.to_str().expect("UTF-8");
    let processes = std::fs::read_dir("/proc").expect("read /proc").flatten();
    let mut commands = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    is_empty && !commands.any(|command| String::from_utf8_lossy(&command).contains(ours))
}

#[test]
fn once_kills_compares_and_cleans_up() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let output = command(&SMALL).args(["--rounds", "20"]).env("TMPDIR", tmp.path()).output().expect("run");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let row = |name: &str| -> Vec<&str> {
        let line =
            stdout.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(name)).expect("a row");
        line.split_whitespace().collect()
    };
    assert_eq!(row("batches "), ["2,000", "2,000", "equal"]);
    assert_eq!(row("metrics"), ["6,000", "6,000", "equal"]);
    assert_eq!(row("sum of egress-gib")[2], "equal");
    assert_eq!(row("unacknowledged"), ["0", "0", "equal"]);
    assert!(!stdout.contains("DIFFERS") && stdout.contains("killed once in the middle"), "{stdout}");
    assert!(is_clean(tmp.path()));
}

#[test]
fn an_interrupted_demo_cleans_up() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let mut demo = command(&["demo", "--models", "5"])
        .env("TMPDIR", tmp.path())
        // A file could not show when the fleet is under way.
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let under_way = lines.by_ref().map(|line| line.expect("read")).find(|line| line.contains("admin="));
    assert!(under_way.is_some());
    assert!(!is_clean(tmp.path()));
    let id = demo.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().expect("run kill").success());
    assert_eq!(demo.wait().expect("wait").code(), Some(0));
    assert!(lines.last().expect("a last line").expect("read").contains("cleaned up"));
    assert!(is_clean(tmp.path()));
}

#[test]
fn a_demo_whose_reader_has_gone_ends_quietly_and_cleans_up() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let mut demo = command(&["demo", "--models", "5"])
        .env("TMPDIR", tmp.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    drop(demo.stdout.take());
    let output = demo.wait_with_output().expect("wait");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert!(is_clean(tmp.path()));
}

#[test]
fn a_killed_demo_leaves_no_collector_behind() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let mut demo = command(&["demo", "--models", "5"])
        .env("TMPDIR", tmp.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    assert!(lines.by_ref().map(|line| line.expect("read")).any(|line| line.contains("admin=")));
    demo.kill().expect("kill");
    demo.wait().expect("wait");
    // Its folder stays, for nobody could remove it; emptied here to look for processes alone.
    let started = Instant::now();
    let is_running = || {
        let processes = std::fs::read_dir("/proc").expect("read /proc").flatten();
        let mut commands = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        commands
            .any(|command| String::from_utf8_lossy(&command).contains(tmp.path().to_str().expect("UTF-8")))
    };
    while is_running() && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!is_running());
}

//! Allowances of the built program, over kills, new periods and new configurations.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::collector::Collector;
use crate::tollgate::run;

const MONTHLY: &str = "
[[allowance]]
name = 'standard'
models = ['m']
meter = 'requests'
per = 'month'
limit = '1000'
";

/// An allowance in a file.
fn configure(file: &Path, allowance: &str) {
    fs::write(file, allowance).expect("write a configuration");
}

fn start(folder: &Path) -> Collector {
    Collector::start_with(&folder.join("ledger"), |command| {
        command.arg("--config").arg(folder.join("tollgate.toml"))
    })
}

/// As [`start`], with a clock that is so many days ahead.
fn start_in_days(folder: &Path, days: u32) -> Collector {
    // faketime stays in front of what it starts, and what is to be killed is the collector: only its library is taken.
    let library = Command::new("faketime").args(["-f", "+1d", "printenv", "LD_PRELOAD"]).output();
    let library =
        library.expect("run faketime: install Debian's faketime, as `cargo xtask test` does").stdout;
    let library = String::from_utf8(library).expect("a path");
    Collector::start_with(&folder.join("ledger"), |command| {
        command.arg("--config").arg(folder.join("tollgate.toml"));
        command.env("LD_PRELOAD", library.trim()).env("FAKETIME", format!("+{days}d"))
    })
}

#[expect(clippy::disallowed_methods, reason = "what is posted has to be in the present period")]
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn batch(uuid: &str, value: &str) -> String {
    let time = tollgate_wire::Timestamp::from_unix(unix_now().cast_signed(), 0).expect("a time");
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"m","unit-name":"web/0","metrics":[{{"key":"requests","value":"{value}","time":"{time}"}}]}}"#
    )
}

/// Posts one batch, and gives the colours of the model and the unit.
fn colours(collector: &Collector, uuid: &str, value: &str) -> [String; 2] {
    let (status, answer) = collector.post(&format!("[{}]", batch(uuid, value)));
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let model = &answer["env-responses"]["m"];
    assert_eq!(model["acks"][0], uuid, "{answer}");
    [&model["model-status"], &model["unit-statuses"]["web/0"]]
        .map(|status| status["status"].as_str().expect("a status").to_owned())
}

#[test]
fn a_limit_that_is_crossed_shows_at_once_and_over_kills_and_ends_with_its_period() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    configure(&folder.path().join("tollgate.toml"), MONTHLY);
    let month = |now: u64| {
        tollgate_wire::Timestamp::from_unix(now.cast_signed(), 0).map(|time| time.to_string()[..7].to_owned())
    };
    let began = unix_now();

    let collector = start(folder.path());
    assert_eq!(colours(&collector, "1", "799"), ["GREEN"; 2]);
    assert_eq!(colours(&collector, "2", "1"), ["AMBER"; 2]);
    assert_eq!(colours(&collector, "3", "200.5"), ["RED"; 2]);
    collector.kill();
    let collector = start(folder.path());
    let after_kill = colours(&collector, "4", "0");
    collector.kill();
    if month(began) == month(unix_now()) {
        assert_eq!(after_kill, ["RED"; 2]);
    }
    // At least a month and at most two later, the readings are of a period that is over.
    let collector = start_in_days(folder.path(), 32);
    assert_eq!(colours(&collector, "5", "0"), ["GREEN"; 2]);
    collector.kill();
    let collector = start_in_days(folder.path(), 32);
    assert_eq!(colours(&collector, "6", "5000"), ["GREEN"; 2], "late readings are of their own period");
}

#[test]
fn a_new_configuration_counts_after_sighup_if_it_is_good() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tollgate.toml");
    configure(&file, MONTHLY);
    let collector = start(folder.path());
    assert_eq!(colours(&collector, "0", "900"), ["AMBER"; 2]);
    let mut n_posted = 0;
    let mut colours_become = |expected: &str| {
        let started = Instant::now();
        loop {
            n_posted += 1;
            let colours = colours(&collector, &n_posted.to_string(), "0");
            if colours == [expected; 2] {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{colours:?} instead of {expected}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    configure(&file, &MONTHLY.replace("1000", "899"));
    collector.signal("HUP");
    colours_become("RED");
    // One that is no good changes nothing, and the collector goes on.
    configure(&file, &MONTHLY.replace("1000", "plenty"));
    collector.signal("HUP");
    std::thread::sleep(Duration::from_millis(100));
    colours_become("RED");
    configure(&file, "");
    collector.signal("HUP");
    colours_become("GREEN");
    collector.signal("TERM");
    assert_eq!(collector.wait().0.code(), Some(0));
}

#[test]
fn an_allowance_that_cannot_work_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tollgate.toml");
    for (allowance, expected) in [
        (MONTHLY.replace("'1000'", "'plenty'"), "limit = \"plenty\""),
        (MONTHLY.replace("models", "model"), "unknown field `model`"),
        (MONTHLY.replace("'month'", "'year'"), "unknown variant `year`"),
        (format!("{MONTHLY}tz = 'Mars/Olympus'"), "Mars/Olympus"),
        (format!("{MONTHLY}{MONTHLY}"), "that of another allowance"),
    ] {
        configure(&file, &allowance);
        let refused = run(&["config", "--config", file.to_str().expect("UTF-8")]);
        assert_eq!(refused.exit, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(expected), "{expected} is not in {}", refused.stderr);
    }
}

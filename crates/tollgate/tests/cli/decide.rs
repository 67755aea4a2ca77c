//! What operators ask and decide with the built program.

use serde_json::Value;

use crate::collector::{Collector, batch};
use crate::tollgate::{Run, run};

/// Runs a command that talks to a collector.
fn ask(collector: &Collector, args: &[&str]) -> Run {
    let url = collector.admin_url();
    run(&[args, &["--url", &url]].concat())
}

#[track_caller]
fn lines(run: &Run) -> Vec<Vec<&str>> {
    assert_eq!(run.exit, Some(0), "{run:?}");
    run.stdout.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn collector_with(batches: &[String]) -> (tempfile::TempDir, Collector) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start(&folder.path().join("ledger"));
    let (status, answer) = collector.post(&format!("[{}]", batches.join(",")));
    assert_eq!(status, 200, "{answer}");
    (folder, collector)
}

#[test]
fn usage_is_a_table_json_and_csv() {
    let (_folder, collector) =
        collector_with(&[batch("m", "1", "0.1"), batch("m", "2", "0.2"), batch("n", "1", "5")]);
    let table = ask(&collector, &["usage", "--window", "day", "--group-by", "model,user"]);
    assert_eq!(
        lines(&table),
        [
            ["START", "END", "METER", "MODEL", "USER", "VALUE", "READINGS"],
            ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "requests", "m", "team", "0.3", "2"],
            ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "requests", "n", "team", "5", "1"],
        ]
    );
    let csv = ask(
        &collector,
        &["usage", "--format", "csv", "--model", "m", "--tz", "Europe/Berlin", "--window", "month"],
    );
    assert_eq!(
        csv.stdout,
        "start,end,meter,value,count\n2026-01-01T00:00:00+01:00,2026-02-01T00:00:00+01:00,requests,0.3,2\n"
    );
    let json = ask(
        &collector,
        &["usage", "--format", "json", "--group-by", "unit", "--from", "2026-01-02T03:00:00Z"],
    );
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&json[0]["value"], &json[0]["unit"]), (&"5.3".into(), &"web/0".into()), "{json}");
    let refused = ask(&collector, &["usage", "--window", "year"]);
    assert_eq!(refused.exit, Some(2));
    assert!(refused.stderr.contains("it is hour, day, week, month or total"), "{refused:?}");
    assert_eq!(ask(&collector, &["usage", "--label", "az"]).exit, Some(2));
}

#[test]
fn statuses_are_set_for_a_while_and_cleared() {
    let (folder, collector) = collector_with(&[batch("m", "1", "1")]);
    let set = ask(&collector, &["status", "set", "m", "red", "--info", "unpaid"]);
    assert_eq!((set.exit, &*set.stdout), (Some(0), "m RED\n"), "{set:?}");
    let set = ask(&collector, &["status", "set", "m", "AMBER", "--unit", "web/0", "--for", "2h"]);
    assert!(set.stdout.starts_with("web/0 of m AMBER until 20"), "{set:?}");
    let listed = ask(&collector, &["status"]);
    let listed = lines(&listed);
    assert_eq!(listed[1], ["m", "team/m", "team", "RED", "hand", "unpaid"]);
    assert_eq!(listed[2][..6], ["m", "web/0", "team/m", "team", "AMBER", "hand"]);
    // It is in the ledger, so it outlives the collector.
    collector.kill();
    let collector = Collector::start(&folder.path().join("ledger"));
    let (_, answer) = collector.post(&format!("[{}]", batch("m", "1", "1")));
    assert!(answer.contains(r#""model-status":{"status":"RED","info":"unpaid"}"#), "{answer}");
    assert!(answer.contains(r#""web/0":{"status":"AMBER","info":""}"#), "{answer}");
    let shown = ask(&collector, &["status", "show", "m"]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!((&shown["status"], &shown["source"]), (&"RED".into(), &"hand".into()));
    for args in [&["status", "clear", "m"][..], &["status", "clear", "m", "--unit", "web/0"]] {
        assert_eq!(ask(&collector, args).exit, Some(0));
    }
    let listed = ask(&collector, &["status", "--format", "csv"]);
    assert!(listed.stdout.ends_with("\nm,,team/m,team,GREEN,,default,\n"), "{listed:?}");
    assert_eq!(ask(&collector, &["status", "set", "m", "BLUE"]).exit, Some(2));
}

#[test]
fn what_was_set_aside_is_shown_and_released_once_and_for_all() {
    let (folder, collector) =
        collector_with(&[batch("m", "1", "1"), batch("m", "1", "2"), batch("m", "2", "NaN")]);
    let listed = ask(&collector, &["quarantine", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let id_of = |code: &str| {
        let rows = listed.as_array().expect("rows");
        rows.iter().find(|row| row["code"] == code).expect("an element")["id"].to_string()
    };
    let shown = ask(&collector, &["quarantine", "show", &id_of("value")]);
    assert!(shown.stdout.contains("NaN"), "{shown:?}");
    let refused = ask(&collector, &["quarantine", "release", &id_of("conflict")]);
    assert_eq!(refused.exit, Some(1));
    assert!(refused.stderr.contains("under a uuid of its own"), "{refused:?}");
    let dismissed = ask(&collector, &["quarantine", "release", &id_of("value"), "--dismiss"]);
    assert_eq!(dismissed.stdout, format!("{} dismissed: it does not count\n", id_of("value")));
    let again = ask(&collector, &["quarantine", "release", &id_of("value"), "--dismiss"]);
    let expected = format!("{} has left the quarantine before: nothing was changed\n", id_of("value"));
    assert_eq!((again.exit, again.stdout), (Some(0), expected));
    let counted = ask(&collector, &["quarantine", "release", &id_of("value")]);
    assert_eq!(counted.exit, Some(1), "it does not count: {counted:?}");
    collector.kill();
    let collector = Collector::start(&folder.path().join("ledger"));
    assert_eq!(lines(&ask(&collector, &["quarantine"])).len(), 2, "a heading and the conflict");
    assert_eq!(lines(&ask(&collector, &["quarantine", "--released", "all"])).len(), 3);
}

//! `tollgate config`.

use crate::tollgate::{command, run};

#[test]
fn values_come_with_their_origin() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("t.toml");
    std::fs::write(&path, "[collector]\nbody_bytes_max = 1234\nlisten = '1.2.3.4:5'\n").expect("write");
    let path = path.to_str().expect("UTF-8");
    let output = command(&["config", "--config", path, "--ledger", "/x"])
        .env("TOLLGATE_COLLECTOR_LISTEN", "127.0.0.1:9")
        .output()
        .expect("run");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<String> =
        printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        &format!("body_bytes_max = 1234 # {path}:2"),
        "listen = \"127.0.0.1:9\" # environment TOLLGATE_COLLECTOR_LISTEN",
        "location = \"/x\" # flag --ledger",
        "admin = \"127.0.0.1:8481\" # default",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected:?} is not in:\n{printed}");
    }
}

#[test]
fn a_bad_configuration_is_wrong_usage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("t.toml");
    std::fs::write(&path, "[collector]\nlisten_on = 1\n").expect("write");
    let bad = run(&["config", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!((bad.exit, bad.stdout.as_str()), (Some(2), ""));
    assert!(bad.stderr.contains("t.toml") && bad.stderr.contains("listen_on"), "{}", bad.stderr);

    // Each value is good by itself; the collector would not start with it.
    let useless = run(&["config", "--admin", "0.0.0.0:0"]);
    assert_eq!((useless.exit, useless.stdout.as_str()), (Some(2), ""));
    assert!(useless.stderr.contains("loopback"), "{}", useless.stderr);
    std::fs::write(&path, "[collector]\nbody_bytes_max = 67_108_865\n").expect("write");
    let too_large = run(&["config", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!((too_large.exit, too_large.stdout.as_str()), (Some(2), ""));
    assert!(too_large.stderr.contains("body_bytes_max: 67108865 is above"), "{}", too_large.stderr);

    let missing = run(&["config", "--config", "no/such.toml"]);
    assert_eq!(missing.exit, Some(2));
    assert!(missing.stderr.contains("no/such.toml"), "{}", missing.stderr);
}

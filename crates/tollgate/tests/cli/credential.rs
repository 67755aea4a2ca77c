//! `tollgate credential`, and a collector that hands credentials out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::collector::Collector;
use crate::tollgate::{command, run, run_on};

struct Keys {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Keys {
    /// As `tollgate credential new-key` makes them.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        let made = run(&["credential", "new-key", text(&path), "--id", "k1"]);
        assert_eq!((made.exit, made.stdout), (Some(0), format!("made the key k1 in {}\n", path.display())));
        Self { _folder: folder, path }
    }

    fn path(&self) -> &str {
        text(&self.path)
    }

    fn mint(&self, terms: &[&str]) -> String {
        let minted = run(&[&["credential", "mint", "--keys", self.path()], terms].concat());
        assert_eq!((minted.exit, &*minted.stderr), (Some(0), ""));
        minted.stdout
    }

    /// Inspects this credential; exit code and output.
    fn inspect(&self, credential: &str, more: &[&str]) -> (Option<i32>, String) {
        let run = run_on(
            &[&["credential", "inspect", "--keys", self.path()], more].concat(),
            credential.as_bytes(),
        );
        (run.exit, run.stdout + &run.stderr)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_key_file_is_its_owners_and_is_never_written_over() {
    let keys = Keys::new();
    let mode = fs::metadata(&keys.path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&keys.path).expect("there");
    let again = run(&["credential", "new-key", keys.path()]);
    assert_eq!(again.exit, Some(1));
    assert!(again.stderr.contains("it is there already, and was left as it is"), "{}", again.stderr);
    assert_eq!(fs::read(&keys.path).expect("there"), before);
    assert_eq!(run(&["credential", "new-key", "-", "--id", "a b"]).exit, Some(2));
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let keys = Keys::new();
    for (mode, is_good) in
        [(0o600, true), (0o400, true), (0o640, true), (0o604, false), (0o660, false), (0o644, false)]
    {
        fs::set_permissions(&keys.path, fs::Permissions::from_mode(mode)).expect("chmod");
        let minted = run(&["credential", "mint", "--keys", keys.path(), "--user", "bob"]);
        assert_eq!(minted.exit == Some(0), is_good, "{mode:o}: {}", minted.stderr);
        assert_eq!(minted.stderr.contains("run `chmod 600 "), !is_good, "{mode:o}: {}", minted.stderr);
    }
    let config = command(&["config"]).env("TOLLGATE_CREDENTIAL_KEYS_FILE", &keys.path).output().expect("run");
    assert_eq!(config.status.code(), Some(2));
}

#[test]
fn what_was_minted_says_what_it_was_minted_for() {
    let keys = Keys::new();
    let terms = [
        "--model",
        "m",
        "--charm",
        "ch:metered-1",
        "--service",
        "metered",
        "--plan",
        "a/b",
        "--user",
        "bob",
        "--sla",
        "s",
        "--expires",
        "2999-01-01T00:00:00Z",
    ];
    for format in ["v1", "v2", "base64"] {
        let credential = keys.mint(&[&terms[..], &["--format", format]].concat());
        let batch = ["--model", "m", "--unit", "metered/7", "--charm", "ch:amd64/jammy/metered-9"];
        let (exit, shown) = keys.inspect(&credential, &batch);
        assert_eq!(exit, Some(0), "{shown}");
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "key         k1",
                "signature   good",
                "condition   declared environment m",
                "condition   declared charm ch:metered-1",
                "condition   declared service metered",
                "condition   declared plan a/b",
                "condition   declared user bob",
                "condition   declared sla s",
                "condition   time-before 2999-01-01T00:00:00Z",
                "covers it   yes",
            ]
        );
    }
}

#[test]
fn what_is_wrong_with_a_credential_is_said() {
    let keys = Keys::new();
    let credential = keys.mint(&["--model", "m"]);
    let check = |credential: &str, more: &[&str], expected: &str| {
        let (exit, shown) = keys.inspect(credential, more);
        assert_eq!(exit, Some(1), "{shown}");
        assert!(shown.contains(expected), "{shown}");
    };
    check(&credential, &["--model", "n"], "covers it   no: the credential is for the model \"m\"");
    check(
        &credential.replace("environment m", "environment n"),
        &[],
        "signature   bad: the credential's signature is wrong",
    );
    check("", &[], "failed to find a credential: there is none");
    check("{}", &[], "failed to read the credential: s64 is not there");
    let foreign = credential.replace("\"tollgate\"", "\"omni\\u001bbus\"");
    check(&foreign, &[], "credential  none of Tollgate's: its location is not tollgate\nlocation    omni");
    assert!(!keys.inspect(&foreign, &[]).1.contains('\u{1b}'));
    let other = Keys::new();
    let (exit, shown) = other.inspect(&credential, &[]);
    assert!(exit == Some(1) && shown.contains("signature   bad: "), "{shown}");
    let expired = keys.mint(&["--model", "m", "--expires", "2020-01-01T00:00:00Z"]);
    check(&expired, &["--model", "m"], "covers it   no: the credential expired at 2020-01-01T00:00:00Z");

    let without_keys = run_on(&["credential", "inspect"], credential.as_bytes());
    assert_eq!(without_keys.exit, Some(0));
    assert!(without_keys.stdout.contains("signature   not checked"), "{}", without_keys.stdout);
}

#[test]
fn a_credential_is_for_a_model_or_a_user() {
    let keys = Keys::new();
    let mint = |terms: &[&str]| run(&[&["credential", "mint", "--keys", keys.path()], terms].concat());
    for wrong in [
        &["--service", "metered"][..],
        &["--model", "m", "--expires", "soon"],
        &["--model", "m", "--valid-days", "0"],
        &["--model", "m", "--valid-days", "1", "--expires", "2999-01-01T00:00:00Z"],
        &["--model", ""],
        &["--model", "a\nb"],
    ] {
        assert_eq!(mint(wrong).exit, Some(2), "{wrong:?}");
    }
    assert_eq!(mint(&["--user", "bob"]).exit, Some(0));
    assert!(keys.mint(&["--user", "bob", "--valid-days", "9"]).contains("time-before 2"));
}

#[test]
fn keys_are_changed_by_a_new_line_before_the_others() {
    let keys = Keys::new();
    let old = keys.mint(&["--model", "m"]);
    let line = run(&["credential", "new-key", "-", "--id", "k2"]).stdout;
    let both = line + &fs::read_to_string(&keys.path).expect("there");
    fs::write(&keys.path, both).expect("write");
    let new = keys.mint(&["--model", "m"]);
    assert!(old.contains("tollgate 1 k1 ") && new.contains("tollgate 1 k2 "), "{old}{new}");
    for credential in [old, new] {
        assert_eq!(keys.inspect(&credential, &["--model", "m"]).0, Some(0));
    }
}

#[test]
fn a_collector_hands_out_credentials_of_its_keys() {
    let keys = Keys::new();
    let ledger = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start_with(ledger.path(), |command| {
        command
            .env("TOLLGATE_CREDENTIAL_KEYS_FILE", &keys.path)
            .env("TOLLGATE_PLAN", "[{ url = 'acme/gold', default = true }]")
    });
    let request = r#"{"env-uuid":"m","charm-url":"ch:metered-1","service-name":"metered","plan-url":""}"#;
    let (status, credential) = collector.post_to("/v3/plan/authorize", request);
    assert_eq!(status, 200, "{credential}");
    assert!(credential.contains("declared plan acme/gold"), "{credential}");
    let batch = ["--model", "m", "--unit", "metered/0", "--charm", "ch:metered-2"];
    let (exit, shown) = keys.inspect(&credential, &batch);
    assert_eq!(exit, Some(0), "{shown}");
    drop(collector);

    let without = Collector::start(ledger.path());
    let (status, told) = without.post_to("/plan/authorize", request);
    assert_eq!(status, 501);
    assert!(told.starts_with(r#"{"error":"This collector has no key"#), "{told}");
}

//! What a server has to be like, and what happens when it is not there.

mod sample;

use std::thread;
use std::time::{Duration, Instant};

use sample::{Total, entries, open, total};
use tollgate_ledger::{Remedy, chain};
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_ledger_postgres::{Options, PostgresLedger};
use tollgate_wire::Timestamp;

#[track_caller]
fn check_refused(url: &str, expected: &str) {
    let error = PostgresLedger::open(url, Options::default()).err().expect("refused");
    let text = chain(&error);
    assert!(text.contains(expected), "{expected:?} is not in: {text}");
}

#[test]
fn a_server_that_could_lose_a_commit_is_refused() {
    let cluster = Cluster::start(&["fsync=off"]).expect("start PostgreSQL");
    check_refused(&cluster.url(), "use the database: its setting fsync is off");
    drop(cluster);
    let cluster = Cluster::start(&["full_page_writes=off"]).expect("start PostgreSQL");
    check_refused(&cluster.url(), "use the database: its setting full_page_writes is off");
}

#[test]
fn a_session_waits_for_its_commits_whatever_the_defaults_are() {
    let cluster = Cluster::start(&["synchronous_commit=off"]).expect("start PostgreSQL");
    cluster.psql("ALTER ROLE tollgate SET synchronous_commit = off").expect("alter the role");
    let (ledger, report) = PostgresLedger::open(&cluster.url(), Options::default()).expect("open the ledger");
    assert_eq!(report.synchronous_commit, "on");
    drop(ledger);
    cluster.psql("ALTER ROLE tollgate SET synchronous_commit = remote_write").expect("alter the role");
    let (_, report) = PostgresLedger::open(&cluster.url(), Options::default()).expect("open the ledger");
    assert_eq!(report.synchronous_commit, "remote_write", "what an operator chose stays");
}

#[test]
fn a_server_that_is_away_is_told_at_once_and_found_again() {
    let mut cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let mut ledger = open(&cluster.url(), Options::default());
    ledger.writer.record(entries(0..10), Timestamp::default()).expect("record");
    ledger.reader.reachable().expect("the server is there");
    assert_eq!(ledger.reader.counts().n_batches, 10);
    cluster.stop().expect("stop the server");

    let started = Instant::now();
    let error = ledger.writer.record(entries(10..20), Timestamp::default()).expect_err("the server is away");
    assert_eq!(error.remedy(), Remedy::Retry);
    let error = ledger.reader.reachable().expect_err("the server is away");
    assert!(chain(&error).contains("database"), "{}", chain(&error));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // For while it is away.
    assert_eq!(ledger.reader.counts().n_batches, 10);

    cluster.resume().expect("start the server again");
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = ledger.writer.record(entries(10..20), Timestamp::default()) {
        assert!(Instant::now() < deadline, "{}", chain(&error));
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(total(&*ledger.reader), Total::of(0..20));
}

#[test]
fn a_server_without_room_or_turned_read_only_is_told_and_recovers() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let mut ledger = open(&cluster.url(), Options::default());
    let mut record = |numbers| ledger.writer.record(entries(numbers), Timestamp::default());
    record(0..10).expect("record");

    // As a server says it whose disk is full.
    cluster
        .psql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON tollgate.deltas EXECUTE FUNCTION full_disk()",
        )
        .expect("fill the disk");
    assert_eq!(record(10..20).expect_err("no room").remedy(), Remedy::FreeSpace);
    cluster.psql("DROP FUNCTION full_disk CASCADE").expect("make room");
    record(10..20).expect("there is room");

    cluster
        .psql("ALTER DATABASE postgres SET default_transaction_read_only = on")
        .expect("turn it read-only");
    cluster
        .psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tollgate'")
        .expect("end the connections");
    assert_eq!(record(20..30).expect_err("read-only").remedy(), Remedy::Retry);
    cluster
        .psql("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT")
        .expect("turn it back");
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = record(20..30) {
        assert!(Instant::now() < deadline, "{}", chain(&error));
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(total(&*ledger.reader), Total::of(0..30));
}

#[test]
fn tables_of_a_later_version_are_used_or_refused_as_they_say() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let url = cluster.url();
    drop(open(&url, Options::default()));
    cluster.psql("INSERT INTO tollgate.versions VALUES (1000, 1)").expect("a version that changes little");
    drop(open(&url, Options::default()));
    cluster
        .psql("UPDATE tollgate.versions SET works_with = 1000 WHERE version = 1000")
        .expect("one that changes all");
    check_refused(&url, "use the ledger's tables: they are of version 1000");
}

#[test]
fn collectors_that_start_together_make_the_tables_once() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let url = cluster.url();
    let n_new = thread::scope(|scope| {
        let openers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    PostgresLedger::open(&url, Options::default()).expect("open the ledger").1.is_new
                })
            })
            .collect();
        openers.into_iter().map(|opener| opener.join().expect("opened")).filter(|is_new| *is_new).count()
    });
    assert_ne!(n_new, 0);
    let are_made_once = "SELECT count(*) = max(version) AND min(version) = 1 FROM tollgate.versions";
    assert_eq!(cluster.psql(are_made_once).expect("count").trim(), "t");
}

#[test]
fn text_with_nul_is_recorded_and_read_back() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let mut ledger = open(&cluster.url(), Options { folds: false, ..Options::default() });
    let body = r#"[{"uuid":"b\u0000","env-uuid":"m\u0000","model-name":"n\u0000\u0001","unit-name":"u\u0000/0","metrics":
        [{"key":"k\u0000","value":"1","labels":{"l\u0000":"\u0000"}}]},{"uuid":"b\u0000","unit-name":"u\u0000/1"},7]"#;
    let document = tollgate_wire::Document::new(body.as_bytes());
    let elements = document.batches().expect("a sample is JSON");
    let group = || elements.iter().map(|element| tollgate_rules::judge(element).into()).collect();
    let first = ledger.writer.record(group(), Timestamp::default()).expect("record");
    let again = ledger.writer.record(group(), Timestamp::default()).expect("record again");
    assert_eq!(first[1..], again[1..]);
    let model = ledger.reader.model("m\0").expect("read").expect("the model is there");
    assert_eq!((&*model.model_name, &*model.units[0], &*model.meters[0].key), ("n\0\u{1}", "u\0/0", "k\0"));
    let page = tollgate_ledger::Page { cursor: None, limit: 10 };
    let quarantine = ledger.reader.quarantine(&page).expect("list");
    assert_eq!((quarantine.len(), &*quarantine[0].unit_name), (2, "u\0/1"));
}

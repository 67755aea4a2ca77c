//! A ledger is moved into a database that collectors are connected to.

mod sample;

use std::thread;
use std::time::Duration;

use sample::{Total, entries, open, total};
use tollgate_ledger::{LedgerError, Outcome, Remedy, chain};
use tollgate_ledger_postgres::cluster::Cluster;
use tollgate_ledger_postgres::{Options, Standing, Target, export};
use tollgate_wire::Timestamp;

const HALF_A_SECOND: Duration = Duration::from_millis(500);

fn cluster() -> Cluster {
    Cluster::start(&[]).expect("start PostgreSQL")
}

fn psql(cluster: &Cluster, sql: &str) -> String {
    cluster.psql(&format!("SET search_path TO tollgate; {sql}")).expect("psql").trim().to_owned()
}

fn refusal(url: &str) -> String {
    let error = Target::open(url).map(|_| ()).expect_err("it is refused");
    assert_eq!(error.remedy(), Remedy::Repair, "{}", chain(&error));
    chain(&error)
}

#[test]
fn what_is_being_recorded_when_a_move_begins_is_waited_for() {
    let cluster = cluster();
    let url = cluster.url();
    let mut ledger = open(&url, Options { folds: false, ..Options::default() });
    thread::scope(|scope| {
        // It has recorded its batches, and cannot say yet what they come to.
        scope.spawn(|| {
            psql(&cluster, "BEGIN; LOCK TABLE deltas IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT")
        });
        thread::sleep(HALF_A_SECOND);
        let recording = scope.spawn(move || ledger.writer.record(entries(0..1), Timestamp::default()));
        thread::sleep(HALF_A_SECOND);
        assert_eq!(psql(&cluster, "SELECT count(*) FROM batches"), "0", "it is in flight");
        let why = refusal(&url);
        assert!(why.contains("it holds a ledger of its own"), "{why}");
        let outcomes = recording.join().expect("no panic").expect("record");
        assert_eq!(outcomes, [Outcome::Recorded]);
    });
    let mut ledger = open(&url, Options::default());
    let outcomes = ledger.writer.record(entries(0..2), Timestamp::default()).expect("it goes on");
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Recorded]);
    assert_eq!(total(&*ledger.reader), Total::of(0..2));
}

#[test]
fn a_number_that_was_drawn_before_a_move_began_is_of_no_use_in_it() {
    let cluster = cluster();
    let mut ledger = open(&cluster.url(), Options { folds: false, ..Options::default() });
    thread::scope(|scope| {
        // As a move does, but for the pause, in which the number is drawn.
        let begin = "BEGIN; LOCK TABLE batches IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1);
            ALTER SEQUENCE groups RENAME TO groups_before_move; COMMIT";
        scope.spawn(|| psql(&cluster, begin));
        thread::sleep(HALF_A_SECOND);
        ledger.writer.record(entries(0..1), Timestamp::default()).expect_err("a move has begun");
    });
    assert_eq!(psql(&cluster, "SELECT last_value FROM groups_before_move"), "1", "it was drawn");
    assert_eq!(psql(&cluster, "SELECT count(*) FROM batches"), "0");
}

#[test]
fn numbers_go_on_behind_those_that_were_drawn_and_their_sequence_stays_whose_it_was() {
    let cluster = cluster();
    cluster
        .psql(
            "CREATE ROLE collectors LOGIN; GRANT CREATE ON DATABASE postgres TO collectors;
             CREATE ROLE others",
        )
        .expect("make roles");
    let url = cluster.url();
    let theirs = url.replace("tollgate@", "collectors@");
    let mut ledger = open(&theirs, Options::default());
    psql(
        &cluster,
        "GRANT SELECT ON SEQUENCE groups TO others; SELECT nextval('groups') FROM generate_series(1, 100)",
    );
    let described = "SELECT pg_get_userbyid(relowner), relacl FROM pg_class WHERE oid = 'groups'::regclass";
    let before = psql(&cluster, described);
    assert!(before.contains("collectors") && before.contains("others"), "{before}");
    let (target, standing) = Target::open(&url).expect("open");
    assert!(matches!(standing, Standing::Begun(_)));
    ledger.writer.record(entries(0..1), Timestamp::default()).expect_err("not while it lasts");
    target.finish().expect("finish");
    assert_eq!(psql(&cluster, described), before);
    let outcomes = ledger.writer.record(entries(0..1), Timestamp::default()).expect("record");
    assert_eq!(outcomes, [Outcome::Recorded]);
    let group: u64 = psql(&cluster, "SELECT max(place) >> 20 FROM batches").parse().expect("a number");
    assert!(100 < group, "{group} was drawn before");
}

#[test]
fn a_role_that_owns_nothing_records_with_the_grants_that_it_needs() {
    let cluster = cluster();
    let url = cluster.url();
    drop(open(&url, Options::default()));
    psql(
        &cluster,
        "CREATE ROLE writers LOGIN; GRANT USAGE ON SCHEMA tollgate TO writers;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tollgate TO writers;
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA tollgate TO writers",
    );
    let (target, _) = Target::open(&url).expect("open");
    target.finish().expect("finish");
    let mut ledger = open(&url.replace("tollgate@", "writers@"), Options::default());
    ledger.writer.record(entries(0..2), Timestamp::default()).expect("record");
    assert_eq!(total(&*ledger.reader), Total::of(0..2));
    // It may not move a ledger there.
    psql(&cluster, "TRUNCATE batches, deltas, moved");
    let why = refusal(&url.replace("tollgate@", "writers@"));
    assert!(why.contains("must be owner of") || why.contains("permission denied"), "{why}");
}

#[test]
fn what_an_old_collector_recorded_in_between_is_noticed() {
    let cluster = cluster();
    let url = cluster.url();
    let mut ledger = open(&url, Options::default());
    ledger.writer.record(entries(0..1), Timestamp::default()).expect("record");
    psql(&cluster, "CREATE TABLE late AS SELECT * FROM batches; TRUNCATE batches");
    let (target, _) = Target::open(&url).expect("it is empty");
    psql(&cluster, "INSERT INTO batches SELECT * FROM late");
    let error = target.finish().expect_err("something is there that was not moved");
    assert!(chain(&error).contains("pg_dump"), "{}", chain(&error));
}

#[test]
fn a_database_that_was_named_by_mistake_is_not_changed() {
    let cluster = cluster();
    let url = cluster.url();
    open(&url, Options::default()).writer.record(entries(0..1), Timestamp::default()).expect("record");
    to_version_1(&cluster);
    let why = refusal(&url);
    assert!(why.contains("it holds a ledger of its own"), "{why}");
    assert_eq!(psql(&cluster, "SELECT max(version), to_regclass('moved') FROM versions"), "1|");
}

fn to_version_1(cluster: &Cluster) {
    psql(
        cluster,
        "DELETE FROM versions WHERE version = 2; DROP TABLE moved; ALTER TABLE batches DROP COLUMN is_reduced",
    );
}

#[test]
fn an_export_says_why_there_is_none() {
    let cluster = cluster();
    let url = cluster.url();
    let why = |url: &str| chain(&export(url).map(|_| ()).expect_err("there is none"));
    assert!(why(&url).contains("has none in the schema tollgate"), "{}", why(&url));
    drop(open(&url, Options::default()));
    to_version_1(&cluster);
    assert!(why(&url).contains("its tables are of version 1"), "{}", why(&url));
}

#[test]
fn an_export_ends_while_recording_goes_on() {
    const N_BATCHES: usize = 2_500;
    let cluster = cluster();
    let url = cluster.url();
    let mut ledger = open(&url, Options::default());
    ledger.writer.record(entries(0..N_BATCHES), Timestamp::default()).expect("record");
    let mut next = N_BATCHES..N_BATCHES + 1_000;
    let exported = export(&url).expect("export").map(|body| {
        if let Some(n) = next.next() {
            ledger.writer.record(entries(n..n + 1), Timestamp::default())?;
        }
        body
    });
    let bodies = exported.collect::<Result<Vec<_>, LedgerError>>().expect("bodies");
    assert_eq!(bodies.len(), N_BATCHES);
}

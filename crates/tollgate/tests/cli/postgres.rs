//! Collectors that share a ledger in PostgreSQL.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tollgate_ledger_postgres::cluster::Cluster;

use crate::collector::{Collector, batch};
use crate::tollgate::run;

const MODEL: &str = "deadbeef-0bad-400d-8000-4b1d0d06f00d";

/// Batches in one post.
const POST: usize = 500;

fn start(url: &str) -> Collector {
    Collector::start(Path::new(url))
}

fn posts(n_batches: usize) -> impl Iterator<Item = String> {
    (0..n_batches).step_by(POST).map(|start| {
        let batches = (start..start + POST).map(|n| batch(MODEL, &format!("batch-{n}"), &format!("{n}.25")));
        format!("[{}]", batches.collect::<Vec<_>>().join(","))
    })
}

/// Posts until it is acknowledged; how often it was not. Everything but 200 has to be 503.
fn post_until_acknowledged(collector: &Collector, body: &str) -> usize {
    let mut n_refusals = 0;
    loop {
        let (status, answer) = collector.post(body);
        if status == 200 {
            assert_eq!(answer.matches("batch-").count(), POST, "all of the post is acknowledged");
            return n_refusals;
        }
        assert_eq!(status, 503, "{answer}");
        n_refusals += 1;
        assert!(n_refusals < 1_000, "a post is never acknowledged: {answer}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn check_exact(collector: &Collector, cluster: &Cluster, n_batches: usize) {
    let (status, answer) = collector.get(&format!("/api/v1/models/{MODEL}"));
    assert_eq!(status, 200, "{answer}");
    // 0.25 and 1.25 and so on.
    let quarters = n_batches * (n_batches - 1) / 2 * 4 + n_batches;
    let sum = format!("\"sum\":\"{}\"", quarters / 4);
    assert!(quarters.is_multiple_of(4) && answer.contains(&sum), "{sum} is not in {answer}");
    let n_recorded = cluster.psql("SELECT count(*) FROM tollgate.batches").expect("count the rows");
    assert_eq!(n_recorded.trim(), n_batches.to_string());
    let query = format!("/api/v1/usage?model={MODEL}&meter=requests&window=total");
    let (status, answer) = collector.get(&query);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(&format!("\"value\":\"{}\"", quarters / 4)), "{answer}");
}

#[test]
fn ten_thousand_batches_to_two_collectors_at_once_are_recorded_once() {
    const N_BATCHES: usize = 10_000;
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let collectors = [start(&cluster.url()), start(&cluster.url())];
    thread::scope(|scope| {
        for collector in &collectors {
            scope.spawn(move || {
                let n_refusals: usize =
                    posts(N_BATCHES).map(|body| post_until_acknowledged(collector, &body)).sum();
                assert_eq!(n_refusals, 0, "each of the two acknowledges all of them at once");
            });
        }
    });
    for collector in &collectors {
        check_exact(collector, &cluster, N_BATCHES);
    }
}

#[test]
fn what_two_collectors_acknowledge_survives_kills_of_the_server() {
    const N_BATCHES: usize = 10_000;
    const N_KILLS: usize = 4;
    let mut cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let collectors = [start(&cluster.url()), start(&cluster.url())];
    let n_refusals = AtomicUsize::new(0);
    let killed = AtomicBool::new(false);
    thread::scope(|scope| {
        for collector in &collectors {
            let (n_refusals, killed) = (&n_refusals, &killed);
            scope.spawn(move || {
                // Once before the last kill and once more behind it, so that every kill meets traffic.
                loop {
                    let is_last = killed.load(Ordering::SeqCst);
                    for body in posts(N_BATCHES) {
                        n_refusals.fetch_add(post_until_acknowledged(collector, &body), Ordering::SeqCst);
                    }
                    if is_last {
                        break;
                    }
                }
            });
        }
        for _ in 0..N_KILLS {
            thread::sleep(Duration::from_millis(1_000));
            cluster.kill().expect("kill the server");
            cluster.resume().expect("start the server again");
        }
        killed.store(true, Ordering::SeqCst);
    });
    assert_ne!(n_refusals.into_inner(), 0, "a kill was noticed");
    for collector in &collectors {
        check_exact(collector, &cluster, N_BATCHES);
    }
}

#[test]
fn while_the_server_is_away_senders_are_asked_to_come_again_and_probes_are_told_why() {
    let mut cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let collector = start(&cluster.url());
    assert_eq!(collector.get("/readyz").0, 200);
    cluster.stop().expect("stop the server");
    let (status, answer) = collector.post(&format!("[{}]", batch(MODEL, "1", "1")));
    assert_eq!(status, 503, "{answer}");
    let (status, answer) = collector.get("/readyz");
    assert_eq!(status, 503);
    assert!(answer.contains("the ledger does not answer: failed to"), "{answer}");
    assert!(answer.contains("database"), "{answer}");
    assert_eq!(collector.get("/healthz").0, 200);
    cluster.resume().expect("start the server again");
    let deadline = Instant::now() + Duration::from_secs(20);
    while collector.get("/readyz").0 != 200 {
        assert!(Instant::now() < deadline, "the collector does not find the server again");
        thread::sleep(Duration::from_millis(50));
    }
    let (status, answer) = collector.post(&format!("[{}]", batch(MODEL, "1", "1")));
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn collectors_agree_about_a_status_within_a_second() {
    let cluster = Cluster::start(&[]).expect("start PostgreSQL");
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("t.toml");
    let text =
        "[[allowance]]\nname = 'a'\nmodels = ['*']\nmeter = 'requests'\nper = 'total'\nlimit = '100'\n";
    std::fs::write(&config, text).expect("write");
    let url = cluster.url();
    let start = || Collector::start_with(Path::new(&url), |command| command.arg("--config").arg(&config));
    let collectors = [start(), start()];
    let status_at = |place: usize, uuid: &str, value: &str| {
        let (status, answer) = collectors[place].post(&format!("[{}]", batch(MODEL, uuid, value)));
        assert_eq!(status, 200, "{answer}");
        let colours = ["GREEN", "AMBER", "RED"];
        let of_model =
            answer.split_once("model-status").or(answer.split_once("model_status")).expect("a status").1;
        colours
            .into_iter()
            .min_by_key(|colour| of_model.find(colour).unwrap_or(usize::MAX))
            .expect("a colour")
    };
    assert_eq!(status_at(0, "1", "1"), "GREEN");
    assert_eq!(status_at(1, "2", "1"), "GREEN");
    // The one that took it says so in the same answer.
    assert_eq!(status_at(0, "3", "100"), "RED");
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(status_at(1, "4", "1"), "RED");
}

#[test]
fn what_cannot_work_is_told_before_anything_is_done() {
    let refused = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--ledger",
        "postgres://x:hunter2@127.0.0.1:1/x",
    ]);
    assert_eq!(refused.exit, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("connect to the database"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    let refused = run(&["backup", "postgres://x:hunter2@127.0.0.1:1/x", "./copy"]);
    assert_eq!(refused.exit, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("pg_dump"), "{}", refused.stderr);
}

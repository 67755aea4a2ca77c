//! A ledger that is slow, full or broken, and clients that go away.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tollgate_collector::{CollectorError, Settings};
use tollgate_ledger::Remedy;

use crate::harness::{Answer, Client, Held, Running, Script, Step, metric, post_of, request_bytes, soon};

const QUEUE: &str = "tollgate_queue_batches";
const IN_FLIGHT: &str = "tollgate_in_flight_bytes";

fn post_later(wire: SocketAddr, uuids: &[&str]) -> JoinHandle<Answer> {
    let body = post_of("model", uuids);
    tokio::spawn(async move { Client::connect(wire).await.request("POST", "/metrics", &[], &body).await })
}

async fn answer(post: JoinHandle<Answer>) -> Answer {
    soon(post).await.expect("no panic")
}

#[tokio::test]
async fn a_full_queue_is_told_and_nothing_of_it_is_lost() {
    let (step, held) = Held::step();
    let settings = Settings { queue_batches_max: 4, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let mut posts = vec![post_later(running.wire, &["1"])];
    held.began().await;
    for (n_waiting, uuid) in ["2", "3", "4", "5"].iter().enumerate() {
        running.wait_for_metric(QUEUE, n_waiting as f64).await;
        posts.push(post_later(running.wire, &[uuid]));
    }
    running.wait_for_metric(QUEUE, 4.0).await;

    let refused = running.post("/metrics", post_of("model", &["7"])).await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("5"));
    let head = "POST /metrics HTTP/1.1\r\nhost: c\r\ncontent-length: 1000\r\n\r\n";
    let mut client = Client::connect(running.wire).await;
    client.send(head.as_bytes()).await;
    client.answer().await.problem(503, "overloaded"); // Before its body is read.

    held.go_on(Step::Record);
    for (post, uuid) in posts.into_iter().zip(1..) {
        assert_eq!(answer(post).await.acks("model"), [format!("{uuid}")]);
    }
    assert_eq!(script.groups(), [1, 4], "what waited went into one group");
    assert_eq!(running.counts().n_batches, 5);
    assert_eq!(running.post("/metrics", post_of("model", &["7"])).await.acks("model"), ["7"]);
}

#[tokio::test]
async fn a_request_larger_than_a_group_and_than_the_queue_is_recorded_whole() {
    let (step, held) = Held::step();
    let settings = Settings { queue_batches_max: 3, group_batches_max: 2, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let large = post_later(running.wire, &["2", "3", "4", "5", "6"]);
    running.wait_for_metric(QUEUE, 5.0).await;
    held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    assert_eq!(answer(large).await.acks("model").len(), 5);
    assert_eq!(script.groups(), [1, 5]);
}

#[tokio::test]
async fn large_requests_take_turns_beside_small_ones() {
    let (step, held) = Held::step();
    let settings = Settings { queue_batches_max: 8, group_batches_max: 4, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let small = post_later(running.wire, &["2", "3"]);
    running.wait_for_metric(QUEUE, 2.0).await;
    let large = ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"];
    let larger = ["20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31"];
    let large_post = post_later(running.wire, &large);
    running.wait_for_metric(QUEUE, 12.0).await;
    let larger_post = post_later(running.wire, &larger);
    // It waits with its body and is not in the queue; small ones go in meanwhile.
    let n_connections = r#"tollgate_connections{listener="wire"}"#;
    running.wait_for_metric(n_connections, 4.0).await;
    let last = post_later(running.wire, &["4", "5"]);
    running.wait_for_metric(QUEUE, 14.0).await;

    held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    assert_eq!(answer(small).await.acks("model"), ["2", "3"]);
    assert_eq!(answer(large_post).await.acks("model"), large);
    assert_eq!(answer(last).await.acks("model"), ["4", "5"]);
    assert_eq!(answer(larger_post).await.acks("model"), larger);
    assert_eq!(script.groups()[..3], [1, 2, 10]);
    assert_eq!(running.counts().n_batches, 27);
    running.wait_for_metric(QUEUE, 0.0).await;
}

#[tokio::test]
async fn who_waits_too_long_for_a_turn_is_told() {
    let (step, held) = Held::step();
    let settings = Settings { queue_batches_max: 4, turn_timeout_ms: 100, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let large = post_later(running.wire, &["2", "3"]);
    running.wait_for_metric(QUEUE, 2.0).await;
    let held_by_two = running.metric(IN_FLIGHT).await;
    let refused = running.post("/metrics", post_of("model", &["4", "5"])).await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("5"));
    running.wait_for_metric(IN_FLIGHT, held_by_two).await;
    held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    assert_eq!(answer(large).await.acks("model"), ["2", "3"]);
    let again = running.post("/metrics", post_of("model", &["4", "5"])).await;
    assert_eq!(again.acks("model"), ["4", "5"], "its turn is free again");
    assert_eq!(script.groups(), [1, 2, 2]);
}

#[tokio::test]
async fn who_waits_for_a_turn_is_answered_when_the_ledger_fails() {
    let (step, held) = Held::step();
    let settings = Settings { queue_batches_max: 4, ..Settings::for_testing() };
    let running = Running::scripted(settings, Script::of([step])).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let held_by_first = running.metric(IN_FLIGHT).await;
    let mut posts = vec![first, post_later(running.wire, &["2", "3"])];
    running.wait_for_metric(QUEUE, 2.0).await;
    let held_by_second = running.metric(IN_FLIGHT).await - held_by_first;
    posts.push(post_later(running.wire, &["4", "5"]));
    running.wait_for_metric(IN_FLIGHT, held_by_first + 2.0 * held_by_second).await;
    held.go_on(Step::Fail(Remedy::Restart));
    for post in posts {
        answer(post).await.problem(503, "ledger-closed");
    }
    running.ended().await.expect_err("it cannot go on");
}

#[tokio::test]
async fn groups_are_as_large_as_allowed_and_split_no_request() {
    let (step, held) = Held::step();
    let settings = Settings { group_batches_max: 4, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let mut posts = vec![post_later(running.wire, &["0"])];
    held.began().await;
    let mut n_waiting = 0;
    for uuids in [&["1", "2"][..], &["3"], &["4", "5", "6"], &["7", "8"], &["9"]] {
        posts.push(post_later(running.wire, uuids));
        n_waiting += uuids.len();
        running.wait_for_metric(QUEUE, n_waiting as f64).await;
    }
    held.go_on(Step::Record);
    for post in posts {
        assert_eq!(answer(post).await.status, 200);
    }
    // 2 + 1, as 3 more do not fit; 3, as 2 more do not; 2 + 1.
    assert_eq!(script.groups(), [1, 3, 3, 3]);
}

#[tokio::test]
async fn a_duplicate_waits_for_the_first_copy() {
    let (first_step, first_held) = Held::step();
    let (second_step, second_held) = Held::step();
    let running = Running::scripted(Settings::for_testing(), Script::of([first_step, second_step])).await;
    let first = post_later(running.wire, &["1"]);
    first_held.began().await;
    let second = post_later(running.wire, &["1"]);
    running.wait_for_metric(QUEUE, 1.0).await;
    assert!(!first.is_finished() && !second.is_finished());
    first_held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    second_held.began().await;
    assert!(!second.is_finished());
    second_held.go_on(Step::Record);
    assert_eq!(answer(second).await.acks("model"), ["1"]);
    assert_eq!(running.counts().n_batches, 1);
}

#[tokio::test]
async fn a_duplicate_of_a_copy_that_was_not_recorded_is_not_acknowledged_by_it() {
    let (step, held) = Held::step();
    let running =
        Running::scripted(Settings::for_testing(), Script::of([step, Step::Fail(Remedy::Retry)])).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let second = post_later(running.wire, &["1"]);
    running.wait_for_metric(QUEUE, 1.0).await;
    held.go_on(Step::Fail(Remedy::Retry));
    answer(first).await.problem(503, "ledger-busy");
    answer(second).await.problem(503, "ledger-busy");
    assert_eq!(running.counts().n_batches, 0);
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
}

#[tokio::test]
async fn a_busy_ledger_is_for_its_waiters_only() {
    let script = Script::of([Step::Fail(Remedy::Retry)]);
    let running = Running::scripted(Settings::for_testing(), script.clone()).await;
    let refused = running.post("/metrics", post_of("model", &["1"])).await;
    refused.problem(503, "ledger-busy");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(running.get("/readyz").await.status, 200);
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
    assert_eq!(running.metric("tollgate_record_failures_total").await, 1.0);
    running.stop().await.expect("a clean end");
    assert!(script.is_closed());
}

#[tokio::test]
async fn a_full_disk_is_told_and_heals_by_itself() {
    let full = || Step::Fail(Remedy::FreeSpace);
    let script = Script::of([Step::Record, full(), full(), full()]);
    let running = Running::scripted(Settings::for_testing(), script).await;
    assert_eq!(running.post("/metrics", post_of("model", &["0"])).await.acks("model"), ["0"]);
    for _ in 0..3 {
        let refused = running.post("/metrics", post_of("model", &["1"])).await;
        refused.problem(507, "disk-full");
        assert_eq!(refused.header("retry-after"), Some("5"));
        let problem = running.get("/readyz").await.problem(503, "not-ready");
        assert_eq!(problem["detail"], "Not ready: the ledger's disk is full.");
        assert_eq!(running.get("/api/v1/models/model").await.json()["n_batches"], 1, "reads go on");
        assert_eq!(running.get("/healthz").await.status, 200);
    }
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
    assert_eq!(running.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_failed_sync_is_told_to_all_who_wait_and_ends_the_collector() {
    let (step, held) = Held::step();
    let settings = Settings { group_batches_max: 2, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let mut posts = vec![post_later(running.wire, &["1"])];
    held.began().await;
    for (n, uuids) in [["2", "3"], ["4", "5"], ["6", "7"]].iter().enumerate() {
        posts.push(post_later(running.wire, uuids));
        running.wait_for_metric(QUEUE, 2.0 * (n + 1) as f64).await;
    }
    held.go_on(Step::Fail(Remedy::Restart));
    for post in posts {
        let refused = answer(post).await;
        refused.problem(503, "ledger-closed");
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    let (wire, counts) = (running.wire, running.counts());
    let error = running.ended().await.expect_err("it cannot go on");
    assert!(matches!(error, CollectorError::Ledger { .. }), "{error:?}");
    assert_eq!(error.to_string(), "record batches: the ledger is closed until the process restarts");
    let source = std::error::Error::source(&error).expect("the cause");
    assert_eq!(source.to_string(), "sync segment 7");
    assert_eq!(counts.n_batches, 0);
    assert_eq!(script.groups(), [1], "no sync was tried again");
    assert!(TcpStream::connect(wire).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn what_can_never_be_recorded_is_told_to_its_sender_alone() {
    let (first_step, first_held) = Held::step();
    let (next_step, next_held) = Held::step();
    let repair = || Step::Fail(Remedy::Repair);
    let script = Script::of([first_step, repair(), repair(), next_step]);
    let running = Running::scripted(Settings::for_testing(), script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    first_held.began().await;
    let together = [post_later(running.wire, &["2"]), post_later(running.wire, &["3"])];
    running.wait_for_metric(QUEUE, 2.0).await;
    first_held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    for post in together {
        // Which of them it was is not known yet.
        let refused = answer(post).await;
        refused.problem(503, "ledger-busy");
        assert_eq!(refused.header("retry-after"), Some("5"));
    }

    running.post("/metrics", post_of("model", &["2"])).await.problem(500, "unrecordable");
    let innocent = post_later(running.wire, &["3"]);
    next_held.began().await;
    let others = [post_later(running.wire, &["4"]), post_later(running.wire, &["5"])];
    running.wait_for_metric(QUEUE, 2.0).await;
    next_held.go_on(Step::Record);
    assert_eq!(answer(innocent).await.acks("model"), ["3"]);
    for (post, uuid) in others.into_iter().zip(["4", "5"]) {
        assert_eq!(answer(post).await.acks("model"), [uuid]);
    }
    assert_eq!(script.groups(), [1, 2, 1, 1, 1, 1], "each for itself, for a while");
    assert_eq!(running.counts().n_batches, 4);
    assert_eq!(running.get("/readyz").await.status, 200);
    running.stop().await.expect("the ledger is as well as before");
}

#[tokio::test]
async fn a_panic_of_the_ledger_acknowledges_nothing_and_ends_the_collector() {
    let (step, held) = Held::step();
    let running = Running::scripted(Settings::for_testing(), Script::of([step])).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let second = post_later(running.wire, &["2"]);
    running.wait_for_metric(QUEUE, 1.0).await;
    held.go_on(Step::Panic);
    answer(first).await.problem(503, "ledger-closed");
    answer(second).await.problem(503, "ledger-closed");
    let error = running.ended().await.expect_err("it cannot go on");
    assert!(matches!(error, CollectorError::Committer), "{error:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_changes_nothing_for_the_others() {
    let (step, held) = Held::step();
    let script = Script::of([step]);
    let running = Running::scripted(Settings::for_testing(), script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let held_by_one = running.metric(IN_FLIGHT).await;
    assert!(post_of("model", &["1"]).len() as f64 <= held_by_one);
    let mut gone = Client::connect(running.wire).await;
    gone.send(&request_bytes("POST", "/metrics", &[], &post_of("model", &["2"]))).await;
    running.wait_for_metric(QUEUE, 1.0).await;
    let third = post_later(running.wire, &["3"]);
    running.wait_for_metric(QUEUE, 2.0).await;
    drop(gone);
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 2.0).await;
    let in_flight = running.metric(IN_FLIGHT).await;
    assert_eq!(in_flight, 3.0 * held_by_one, "what waits is held, also of a client that is gone");
    held.go_on(Step::Record);
    assert_eq!(answer(first).await.acks("model"), ["1"]);
    assert_eq!(answer(third).await.acks("model"), ["3"]);
    assert_eq!(script.groups(), [1, 2], "what it sent was recorded all the same");
    assert_eq!(running.counts().n_batches, 3);
    running.wait_for_metric(IN_FLIGHT, 0.0).await;
    assert_eq!(
        running.post("/metrics", post_of("model", &["2"])).await.acks("model"),
        ["2"],
        "a duplicate now"
    );
}

#[tokio::test]
async fn a_body_cut_short_is_not_recorded_in_part() {
    let running = Running::start().await;
    let request = request_bytes("POST", "/metrics", &[], &post_of("model", &["1", "2"]));
    let mut client = Client::connect(running.wire).await;
    client.send(&request[..request.len() - 10]).await;
    drop(client);
    running.post("/metrics", post_of("model", &["3"])).await;
    running.wait_for_metric(r#"tollgate_connections{listener="wire"}"#, 0.0).await;
    assert_eq!(running.counts().n_batches, 1);
}

#[tokio::test]
async fn a_shutdown_answers_what_is_in_flight_and_closes_the_ledger() {
    let (step, held) = Held::step();
    let script = Script::of([step]);
    let running = Running::scripted(Settings::for_testing(), script.clone()).await;
    let first = post_later(running.wire, &["1"]);
    held.began().await;
    let second = post_later(running.wire, &["2"]);
    running.wait_for_metric(QUEUE, 1.0).await;
    let (wire, admin, ledger) = (running.wire, running.admin, running.ledger.clone());
    let run = running.begin_stop();

    soon(async { while TcpStream::connect(wire).await.is_ok() {} }).await;
    let ready = Client::connect(admin).await.request("GET", "/readyz", &[], b"").await;
    assert_eq!(ready.problem(503, "not-ready")["detail"], "Not ready: the collector is stopping.");
    assert_eq!(metric(admin, QUEUE).await, 1.0, "operators can watch it drain");
    assert!(!run.is_finished() && !script.is_closed());

    held.go_on(Step::Record);
    let answered = answer(first).await;
    assert_eq!(answered.acks("model"), ["1"]);
    assert_eq!(answered.header("connection"), Some("close"));
    assert_eq!(answer(second).await.acks("model"), ["2"]);
    soon(run).await.expect("no panic").expect("a clean end");
    assert!(script.is_closed());
    assert_eq!(ledger.open().reader.counts().n_batches, 2);
    assert!(TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn a_post_that_was_arriving_at_a_shutdown_is_still_recorded() {
    let settings = Settings { body_timeout_ms: 10_000, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let request = request_bytes("POST", "/metrics", &[], &post_of("model", &["1"]));
    let (first_half, second_half) = request.split_at(request.len() - 100);
    let mut client = Client::connect(running.wire).await;
    client.send(first_half).await;
    running.wait_for_metric(IN_FLIGHT, (post_of("model", &["1"]).len() - 100) as f64).await;
    let (wire, admin, ledger) = (running.wire, running.admin, running.ledger.clone());
    let run = running.begin_stop();
    soon(async { while TcpStream::connect(wire).await.is_ok() {} }).await;
    assert_eq!(metric(admin, r#"tollgate_connections{listener="wire"}"#).await, 1.0);
    client.send(second_half).await;
    assert_eq!(client.answer().await.acks("model"), ["1"]);
    soon(run).await.expect("no panic").expect("a clean end");
    assert_eq!(ledger.open().reader.counts().n_batches, 1);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let (step, held) = Held::step();
    let settings = Settings { drain_timeout_ms: 100, ..Settings::for_testing() };
    let script = Script::of([step]);
    let running = Running::scripted(settings, script.clone()).await;
    let mut client = Client::connect(running.wire).await;
    client.send(&request_bytes("POST", "/metrics", &[], &post_of("model", &["1"]))).await;
    held.began().await;
    let ledger = running.ledger.clone();
    let run = running.begin_stop();
    assert!(client.answer_or_end().await.is_none(), "cut off: the sender has to ask again");
    held.go_on(Step::Record);
    soon(run).await.expect("no panic").expect("a clean end");
    assert!(script.is_closed());
    assert_eq!(
        ledger.open().reader.counts().n_batches,
        1,
        "recorded and not acknowledged: it may come again"
    );
}

//! What senders post in normal operation.

use serde_json::{Value, json};
use tollgate_collector::Settings;
use tollgate_ledger::Page;

use crate::harness::{Client, Running, batch, post_of, request_bytes};

const BASES: [&str; 6] = ["", "/v2", "/v3", "/omnibus", "/omnibus/v2", "/omnibus/v3"];

#[tokio::test]
async fn every_path_that_was_ever_a_collector_is_one() {
    let running = Running::start().await;
    let mut client = Client::connect(running.wire).await;
    let mut n_posts = 0;
    for base in BASES {
        for path in ["/metrics", "//metrics", "", "/", "/metrics?x=1"] {
            let path = format!("{base}{path}");
            if path.is_empty() {
                continue; // No request line can say it.
            }
            n_posts += 1;
            let uuid = format!("{n_posts}");
            let answer = client.request("POST", &path, &[], &post_of("model", &[&uuid])).await;
            assert_eq!(answer.acks("model"), [uuid], "{path}");
        }
    }
    assert_eq!(running.counts().n_batches, n_posts);
}

#[tokio::test]
async fn what_the_ledger_prepares_of_a_request_is_what_it_records() {
    let running = Running::preparing().await;
    // Too long to be decoded where it was read.
    let large: Vec<String> = (0..150).map(|n| format!("large-{n}")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    let posts: [(&[&str], &[&str]); 4] =
        [(&["1"], &["1"]), (&["2", "3", "2"], &["2", "3"]), (&large, &large), (&["1"], &["1"])];
    for (uuids, acks) in posts {
        assert_eq!(running.post("/metrics", post_of("model", uuids)).await.acks("model"), acks);
    }
    assert_eq!(running.post("/metrics", "[]").await.status, 200);
    assert_eq!(running.counts().n_batches, 153);
    assert_eq!(running.metric("tollgate_metrics_recorded_total").await, 153.0);
    running.stop().await.expect("a clean end");
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused_and_nothing_redirects() {
    let running = Running::start().await;
    let body = post_of("model", &["1"]);
    for base in BASES {
        for path in ["/metrics", "//metrics", "/", "/users/metrics", "/v4/jimm/metrics"] {
            for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
                let path = format!("{base}{path}");
                let mut client = Client::connect(running.wire).await;
                let answer = client.request(method, &path, &[], &body).await;
                answer.problem(405, "method-not-allowed");
                assert_eq!(answer.header("allow"), Some("POST"), "{method} {path}");
            }
        }
        let mut client = Client::connect(running.wire).await;
        let answer = client.request("HEAD", &format!("{base}/metrics"), &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    }
    let admin_paths = ["/healthz", "/readyz", "/version", "/api/v1/models", "/api/v1/quarantine"];
    let others = ["/metrics/", "/Metrics", "/v1/metrics", "/v2/v3/metrics", "///metrics", "/metrics/x"];
    let hostile = ["/../metrics", "/%6detrics", "/metrics%2f", "/v3/..;/metrics", "/v4/metrics", "/v4/jimm"];
    for path in admin_paths.iter().chain(&others).chain(&hostile) {
        for method in ["POST", "GET"] {
            let mut client = Client::connect(running.wire).await;
            client.request(method, path, &[], &body).await.problem(404, "no-such-path");
        }
    }
    assert_eq!(running.counts().n_batches, 0);
}

#[tokio::test]
async fn an_empty_post_has_an_empty_answer() {
    let running = Running::start().await;
    for body in ["null", "[]", " [ ] \n"] {
        let answer = running.post("/metrics", body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let uuid = answer.json()["uuid"].as_str().expect("a uuid").to_owned();
        let expected = format!(r#"{{"uuid":"{uuid}","env-responses":{{}},"new-grace-period":0}}"#);
        assert_eq!(answer.text(), expected);
        assert_eq!(uuid::Uuid::parse_str(&uuid).expect("a uuid").get_version_num(), 4);

        let answer = running.post("/users/metrics", body).await;
        let uuid = answer.json()["uuid"].as_str().expect("a uuid").to_owned();
        assert_eq!(answer.text(), format!(r#"{{"uuid":"{uuid}","user-responses":{{}}}}"#));
    }
}

#[tokio::test]
async fn the_answer_has_the_exact_bytes() {
    let settings = Settings { grace_period_seconds: 47 * 3_600, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let body =
        json!([batch("m2", "b", "metered/0", "5"), batch("m1", "a", "", "0.1"), batch("m2", "b", "x", "5")]);
    let answer = running.post("/v3/metrics", body.to_string()).await;
    let uuid = answer.json()["uuid"].as_str().expect("a uuid").to_owned();
    let expected = format!(
        r#"{{"uuid":"{uuid}","env-responses":{{"m1":{{"acks":["a"],"model-status":{{"status":"GREEN","info":""}}}},"#
    ) + r#""m2":{"acks":["b"],"model-status":{"status":"GREEN","info":""},"#
        + r#""unit-statuses":{"metered/0":{"status":"GREEN","info":""},"#
        + r#""x":{"status":"AMBER","info":"batch b is in quarantine: "#
        + r#"a batch with this id and other content was recorded before"}}}},"new-grace-period":169200000000000}"#;
    assert_eq!(answer.text(), expected);
    assert_ne!(running.post("/v3/metrics", "[]").await.json()["uuid"], uuid, "each answer has its own");
}

#[tokio::test]
async fn a_duplicate_is_acknowledged_again_and_counts_once() {
    let running = Running::start().await;
    for _ in 0..3 {
        assert_eq!(running.post("/metrics", post_of("model", &["1", "2"])).await.acks("model"), ["1", "2"]);
    }
    assert_eq!(running.counts().n_batches, 2);
    assert_eq!(running.metric(r#"tollgate_batches_total{outcome="recorded"}"#).await, 2.0);
    assert_eq!(running.metric(r#"tollgate_batches_total{outcome="duplicate"}"#).await, 4.0);
    assert_eq!(running.metric("tollgate_metrics_recorded_total").await, 2.0);
}

#[tokio::test]
async fn a_conflict_is_acknowledged_and_shows_and_changes_nothing() {
    let running = Running::start().await;
    let first = json!([batch("model", "1", "metered/0", "5")]).to_string();
    let other = json!([batch("model", "1", "metered/0", "6")]).to_string();
    assert_eq!(running.post("/metrics", &first).await.acks("model"), ["1"]);
    let answer = running.post("/metrics", &other).await;
    assert_eq!(answer.acks("model"), ["1"]);
    let unit = &answer.json()["env-responses"]["model"]["unit-statuses"]["metered/0"];
    assert_eq!(unit["status"], "AMBER");

    let reader = running.ledger.open().reader;
    assert_eq!(reader.model("model").expect("read").expect("known").meters[0].sum, "5");
    let quarantine = reader.quarantine(&Page { cursor: None, limit: 10 }).expect("read");
    assert_eq!(quarantine.iter().map(|item| item.code.as_str()).collect::<Vec<_>>(), ["conflict"]);
    assert_eq!(running.metric(r#"tollgate_batches_total{outcome="conflict"}"#).await, 1.0);
}

fn jimm_batch(uuid: &str, model_name: &str) -> Value {
    json!({
        "uuid": uuid,
        "env-uuid": format!("uuid of {model_name}"),
        "unit-name": "jimm/0",
        "charm-url": "cs:~canonical/jimm-0",
        "created": "2018-03-22T10:15:30.123456789Z",
        "metrics": [{"key": "juju-model-units", "value": "17", "time": "2018-03-22T10:15:30.123456789Z"}],
        "credentials": "e30=",
        "reseller-credentials": null,
        "sla-credentials": null,
        "model-name": model_name,
    })
}

#[tokio::test]
async fn jimm_finds_its_answer_beside_the_controllers() {
    let running = Running::start().await;
    let body = json!([jimm_batch("5", "bob/model-1"), jimm_batch("6", "eve/model-2")]).to_string();
    let answer = running.post("/metrics", &body).await;
    assert_eq!(answer.acks("uuid of bob/model-1"), ["5"]);
    let object = answer.json();
    let green = json!({"status": "GREEN", "info": ""});
    let users = json!({"bob": {"status": green, "acks": ["5"]}, "eve": {"status": green, "acks": ["6"]}});
    assert_eq!(object["user-responses"], users);
    assert_eq!(object["new-grace-period"], 0);
    let keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");

    let answer = running.post("/v3/users/metrics", &body).await;
    let object = answer.json();
    assert_eq!(object["user-responses"], users);
    assert!(object.get("env-responses").is_none(), "{object}");

    let controller = running.post("/metrics", post_of("model", &["1"])).await;
    assert!(controller.json().get("user-responses").is_none(), "a controller's answer has its keys only");
}

#[tokio::test]
async fn the_content_type_of_a_post_does_not_matter() {
    let running = Running::start().await;
    for (uuid, headers) in [
        ("1", vec![]),
        ("2", vec!["content-type: application/json"]),
        ("3", vec!["content-type: application/x-www-form-urlencoded"]),
        ("4", vec!["content-type: ;;"]),
        ("5", vec!["accept: text/html", "accept-encoding: gzip", "user-agent: Go-http-client/1.1"]),
    ] {
        let answer = running.post_with("/metrics", &headers, post_of("model", &[uuid])).await;
        assert_eq!(answer.acks("model"), [uuid]);
    }
}

#[tokio::test]
async fn compressed_posts_are_taken() {
    let running = Running::start().await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::default());
        let mut compressed = Vec::new();
        std::io::Read::read_to_end(&mut encoder, &mut compressed).expect("compress");
        compressed
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3).expect("compress");
    for (uuid, header, body) in [
        ("1", "content-encoding: gzip", gzip(&post_of("model", &["1"]))),
        ("2", "content-encoding: x-gzip", gzip(&post_of("model", &["2"]))),
        ("3", "content-encoding: zstd", zstd(&post_of("model", &["3"]))),
        ("4", "content-encoding: identity", post_of("model", &["4"])),
    ] {
        assert_eq!(running.post_with("/metrics", &[header], body).await.acks("model"), [uuid]);
    }
    assert_eq!(running.counts().n_batches, 4);
}

#[tokio::test]
async fn one_connection_serves_many_posts_also_pipelined_and_chunked() {
    let running = Running::start().await;
    let mut client = Client::connect(running.wire).await;
    for uuid in ["1", "2", "3"] {
        assert_eq!(
            client.request("POST", "/metrics", &[], &post_of("model", &[uuid])).await.acks("model"),
            [uuid]
        );
    }
    let pipelined: Vec<u8> = ["4", "5", "6"]
        .iter()
        .flat_map(|uuid| request_bytes("POST", "/metrics", &[], &post_of("model", &[uuid])))
        .collect();
    client.send(&pipelined).await;
    for uuid in ["4", "5", "6"] {
        assert_eq!(client.answer().await.acks("model"), [uuid]);
    }
    client.send(b"POST /metrics HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for piece in post_of("model", &["7"]).chunks(100) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        client.send(piece).await;
        client.send(b"\r\n").await;
    }
    client.send(b"0\r\nx-trailer: 1\r\n\r\n").await;
    assert_eq!(client.answer().await.acks("model"), ["7"]);
    assert_eq!(running.counts().n_batches, 7);
    assert_eq!(running.metric(r#"tollgate_connections{listener="wire"}"#).await, 1.0);
}

#[tokio::test]
async fn many_senders_at_once_are_all_recorded_in_fewer_groups() {
    let settings = Settings { queue_batches_max: 100_000, ..Settings::for_testing() };
    let running = Running::with(settings).await;
    let mut posts = tokio::task::JoinSet::new();
    for sender in 0..32 {
        let wire = running.wire;
        posts.spawn(async move {
            let mut client = Client::connect(wire).await;
            for n in 0..20 {
                let uuid = format!("{sender}-{n}");
                let answer = client.request("POST", "/metrics", &[], &post_of("model", &[&uuid])).await;
                assert_eq!(answer.acks("model"), [uuid]);
            }
        });
    }
    posts.join_all().await;
    assert_eq!(running.counts().n_batches, 640);
    let n_requests = r#"tollgate_requests_total{listener="wire",route="/metrics",status="200"}"#;
    assert_eq!(running.metric(n_requests).await, 640.0);
    assert_eq!(running.metric("tollgate_group_batches_sum").await, 640.0);
    running.stop().await.expect("a clean end");
}

#[tokio::test]
async fn who_asks_whether_to_send_a_body_is_told() {
    let running = Running::start().await;
    let body = post_of("model", &["1"]);
    let head = |n_bytes: usize| {
        format!(
            "POST /metrics HTTP/1.1\r\nhost: c\r\nexpect: 100-continue\r\ncontent-length: {n_bytes}\r\n\r\n"
        )
    };
    let mut client = Client::connect(running.wire).await;
    client.send(head(body.len()).as_bytes()).await;
    assert_eq!(client.answer().await.status, 100);
    client.send(&body).await;
    assert_eq!(client.answer().await.acks("model"), ["1"]);

    client.send(head(10 << 20).as_bytes()).await;
    client.answer().await.problem(413, "body-too-large");
    assert!(client.answer_or_end().await.is_none());
}

//! What operators decide.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_collector::{CurrentTerms, Terms};
use tollgate_ledger::{Entry, MemoryLedger};
use tollgate_rules::{CredentialError, Reason, Verdict, judge};
use tollgate_wire::{Document, Timestamp};

use crate::harness::{Answer, Client, Running, batch, post_of};

async fn ask(running: &Running, method: &str, path: &str, body: &str) -> Answer {
    Client::connect(running.admin).await.request(method, path, &[], body.as_bytes()).await
}

async fn statuses(running: &Running, model: &str) -> Value {
    let answer = running.post("/metrics", json!([batch(model, "again", "web/0", "1")]).to_string()).await;
    let of_model = answer.json()["env-responses"][model].clone();
    json!([of_model["model-status"]["status"], of_model["unit-statuses"]["web/0"]["status"]])
}

#[tokio::test]
async fn statuses_are_set_shown_and_cleared() {
    let running = Running::start().await;
    assert_eq!(statuses(&running, "m").await, json!(["GREEN", "GREEN"]));
    let of_model = "/api/v1/models/m/status";
    let set = ask(&running, "PUT", of_model, r#"{"status":"RED","info":"unpaid since May"}"#).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let set = set.json();
    assert_eq!(
        [&set["model_uuid"], &set["unit_name"], &set["status"], &set["info"], &set["expires"]],
        [&json!("m"), &json!(""), &json!("RED"), &json!("unpaid since May"), &json!(null)]
    );
    assert_eq!(statuses(&running, "m").await, json!(["RED", "GREEN"]));
    // Both spellings of a unit's name are the same unit.
    for (path, status) in
        [("/api/v1/models/m/units/web%2F0/status", "AMBER"), ("/api/v1/models/m/units/web/0/status", "RED")]
    {
        let set =
            ask(&running, "PUT", path, &json!({"status": status, "for_seconds": 3_600}).to_string()).await;
        assert_eq!(set.json()["unit_name"], "web/0", "{}", set.text());
        assert_eq!(statuses(&running, "m").await, json!(["RED", status]));
        assert_eq!(running.get(path).await.json()["status"], status);
    }
    let whole = running.get(of_model).await.json();
    assert_eq!([&whole["status"], &whole["source"]], [&json!("RED"), &json!("hand")]);
    assert_eq!(whole["units"][0]["unit_name"], "web/0");
    let listed = running.get("/api/v1/statuses").await.json();
    assert_eq!(listed["rows"].as_array().map(Vec::len), Some(2), "{listed}");

    assert_eq!(ask(&running, "DELETE", of_model, "").await.status, 204);
    assert_eq!(ask(&running, "DELETE", of_model, "").await.status, 204);
    assert_eq!(ask(&running, "DELETE", "/api/v1/models/m/units/web/0/status", "").await.status, 204);
    assert_eq!(statuses(&running, "m").await, json!(["GREEN", "GREEN"]));
    running.get("/api/v1/models/m/units/web/0/status").await.problem(404, "no-such-item");
    assert_eq!(running.get(of_model).await.json()["source"], "default");
    // What operators decide is no batch.
    assert_eq!(running.metric(r#"tollgate_batches_total{outcome="recorded"}"#).await, 1.0);
}

#[tokio::test]
async fn a_status_of_a_model_without_a_batch_shows() {
    let running = Running::start().await;
    for model in ["b", "d"] {
        running.post("/metrics", json!([batch(model, "1", "web/0", "1")]).to_string()).await;
    }
    for (path, body) in [
        ("/api/v1/models/a/status", json!({"status": "RED"})),
        ("/api/v1/models/c/units/web/0/status", json!({"status": "AMBER"})),
        ("/api/v1/models/d/status", json!({"status": "RED", "for_seconds": 3_600})),
    ] {
        assert_eq!(ask(&running, "PUT", path, &body.to_string()).await.status, 200);
    }
    let mut listed = Vec::new();
    let mut path = "/api/v1/statuses?limit=1".to_owned();
    loop {
        let page = running.get(&path).await.json();
        for row in page["rows"].as_array().expect("rows") {
            let fields = ["model_uuid", "unit_name", "status", "source"];
            listed.push(fields.map(|field| row[field].as_str().expect("a text").to_owned()).join(" "));
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/statuses?limit=1&cursor={cursor}");
    }
    assert_eq!(
        listed,
        ["a  RED hand", "b  GREEN default", "c  GREEN default", "c web/0 AMBER hand", "d  RED hand"]
    );
    // And beside what a model used.
    let model = running.get("/api/v1/models/d").await.json();
    assert_eq!((&model["statuses"][0]["status"], &model["n_batches"]), (&json!("RED"), &json!(1)));
    assert_eq!(running.get("/api/v1/models/b").await.json()["statuses"], json!([]));
}

#[tokio::test]
async fn every_unit_that_a_batch_can_name_can_have_a_status() {
    let running = Running::start().await;
    let path = |n_bytes: usize| format!("/api/v1/models/m/units/{}/status", "u".repeat(n_bytes));
    assert_eq!(ask(&running, "PUT", &path(1_024), r#"{"status":"RED"}"#).await.status, 200);
    ask(&running, "PUT", &path(1_025), r#"{"status":"RED"}"#).await.problem(400, "bad-parameter");
}

#[tokio::test]
async fn a_status_that_is_none_is_refused() {
    let running = Running::start().await;
    let long = json!({"status": "RED", "info": "x".repeat(2_000)}).to_string();
    for (body, expected) in [
        ("", "The body is no status"),
        ("[]", "Send one such as {\"status\":\"RED\""),
        (r#"{"status":"red"}"#, "expected GREEN, AMBER or RED, in capitals"),
        (r#"{"status":"RED","color":1}"#, "unknown field `color`"),
        (r#"{"status":"RED","expires":"tomorrow"}"#, "expected RFC 3339"),
        (r#"{"status":"RED","expires":"2020-01-01T00:00:00Z"}"#, "is over"),
        (r#"{"status":"RED","for_seconds":0}"#, "for_seconds 0 is outside 1"),
        (r#"{"status":"RED","for_seconds":1,"expires":"2090-01-01T00:00:00Z"}"#, "give one"),
        ("{\"status\":\"RED\",\"info\":\"a\\nb\"}", "one line"),
        (&long, "one line of 1024 bytes"),
    ] {
        let problem =
            ask(&running, "PUT", "/api/v1/models/m/status", body).await.problem(400, "bad-parameter");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains(expected), "{body}: {detail}");
    }
    ask(&running, "PUT", "/api/v1/models/m/units/web/0", "{}").await.problem(404, "no-such-path");
    ask(&running, "POST", "/api/v1/models/m/status", "{}").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn what_was_set_aside_is_released_when_it_can_count() {
    let running = Running::start().await;
    running.post("/metrics", post_of("m", &["1"])).await;
    let conflict = json!([batch("m", "1", "a/0", "99"), batch("m", "2", "a/0", "NaN"), 7]);
    running.post("/metrics", conflict.to_string()).await;
    let listed = |query: &'static str| {
        let running = &running;
        async move {
            let page = running.get(&format!("/api/v1/quarantine{query}")).await.json();
            page["rows"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed("").await.len(), 3);
    // By code, as the order of ids is the ledger's.
    let page = running.get("/api/v1/quarantine").await.json();
    let id_of = |code: &str| {
        let rows = page["rows"].as_array().expect("rows");
        rows.iter().find(|row| row["code"] == code).expect("an element")["id"].clone()
    };
    let release = |id: Value, body: &'static str| {
        let running = &running;
        async move { ask(running, "POST", &format!("/api/v1/quarantine/{id}/release"), body).await }
    };
    let problem = release(id_of("conflict"), "").await.problem(409, "cannot-count");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("under a uuid of its own")),
        "{problem}"
    );
    let problem = release(id_of("value"), r#"{"count":true}"#).await.problem(409, "cannot-count");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("NaN")), "{problem}");
    release(id_of("undecodable"), "").await.problem(409, "cannot-count");
    release(id_of("undecodable"), "[]").await.problem(400, "bad-parameter");
    release(json!(99), "").await.problem(404, "no-such-item");
    assert_eq!(listed("").await.len(), 3);
    for _ in 0..2 {
        let released = release(id_of("value"), r#"{"count":false}"#).await;
        assert_eq!(
            (released.status, &released.json()["is_released"]),
            (200, &json!(true)),
            "{}",
            released.text()
        );
    }
    assert_eq!(listed("").await.len(), 2);
    assert_eq!(listed("?released=true").await, [id_of("value")]);
    assert_eq!(listed("?released=all").await.len(), 3);
    running.get("/api/v1/quarantine?released=perhaps").await.problem(400, "bad-parameter");
    assert_eq!(running.counts().n_batches, 1, "nothing of it counted");
}

#[tokio::test]
async fn a_credential_is_taken_back_for_ever() {
    let running = Running::start().await;
    let path = "/api/v1/credentials/abc";
    assert_eq!(running.get(path).await.json(), json!({"credential_id": "abc", "is_revoked": false}));
    for _ in 0..2 {
        let revoked = ask(&running, "POST", &format!("{path}/revoke"), "").await;
        assert_eq!(revoked.json(), json!({"credential_id": "abc", "is_revoked": true}));
    }
    assert_eq!(running.get(path).await.json()["is_revoked"], true);
}

#[tokio::test]
async fn recorded_batches_are_listed_in_their_order() {
    let running = Running::start().await;
    running.post("/metrics", post_of("m", &["1", "2", "3"])).await;
    running.post("/metrics", json!([batch("n", "1", "web/1", "5")]).to_string()).await;
    let listed = |query: &'static str| {
        let running = &running;
        async move {
            let page = running.get(&format!("/api/v1/batches{query}")).await.json();
            let rows = page["rows"].as_array().expect("rows").clone();
            rows.iter()
                .map(|row| format!("{}/{}", row["model_uuid"], row["batch_uuid"]).replace('"', ""))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(listed("").await, ["m/1", "m/2", "m/3", "n/1"]);
    assert_eq!(listed("?model=n").await, ["n/1"]);
    assert_eq!(listed("?unit=web/1").await, ["n/1"]);
    assert_eq!(listed("?model=q").await, [] as [&str; 0]);
    let page = running.get("/api/v1/batches?limit=3").await.json();
    let cursor = page["next_cursor"].as_str().expect("another page").to_owned();
    let page = running.get(&format!("/api/v1/batches?limit=3&cursor={cursor}")).await.json();
    assert_eq!((&page["rows"][0]["model_uuid"], &page["next_cursor"]), (&json!("n"), &json!(null)));
    running.get("/api/v1/batches?cursor=somewhere").await.problem(400, "bad-parameter");
}

#[tokio::test]
async fn a_page_of_another_site_decides_nothing() {
    let running = Running::start().await;
    let body = br#"{"status":"RED"}"#;
    for headers in [&["sec-fetch-site: cross-site"][..], &["origin: https://evil.example"]] {
        let mut client = Client::connect(running.admin).await;
        let answer = client.request("PUT", "/api/v1/models/m/status", headers, body).await;
        answer.problem(403, "cross-site");
    }
    // Its name may lead here, and then the browser takes both for one site.
    for (method, path) in [("GET", "/api/v1/usage"), ("PUT", "/api/v1/models/m/status"), ("GET", "/none")] {
        let host = "evil.example:8481";
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\ncontent-length: 0\r\n\r\n"
        );
        let mut client = Client::connect(running.admin).await;
        client.send(request.as_bytes()).await;
        client.answer().await.problem(403, "other-host");
    }
    assert_eq!(running.get("/api/v1/statuses").await.json()["rows"], json!([]));
    let mut client = Client::connect(running.admin).await;
    let headers = ["sec-fetch-site: same-origin"];
    assert_eq!(client.request("PUT", "/api/v1/models/m/status", &headers, body).await.status, 200);
}

#[tokio::test]
async fn what_was_dismissed_counts_no_more_and_says_so() {
    let memory = MemoryLedger::default();
    let refused = |uuid: &str| {
        let body = json!([batch("m", uuid, "a/0", "5")]).to_string();
        let document = Document::new(body.as_bytes());
        let elements = document.batches().expect("an array");
        let Verdict::Admitted(admitted) = judge(&elements[0]) else { unreachable!("it can count") };
        Entry::Refused(admitted, Reason::Credential { refusal: CredentialError::Missing })
    };
    let group = vec![refused("1"), refused("2")];
    memory.open().writer.record(group, Timestamp::default()).expect("recorded");
    let running = Running::under(&Arc::new(CurrentTerms::new(Terms::default())), &memory).await;
    let release = |id: u64, body: &'static str| {
        let running = &running;
        async move { ask(running, "POST", &format!("/api/v1/quarantine/{id}/release"), body).await }
    };
    assert_eq!(release(1, r#"{"count":false}"#).await.status, 200);
    let problem = release(1, r#"{"count":true}"#).await.problem(409, "cannot-count");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains("without counting")),
        "{problem}"
    );
    running.get("/api/v1/models/m").await.problem(404, "no-such-item");
    for _ in 0..2 {
        assert_eq!(release(2, "").await.status, 200, "a copy of the request is answered alike");
    }
    assert_eq!(running.get("/api/v1/models/m").await.json()["n_batches"], 1);
}

#[tokio::test]
async fn pages_of_the_quarantine_follow_one_another() {
    let running = Running::start().await;
    let bad: Vec<Value> = (0..40).map(|n| batch("m", &n.to_string(), "a/0", "NaN")).collect();
    running.post("/metrics", json!(bad).to_string()).await;
    for id in [3, 16, 17, 40] {
        let released =
            ask(&running, "POST", &format!("/api/v1/quarantine/{id}/release"), r#"{"count":false}"#).await;
        assert_eq!(released.status, 200, "{}", released.text());
    }
    for (released, expected) in [("false", 36), ("true", 4), ("all", 40)] {
        for limit in [1, 7, 8, 16, 36, 40] {
            let (mut ids, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/v1/quarantine?released={released}&limit={limit}{cursor}");
                let page = running.get(&path).await.json();
                let rows = page["rows"].as_array().expect("rows");
                assert!(rows.len() <= limit, "{path}");
                ids.extend(rows.iter().map(|row| row["id"].as_u64()));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert!(ids.is_sorted_by(|a, b| a < b), "each once, in order: {ids:?}");
            assert_eq!(ids.len(), expected, "{released} in pages of {limit}");
        }
    }
}

//! What operators see.
#![expect(clippy::panic, reason = "a reader with a bug has to have one")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tollgate_collector::{Collector, Settings};
use tollgate_ledger::{
    BodyDropped, Counts, LedgerError, MemoryLedger, ModelSummary, Ownership, Page, QuarantineItem, Reader,
    Remedy,
};
use tollgate_rules::{BatchId, Decimal, Point, Rollup, Select, Series, Visitor};

use crate::harness::{Client, Running, batch, post_of};

#[tokio::test]
async fn the_admin_listener_stays_on_loopback() {
    for admin in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8481"] {
        let settings = Settings { admin: admin.parse().expect("an address"), ..Settings::for_testing() };
        let refusal = Collector::bind(settings, MemoryLedger::default().open()).await.err().expect("refused");
        assert!(
            refusal.to_string().starts_with(&format!("bind the admin listener to {admin}: it has neither"))
        );
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let running = Running::start().await;
    let settings = Settings { listen: running.wire, ..Settings::for_testing() };
    let refusal = Collector::bind(settings, MemoryLedger::default().open()).await.err().expect("refused");
    assert_eq!(refusal.to_string(), format!("bind the wire listener to {}", running.wire));
    let source = std::error::Error::source(&refusal).expect("the system's reason").to_string();
    assert!(source.contains("in use"), "{source}");
}

#[tokio::test]
async fn probes_and_version() {
    let running = Running::start().await;
    let alive = running.get("/healthz").await;
    assert_eq!((alive.status, alive.text()), (200, "alive\n"));
    let ready = running.get("/readyz").await;
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
    assert_eq!(running.get("/version").await.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn the_first_page_says_what_this_is_and_its_links_work() {
    let running = Running::start().await;
    let page = running.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("Tollgate collector"));
    let links: Vec<&str> =
        page.text().split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(6 <= links.len(), "{links:?}");
    for link in links {
        assert_eq!(running.get(&link.replace("&amp;", "&")).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn models_batches_and_quarantine_are_listed_by_pages() {
    let running = Running::start().await;
    let names: Vec<String> = (0..5).map(|n| format!("model-{n}")).collect();
    for model in &names {
        let body =
            json!([batch(model, "1", "a/0", "0.1"), batch(model, "2", "a/1", "0.2"), {"uuid": "3"}, "junk"]);
        assert_eq!(running.post("/metrics", body.to_string()).await.acks(model), ["1", "2"]);
    }

    let mut listed = Vec::new();
    let mut path = "/api/v1/models?limit=2".to_owned();
    loop {
        let page = running.get(&path).await.json();
        let rows = page["rows"].as_array().expect("rows").clone();
        assert!(rows.len() <= 2);
        listed.extend(rows);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/models?limit=2&cursor={cursor}");
    }
    let uuids: Vec<&str> = listed.iter().filter_map(|model| model["model_uuid"].as_str()).collect();
    assert_eq!(uuids, names);
    let model = running.get("/api/v1/models/model-3").await.json();
    assert_eq!(model["statuses"], json!([]));
    for (name, value) in listed[3].as_object().expect("an object") {
        assert_eq!(model[name], *value, "{name}");
    }
    assert_eq!(model["meters"], json!([{"key": "pings", "n_metrics": 2, "sum": "0.3"}]));
    assert_eq!(model["units"], json!(["a/0", "a/1"]));

    let stored = running.get("/api/v1/batches/model-3/2").await;
    assert_eq!(stored.header("content-type"), Some("application/json"));
    assert_eq!(stored.json(), batch("model-3", "2", "a/1", "0.2"));

    // The same two broken elements came five times and are kept once.
    let page = running.get("/api/v1/quarantine?limit=1").await.json();
    assert_eq!((&page["rows"][0]["code"], &page["next_cursor"]), (&json!("missing-model-uuid"), &json!("1")));
    let page = running.get("/api/v1/quarantine?limit=1&cursor=1").await.json();
    assert_eq!((&page["rows"][0]["code"], &page["next_cursor"]), (&json!("undecodable"), &json!(null)));
    assert_eq!(running.get("/api/v1/quarantine/2").await.json(), page["rows"][0]);
    for id in [0, 3] {
        running.get(&format!("/api/v1/quarantine/{id}")).await.problem(404, "no-such-item");
    }
}

#[tokio::test]
async fn long_elements_are_listed_by_their_beginning_and_shown_whole() {
    let running = Running::start().await;
    let long = json!({"uuid": "é".repeat(100_000)});
    for n in 0..20 {
        let short = json!({"uuid": format!("{n}")});
        assert_eq!(running.post("/metrics", json!([short, long, n]).to_string()).await.status, 200);
    }
    let page = running.get("/api/v1/quarantine").await;
    let rows = page.json()["rows"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 41, "the long one is kept once");
    for (row, id) in rows.iter().zip(1..) {
        assert_eq!(row["id"], id);
    }
    assert_eq!((&rows[0]["body"], &rows[0]["body_bytes"]), (&json!(r#"{"uuid":"0"}"#), &json!(12)));
    let long = long.to_string();
    let beginning: String = long.chars().take(1_000).collect();
    assert_eq!((&rows[1]["body"], &rows[1]["body_bytes"]), (&json!(beginning), &json!(long.len())));
    let whole = running.get("/api/v1/quarantine/2").await.json();
    assert_eq!((&whole["body"], &whole["body_bytes"]), (&json!(long), &json!(long.len())));
    let page = running.get("/api/v1/quarantine?limit=11&cursor=9").await.json();
    assert_eq!((page["rows"].as_array().expect("rows").len(), &page["next_cursor"]), (11, &json!("20")));
}

/// A read half with an endless quarantine of long elements, which notes how many were asked for at once.
#[derive(Clone, Default)]
struct Endless(Arc<AtomicUsize>);

impl Reader for Endless {
    fn counts(&self) -> Counts {
        Counts::default()
    }

    fn models(&self, _page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        Ok(Vec::new())
    }

    fn model(&self, _model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        Ok(None)
    }

    fn batch(&self, _id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(None)
    }

    fn quarantine(&self, page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        self.0.fetch_max(page.limit, Ordering::SeqCst);
        // Shorter than asked for, as a ledger may.
        let ids = (page.after_id() + 1..).take(page.limit.min(3));
        let item = |id| QuarantineItem {
            is_released: false,
            id,
            model_uuid: String::new(),
            batch_uuid: String::new(),
            unit_name: String::new(),
            code: "undecodable".to_owned(),
            reason: String::new(),
            received: String::new(),
            body: "x".repeat(1 << 20),
        };
        Ok(ids.map(item).collect())
    }

    fn batches(
        &self,
        _: &tollgate_ledger::BatchSelect,
        _: &Page,
    ) -> Result<tollgate_ledger::BatchPage, LedgerError> {
        unreachable!("nobody asks")
    }

    fn usage(&self, _: &Select<'_>, _: &mut dyn Visitor) -> Result<(), LedgerError> {
        unreachable!("nobody asks")
    }

    fn hand_status(&self, _: &str, _: &str) -> Result<Option<tollgate_ledger::HandStatus>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn hand_statuses(&self, _: Option<&str>) -> Result<Vec<tollgate_ledger::HandStatus>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn is_revoked(&self, _: &str) -> Result<bool, LedgerError> {
        unreachable!("nobody asks")
    }

    fn declared_user(&self, _: &str) -> Result<Option<Box<str>>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn ownership(&self, _: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn ownerships(&self, _: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        unreachable!("nobody asks")
    }
}

#[tokio::test]
async fn a_page_of_long_elements_is_not_held_whole() {
    let reader = Endless::default();
    let running = Running::reading(reader.clone()).await;
    let page = running.get("/api/v1/quarantine?limit=1000").await;
    assert!(page.body.len() < 2 << 20, "{}", page.body.len());
    let page = page.json();
    assert_eq!((page["rows"].as_array().expect("rows").len(), &page["next_cursor"]), (1_000, &json!("1000")));
    assert!(reader.0.load(Ordering::SeqCst) <= 8, "{reader:?}", reader = reader.0);
}

#[tokio::test]
async fn odd_ids_are_found_as_they_were_sent() {
    let running = Running::start().await;
    let (model, uuid) = ("../a/b?c=%2F d", "ü\"#&");
    let answer = running.post("/metrics", json!([batch(model, uuid, "u/0", "1")]).to_string()).await;
    assert_eq!(answer.acks(model), [uuid]);
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let stored = running.get(&format!("/api/v1/batches/{}/{}", encoded(model), encoded(uuid))).await;
    assert_eq!(stored.json(), batch(model, uuid, "u/0", "1"));
    assert_eq!(running.get(&format!("/api/v1/models/{}", encoded(model))).await.json()["model_uuid"], model);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_understood_are_problems() {
    let running = Running::start().await;
    running.get("/api/v1/models/none").await.problem(404, "no-such-item");
    running.get("/api/v1/batches/none/none").await.problem(404, "no-such-item");
    for id in ["0", "1", "18446744073709551615"] {
        running.get(&format!("/api/v1/quarantine/{id}")).await.problem(404, "no-such-item");
    }
    for path in ["/api/v1", "/api/v1/models/", "/nothing", "/api/v1/batches/one"] {
        running.get(path).await.problem(404, "no-such-path");
    }
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "page=2", "limit=1&limit=2"] {
        for listing in ["models", "quarantine"] {
            running.get(&format!("/api/v1/{listing}?{query}")).await.problem(400, "bad-parameter");
        }
    }
    running.get("/api/v1/quarantine?cursor=x").await.problem(400, "bad-parameter");
    running.get("/api/v1/quarantine/x").await.problem(400, "bad-parameter");
    for path in ["models/%ff", "batches/m/%ff", "batches/%ff/b", "quarantine/%ff"] {
        running.get(&format!("/api/v1/{path}")).await.problem(400, "bad-parameter");
    }
    for path in ["/metrics", "/api/v1/models"] {
        let mut client = Client::connect(running.admin).await;
        let answer = client.request("POST", path, &[], &post_of("model", &["1"])).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
}

#[tokio::test]
async fn the_metrics_page_tells_what_happened_and_no_sender_can_make_it_grow() {
    let running = Running::start().await;
    running.post("/metrics", post_of("model", &["1", "2"])).await;
    running.post("/metrics", "[").await;
    let page = running.get("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    for line in [
        r#"tollgate_requests_total{listener="wire",route="/metrics",status="200"} 1"#,
        r#"tollgate_requests_total{listener="wire",route="/metrics",status="400"} 1"#,
        r#"tollgate_batches_total{outcome="recorded"} 2"#,
        "tollgate_metrics_recorded_total 2",
        "tollgate_group_batches_sum 2.0",
        "tollgate_group_batches_count 1",
        "tollgate_record_seconds_count 1",
        "tollgate_request_seconds_count 2",
        "tollgate_queue_batches 0",
        "tollgate_in_flight_bytes 0",
        r#"tollgate_connections{listener="admin"} 1"#,
        "tollgate_ledger_batches 2",
        "tollgate_ledger_metrics 2",
        "tollgate_ledger_models 1",
        "tollgate_ledger_quarantined 0",
        "# EOF",
    ] {
        assert!(page.text().lines().any(|found| found == line), "{line} is not in\n{}", page.text());
    }
    let n_bytes = format!("tollgate_received_bytes_total {}", post_of("model", &["1", "2"]).len() + 1);
    assert!(page.text().contains(&n_bytes), "{n_bytes} is not in\n{}", page.text());

    running.post("/nothing/0", "[]").await;
    let before = running.get("/metrics").await.text().lines().count();
    for n in 1..50 {
        let (model, unit) = (format!("model{n}\n"), format!("unit\"{n}/0"));
        let path = format!("/nothing/{n}");
        running.post(&path, "[]").await;
        running.post("/metrics", json!([batch(&model, "1", &unit, "1")]).to_string()).await;
    }
    assert_eq!(running.get("/metrics").await.text().lines().count(), before);
}

/// A read half that fails in the way that its question says.
struct Failing;

impl Reader for Failing {
    fn counts(&self) -> Counts {
        panic!("a bug in the reader, on purpose")
    }

    fn models(&self, _page: &Page) -> Result<Vec<ModelSummary>, LedgerError> {
        Err(LedgerError::new(Remedy::Restart, "read segment 7"))
    }

    fn model(&self, _model_uuid: &str) -> Result<Option<ModelSummary>, LedgerError> {
        Err(LedgerError::new(Remedy::Retry, "read segment 7"))
    }

    fn batch(&self, id: &BatchId) -> Result<Option<Vec<u8>>, LedgerError> {
        let error = LedgerError::new(Remedy::Repair, "read segment 7 at 4096");
        Err(if &*id.batch_uuid == "old" { error.because(BodyDropped) } else { error })
    }

    fn quarantine(&self, _page: &Page) -> Result<Vec<QuarantineItem>, LedgerError> {
        Err(LedgerError::new(Remedy::FreeSpace, "read segment 7"))
    }

    fn batches(
        &self,
        _: &tollgate_ledger::BatchSelect,
        _: &Page,
    ) -> Result<tollgate_ledger::BatchPage, LedgerError> {
        unreachable!("nobody asks")
    }

    fn usage(&self, _: &Select<'_>, visitor: &mut dyn Visitor) -> Result<(), LedgerError> {
        let series = Series { model_uuid: "m", unit_name: "u/0", charm_url: "", meter: "pings", labels: "" };
        if visitor.series(&series) {
            let amount = Decimal::default();
            visitor.rollup(0, &Rollup::of(Point { unix_seconds: 0, nanoseconds: 0, amount }));
        }
        Ok(())
    }

    fn hand_status(&self, _: &str, _: &str) -> Result<Option<tollgate_ledger::HandStatus>, LedgerError> {
        Err(LedgerError::new(Remedy::Retry, "read segment 7"))
    }

    fn hand_statuses(&self, _: Option<&str>) -> Result<Vec<tollgate_ledger::HandStatus>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn is_revoked(&self, _: &str) -> Result<bool, LedgerError> {
        unreachable!("nobody asks")
    }

    fn declared_user(&self, _: &str) -> Result<Option<Box<str>>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn ownership(&self, _: &[&str]) -> Result<Vec<Ownership>, LedgerError> {
        unreachable!("nobody asks")
    }

    fn ownerships(&self, _: &Page) -> Result<Vec<(Box<str>, Ownership)>, LedgerError> {
        Err(LedgerError::new(Remedy::Retry, "read segment 7"))
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_told_and_posts_go_on() {
    let running = Running::reading(Failing).await;
    running.get("/api/v1/models").await.problem(503, "ledger-closed");
    running.get("/api/v1/models/m").await.problem(503, "ledger-busy");
    running.get("/api/v1/quarantine").await.problem(503, "ledger-busy");
    assert_eq!(running.get("/api/v1/usage").await.json()["rows"].as_array().map(Vec::len), Some(1));
    // Not knowing whose it is is not the same as its being nobody's.
    running.get("/api/v1/usage?group_by=user").await.problem(503, "ledger-busy");
    running.get("/api/v1/usage?user=bob").await.problem(503, "ledger-busy");
    let damaged = running.get("/api/v1/batches/m/1").await;
    assert!(!damaged.text().contains("segment"), "where is for the log");
    damaged.problem(500, "damaged");
    running.get("/api/v1/batches/m/old").await.problem(410, "body-dropped");
    running.get("/metrics").await.problem(500, "bug");
    assert_eq!(running.post("/metrics", post_of("model", &["1"])).await.acks("model"), ["1"]);
    assert_eq!(running.get("/healthz").await.status, 200);
}

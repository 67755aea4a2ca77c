//! What an answer says of where models, units and users stand.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_collector::{CurrentTerms, Terms};
use tollgate_ledger::{Act, Entry, HandStatus, MemoryLedger, Outcome};
use tollgate_rules::{AllowanceSettings, Allowances, Policy, Window};
use tollgate_wire::{Nanoseconds, Status, Timestamp};

use crate::harness::Running;

#[expect(clippy::disallowed_methods, reason = "what is posted has to be in the present period")]
fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}

fn batch_of(model: &str, model_name: &str, uuid: &str, unit: &str, time: Timestamp, value: &str) -> Value {
    json!({
        "uuid": uuid, "env-uuid": model, "model-name": model_name, "unit-name": unit,
        "metrics": [{ "key": "requests", "value": value, "time": time.to_string() }],
    })
}

fn batch(uuid: &str, value: &str) -> Value {
    batch_of("m", "bob/m", uuid, "web/0", now(), value)
}

fn monthly(change: impl FnOnce(&mut AllowanceSettings)) -> AllowanceSettings {
    let mut settings = AllowanceSettings {
        name: "standard".to_owned(),
        models: vec!["m".to_owned()],
        users: Vec::new(),
        all: false,
        meter: "requests".to_owned(),
        // Not a month, which may end while the test runs.
        per: Window::Total,
        limit: "10".to_owned(),
        amber_at: "80%".to_owned(),
        tz: "UTC".to_owned(),
    };
    change(&mut settings);
    settings
}

fn terms(allowances: &[AllowanceSettings]) -> Terms {
    let allowances = Allowances::new(allowances).expect("good allowances");
    Terms {
        policy: Arc::new(Policy { allowances, ..Policy::default() }),
        grace_period: Nanoseconds(3_600_000_000_000),
        ..Terms::default()
    }
}

fn current(allowances: &[AllowanceSettings]) -> Arc<CurrentTerms> {
    Arc::new(CurrentTerms::new(terms(allowances)))
}

/// Posts and gives the colours of a model and of its unit `web/0`; empty when nothing is said.
async fn colours(running: &Running, model: &str, batches: &[Value]) -> (String, String) {
    let answer = running.post("/metrics", json!(batches).to_string()).await;
    assert_eq!(answer.acks(model).len(), batches.len(), "{}", answer.text());
    let answer = answer.json();
    let of_model = &answer["env-responses"][model];
    let colour = |status: &Value| status["status"].as_str().unwrap_or_default().to_owned();
    (colour(&of_model["model-status"]), colour(&of_model["unit-statuses"]["web/0"]))
}

fn both(colour: &str) -> (String, String) {
    (colour.to_owned(), colour.to_owned())
}

#[tokio::test]
async fn the_batch_that_crosses_a_limit_is_answered_in_its_own_response() {
    let memory = MemoryLedger::default();
    let running = Running::under(&current(&[monthly(|_| {})]), &memory).await;
    assert_eq!(colours(&running, "m", &[batch("1", "7.9")]).await, both("GREEN"));
    assert_eq!(colours(&running, "m", &[batch("2", "0.1")]).await, both("AMBER"));
    assert_eq!(colours(&running, "m", &[batch("3", "2")]).await, both("AMBER"));
    assert_eq!(colours(&running, "m", &[batch("2", "0.1"), batch("3", "2")]).await, both("AMBER"), "copies");
    let over = [batch("4", "1e-30"), batch("5", "0")];
    let answer = running.post("/metrics", json!(over).to_string()).await.json();
    assert_eq!(
        answer["env-responses"]["m"]["model-status"]["info"],
        "standard: 10.000000000000000000000000000001 of 10 requests used in total, over the limit"
    );
    assert_eq!(
        answer["env-responses"]["m"]["unit-statuses"]["web/0"],
        json!({ "status": "RED", "info": "standard: over the limit of 10 requests in total" })
    );
    assert_eq!(answer["new-grace-period"], 3_600_000_000_000_i64);
    running.stop().await.expect("a clean end");

    // Whoever starts on the same ledger knows it, and others are not touched by it.
    let running = Running::under(&current(&[monthly(|_| {})]), &memory).await;
    assert_eq!(colours(&running, "m", &[batch("6", "0")]).await, both("RED"));
    let other = batch_of("n", "bob/n", "1", "web/0", now(), "100");
    assert_eq!(colours(&running, "n", &[other]).await, both("GREEN"));
}

#[tokio::test]
async fn a_period_that_is_over_counts_no_longer() {
    let memory = MemoryLedger::default();
    let hourly = monthly(|settings| settings.per = Window::Hour);
    let running = Running::under(&current(&[hourly]), &memory).await;
    let earlier = Timestamp::from_unix(now().unix_seconds() - 3_600, 0).expect("a time");
    let late = batch_of("m", "bob/m", "late", "web/0", earlier, "100");
    assert_eq!(
        colours(&running, "m", &[late]).await,
        both("GREEN"),
        "late readings count in their own period"
    );
    let posted = now();
    let full = batch_of("m", "bob/m", "now", "web/0", posted, "100");
    let colours = colours(&running, "m", &[full]).await;
    let is_same_hour = posted.unix_seconds() / 3_600 == now().unix_seconds() / 3_600;
    assert_eq!(colours, both(if is_same_hour { "RED" } else { "GREEN" }));
}

#[tokio::test]
async fn new_terms_count_from_the_next_request_on() {
    let memory = MemoryLedger::default();
    let current = current(&[monthly(|_| {})]);
    let running = Running::under(&current, &memory).await;
    assert_eq!(colours(&running, "m", &[batch("1", "20")]).await, both("RED"));
    current.replace(terms(&[monthly(|settings| settings.limit = "100".to_owned())]));
    assert_eq!(colours(&running, "m", &[batch("2", "1")]).await, both("GREEN"));
    assert_eq!(colours(&running, "m", &[batch("3", "79")]).await, both("AMBER"), "21 were known");
    current.replace(Terms::default());
    let answer = running.post("/metrics", json!([batch("4", "100")]).to_string()).await.json();
    assert_eq!(answer["env-responses"]["m"]["model-status"]["status"], "GREEN");
    assert_eq!(answer["new-grace-period"], 0);
    current.replace(terms(&[monthly(|_| {})]));
    assert_eq!(colours(&running, "m", &[batch("5", "0")]).await, both("RED"));
}

#[tokio::test]
async fn users_stand_by_all_of_their_models() {
    let memory = MemoryLedger::default();
    let of_bob = monthly(|settings| (settings.models, settings.users) = (vec![], vec!["bob".to_owned()]));
    let running = Running::under(&current(&[of_bob]), &memory).await;
    let of = |model: &str, owner: &str, uuid: &str| {
        [batch_of(model, &format!("{owner}/{model}"), uuid, "web/0", now(), "6")]
    };
    assert_eq!(colours(&running, "m", &of("m", "bob", "1")).await, both("GREEN"));
    assert_eq!(colours(&running, "n", &of("n", "carol", "1")).await, both("GREEN"));
    assert_eq!(colours(&running, "o", &of("o", "bob", "1")).await, both("RED"));
    let answer = running.post("/users/metrics", json!(of("m", "bob", "1")).to_string()).await.json();
    assert_eq!(
        answer["user-responses"],
        json!({ "bob": {
            "acks": ["1"],
            "status": { "status": "RED", "info": "standard: 12 of 10 requests used in total, over the limit" },
        } })
    );
    // A credential says otherwise: from now on the model is carol's.
    let declare = Act::Declare { model_uuid: "m".into(), user: "carol".into() };
    let declared = memory.open().writer.record(vec![Entry::Act(declare)], now()).expect("recorded");
    assert_eq!(declared, [Outcome::Recorded]);
    assert_eq!(colours(&running, "m", &of("m", "bob", "2")).await, both("GREEN"));
    running.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_status_set_by_hand_outranks_allowances_until_it_expires() {
    let memory = MemoryLedger::default();
    let running = Running::under(&current(&[monthly(|_| {})]), &memory).await;
    assert_eq!(colours(&running, "m", &[batch("1", "11")]).await, both("RED"));
    let set = |unit: &str, status, expires| {
        let status = HandStatus {
            model_uuid: "m".into(),
            unit_name: unit.into(),
            status,
            info: "by hand".into(),
            set: now(),
            expires,
        };
        let act = Entry::Act(Act::SetStatus(status));
        memory.open().writer.record(vec![act], now()).expect("recorded");
    };
    let pair = |model: &str, unit: &str| (model.to_owned(), unit.to_owned());
    set("", Status::Green, None);
    assert_eq!(colours(&running, "m", &[batch("2", "0")]).await, both("GREEN"));
    set("web/0", Status::Red, None);
    assert_eq!(colours(&running, "m", &[batch("3", "0")]).await, pair("GREEN", "RED"));
    set("", Status::Green, Some(now()));
    assert_eq!(colours(&running, "m", &[batch("4", "0")]).await, both("RED"));
    set("web/0", Status::Green, Timestamp::from_unix(now().unix_seconds() + 3_600, 0));
    assert_eq!(colours(&running, "m", &[batch("5", "0")]).await, pair("RED", "GREEN"));
}

#[tokio::test]
async fn a_jimm_of_2018_is_understood() {
    let memory = MemoryLedger::default();
    let running = Running::under(&current(&[]), &memory).await;
    let posted = json!([{
        "uuid": "5", "created": "2018-03-22T10:15:30.123456789Z", "credentials": "c2VjcmV0",
        "metrics": [{
            "key": "juju-model-units", "value": "17", "time": "2018-03-22T10:15:30.123456789Z",
            "tags": { "model": "uuid-1", "model-name": "bob/model-1" },
        }],
    }]);
    for path in ["/v4/jimm/metrics", "/omnibus/v4/jimm/metrics"] {
        let answer = running.post(path, posted.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(
            answer.json(),
            json!({ "user-status": { "bob": { "status-code": "GREEN", "status-info": "" } } })
        );
    }
    let model = memory.open().reader.model("uuid-1").expect("readable").expect("the model");
    assert_eq!((&*model.model_name, model.n_batches), ("bob/model-1", 1));
    assert_eq!(running.post("/v4/jimm/metrics", "null").await.json(), json!({ "user-status": {} }));
    // All of it or nothing: what is no batch is kept in quarantine, and the rest is recorded.
    let mixed = format!("[7,{}]", posted[0].to_string().replace("\"5\"", "\"6\""));
    assert_eq!(running.post("/v4/jimm/metrics", mixed).await.status, 200);
    let counts = running.counts();
    assert_eq!((counts.n_batches, counts.n_quarantined), (2, 1));
    let problem = running.post("/v4/jimm/metrics", "[1,\n {]").await.problem(400, "bad-json");
    assert_eq!(problem["offset"], 6, "{problem}");
}

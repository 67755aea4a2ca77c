//! What an answer says of where models, units and users stand.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_collector::{CredentialSettings, Credentials, CurrentTerms, Settings, Terms};
use tollgate_ledger::{Act, Entry, HandStatus, MemoryLedger, Outcome};
use tollgate_rules::{
    AllowanceSettings, Allowances, CredentialError, KeyRing, Policy, Reason, Verdict, Window, judge, mint,
};
use tollgate_wire::{Document, Nanoseconds, Status, Timestamp};

use crate::harness::{Client, Running};

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

/// A request of a few batches: of few models, under changing names, in any order of creation, some again, some that cannot count,
/// some with a credential that names a user.
fn random_request(random: &mut fastrand::Rng, keys: &KeyRing, n_batches: &mut u64) -> Vec<Value> {
    let batches = (0..random.u32(1..=4)).map(|_| {
        *n_batches += 1;
        let uuid = if random.u8(..) < 30 { random.u64(1..=*n_batches) } else { *n_batches };
        let model = ["m", "n", "o"][random.usize(..3)];
        let name = ["bob/x", "carol/x", "nobody", ""][random.usize(..4)];
        let value = if random.u8(..) < 20 { "NaN".to_owned() } else { random.u8(0..4).to_string() };
        let created = Timestamp::from_unix(1_700_000_000 + random.i64(0..50), 0).expect("a time");
        let mut batch = batch_of(model, name, &uuid.to_string(), "web/0", now(), &value);
        batch["created"] = json!(created.to_string());
        if random.u8(..) < 25 {
            let terms = tollgate_rules::Terms {
                model_uuid: Some(model.to_owned()),
                user: Some(["bob", "carol", "dave"][random.usize(..3)].to_owned()),
                ..tollgate_rules::Terms::default()
            };
            let credential = mint(&terms, keys, [7; 16]).expect("terms").to_json_v1();
            batch["credentials"] = json!(base64_simd::STANDARD.encode_to_string(credential));
        }
        batch
    });
    batches.collect()
}

/// Whatever comes, an answer says what a look at the whole ledger says.
#[tokio::test]
async fn answers_say_what_the_ledger_says() {
    let keys =
        KeyRing::parse("k 1111111111111111111111111111111111111111111111111111111111111111").expect("a key");
    let users = |limit: &'static str| {
        monthly(|settings| {
            (settings.models, settings.users) = (vec![], vec!["*".to_owned()]);
            (settings.name, settings.limit) = ("user".to_owned(), limit.to_owned());
        })
    };
    let policies = [
        vec![users("20"), monthly(|settings| settings.limit = "12".to_owned())],
        vec![],
        vec![
            users("50"),
            monthly(|settings| {
                (settings.models, settings.all) = (vec![], true);
                (settings.name, settings.limit) = ("all".to_owned(), "80".to_owned());
            }),
        ],
    ];
    let credentials = Credentials::new(
        &Settings::for_testing(),
        CredentialSettings::default(),
        Vec::new(),
        Some(keys.clone()),
    );
    let credentials = Arc::new(credentials.expect("can work"));
    let with = |policy: usize| Terms { credentials: credentials.clone(), ..terms(&policies[policy]) };
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let memory = MemoryLedger::default();
        let current = Arc::new(CurrentTerms::new(with(0)));
        let running = Running::under(&current, &memory).await;
        let (mut n_batches, mut n_said) = (0, 0);
        for step in 0..60 {
            if step % 20 == 19 {
                current.replace(with(random.usize(..policies.len())));
            }
            let posted = random_request(&mut random, &keys, &mut n_batches);
            let answer = running.post("/metrics", json!(posted).to_string()).await.json();
            let models = answer["env-responses"].as_object().expect("models");
            for (model, of_model) in models {
                let looked_at = running.get(&format!("/api/v1/models/{model}/status")).await.json();
                let said = &of_model["model-status"];
                assert_eq!(
                    (&said["status"], &said["info"]),
                    (&looked_at["status"], &looked_at["info"]),
                    "{model} after request {step} of {seed}: {posted:?}"
                );
                n_said += usize::from(said["status"] != "GREEN");
            }
        }
        assert!(5 < n_said, "the limits are reached: {n_said}");
        running.stop().await.expect("a clean end");
    }
}

#[tokio::test]
async fn the_first_batch_whose_credential_names_a_user_counts_for_that_user() {
    let keys =
        KeyRing::parse("k 1111111111111111111111111111111111111111111111111111111111111111").expect("a key");
    let of_bob = monthly(|settings| (settings.models, settings.users) = (vec![], vec!["bob".to_owned()]));
    let credentials = Credentials::new(
        &Settings::for_testing(),
        CredentialSettings::default(),
        Vec::new(),
        Some(keys.clone()),
    );
    let terms = Terms { credentials: Arc::new(credentials.expect("can work")), ..terms(&[of_bob]) };
    let memory = MemoryLedger::default();
    let running = Running::under(&Arc::new(CurrentTerms::new(terms)), &memory).await;
    let said = tollgate_rules::Terms { user: Some("bob".to_owned()), ..tollgate_rules::Terms::default() };
    let credential = mint(&said, &keys, [7; 16]).expect("terms").to_json_v1();
    let mut first = batch("1", "11");
    first["model-name"] = json!("");
    first["credentials"] = json!(base64_simd::STANDARD.encode_to_string(credential));
    assert_eq!(colours(&running, "m", &[first]).await, both("RED"));
}

#[tokio::test]
async fn a_released_batch_counts_for_its_allowances() {
    let memory = MemoryLedger::default();
    let running = Running::under(&current(&[monthly(|_| {})]), &memory).await;
    let refused = {
        let body = json!([batch("refused", "11")]).to_string();
        let document = Document::new(body.as_bytes());
        let elements = document.batches().expect("an array");
        let Verdict::Admitted(admitted) = judge(&elements[0]) else { unreachable!("it can count") };
        Entry::Refused(admitted, Reason::Credential { refusal: CredentialError::Missing })
    };
    memory.open().writer.record(vec![refused], now()).expect("recorded");
    assert_eq!(colours(&running, "m", &[batch("1", "0")]).await, both("GREEN"));
    let released =
        Client::connect(running.admin).await.request("POST", "/api/v1/quarantine/1/release", &[], b"").await;
    assert_eq!(released.status, 200, "{}", released.text());
    assert_eq!(colours(&running, "m", &[batch("2", "0")]).await, both("RED"));
}

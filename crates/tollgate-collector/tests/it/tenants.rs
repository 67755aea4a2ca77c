//! Two tenants of one collector that asks for credentials: whatever one of them does, the other is neither changed nor shown.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_collector::{CredentialSettings, Credentials, CurrentTerms, Settings, Terms};
use tollgate_ledger::{Act, Entry, HandStatus, MemoryLedger, Page};
use tollgate_rules::{
    AllowanceSettings, Allowances, KeyRing, Macaroon, Policy, Select, UserSettings, Users, Window, mint,
};
use tollgate_wire::{Status, Timestamp};

use crate::harness::{Answer, Client, Running};

const KEY: &str = "k 1111111111111111111111111111111111111111111111111111111111111111";
const OTHER_KEY: &str = "k 2222222222222222222222222222222222222222222222222222222222222222";

/// What is said of the other tenant, none of which may be in an answer to this one.
const SECRETS: [&str; 5] = ["owner-of-b", "unpaid-b", "allowance-b", "recorded before", "123456"];

const BASES: [&str; 6] = ["", "/v2", "/v3", "/omnibus", "/omnibus/v2", "/omnibus/v3"];

fn credential(key: &str, model: &str) -> Macaroon {
    minted(
        key,
        &tollgate_rules::Terms { model_uuid: Some(model.to_owned()), ..tollgate_rules::Terms::default() },
    )
}

/// One for all models of a user, as JIMM has it.
fn credential_of_user(user: &str) -> Macaroon {
    minted(KEY, &tollgate_rules::Terms { user: Some(user.to_owned()), ..tollgate_rules::Terms::default() })
}

fn minted(key: &str, terms: &tollgate_rules::Terms) -> Macaroon {
    mint(terms, &KeyRing::parse(key).expect("a key"), [7; 16]).expect("terms")
}

fn encoded(macaroon: &Macaroon) -> String {
    base64_simd::STANDARD.encode_to_string(macaroon.to_json_v1())
}

fn batch(model: &str, uuid: &str, value: &str, credentials: Option<&str>) -> Value {
    json!({
        "uuid": uuid, "env-uuid": model, "unit-name": "web/0", "charm-url": "ch:web-1",
        "metrics": [{ "key": "requests", "value": value, "time": "2026-11-01T00:00:00Z" }],
        "credentials": credentials,
    })
}

fn allowance(name: &str, model: &str, limit: &str) -> AllowanceSettings {
    AllowanceSettings {
        name: name.to_owned(),
        models: vec![model.to_owned()],
        users: Vec::new(),
        all: false,
        meter: "requests".to_owned(),
        per: Window::Total,
        limit: limit.to_owned(),
        amber_at: "80%".to_owned(),
        tz: "UTC".to_owned(),
    }
}

async fn requiring(policy: Policy, self_service: bool, memory: &MemoryLedger) -> Running {
    let settings = Settings { require_credentials: true, ..Settings::for_testing() };
    let handing_out = CredentialSettings { self_service, ..CredentialSettings::default() };
    let keys = KeyRing::parse(KEY).expect("a key");
    let credentials = Credentials::new(&settings, handing_out, Vec::new(), Some(keys)).expect("can work");
    let terms = Terms { policy: Arc::new(policy), credentials: Arc::new(credentials), ..Terms::default() };
    Running::under(&Arc::new(CurrentTerms::new(terms)), memory).await
}

/// A collector with two models, of which `b` is over its allowance, has a unit with a status by hand, and another user.
async fn tenants(self_service: bool) -> (MemoryLedger, Running) {
    let user =
        |name: &str, model: &str| UserSettings { name: name.to_owned(), models: vec![model.to_owned()] };
    let allowances = [allowance("allowance-a", "a", "1000000"), allowance("allowance-b", "b", "10")];
    let policy = Policy {
        users: Users::new(&[user("owner-of-a", "a"), user("owner-of-b", "b")]).expect("users"),
        allowances: Allowances::new(&allowances).expect("allowances"),
        ..Policy::default()
    };
    let memory = MemoryLedger::default();
    let running = requiring(policy, self_service, &memory).await;
    let own = encoded(&credential(KEY, "b"));
    let answer =
        running.post("/metrics", json!([batch("b", "known", "123456", Some(&own))]).to_string()).await;
    assert_eq!(answer.json()["env-responses"]["b"]["model-status"]["status"], "RED", "{}", answer.text());
    let by_hand = HandStatus {
        model_uuid: "b".into(),
        unit_name: "web/0".into(),
        status: Status::Red,
        info: "unpaid-b".into(),
        set: Timestamp::default(),
        expires: None,
    };
    let act = Entry::Act(Act::SetStatus(by_hand));
    memory.open().writer.record(vec![act], Timestamp::default()).expect("recorded");
    (memory, running)
}

/// All that the other tenant has.
fn of_b(memory: &MemoryLedger) -> String {
    let reader = memory.open().reader;
    let page = Page { cursor: None, limit: 1_000 };
    let select = tollgate_ledger::BatchSelect { model_uuid: Some("b".into()), unit_name: None };
    let mut usage = Vec::new();
    reader.usage(&Select { model_uuid: Some("b"), ..Select::ALL }, &mut Shown(&mut usage)).expect("readable");
    format!(
        "{:?} {:?} {usage:?} {:?} {:?}",
        reader.model("b"),
        reader.batches(&select, &page),
        reader.hand_statuses(Some("b")),
        reader.declared_user("b"),
    )
}

struct Shown<'a>(&'a mut Vec<String>);

impl tollgate_rules::Visitor for Shown<'_> {
    fn series(&mut self, series: &tollgate_rules::Series<'_>) -> bool {
        self.0.push(format!("{series:?}"));
        true
    }

    fn rollup(&mut self, hour: i64, rollup: &tollgate_rules::Rollup) {
        self.0.push(format!("{hour} {rollup:?}"));
    }
}

#[track_caller]
fn check_reveals_nothing(answer: &Answer, what: &str) {
    for secret in SECRETS {
        assert!(!answer.text().contains(secret), "{what} shows {secret}: {}", answer.text());
    }
}

#[tokio::test]
async fn no_route_and_no_credential_changes_or_shows_anything_of_another_tenant() {
    check_tenants(false).await;
}

#[tokio::test]
async fn nor_where_credentials_are_handed_out() {
    check_tenants(true).await;
}

async fn check_tenants(self_service: bool) {
    let (memory, running) = tenants(self_service).await;
    let before = of_b(&memory);
    let of_a = credential(KEY, "a");
    let widened = encoded(&of_a.clone().restricted("declared environment b".to_owned()));
    let own = encoded(&of_a);
    let forged = encoded(&credential(OTHER_KEY, "b"));
    let of_user = encoded(&credential_of_user("owner-of-a"));
    let credentials: [(&str, Option<&str>); 6] = [
        ("none", None),
        ("the own", Some(&own)),
        ("a forged", Some(&forged)),
        ("a widened", Some(&widened)),
        ("no macaroon as", Some("e30=")),
        ("the user's own", Some(&of_user)),
    ];
    let mut n_posts = 0;
    for base in BASES {
        for path in ["/metrics", "//metrics", "/", "/users/metrics"] {
            for (name, credentials) in credentials {
                // The other's known id, a new one, and something that is no batch but says that it is the other's.
                for posted in [
                    batch("b", "known", "1", credentials),
                    batch("b", &format!("new-{n_posts}"), "1", credentials),
                    json!({ "uuid": "known", "env-uuid": "b", "unit-name": "web/0", "metrics": 7 }),
                ] {
                    n_posts += 1;
                    let answer = running.post(&format!("{base}{path}"), json!([posted]).to_string()).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    check_reveals_nothing(&answer, &format!("{name} credential at {base}{path}"));
                    let of_model = &answer.json()["env-responses"]["b"];
                    if path != "/users/metrics" {
                        assert_eq!(
                            of_model["model-status"],
                            json!({ "status": "", "info": "" }),
                            "{}",
                            answer.text()
                        );
                    }
                }
            }
        }
        let tags = json!({ "model": "b", "model-name": "owner-of-a/x" });
        let metric =
            json!({ "key": "juju-model-units", "value": "1", "time": "2026-11-01T00:00:00Z", "tags": tags });
        for credentials in [&own, &of_user] {
            let jimm = json!([{ "uuid": "known", "metrics": [metric], "credentials": credentials }]);
            let answer = running.post(&format!("{base}/v4/jimm/metrics"), jimm.to_string()).await;
            check_reveals_nothing(&answer, "JIMM's form");
        }
        if self_service {
            // Whoever asks gets the other's: that is what it is to hand out.
            continue;
        }
        for path in ["/plan/authorize", "/sla/authorize", "/v4/jimm/authorization"] {
            let body = json!({
                "env-uuid": "b", "model": "b", "sla": "advanced", "charm-url": "ch:web-1", "service-name": "web",
                "tags": { "user": "owner-of-b" },
            });
            let answer = running.post(&format!("{base}{path}"), body.to_string()).await;
            assert_eq!(answer.status, 403, "{}", answer.text());
            check_reveals_nothing(&answer, path);
        }
    }
    // What operators look at is not there.
    for path in [
        "/api/v1/models/b",
        "/api/v1/usage",
        "/api/v1/models/b/status",
        "/api/v1/batches/b/known",
        "/metrics",
    ] {
        let answer = Client::connect(running.wire).await.request("GET", path, &[], b"").await;
        assert!([404, 405].contains(&answer.status), "{path}: {}", answer.status);
        check_reveals_nothing(&answer, path);
    }
    assert_eq!(of_b(&memory), before, "nothing of the other tenant has changed");
}

#[tokio::test]
async fn the_same_id_in_another_model_is_another_batch() {
    let (memory, running) = tenants(false).await;
    let own = encoded(&credential(KEY, "a"));
    let mixed = json!([batch("a", "known", "5", Some(&own)), batch("b", "known", "5", Some(&own))]);
    let answer = running.post("/metrics", mixed.to_string()).await;
    check_reveals_nothing(&answer, "a mixed request");
    let answer = answer.json();
    assert_eq!(answer["env-responses"]["a"]["model-status"]["status"], "GREEN");
    assert_eq!(answer["env-responses"]["a"]["unit-statuses"]["web/0"]["status"], "GREEN");
    assert_eq!(answer["env-responses"]["b"]["unit-statuses"]["web/0"]["status"], "RED");
    let reader = memory.open().reader;
    assert_eq!(reader.model("a").expect("readable").expect("it is recorded").meters[0].sum, "5");
    assert_eq!(reader.model("b").expect("readable").expect("it is recorded").meters[0].sum, "123456");
}

#[tokio::test]
async fn a_users_credential_is_for_what_is_that_users_or_new() {
    let (memory, running) = tenants(true).await;
    let of = |user: &str| encoded(&credential_of_user(user));
    let post = async |model: &str, uuid: &str, credential: &str| {
        let posted = json!([batch(model, uuid, "1", Some(credential))]);
        let answer = running.post("/metrics", posted.to_string()).await.json();
        answer["env-responses"][model]["unit-statuses"]["web/0"].clone()
    };
    assert_eq!(post("a", "1", &of("owner-of-a")).await["status"], "GREEN", "by the configuration");
    assert_eq!(post("new", "1", &of("erin")).await["status"], "GREEN", "new");
    let refused = post("new", "2", &of("owner-of-a")).await;
    assert_eq!(
        refused,
        json!({ "status": "RED", "info": "batch 2 is in quarantine: the credential is for the models of the user \"owner-of-a\", and \
                this one is not known to be" })
    );
    assert_eq!(post("new", "3", &of("erin")).await["status"], "GREEN", "erin's");
    // One that is in use is not taken over, though nobody is known to own it.
    let own = encoded(&credential(KEY, "in-use"));
    assert_eq!(post("in-use", "1", &own).await["status"], "GREEN");
    assert_eq!(post("in-use", "2", &of("erin")).await["status"], "RED");
    let reader = memory.open().reader;
    let declared = |model: &str| reader.declared_user(model).expect("readable");
    assert_eq!((declared("new").as_deref(), declared("in-use")), (Some("erin"), None));
    assert_eq!(reader.model("new").expect("readable").expect("it is recorded").n_batches, 2);
}

#[tokio::test]
async fn a_name_makes_nobody_the_owner_where_credentials_are_required() {
    let each_user = AllowanceSettings {
        models: Vec::new(),
        users: vec!["*".to_owned()],
        limit: "10".to_owned(),
        ..allowance("each-user", "", "10")
    };
    let policy =
        Policy { allowances: Allowances::new(&[each_user]).expect("allowances"), ..Policy::default() };
    let running = requiring(policy, false, &MemoryLedger::default()).await;
    let named = |model: &str, user: Option<&str>, value: &str| {
        let terms = tollgate_rules::Terms {
            model_uuid: Some(model.to_owned()),
            user: user.map(str::to_owned),
            ..tollgate_rules::Terms::default()
        };
        let mut batch = batch(model, value, value, Some(&encoded(&minted(KEY, &terms))));
        batch["model-name"] = json!("alice/x");
        json!([batch]).to_string()
    };
    let status = async |posted: String, model: &str| {
        let answer = running.post("/metrics", posted).await.json();
        answer["env-responses"][model]["model-status"].clone()
    };
    assert_eq!(status(named("alices", Some("alice"), "9"), "alices").await["status"], "AMBER", "declared");
    let others = status(named("others", None, "5"), "others").await;
    assert_eq!(others, json!({ "status": "GREEN", "info": "" }), "of alice's total it hears nothing");
    assert_eq!(
        status(named("alices", Some("alice"), "0"), "alices").await["status"],
        "AMBER",
        "nor adds to it"
    );
    let shown = running.get("/api/v1/usage?group_by=user").await.json();
    let users: Vec<_> =
        shown["rows"].as_array().expect("rows").iter().map(|row| [&row["user"], &row["value"]]).collect();
    assert_eq!(users, [[&json!(""), &json!("5")], [&json!("alice"), &json!("9")]]);
}

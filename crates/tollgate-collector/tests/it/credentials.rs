//! Credentials, asked for as Juju's clients do.

use serde_json::json;
use tollgate_collector::{CollectorError, CredentialSettings, Credentials, Plan, Settings};
use tollgate_rules::{CredentialId, KeyRing, Macaroon};

use crate::harness::{Answer, Client, Running};

const KEY: &str = "k 1111111111111111111111111111111111111111111111111111111111111111";

const REQUEST: &str = r#"{"env-uuid":"deadbeef","charm-url":"ch:amd64/jammy/metered-1","service-name":"metered","plan-url":"acme/gold","increase-budget":100}"#;

fn settings() -> CredentialSettings {
    CredentialSettings::default()
}

fn plan(url: &str, charm: &str, default: bool) -> Plan {
    let texts = json!({"url": url, "charms": [charm], "default": default, "description": "\"all\"", "price": "1 EUR"});
    serde_json::from_value(texts).expect("a plan")
}

fn plans() -> Vec<Plan> {
    vec![
        plan("acme/gold", "ch:metered", true),
        plan("acme/free", "ch:metered", false),
        plan("acme/other", "ch:other", false),
    ]
}

async fn running(settings: CredentialSettings, plans: Vec<Plan>, key: Option<&str>) -> Running {
    let keys = key.map(|key| KeyRing::parse(key).expect("a key"));
    let credentials = Credentials::new(&Settings::for_testing(), settings, plans, keys).expect("can work");
    Running::issuing(credentials).await
}

async fn get(running: &Running, path: &str) -> Answer {
    Client::connect(running.wire).await.request("GET", path, &[], b"").await
}

/// The one macaroon in an answer, and what is in it besides a random id.
#[track_caller]
fn caveats_of(macaroon: &[u8]) -> Vec<String> {
    let macaroons = Macaroon::parse(macaroon).expect("a macaroon");
    let [macaroon] = &macaroons[..] else { unreachable!("one macaroon: {macaroons:?}") };
    assert_eq!(&*CredentialId::of(macaroon).expect("ours").key_id, "k");
    macaroon.caveats().to_vec()
}

#[tokio::test]
async fn every_base_hands_out_a_plans_credential() {
    let running = running(settings(), plans(), Some(KEY)).await;
    let mut seen = std::collections::HashSet::new();
    for base in ["", "/v2", "/v3", "/omnibus", "/omnibus/v2", "/omnibus/v3", "/omnibus/v3/"] {
        let answer = running.post(&format!("{base}/plan/authorize"), REQUEST).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{base}");
        assert!(
            answer.text().starts_with(r#"{"caveats":[{"cid":"declared environment deadbeef"}"#),
            "version 1"
        );
        assert_eq!(
            caveats_of(&answer.body),
            [
                "declared environment deadbeef",
                "declared charm ch:amd64/jammy/metered-1",
                "declared service metered",
                "declared plan acme/gold",
            ]
        );
        assert!(seen.insert(answer.body), "each has an id of its own");
    }
}

#[tokio::test]
async fn names_of_all_ages_are_understood_and_the_old_one_wins() {
    let running = running(settings(), plans(), Some(KEY)).await;
    let new = r#"{"model-uuid":"m","env-uuid":null,"service-name":"","application":"a","charm-url":"ch:metered","plan-url":null}"#;
    let answer = running.post("/plan/authorize", new).await;
    let declared = ["environment m", "charm ch:metered", "service a", "plan acme/gold"];
    assert_eq!(caveats_of(&answer.body), declared.map(|declared| format!("declared {declared}")));

    let both = REQUEST.replace('{', r#"{"model-uuid":"m","application":"a","#);
    let answer = running.post("/plan/authorize", both).await;
    assert_eq!(caveats_of(&answer.body)[0], "declared environment deadbeef");
    assert_eq!(caveats_of(&answer.body)[2], "declared service metered");
}

#[tokio::test]
async fn what_is_handed_out_can_be_good_for_some_days_only() {
    let running = running(CredentialSettings { valid_days: 30, ..settings() }, plans(), Some(KEY)).await;
    let answer = running.post("/plan/authorize", REQUEST).await;
    let caveats = caveats_of(&answer.body);
    assert!(caveats[4].starts_with("time-before 2"), "{caveats:?}");
}

#[tokio::test]
async fn plans_are_listed_as_juju_reads_them() {
    let running = running(settings(), plans(), Some(KEY)).await;
    let answer = get(&running, "/omnibus/v3/charm?charm-url=ch%3Aamd64%2Fjammy%2Fmetered-7").await;
    let row = |url: &str| {
        json!({
            "url": url,
            "plan": "description:\n  price: \"1 EUR\"\n  text: \"\\\"all\\\"\"\n",
            "created-on": "0001-01-01T00:00:00Z",
        })
    };
    assert_eq!(answer.json(), json!([row("acme/gold"), row("acme/free")]));
    assert_eq!(get(&running, "/charm?charm-url=ch:none").await.json(), json!([]));
    assert_eq!(
        get(&running, "/charm/default?charm-url=ch:metered-1").await.json(),
        json!({"url": "acme/gold"})
    );
}

#[tokio::test]
async fn without_plans_every_charm_has_one() {
    let running = running(settings(), Vec::new(), Some(KEY)).await;
    let default = get(&running, "/charm/default?charm-url=local:anything-1").await;
    assert_eq!(default.json(), json!({"url": "tollgate/default"}));
    let answer = running.post("/plan/authorize", REQUEST.replace("acme/gold", "tollgate/default")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_sla_and_a_user_of_jimm_get_theirs() {
    let running = running(settings(), plans(), Some(KEY)).await;
    let answer = running.post("/v3/sla/authorize", r#"{"model":"m","sla":"essential","budget":"10"}"#).await;
    let sla = answer.json();
    assert_eq!(sla["owner"], "");
    let credentials = sla["credentials"].to_string();
    assert_eq!(caveats_of(credentials.as_bytes()), ["declared environment m", "declared sla essential"]);

    let answer = running.post("/v4/jimm/authorization", r#"{"tags":{"user":"bob","else":1}}"#).await;
    let base64 = answer.json()["credentials"].as_str().expect("text").to_owned();
    let credential = base64_simd::STANDARD.decode_to_vec(base64).expect("base64");
    let declared = ["charm cs:~canonical/jimm-0", "service jimm", "user bob"];
    assert_eq!(caveats_of(&credential), declared.map(|declared| format!("declared {declared}")));
}

/// Checks a refusal in the words of each client that may read it.
#[track_caller]
fn check_refused(answer: &Answer, status: u16, code: &str, text: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/json")),
        "{}",
        answer.text()
    );
    let told = answer.json();
    assert_eq!(told["code"], code);
    assert_eq!(told["error"], told["message"]);
    let error = told["error"].as_str().expect("text");
    assert!(error.contains(text), "{error}");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_words_that_clients_show() {
    let running = running(settings(), plans(), Some(KEY)).await;
    let refused = async |path: &str, body: &str, status, code, text| {
        check_refused(&running.post(path, body).await, status, code, text);
    };
    refused("/plan/authorize", "", 400, "bad-authorization", "The body is not a JSON object: EOF").await;
    refused("/plan/authorize", "[]", 400, "bad-authorization", "not a JSON object").await;
    for (member, text) in [
        ("env-uuid", "env-uuid is missing."),
        ("charm-url", "charm-url is missing."),
        ("service-name", "service-name is missing."),
    ] {
        refused("/plan/authorize", &REQUEST.replace(member, "x"), 400, "bad-authorization", text).await;
    }
    let number = REQUEST.replace(r#""deadbeef""#, "7");
    refused("/plan/authorize", &number, 400, "bad-authorization", "env-uuid is not a string.").await;
    let control = REQUEST.replace("deadbeef", r"a\nb");
    refused(
        "/plan/authorize",
        &control,
        400,
        "bad-authorization",
        "Failed to use the model: it is empty, longer",
    )
    .await;
    let other = REQUEST.replace("acme/gold", "acme/other");
    refused("/plan/authorize", &other, 404, "no-such-plan", "The charm cannot have this plan").await;
    let no_default = REQUEST.replace("acme/gold", "").replace("metered-1", "other-1");
    refused("/plan/authorize", &no_default, 404, "no-default-plan", "The charm has no default plan").await;
    refused("/sla/authorize", r#"{"model":"m"}"#, 400, "bad-authorization", "sla is missing.").await;
    for body in ["{}", r#"{"tags":null}"#, r#"{"tags":{"user":""}}"#] {
        refused("/v4/jimm/authorization", body, 400, "bad-authorization", "user is missing.").await;
    }
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(64 << 10));
    refused("/plan/authorize", &long, 413, "body-too-large", "A body may have 65536 bytes").await;

    check_refused(&get(&running, "/charm").await, 400, "bad-parameter", "charm-url is missing");
    check_refused(
        &get(&running, "/charm/default?charm-url=").await,
        400,
        "bad-parameter",
        "charm-url is missing",
    );
    let answer = get(&running, "/charm/default?charm-url=ch:other-1").await;
    check_refused(&answer, 404, "no-default-plan", "The charm has no default plan");
    get(&running, "/plan/authorize").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn without_keys_every_answer_says_what_to_configure() {
    let running = Running::start().await;
    for path in ["/plan/authorize", "/v3/sla/authorize", "/omnibus/v4/jimm/authorization"] {
        let answer = running.post(path, REQUEST).await;
        check_refused(&answer, 501, "no-keys", "names the file as keys_file in [credential]");
    }
    for path in ["/charm?charm-url=ch:x", "/charm/default?charm-url=ch:x"] {
        check_refused(&get(&running, path).await, 501, "no-keys", "`tollgate credential new-key FILE`");
    }
}

#[tokio::test]
async fn an_operator_can_keep_it_to_himself() {
    let running = running(CredentialSettings { self_service: false, ..settings() }, plans(), Some(KEY)).await;
    for path in ["/plan/authorize", "/sla/authorize", "/v4/jimm/authorization"] {
        check_refused(&running.post(path, REQUEST).await, 403, "not-self-service", "ask its operator");
    }
    assert_eq!(get(&running, "/charm/default?charm-url=ch:metered-1").await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_what_they_ask() {
    let running = running(settings(), plans(), Some(KEY)).await;
    running.post("/v3/plan/authorize", REQUEST).await;
    get(&running, "/charm?charm-url=secret-charm").await;
    let page = running.get("/metrics").await;
    let page = page.text();
    assert!(page.contains(r#"route="/v3/plan/authorize",status="200""#), "{page}");
    assert!(page.contains(r#"route="/charm",status="200""#), "{page}");
    assert!(!page.contains("secret-charm") && !page.contains("deadbeef"), "{page}");
}

#[tokio::test]
async fn credentials_cannot_be_required_without_keys() {
    let running = Running::with(Settings { require_credentials: true, ..Settings::for_testing() }).await;
    let ended = running.ended().await.expect_err("it does not serve");
    assert!(matches!(ended, CollectorError::Setting { key: "require_credentials", .. }), "{ended}");
}

/// A batch of the unit `metered/0` with this credential.
fn batch(uuid: &str, credential: &str) -> String {
    let credentials = base64_simd::STANDARD.encode_to_string(credential);
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"deadbeef","unit-name":"metered/0","charm-url":"ch:amd64/jammy/metered-2","metrics":[{{"key":"pings","value":"1"}}],"credentials":"{credentials}"}}"#
    )
}

#[tokio::test]
async fn a_batch_counts_only_with_the_credential_that_covers_it() {
    let settings = Settings { require_credentials: true, ..Settings::for_testing() };
    let keys = KeyRing::parse(KEY).expect("a key");
    let credentials = Credentials::new(&settings, CredentialSettings::default(), plans(), Some(keys));
    let running = Running::requiring(settings, credentials.expect("can work")).await;
    let good = running.post("/plan/authorize", REQUEST).await.text().to_owned();
    let other = running.post("/plan/authorize", REQUEST.replace("deadbeef", "other")).await.text().to_owned();

    let post = async |uuid: &str, credential: &str| {
        let answer = running.post("/metrics", format!("[{}]", batch(uuid, credential))).await;
        assert_eq!(answer.acks("deadbeef"), [uuid], "acknowledged in any case");
        answer.json()["env-responses"]["deadbeef"]["unit-statuses"]["metered/0"].clone()
    };
    assert_eq!(post("good", &good).await, json!({"status": "GREEN", "info": ""}));
    assert_eq!(post("list", &format!("[{good}]\n")).await["status"], "GREEN");
    let red = |uuid: &str, why: &str| json!({"status": "RED", "info": format!("batch {uuid} is in quarantine: {why}")});
    assert_eq!(post("none", "").await, red("none", "the batch carries no credential"));
    assert_eq!(post("other", &other).await, red("other", "the credential is for the model \"other\""));
    let changed = good.replace("declared service metered", "declared service metereD");
    assert_eq!(
        post("changed", &changed).await,
        red("changed", "the credential's signature is wrong: it was changed, or made elsewhere")
    );
    let counts = running.counts();
    assert_eq!((counts.n_batches, counts.n_quarantined), (2, 3));
    let listed = running.get("/api/v1/quarantine").await;
    assert_eq!(listed.text().matches(r#""code":"credential""#).count(), 3, "{}", listed.text());

    // One of a request that is refused does not harm the others.
    let both = format!("[{},{}]", batch("a", ""), batch("b", &good));
    let answer = running.post("/metrics", both).await;
    assert_eq!(answer.acks("deadbeef"), ["a", "b"]);
    assert_eq!(running.counts().n_batches, 3);
}

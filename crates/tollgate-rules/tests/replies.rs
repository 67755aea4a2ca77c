//! What senders are told.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails it by panicking")]

use std::collections::BTreeMap;

use tollgate_rules::{
    Digest, ModelStanding, Posted, PostedElement, Reason, Standing, Stands, Unknown, Unlimited, Verdict,
    comes_from_jimm, judge, owner, response, user_responses,
};
use tollgate_wire::{Document, Nanoseconds, Status, to_vec};

/// What is remembered of a posted body.
fn posted(body: &str) -> Posted {
    let document = Document::new(body.as_bytes());
    let elements = document.batches().expect("the body is an array");
    let mut posted = Posted::default();
    for element in &elements {
        let set_aside_for = match judge(element) {
            Verdict::Admitted(_) => None,
            Verdict::Quarantined(quarantined) => Some(quarantined.reason),
        };
        posted.push(element, set_aside_for);
    }
    posted
}

fn element(model_uuid: &str, uuid: &str, unit_name: &str, value: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"{model_uuid}","model-name":"controller","unit-name":"{unit_name}","metrics":[{{"key":"pings","value":"{value}"}}]}}"#
    )
}

fn jimm_element(model_uuid: &str, uuid: &str, model_name: &str, value: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","env-uuid":"{model_uuid}","unit-name":"jimm/0","charm-url":"cs:~canonical/jimm-0","metrics":[{{"key":"juju-model-units","value":"{value}"}}],"model-name":"{model_name}"}}"#
    )
}

#[track_caller]
fn check_response(posted: &Posted, env_responses: &str) {
    let response = response("r".to_owned(), posted, &Unlimited, Nanoseconds(0));
    let json = String::from_utf8(to_vec(&response).unwrap()).unwrap();
    assert_eq!(json, format!(r#"{{"uuid":"r","env-responses":{env_responses},"new-grace-period":0}}"#));
}

#[track_caller]
fn check_users(posted: &Posted, user_responses_json: &str) {
    let response = user_responses("r".to_owned(), posted, &Unlimited);
    let json = String::from_utf8(to_vec(&response).unwrap()).unwrap();
    assert_eq!(json, format!(r#"{{"uuid":"r","user-responses":{user_responses_json}}}"#));
}

#[test]
fn nothing_posted_is_nothing_answered() {
    check_response(&posted("null"), "{}");
    check_response(&posted("[]"), "{}");
    check_users(&posted("null"), "{}");
}

#[test]
fn each_batch_is_acknowledged_once_under_its_own_model() {
    let body = [
        element("m1", "b", "app/0", "1"),
        element("m2", "b", "app/0", "1"),
        element("m1", "a", "app/1", "1"),
        element("m1", "b", "app/0", "1"),
    ];
    check_response(
        &posted(&format!("[{}]", body.join(","))),
        r#"{"m1":{"acks":["b","a"],"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"GREEN","info":""},"app/1":{"status":"GREEN","info":""}}},"m2":{"acks":["b"],"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"GREEN","info":""}}}}"#,
    );
}

#[test]
fn a_batch_of_the_model_itself_has_no_unit_status() {
    check_response(
        &posted(&format!("[{}]", element("m", "b", "", "1"))),
        r#"{"m":{"acks":["b"],"model-status":{"status":"GREEN","info":""}}}"#,
    );
}

#[test]
fn a_unit_whose_batch_is_in_quarantine_is_amber() {
    let body = [
        element("m", "1", "app/0", "5"),
        element("m", "2", "app/0", "NaN"),
        element("m", "3", "app/0", "-1"),
        element("m", "4", "app/1", "5"),
    ];
    check_response(
        &posted(&format!("[{}]", body.join(","))),
        r#"{"m":{"acks":["1","2","3","4"],"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"AMBER","info":"batch 2 is in quarantine: metrics[0].value of \"pings\": \"NaN\" is NaN, which cannot be counted"},"app/1":{"status":"GREEN","info":""}}}}"#,
    );
}

#[test]
fn a_conflict_is_known_from_the_ledger() {
    let mut posted = posted(&format!("[{}]", element("m", "1", "app/0", "5")));
    let conflict = Some(Box::new(Reason::Conflict { recorded: Digest::of(b"") }));
    posted.fates_mut().for_each(|fate| fate.quarantined.clone_from(&conflict));
    check_response(
        &posted,
        r#"{"m":{"acks":["1"],"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"AMBER","info":"batch 1 is in quarantine: a batch with this id and other content was recorded before"}}}}"#,
    );
}

#[test]
fn what_has_no_id_is_shown_and_not_acknowledged() {
    let body = [element("m", "", "app/0", "1"), element("", "b", "app/1", "1"), "null".to_owned()];
    check_response(
        &posted(&format!("[{}]", body.join(","))),
        r#"{"m":{"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"AMBER","info":"a batch is in quarantine: the batch has no uuid, so nothing can acknowledge it"}}}}"#,
    );
}

#[test]
fn an_undecodable_element_is_acknowledged_by_what_it_says() {
    check_response(
        &posted(r#"[{"uuid":"b","env-uuid":"m","unit-name":"app/0","metrics":7}]"#),
        r#"{"m":{"acks":["b"],"model-status":{"status":"GREEN","info":""},"unit-statuses":{"app/0":{"status":"AMBER","info":"batch b is in quarantine: it is not a metric batch: expected an array in \"metrics\", found '7'"}}}}"#,
    );
}

/// What a test says of everybody.
#[derive(Default)]
struct Said {
    /// `None` when it is not known.
    by_allowance: Option<Status>,
    by_hand: BTreeMap<(&'static str, &'static str), Status>,
    /// Whether it cannot be read what was set.
    is_unreadable: bool,
    user: Option<&'static str>,
}

impl Stands for Said {
    fn by_allowance(&self, model_uuid: &str) -> Option<ModelStanding> {
        let standing = |status, whose| Standing { status, info: format!("{whose} of {model_uuid}") };
        self.by_allowance.map(|status| ModelStanding {
            model: standing(status, "allowance"),
            units: standing(status, "allowance for units"),
        })
    }

    fn by_hand(&self, model_uuid: &str, unit_name: &str) -> Result<Option<Standing>, Unknown> {
        if self.is_unreadable {
            return Err(Unknown);
        }
        let status = self.by_hand.get(&(model_uuid, unit_name));
        Ok(status.map(|&status| Standing { status, info: "by hand".to_owned() }))
    }

    fn user(&self, _: PostedElement<'_>) -> Option<Box<str>> {
        self.user.map(Into::into)
    }
}

/// Of a model with one good batch and, when `is_bad`, another one in quarantine.
#[track_caller]
fn check_said(said: &Said, is_bad: bool, model_status: &str, unit_statuses: &str) {
    let value = if is_bad { "-1" } else { "1" };
    let posted = posted(&format!("[{}]", element("m", "b", "app/0", value)));
    let response = response("r".to_owned(), &posted, said, Nanoseconds(169_200_000_000_000));
    assert_eq!(
        String::from_utf8(to_vec(&response).unwrap()).unwrap(),
        format!(
            r#"{{"uuid":"r","env-responses":{{"m":{{"acks":["b"],"model-status":{model_status}{unit_statuses}}}}},"new-grace-period":169200000000000}}"#
        )
    );
}

const SET_ASIDE: &str = r#"batch b is in quarantine: metrics[0].value of \"pings\": \"-1\" is negative"#;

#[test]
fn by_hand_outranks_allowances_and_quarantine_shows_in_any_case() {
    let status = |status: Status, info: &str| format!(r#"{{"status":"{status}","info":"{info}"}}"#);
    let unit = |status: String| format!(r#","unit-statuses":{{"app/0":{status}}}"#);
    let (green, amber, red) = (Status::Green, Status::Amber, Status::Red);
    let allowed = |status| Said { by_allowance: Some(status), ..Said::default() };
    let by_hand = |allowance, set: &[(&'static str, Status)]| Said {
        by_hand: set.iter().map(|(unit, status)| (("m", *unit), *status)).collect(),
        ..allowed(allowance)
    };
    for (said, is_bad, model_status, unit_status) in [
        (allowed(red), false, status(red, "allowance of m"), status(red, "allowance for units of m")),
        (allowed(amber), true, status(amber, "allowance of m"), status(amber, "allowance for units of m")),
        (allowed(green), true, status(green, "allowance of m"), status(amber, SET_ASIDE)),
        (by_hand(red, &[("", green)]), false, status(green, "by hand"), status(green, "")),
        (by_hand(green, &[("", red)]), false, status(red, "by hand"), status(green, "")),
        (by_hand(red, &[("app/0", green)]), false, status(red, "allowance of m"), status(green, "by hand")),
        (by_hand(red, &[("app/0", green)]), true, status(red, "allowance of m"), status(amber, SET_ASIDE)),
        (by_hand(green, &[("app/0", red)]), true, status(green, "allowance of m"), status(red, "by hand")),
        (
            by_hand(red, &[("app/1", green)]),
            false,
            status(red, "allowance of m"),
            status(red, "allowance for units of m"),
        ),
    ] {
        check_said(&said, is_bad, &model_status, &unit(unit_status));
    }
}

#[test]
fn of_whom_nothing_is_known_nothing_is_said() {
    check_said(&Said::default(), false, r#"{"status":"","info":""}"#, "");
    let set_aside = format!(r#","unit-statuses":{{"app/0":{{"status":"AMBER","info":"{SET_ASIDE}"}}}}"#);
    check_said(&Said::default(), true, r#"{"status":"","info":""}"#, &set_aside);
    let unreadable = Said { by_allowance: Some(Status::Red), is_unreadable: true, ..Said::default() };
    check_said(&unreadable, false, r#"{"status":"","info":""}"#, "");
    check_said(&unreadable, true, r#"{"status":"","info":""}"#, &set_aside);
}

#[test]
fn a_user_stands_as_the_worst_of_its_models() {
    let posted = posted(&format!("[{}]", element("m", "b", "", "1")));
    let said = Said { by_allowance: Some(Status::Red), user: Some("carol"), ..Said::default() };
    let users = user_responses("r".to_owned(), &posted, &said);
    let carol = &users.user_responses.unwrap().0["carol"];
    assert_eq!((&*carol.status.status, &*carol.status.info), ("RED", "allowance of m"));
    assert_eq!(carol.acks, ["b"]);
}

#[test]
fn of_two_standings_the_worse_stays_and_of_equals_the_first() {
    let standing = |status, info: &str| Standing { status, info: info.to_owned() };
    let check = |left: Standing, right: Standing, info: &str| assert_eq!(left.worst(right).info, info);
    check(standing(Status::Green, "a"), standing(Status::Green, "b"), "a");
    check(standing(Status::Amber, "a"), standing(Status::Green, "b"), "a");
    check(standing(Status::Amber, "a"), standing(Status::Red, "b"), "b");
    check(standing(Status::Red, "a"), standing(Status::Red, "b"), "a");
}

#[test]
fn users_are_the_owners_in_the_models_names() {
    let body = [
        jimm_element("m1", "1", "bob/one", "17"),
        jimm_element("m2", "2", "alice@external/two/x", "3"),
        jimm_element("m3", "3", "bob/three", "NaN"),
        jimm_element("m1", "1", "bob/one", "17"),
        jimm_element("m4", "4", "nobody", "1"),
        jimm_element("m5", "", "carol/five", "1"),
    ];
    check_users(
        &posted(&format!("[{}]", body.join(","))),
        r#"{"":{"status":{"status":"GREEN","info":""},"acks":["4"]},"alice@external":{"status":{"status":"GREEN","info":""},"acks":["2"]},"bob":{"status":{"status":"AMBER","info":"batch 3 is in quarantine: metrics[0].value of \"juju-model-units\": \"NaN\" is NaN, which cannot be counted"},"acks":["1","3"]},"carol":{"status":{"status":"AMBER","info":"a batch is in quarantine: the batch has no uuid, so nothing can acknowledge it"}}}"#,
    );
}

#[test]
fn the_owner_is_before_the_slash() {
    assert_eq!(owner("bob/model-1"), Some("bob"));
    assert_eq!(owner("bob/a/b"), Some("bob"));
    assert_eq!(owner("bob/"), Some("bob"));
    assert_eq!(owner("/model"), None);
    assert_eq!(owner("controller"), None);
    assert_eq!(owner(""), None);
}

#[track_caller]
fn check_jimm(element: &str, expected: bool) {
    let body = format!("[{element}]");
    let document = Document::new(body.as_bytes());
    let elements = document.batches().unwrap();
    if let Ok(batch) = &elements[0].batch {
        assert_eq!(comes_from_jimm(batch), expected, "{element}");
    }
    assert!(posted(&body).iter().all(|posted| posted.is_from_jimm() == expected), "{element}");
}

#[test]
fn jimm_is_known_by_content() {
    let jimm = jimm_element("m", "1", "bob/model", "17");
    check_jimm(&jimm, true);
    check_jimm(&jimm.replace("17", "NaN"), true);
    check_jimm(&jimm.replace("\"uuid\":\"1\"", "\"uuid\":\"\""), true);
    check_jimm(&jimm.replace("\"17\"", "17"), true);
    check_jimm(&jimm.replace("jimm/0", "jimm/1"), false);
    check_jimm(&jimm.replace("jimm-0", "jimm-1"), false);
    check_jimm(&jimm.replace("juju-model-units", "pings"), false);
    check_jimm(&element("m", "1", "metered/0", "5"), false);
    check_jimm(&element("m", "1", "metered/0", "NaN"), false);
    check_jimm("null", false);
    check_jimm("7", false);
}

//! How much may be used, and where those stand who use it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails it by panicking")]

use tollgate_rules::{
    Account, Allowance, AllowanceSettings, Allowances, Due, MeterKind, Missing, Policy, Series, SeriesId,
    Standing, Subject, Sum, Tally, Used, Window, hour_of,
};
use tollgate_wire::{Status, Timestamp};

fn settings(change: impl FnOnce(&mut AllowanceSettings)) -> AllowanceSettings {
    let mut settings = AllowanceSettings {
        name: "standard".to_owned(),
        models: vec!["m".to_owned()],
        users: Vec::new(),
        all: false,
        meter: "requests".to_owned(),
        per: Window::Month,
        limit: "1000".to_owned(),
        amber_at: "80%".to_owned(),
        tz: "UTC".to_owned(),
    };
    change(&mut settings);
    settings
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hour(text: &str) -> i64 {
    hour_of(time(text))
}

const NOW: &str = "2026-11-27T18:30:00Z";

#[track_caller]
fn check_standing(settings: &AllowanceSettings, used: &str, status: Status, info: &str, unit_info: &str) {
    let allowance = Allowance::new(settings).unwrap();
    let period = allowance.period(hour(NOW)).unwrap();
    let used: Sum = used.parse().unwrap();
    let standing = |info: &str| Standing { status, info: info.to_owned() };
    assert_eq!(allowance.standing(&used, period), standing(info));
    assert_eq!(allowance.unit_standing(&used, period), standing(unit_info));
}

#[test]
fn the_status_turns_at_the_exact_amount() {
    let check = |used, status, info: &str, unit_info: &str| {
        check_standing(&settings(|_| {}), used, status, info, unit_info);
    };
    check("0", Status::Green, "", "");
    check("799.99999999999999999999999999999999999999", Status::Green, "", "");
    let amber = |used: &str| format!("standard: {used} of 1000 requests used in 2026-11");
    check("800", Status::Amber, &amber("800"), "standard: near the limit of 1000 requests in 2026-11");
    check("1000", Status::Amber, &amber("1000"), "standard: near the limit of 1000 requests in 2026-11");
    check(
        "1000.00000000000000000000000000000000000001",
        Status::Red,
        "standard: 1000.00000000000000000000000000000000000001 of 1000 requests used in 2026-11, over the limit",
        "standard: over the limit of 1000 requests in 2026-11",
    );
}

#[test]
fn amber_is_a_part_of_the_limit_or_an_amount() {
    let amber_from = |amber_at: &str, limit: &str, green: &str, amber: &str| {
        let settings = settings(|settings| {
            settings.amber_at = amber_at.to_owned();
            settings.limit = limit.to_owned();
        });
        let allowance = Allowance::new(&settings).unwrap();
        let period = allowance.period(0).unwrap();
        let status = |used: &str| allowance.standing(&used.parse().unwrap(), period).status;
        assert_eq!((status(green), status(amber)), (Status::Green, Status::Amber), "{amber_at} of {limit}");
    };
    amber_from("50%", "3", "1.49", "1.5");
    amber_from("33.3%", "3", "0.998999", "0.999");
    amber_from("2.5", "3", "2.4", "2.5");
    amber_from("100%", "3", "2.99", "3");
    amber_from(
        "0.1%",
        "1e38",
        "99999999999999999999999999999999999.9",
        "100000000000000000000000000000000000",
    );
    // A thousandth of the smallest amount is rounded up: nobody who used nothing is told to be near a limit.
    amber_from("0.1%", "1e-38", "0", "0.00000000000000000000000000000000000001");
}

#[test]
fn periods_are_named_by_their_first_day() {
    let check = |per, tz: &str, when: &str| {
        let settings = settings(|settings| {
            settings.per = per;
            settings.tz = tz.to_owned();
        });
        check_standing(
            &settings,
            "900",
            Status::Amber,
            &format!("standard: 900 of 1000 requests used {when}"),
            &format!("standard: near the limit of 1000 requests {when}"),
        );
    };
    check(Window::Hour, "UTC", "in the hour from 2026-11-27 18:00 UTC");
    check(Window::Hour, "Europe/Berlin", "in the hour from 2026-11-27 19:00 CET");
    check(Window::Day, "UTC", "on 2026-11-27");
    check(Window::Day, "Asia/Tokyo", "on 2026-11-28");
    check(Window::Week, "UTC", "in the week from 2026-11-23");
    check(Window::Month, "UTC", "in 2026-11");
    check(Window::Total, "UTC", "in total");
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut AllowanceSettings), expected: &str) {
    let error = Allowances::new(&[settings(change)]).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    check_refused(|settings| settings.name.clear(), "use an allowance: its name \"\" is empty");
    check_refused(
        |settings| settings.models.clear(),
        "use the allowance \"standard\": it needs one of models = [..], users = [..] and all = true, and has 0",
    );
    check_refused(
        |settings| settings.all = true,
        "use the allowance \"standard\": it needs one of models = [..], users = [..] and all = true, and has 2",
    );
    check_refused(
        |settings| settings.models.push("*".to_owned()),
        "use the allowance \"standard\": \"*\" is for every model or user, so no other name can be beside it",
    );
    check_refused(|settings| settings.meter.clear(), "use the allowance \"standard\": its meter is empty");
    check_refused(
        |settings| settings.limit = "lots".to_owned(),
        "use the allowance \"standard\": limit = \"lots\" is neither a decimal number such as \"1000\" nor anything \
         else that counts",
    );
    check_refused(
        |settings| settings.amber_at = "most".to_owned(),
        "use the allowance \"standard\": amber_at = \"most\" is neither a decimal number such as \"1000\" nor a part \
         of the limit such as \"80%\"",
    );
    check_refused(
        |settings| settings.amber_at = "101%".to_owned(),
        "use the allowance \"standard\": amber_at = \"101%\" is above the limit",
    );
    check_refused(
        |settings| settings.amber_at = "1001".to_owned(),
        "use the allowance \"standard\": amber_at = \"1001\" is above the limit",
    );
    check_refused(|settings| settings.tz = "Mars/Olympus".to_owned(), "use the allowance \"standard\"");
    let twice = [settings(|_| {}), settings(|_| {})];
    assert_eq!(
        Allowances::new(&twice).unwrap_err().to_string(),
        "use an allowance: its name \"standard\" is that of another allowance, too"
    );
}

/// Allowances for a model, each model, a user, each user and all, in this order.
fn policy() -> Policy {
    let named = |name: &str, change: fn(&mut AllowanceSettings)| {
        let mut settings = settings(change);
        settings.name = name.to_owned();
        settings
    };
    let list = [
        named("a model", |_| {}),
        named("each model", |settings| settings.models = vec!["*".to_owned()]),
        named("a user", |settings| (settings.models, settings.users) = (vec![], vec!["bob".to_owned()])),
        named("each user", |settings| (settings.models, settings.users) = (vec![], vec!["*".to_owned()])),
        named("all", |settings| (settings.models, settings.all) = (vec![], true)),
    ];
    Policy { allowances: Allowances::new(&list).unwrap(), ..Policy::default() }
}

#[test]
fn a_models_usage_goes_to_all_accounts_that_it_belongs_to() {
    let policy = policy();
    let (m, n) = (Subject::Model("m".into()), Subject::Model("n".into()));
    let (bob, carol) = (Subject::User("bob".into()), Subject::User("carol".into()));
    let check = |model: &str, user: Option<&str>, expected: &[(usize, &Subject)]| {
        let expected: Vec<Account> = expected
            .iter()
            .map(|&(allowance, subject)| Account { allowance, subject: subject.clone() })
            .collect();
        assert_eq!(policy.allowances.accounts(model, user), expected);
    };
    check("m", None, &[(0, &m), (1, &m), (4, &Subject::All)]);
    check("n", None, &[(1, &n), (4, &Subject::All)]);
    check("n", Some("bob"), &[(1, &n), (2, &bob), (3, &bob), (4, &Subject::All)]);
    check("m", Some("carol"), &[(0, &m), (1, &m), (3, &carol), (4, &Subject::All)]);
    assert!(policy.allowances.ask_for_users());
    assert!(policy.allowances.limited("requests").is_some());
    assert_eq!(policy.allowances.limited("request"), None);
}

fn due(policy: &Policy, time: &str, amount: &str, unit_name: &str) -> Due {
    due_of("requests", policy, time, amount, unit_name)
}

fn due_of(meter: &str, policy: &Policy, time: &str, amount: &str, unit_name: &str) -> Due {
    let series = Series { model_uuid: "m", unit_name, charm_url: "", meter, labels: "" };
    Due {
        meter: policy.allowances.limited(meter).unwrap(),
        hour: hour(time),
        amount: amount.parse().unwrap(),
        series: Some(SeriesId::of(&series)),
    }
}

/// Brings all that is missing, as if nothing had been used before.
fn bring(tally: &mut Tally, policy: &Policy, accounts: &[Account], kind: MeterKind, now: &str) -> usize {
    let missing: Vec<Missing> = tally.missing(policy, accounts, time(now), None).unwrap();
    let n_missing = missing.len();
    missing.into_iter().for_each(|missing| tally.bring(missing, Used::nothing(kind), time(now)));
    n_missing
}

#[test]
fn a_tally_follows_what_is_recorded() {
    let policy = policy();
    let accounts = policy.allowances.accounts("m", Some("bob"));
    let mut tally = Tally::default();
    tally.add(&policy, &accounts, &[&due(&policy, NOW, "5000", "u/0")]);
    assert_eq!(tally.standing(&policy, &accounts), None, "nothing is known");
    assert_eq!(bring(&mut tally, &policy, &accounts, MeterKind::Absolute, NOW), 5);
    assert_eq!(bring(&mut tally, &policy, &accounts, MeterKind::Absolute, NOW), 0, "all is known");
    let status =
        |tally: &Tally, accounts: &[Account]| tally.standing(&policy, accounts).unwrap().model.status;
    assert_eq!(status(&tally, &accounts), Status::Green);
    for (added, expected) in [
        (due(&policy, NOW, "600", "u/0"), Status::Green),
        (due(&policy, "2026-10-31T23:59:59Z", "5000", "u/0"), Status::Green),
        (due(&policy, "2026-12-01T00:00:00Z", "5000", "u/0"), Status::Green),
        (due(&policy, "2026-11-01T00:00:00Z", "200", "u/1"), Status::Amber),
        (due(&policy, "2026-11-30T23:59:59Z", "200.5", "u/0"), Status::Red),
    ] {
        tally.add(&policy, &accounts, &[&added]);
        assert_eq!(status(&tally, &accounts), expected, "{added:?}");
    }
    // Another model of the same user, whose own allowances are untouched.
    let others = policy.allowances.accounts("n", Some("bob"));
    assert_eq!(bring(&mut tally, &policy, &others, MeterKind::Absolute, NOW), 1);
    let standing = tally.standing(&policy, &others).unwrap().model;
    assert_eq!(standing.status, Status::Red);
    assert!(standing.info.starts_with("a user: 1000.5 of 1000"), "{standing:?}");
    // In the next period all begins anew.
    let december = "2026-12-01T00:00:01Z";
    assert_eq!(bring(&mut tally, &policy, &accounts, MeterKind::Absolute, december), 5);
    assert_eq!(status(&tally, &accounts), Status::Green);
    tally.forget(&accounts[0]);
    assert_eq!(tally.used(&accounts[0]), None);
    assert_eq!(tally.used(&accounts[1]), Some(Sum::default()));
    assert_eq!(tally.standing(&policy, &accounts), None, "one is missing");
    tally.forget_before(hour("2026-12-31T23:00:00Z"));
    assert!(tally.used(&accounts[1]).is_some(), "the period goes on");
    tally.forget_before(hour("2027-01-01T00:00:00Z"));
    assert_eq!(bring(&mut tally, &policy, &accounts, MeterKind::Absolute, december), 5, "it is over");
    tally.clear();
    assert_eq!(tally.used(&accounts[1]), None);
}

#[test]
fn each_meter_counts_for_its_own_allowance() {
    let of = |name: &str, meter: &str| {
        settings(|settings| (settings.name, settings.meter) = (name.to_owned(), meter.to_owned()))
    };
    let list = [of("requests", "requests"), of("gb", "gb"), of("requests again", "requests")];
    let policy = Policy { allowances: Allowances::new(&list).unwrap(), ..Policy::default() };
    let accounts = policy.allowances.accounts("m", None);
    let mut tally = Tally::default();
    bring(&mut tally, &policy, &accounts, MeterKind::Absolute, NOW);
    let dues = [due(&policy, NOW, "1", "u/0"), due_of("gb", &policy, NOW, "20", "u/0")];
    tally.add(&policy, &accounts, &dues.iter().collect::<Vec<_>>());
    let used: Vec<String> = accounts.iter().map(|account| tally.used(account).unwrap().to_string()).collect();
    assert_eq!(used, ["1", "20", "1"]);
    assert_eq!(policy.allowances.limited("other"), None);
}

#[test]
fn what_is_too_old_is_missing() {
    let policy = policy();
    let accounts = policy.allowances.accounts("n", None);
    let mut tally = Tally::default();
    bring(&mut tally, &policy, &accounts, MeterKind::Absolute, NOW);
    let n_missing =
        |since: &str| tally.missing(&policy, &accounts, time(NOW), Some(time(since))).unwrap().len();
    assert_eq!(n_missing(NOW), 0);
    assert_eq!(n_missing("2026-11-27T18:30:01Z"), 2);
}

#[test]
fn of_a_gauge_the_peaks_of_all_series_are_summed() {
    let policy = policy();
    let accounts = policy.allowances.accounts("n", None);
    let mut tally = Tally::default();
    bring(&mut tally, &policy, &accounts, MeterKind::Gauge, NOW);
    for (unit, amount, expected) in [
        ("u/0", "700", Status::Green),
        ("u/0", "699", Status::Green),
        ("u/1", "99", Status::Green),
        ("u/1", "100", Status::Amber),
        ("u/1", "300", Status::Amber),
        ("u/1", "301", Status::Red),
        ("u/1", "0", Status::Red),
    ] {
        tally.add(&policy, &accounts, &[&due(&policy, NOW, amount, unit)]);
        assert_eq!(tally.standing(&policy, &accounts).unwrap().model.status, expected, "{unit} {amount}");
    }
}

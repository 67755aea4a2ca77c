//! What the types do beside crossing the wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate_wire::{
    Decode, Encode, EnvResponse, EnvironmentResponses, MeterStatus, Metric, MetricBatch, ModelStatus,
    Nanoseconds, Response, Status, Timestamp, UnitStatus, UserResponse, UserResponses, UserStatusResponse,
    from_slice, to_vec,
};

#[track_caller]
fn check_example<T: Decode + Encode>(json: &str) {
    let value: T = from_slice(json.as_bytes()).expect("an example decodes");
    assert_eq!(String::from_utf8(to_vec(&value).expect("an example encodes")), Ok(json.to_owned()));
}

/// The JSON in the documentation of each type is of that type, as Go writes it.
#[test]
fn examples_are_of_their_types() {
    check_example::<Metric>(include_str!("../golden/examples/metric.json"));
    check_example::<MetricBatch>(include_str!("../golden/examples/metric-batch.json"));
    check_example::<Option<Vec<MetricBatch>>>(include_str!("../golden/examples/metric-batches.json"));
    check_example::<Response>(include_str!("../golden/examples/response.json"));
    check_example::<Option<EnvironmentResponses>>(include_str!(
        "../golden/examples/environment-responses.json"
    ));
    check_example::<EnvResponse>(include_str!("../golden/examples/env-response.json"));
    check_example::<ModelStatus>(include_str!("../golden/examples/model-status.json"));
    check_example::<UnitStatus>(include_str!("../golden/examples/unit-status.json"));
    check_example::<UserStatusResponse>(include_str!("../golden/examples/user-status-response.json"));
    check_example::<Option<UserResponses>>(include_str!("../golden/examples/user-responses.json"));
    check_example::<UserResponse>(include_str!("../golden/examples/user-response.json"));
    check_example::<MeterStatus>(include_str!("../golden/examples/meter-status.json"));
}

#[track_caller]
fn check_responses(set: impl FnOnce(&mut EnvironmentResponses), json: &str) {
    let mut responses = EnvironmentResponses::default();
    set(&mut responses);
    assert_eq!(String::from_utf8(to_vec(&responses).expect("no times")), Ok(json.to_owned()));
}

#[test]
fn acknowledgements_are_kept_by_model() {
    check_responses(
        |responses| {
            responses.ack_each([("m", "b"), ("m", "a"), ("n", "b")]);
            responses.ack("m", "b");
        },
        r#"{"m":{"acks":["b","a","b"],"model-status":{"status":"","info":""}},"n":{"acks":["b"],"model-status":{"status":"","info":""}}}"#,
    );
}

#[test]
fn what_has_no_id_is_not_acknowledged() {
    check_responses(
        |responses| {
            responses.ack("", "b");
            responses.ack("m", "");
            responses.ack("", "");
            responses.ack_each([]);
        },
        "{}",
    );
    check_responses(
        |responses| responses.ack_each([("", "b"), ("m", "a"), ("m", ""), ("m", "b"), ("", "")]),
        r#"{"m":{"acks":["a","b"],"model-status":{"status":"","info":""}}}"#,
    );
}

#[test]
fn a_later_status_takes_the_place_of_an_earlier() {
    check_responses(
        |responses| {
            responses.set_unit_status("m", "u/0", "GREEN", "");
            responses.set_unit_status("m", "u/0", "UNKNOWN", "<lost>");
            responses.set_model_status("m", "AMBER", "near");
            responses.set_model_status("m", Status::Red.as_str(), "over");
        },
        r#"{"m":{"model-status":{"status":"RED","info":"over"},"unit-statuses":{"u/0":{"status":"UNKNOWN","info":"\u003clost\u003e"}}}}"#,
    );
}

#[test]
fn statuses_are_three_words_in_capitals_and_order_from_best_to_worst() {
    for (word, status) in [("GREEN", Status::Green), ("AMBER", Status::Amber), ("RED", Status::Red)] {
        assert_eq!(word.parse::<Status>(), Ok(status));
        assert_eq!(status.to_string(), word);
    }
    assert!(Status::Green < Status::Amber && Status::Amber < Status::Red);
    assert_eq!(
        "UNKNOWN".parse::<Status>().unwrap_err().to_string(),
        "read \"UNKNOWN\" as a meter status: expected GREEN, AMBER or RED, in capitals"
    );
    for refused in ["", "green", "RED ", "NOT SET"] {
        refused.parse::<Status>().expect_err(refused);
    }
}

#[test]
fn a_grace_period_is_nanoseconds() {
    assert_eq!(Nanoseconds::from(Duration::from_secs(7 * 24 * 3600)), Nanoseconds(604_800_000_000_000));
    assert_eq!(Nanoseconds::from(Duration::MAX), Nanoseconds(i64::MAX));
}

#[track_caller]
fn check_system_time(time: SystemTime, shown: &str) {
    assert_eq!(Timestamp::from_system_time(time).to_string(), shown);
}

#[test]
fn the_systems_time_is_written_in_utc() {
    check_system_time(UNIX_EPOCH, "1970-01-01T00:00:00Z");
    check_system_time(UNIX_EPOCH + Duration::new(1_521_713_728, 120_000_000), "2018-03-22T10:15:28.12Z");
    check_system_time(UNIX_EPOCH - Duration::from_nanos(1), "1969-12-31T23:59:59.999999999Z");
    check_system_time(UNIX_EPOCH - Duration::from_secs(1), "1969-12-31T23:59:59Z");
    check_system_time(UNIX_EPOCH + Duration::from_secs(1 << 40), "9999-12-31T23:59:59Z");
}

#[test]
fn only_what_can_be_written_is_made_from_seconds() {
    assert_eq!(Timestamp::from_unix(-62_135_596_800, 0), Some(Timestamp::default()));
    assert_eq!(Timestamp::from_unix(0, 1_000_000_000), None);
    for (seconds, shown) in
        [(-62_167_219_200, "0000-01-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z")]
    {
        assert_eq!(Timestamp::from_unix(seconds, 0).map(|time| time.to_string()).as_deref(), Some(shown));
    }
    for beyond in [-62_167_219_201, 253_402_300_800, i64::MIN, i64::MAX] {
        assert_eq!(Timestamp::from_unix(beyond, 0), None, "{beyond}");
    }
}

#[test]
fn times_order_by_instant() {
    let [earlier, later] =
        ["2018-03-22T12:00:00+02:00", "2018-03-22T10:00:00.5Z"].map(|text| Timestamp::parse(text).unwrap());
    assert!(earlier < later);
}

#[test]
fn what_is_no_time_says_what_one_looks_like() {
    let error = Timestamp::parse("2018-03-22 10:00:00Z").unwrap_err();
    assert_eq!(
        error.to_string(),
        "read \"2018-03-22 10:00:00Z\" as a time: expected RFC 3339, like 2018-03-22T10:15:28.5Z"
    );
}

/// Every day of the format's ten thousand years survives the way there and back.
#[test]
fn every_day_is_read_as_it_is_written() {
    let mut day = -62_167_219_200_i64;
    let mut n_days = 0;
    while let Some(time) = Timestamp::from_unix(day + day.rem_euclid(86_399), 0) {
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        day += 86_400;
        n_days += 1;
    }
    assert_eq!(n_days, 3_652_425);
}

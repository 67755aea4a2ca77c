//! Which elements are admitted, and what is said of those that are not.

#![expect(clippy::panic, reason = "a helper of a test fails it by panicking")]

use proptest::prelude::*;
use tollgate_rules::{Admitted, Digest, Posted, Quarantined, Verdict, judge, limits};
use tollgate_wire::{Document, MetricBatch, from_slice, to_vec};

const BATCH: &str = r#"{"uuid":"u","env-uuid":"m","model-name":"bob/model","unit-name":"metered/0","charm-url":"ch:quantal/metered-1","created":"2018-03-22T10:15:30.123Z","metrics":[{"key":"pings","value":"5","time":"2018-03-22T10:15:28Z","labels":{"foo":"bar"}}],"credentials":"","reseller-credentials":null,"sla-credentials":null}"#;

/// The verdict on one element, whose neighbours do not matter.
fn verdict(element: &str) -> Verdict {
    let body = format!("[{element}]");
    let document = Document::new(body.as_bytes());
    let elements = document.batches().expect("the body is an array");
    judge(&elements[0])
}

#[track_caller]
fn admitted(element: &str) -> Admitted {
    match verdict(element) {
        Verdict::Admitted(admitted) => admitted,
        Verdict::Quarantined(quarantined) => panic!("{element} is quarantined: {}", quarantined.reason),
    }
}

#[track_caller]
fn quarantined(element: &str) -> Quarantined {
    match verdict(element) {
        Verdict::Admitted(_) => panic!("{element} is admitted"),
        Verdict::Quarantined(quarantined) => quarantined,
    }
}

#[track_caller]
fn check_quarantined(element: &str, code: &str, reason: &str) {
    let quarantined = quarantined(element);
    assert_eq!((quarantined.reason.code(), &*quarantined.reason.to_string()), (code, reason), "{element}");
    assert_eq!(*quarantined.body, *element.as_bytes());
    assert_eq!(quarantined.digest, Digest::of(element.as_bytes()));
}

#[test]
fn an_admitted_batch_has_everything_read() {
    let batch = admitted(BATCH);
    assert_eq!((batch.id().model_uuid, batch.id().batch_uuid), ("m", "u"));
    assert_eq!(batch.model_name(), "bob/model");
    assert_eq!(batch.unit_name(), "metered/0");
    assert_eq!(batch.charm_url(), "ch:quantal/metered-1");
    assert_eq!(batch.created().to_string(), "2018-03-22T10:15:30.123Z");
    let [reading] = batch.readings().collect::<Vec<_>>()[..] else { panic!("one metric gives one reading") };
    assert_eq!((reading.key, reading.labels), ("pings", r#"{"foo":"bar"}"#));
    assert_eq!(reading.amount.to_string(), "5");
    assert_eq!(reading.time.to_string(), "2018-03-22T10:15:28Z");
    assert_eq!(batch.body(), BATCH.as_bytes());
    assert_eq!(batch.digest(), Digest::of(BATCH.as_bytes()));
    assert_eq!(Admitted::from_canonical(batch.body()), Ok(batch.clone()));
}

#[test]
fn the_digest_is_of_the_meaning() {
    let digest = admitted(BATCH).digest();
    assert_eq!(admitted(&BATCH.replace("\",\"", "\" ,\n\"")).digest(), digest);
    assert_eq!(
        admitted(&BATCH.replace("\"uuid\":\"u\"", "\"UUID\":\"\\u0075\",\"unknown\":[]")).digest(),
        digest
    );
    assert_ne!(admitted(&BATCH.replace("\"5\"", "\"5.0\"")).digest(), digest);
    assert_ne!(admitted(&BATCH.replace("\"credentials\":\"\"", "\"credentials\":null")).digest(), digest);
}

#[test]
fn little_is_enough_to_be_admitted() {
    assert_eq!(admitted(r#"{"uuid":"u","env-uuid":"m"}"#).readings().len(), 0);
    assert_eq!(admitted(r#"{"uuid":"u","env-uuid":"m","metrics":null}"#).readings().len(), 0);
    assert_eq!(admitted(r#"{"uuid":"u","env-uuid":"m","metrics":[]}"#).readings().len(), 0);
    let no_key = admitted(r#"{"uuid":" ","env-uuid":"\u0000","metrics":[{"value":"0"}]}"#);
    assert_eq!(no_key.readings().next().map(|reading| reading.key), Some(""));
}

#[test]
fn quarantine_says_why() {
    check_quarantined("null", "missing-uuid", "the batch has no uuid, so nothing can acknowledge it");
    check_quarantined(
        r#"{"env-uuid":"m"}"#,
        "missing-uuid",
        "the batch has no uuid, so nothing can acknowledge it",
    );
    check_quarantined(
        r#"{"uuid":"u"}"#,
        "missing-model-uuid",
        "the batch has no env-uuid, so nothing can acknowledge it",
    );
    check_quarantined(
        r#"{"uuid":"u","env-uuid":"m","metrics":7}"#,
        "undecodable",
        "it is not a metric batch: expected an array in \"metrics\", found '7'",
    );
    check_quarantined(
        &BATCH.replace("\"5\"", "\"NaN\""),
        "value",
        "metrics[0].value of \"pings\": \"NaN\" is NaN, which cannot be counted",
    );
    check_quarantined(
        &BATCH.replace("\"metrics\":[", "\"metrics\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\"},"),
        "value",
        "metrics[1].value of \"b\": \"\" is empty",
    );
    check_quarantined(
        &BATCH.replace("30.123Z", "30.123+24:00"),
        "time",
        "created cannot be written as JSON: its year must be within 0 to 9999 and its offset below 24 hours",
    );
    check_quarantined(
        &BATCH.replace("28Z", "28+24:00"),
        "time",
        "metrics[0].time cannot be written as JSON: its year must be within 0 to 9999 and its offset below 24 hours",
    );
}

#[test]
fn what_is_too_long_says_what_and_how_long() {
    let long = |n_bytes: usize| "x".repeat(n_bytes);
    let check = |from: &str, to: String, reason: &str| {
        check_quarantined(&BATCH.replace(from, &to), "too-long", reason);
    };
    check(
        "\"uuid\":\"u\"",
        format!("\"uuid\":\"{}\"", long(513)),
        "uuid has 513 bytes, more than the 512 allowed",
    );
    check("\"m\"", format!("\"{}\"", long(513)), "env-uuid has 513 bytes, more than the 512 allowed");
    check("bob/model", long(1025), "model-name has 1025 bytes, more than the 1024 allowed");
    check("metered/0", long(1025), "unit-name has 1025 bytes, more than the 1024 allowed");
    check("ch:quantal/metered-1", long(1025), "charm-url has 1025 bytes, more than the 1024 allowed");
    check("pings", long(1025), "metrics[0].key has 1025 bytes, more than the 1024 allowed");
    check("bar", long(16_384), "metrics[0].labels has 16394 bytes, more than the 16384 allowed");
}

/// Whoever sends megabytes in place of an id does not get them kept in an index, or sent back.
#[test]
fn what_is_too_long_to_be_a_name_names_nothing() {
    let long = "x".repeat(1025);
    for element in [
        BATCH
            .replace("\"u\"", &format!("\"{long}\""))
            .replace("\"m\"", &format!("\"{long}\""))
            .replace("metered/0", &long),
        format!(
            r#"{{"uuid":"{long}","env-uuid":"{long}","unit-name":"{long}","model-name":"{long}","metrics":7}}"#
        ),
    ] {
        let quarantined = quarantined(&element);
        assert_eq!(
            (&*quarantined.id.model_uuid, &*quarantined.id.batch_uuid, &*quarantined.unit_name),
            ("", "", "")
        );
        let body = format!("[{element}]");
        let document = Document::new(body.as_bytes());
        let elements = document.batches().expect("the body is an array");
        let mut posted = Posted::default();
        posted.push(&elements[0], Some(quarantined.reason));
        let posted = posted.iter().next().expect("it was remembered");
        assert_eq!((posted.model_uuid(), posted.batch_uuid(), posted.unit_name()), ("", "", ""));
    }
}

#[test]
fn of_a_huge_element_the_start_is_kept() {
    let element = format!(r#"{{"uuid":"u","env-uuid":"m","metrics":"x{}"}}"#, "é".repeat(1 << 20));
    let quarantined = quarantined(&element);
    let body = std::str::from_utf8(&quarantined.body).expect("cut between characters");
    let (start, end) = body.split_once('…').expect("it says that it was cut");
    assert!(element.starts_with(start) && (1 << 20) - 2 < start.len() && start.len() <= 1 << 20);
    assert_eq!(end, format!(" [cut: {} of {} bytes]", start.len(), element.len()));
    assert_eq!(quarantined.digest, Digest::of(element.as_bytes()));
    assert_eq!(&*quarantined.id.batch_uuid, "u");
}

#[test]
fn what_is_as_long_as_allowed_is_admitted() {
    let long = |n_bytes: usize| "x".repeat(n_bytes);
    let longest = BATCH
        .replace("\"uuid\":\"u\"", &format!("\"uuid\":\"{}\"", long(limits::ID_BYTES_MAX)))
        .replace("\"m\"", &format!("\"{}\"", long(limits::ID_BYTES_MAX)))
        .replace("bob/model", &long(limits::NAME_BYTES_MAX))
        .replace("metered/0", &long(limits::NAME_BYTES_MAX))
        .replace("ch:quantal/metered-1", &long(limits::NAME_BYTES_MAX))
        .replace("pings", &long(limits::NAME_BYTES_MAX))
        .replace("bar", &long(limits::LABELS_BYTES_MAX - r#"{"foo":""}"#.len()));
    assert_eq!(admitted(&longest).body(), longest.as_bytes());

    let metric = r#"{"key":"a","value":"1","time":"2018-03-22T10:15:28Z"}"#;
    let with_metrics = |n_metrics: usize| {
        let metrics = vec![metric; n_metrics].join(",");
        format!("{{\"uuid\":\"u\",\"env-uuid\":\"m\",\"metrics\":[{metrics}]}}")
    };
    assert_eq!(admitted(&with_metrics(limits::METRICS_PER_BATCH_MAX)).readings().len(), 10_000);
    check_quarantined(
        &with_metrics(limits::METRICS_PER_BATCH_MAX + 1),
        "too-many-metrics",
        "metrics has 10001 elements, more than the 10000 allowed",
    );
}

#[test]
fn reasons_are_short_and_in_one_line() {
    let long = r"\n\u202e\u00e9\u0000".repeat(50);
    let reason =
        quarantined(&BATCH.replace("pings", &long[..800]).replace("\"5\"", &format!("\"{long}\""))).reason;
    let reason = reason.to_string();
    assert!(reason.len() < 700 && !reason.contains(char::is_control), "{reason}");
    assert!(reason.ends_with("…\" has 350 bytes, more than the 30 allowed"), "{reason}");
}

#[test]
fn quarantine_keeps_what_an_undecodable_element_says_of_itself() {
    let broken = quarantined(r#"{"uuid":"u","metrics":7,"env-uuid":"m","unit-name":"metered/0"}"#);
    assert_eq!((&*broken.id.model_uuid, &*broken.id.batch_uuid, &*broken.unit_name), ("m", "u", "metered/0"));
    let broken = quarantined("[1]");
    assert_eq!((&*broken.id.model_uuid, &*broken.id.batch_uuid, &*broken.unit_name), ("", "", ""));
}

#[test]
fn only_what_was_recorded_reads_back() {
    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(Admitted::from_canonical(body.as_bytes()).unwrap_err().to_string(), expected, "{body:?}");
    }
    const NOT_JSON: &str = "read a recorded batch: it is not JSON";
    const NOT_ADMITTED: &str = "read a recorded batch: it cannot be counted";
    const NOT_CANONICAL: &str = "read a recorded batch: it is not canonical JSON";
    check(&BATCH[1..], NOT_JSON);
    check(&BATCH[..BATCH.len() - 1], NOT_JSON);
    check("", NOT_CANONICAL);
    check(&format!("{BATCH},{BATCH}"), NOT_CANONICAL);
    check(&format!("{BATCH}],[{BATCH}"), NOT_JSON);
    check(&format!("{BATCH} "), NOT_CANONICAL);
    check(&BATCH.replace("\"credentials\":\"\",", ""), NOT_CANONICAL);
    check("null", NOT_ADMITTED);
    check(&BATCH.replace("\"5\"", "\"-5\""), NOT_ADMITTED);
    check(&BATCH.replace("\"5\"", "5"), NOT_ADMITTED);
    assert!(Admitted::from_canonical(b"\xff").is_err());
}

proptest! {
    #[test]
    fn whatever_is_admitted_is_canonical_and_reads_back(
        texts in prop::collection::vec(".{0,12}", 5), value in "[0-9]{1,4}[.]?[0-9]{0,4}|.{0,4}",
        labels in prop::collection::btree_map(".{0,6}", ".{0,6}", 0..4), created in -70_000_000_000_i64..260_000_000_000,
    ) {
        let [uuid, model_uuid, model_name, unit_name, key] = &texts[..] else { unreachable!("five texts") };
        let created = tollgate_wire::Timestamp::from_unix(created, 123_000_000).unwrap_or_default();
        let metric = tollgate_wire::Metric { key: key.clone(), value, time: created, labels };
        let batch = MetricBatch {
            uuid: uuid.clone(),
            model_uuid: model_uuid.clone(),
            model_name: model_name.clone(),
            unit_name: unit_name.clone(),
            created,
            metrics: Some(vec![metric]),
            ..MetricBatch::default()
        };
        let Ok(json) = to_vec(&batch) else { return Ok(()) };
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        match verdict(&json.replacen("{\"uuid\":", "{ \"uuid\" : ", 1)) {
            Verdict::Admitted(admitted) => {
                let own = to_vec(&from_slice::<MetricBatch>(json.as_bytes()).expect("our own JSON"));
                prop_assert_eq!(admitted.body(), own.expect("a time that was written before"));
                prop_assert_eq!(Admitted::from_canonical(admitted.body()), Ok(admitted));
            }
            Verdict::Quarantined(quarantined) => {
                let reason = quarantined.reason.to_string();
                prop_assert!(!reason.contains(char::is_control) && reason.len() < 700, "{}", reason);
            }
        }
    }
}

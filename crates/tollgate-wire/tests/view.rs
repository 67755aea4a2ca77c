//! The borrowed view: one bad element never harms its neighbours, and errors say where.

use proptest::prelude::*;
use tollgate_wire::{Document, MetricBatch, from_slice, to_vec};

/// Decodes a document and shows each element: the id of a batch, or the error.
fn elements(document: &str) -> Vec<String> {
    let document = Document::new(document.as_bytes());
    let elements = document.batches().expect("a document that is an array");
    elements
        .iter()
        .map(|element| match &element.batch {
            Ok(batch) => batch.uuid.to_string(),
            Err(error) => format!("{error} [{}]", error.identity.uuid),
        })
        .collect()
}

#[track_caller]
fn check_refused(document: &[u8], error: &str) {
    assert_eq!(Document::new(document).batches().expect_err("not a document").to_string(), error);
}

const BROKEN: &[&str] = &[
    "7",
    "\"batch\"",
    "true",
    "[]",
    "[[[[{\"uuid\":\"x\"}]]]]",
    r#"{"uuid":7}"#,
    r#"{"uuid":"x","created":"yesterday"}"#,
    r#"{"uuid":"x","metrics":{}}"#,
    r#"{"uuid":"x","metrics":[{"key":"k","labels":{"a":1}}]}"#,
    r#"{"uuid":"x","credentials":"not base64"}"#,
    r#"{"metrics":[{"time":"2018-02-30T00:00:00Z"}],"uuid":"x","deep":{"a":[1,{"b":[]}]}}"#,
];

#[test]
fn a_broken_element_leaves_its_neighbours_alone_at_every_place() {
    for broken in BROKEN {
        for place in 0..5 {
            let mut parts: Vec<String> =
                (0..5).map(|index| format!(r#" {{"uuid":"batch-{index}"}} "#)).collect();
            parts[place] = (*broken).to_owned();
            let document = format!("[{}]", parts.join(","));
            let shown = elements(&document);
            assert_eq!(shown.len(), 5, "{document}");
            for (index, element) in shown.iter().enumerate() {
                if index == place {
                    assert!(
                        element.starts_with(&format!("decode element {place} at byte ")),
                        "{document}: {element}"
                    );
                } else {
                    assert_eq!(*element, format!("batch-{index}"), "{document}");
                }
            }
        }
    }
}

#[test]
fn an_error_says_what_where_and_whose() {
    let document = r#"[{"uuid":"a"},{"metrics":[{"key":"k","time":"noon"}],"UUID":"b","env-uuid":"m","unit-name":"u/0","model-name":"n"}]"#;
    let document = Document::new(document.as_bytes());
    let elements = document.batches().unwrap();
    let error = elements[1].batch.as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "decode element 1 at byte 44: expected a time as in RFC 3339 (2018-03-22T10:15:28.5Z) in \"time\", found '\"'"
    );
    let identity = &error.identity;
    assert_eq!(
        [&identity.uuid, &identity.model_uuid, &identity.unit_name, &identity.model_name],
        ["b", "m", "u/0", "n"]
    );
    assert_eq!((elements[1].index, elements[1].offset), (1, 14));
    assert!(elements[1].raw.starts_with(r#"{"metrics""#) && elements[1].raw.ends_with(r#""n"}"#));
}

#[test]
fn a_document_that_is_no_array_of_json_is_refused_whole() {
    check_refused(b"", "decode the document at byte 0: expected a value, found the end of the document");
    check_refused(b"{}", "decode the document at byte 0: expected an array of batches, or null, found '{'");
    check_refused(
        b" \"[]\"",
        "decode the document at byte 1: expected an array of batches, or null, found '\"'",
    );
    check_refused(
        b"[{}",
        "decode the document at byte 3: expected a comma or ] after an element, found the end of the document",
    );
    check_refused(
        b"[{} {}]",
        "decode the document at byte 4: expected a comma or ] after an element, found '{'",
    );
    check_refused(b"[{},]", "decode the document at byte 4: expected a value, found ']'");
    check_refused(b"[] x", "decode the document at byte 3: expected the end of the document, found 'x'");
    check_refused(b"nulL", "decode the document at byte 0: expected null, found 'n'");
    check_refused(
        b"[{\"uuid\":\"a\"},{\"uuid\":1,\"x\":tru}]",
        "decode the document at byte 28: expected a value, found 't'",
    );
    check_refused(
        b"[{\"uuid\":\"\xff\xff\x01\"}]",
        "decode the document at byte 12: expected no unescaped control character inside a string in \"uuid\", found byte 0x01",
    );
    check_refused(b"\xef\xbb\xbf[]", "decode the document at byte 0: expected a value, found byte 0xef");
}

#[test]
fn nothing_comes_after_an_error() {
    let document = Document::new(b"[{\"uuid\":\"a\"},{\"uuid\":\"b\"}");
    let shown: Vec<bool> = document.elements().map(|element| element.is_ok()).collect();
    assert_eq!(shown, [true, true, false]);
}

#[test]
fn null_and_the_empty_array_hold_nothing() {
    assert!(elements("null").is_empty());
    assert!(elements(" [ ] \n").is_empty());
    assert_eq!(elements("[null]"), [""]);
}

#[test]
fn nesting_stops_where_go_stops() {
    let nested =
        |depth: usize| format!(r#"[{{"uuid":"a","x":{}{}}}]"#, "[".repeat(depth - 2), "]".repeat(depth - 2));
    assert_eq!(elements(&nested(10_000)), ["a"]);
    let error = Document::new(nested(10_001).as_bytes()).batches().unwrap_err();
    assert!(
        error.is_syntax()
            && error.to_string().contains("at most 10,000 arrays and objects inside each other"),
        "{error}"
    );
}

#[test]
fn labels_stay_quick_however_they_come() {
    let names: Vec<String> =
        (0..100_000).rev().map(|index| format!(r#""{index:06}":"v","{index:06}":"w""#)).collect();
    let document = format!(r#"[{{"metrics":[{{"labels":{{{}}}}}]}}]"#, names.join(","));
    let document = Document::new(document.as_bytes());
    let elements = document.batches().unwrap();
    let metrics = elements[0].batch.as_ref().unwrap().metrics.as_ref().unwrap();
    assert_eq!(metrics[0].labels.len(), 100_000);
    assert!(
        metrics[0]
            .labels
            .iter()
            .enumerate()
            .all(|(index, (name, value))| name == format!("{index:06}") && value == "w")
    );
}

#[test]
fn only_so_much_of_an_element_is_kept_as_is_allowed() {
    let document = br#"[{"uuid":"a","metrics":[{},{"labels":{"a":"","b":""}}]},{"uuid":"b","metrics":[{},{},{}]},
        {"uuid":"c","metrics":[{"labels":{"a":"","b":"","c":""}}]},{"uuid":"d","credentials":[1,2,3]},{"uuid":"e"}]"#;
    let document = Document::new(document).keeping_at_most(2);
    let elements = document.batches().unwrap();
    let shown: Vec<bool> = elements.iter().map(|element| element.batch.is_ok()).collect();
    assert_eq!(shown, [true, false, false, false, true]);
    let error = elements[1].batch.as_ref().unwrap_err();
    let message =
        "expected no more elements: there are more than are kept in memory in \"metrics\", found '{'"
            .to_owned();
    assert_eq!((&error.message, error.identity.uuid.as_str()), (&message, "b"));
}

/// What takes time by the square of these would take hours.
const MANY: usize = 300_000;

#[track_caller]
fn check_many(body: &[u8], n_elements: usize) {
    let document = Document::new(body);
    assert_eq!(document.elements().filter(Result::is_ok).count(), n_elements);
    let owned = from_slice::<Option<Vec<MetricBatch>>>(body).expect("batches");
    assert_eq!(owned.map(|batches| batches.len()), Some(n_elements));
}

#[test]
fn keys_that_come_again_and_again_cost_no_more_than_their_bytes() {
    for (field, first, again) in [
        (r#""metrics":"#, format!("[{}{{}}]", "{},".repeat(MANY)), "[{}]"),
        (r#""credentials":"#, format!("[{}0]", "0,".repeat(MANY)), "[1]"),
        (r#""labels":"#, format!(r#"{{"b":"",{}"a":""}}"#, r#""c":"","#.repeat(MANY)), "{}"),
    ] {
        let members = format!("{field}{first}{}", format!(",{field}{again}").repeat(MANY));
        let batch = if field.contains("labels") {
            format!(r#"{{"metrics":[{{{members}}}]}}"#)
        } else {
            format!("{{{members}}}")
        };
        check_many(format!("[{batch}]").as_bytes(), 1);
    }
}

#[test]
fn many_elements_cost_no_more_than_their_bytes() {
    check_many(format!("[{}null]", r#"{"uuid":"a"},"#.repeat(MANY)).as_bytes(), MANY + 1);
    let broken = [b"[".as_slice(), &b"{\"uuid\":\"\xff\"},".repeat(MANY), b"null]"].concat();
    check_many(&broken, MANY + 1);
}

#[test]
fn offsets_are_those_of_the_body_however_broken_its_utf_8() {
    let body = b"[{\"uuid\":\"\xff\xff\"},{\"uuid\":\"\xe2\x80\",\"metrics\":7},{\"uuid\":\"\xff\"}]";
    let document = Document::new(body);
    let elements = document.batches().unwrap();
    let offsets: Vec<usize> = elements.iter().map(|element| element.offset).collect();
    let braces: Vec<usize> = (0..body.len()).filter(|&offset| body[offset] == b'{').collect();
    assert_eq!(offsets, braces);
    assert_eq!(body[elements[1].batch.as_ref().unwrap_err().offset], b'7');
}

/// The borrowed and the owned way must agree on everything.
#[track_caller]
fn check_ways_agree(document: &[u8]) {
    let owned = from_slice::<Option<Vec<MetricBatch>>>(document);
    let view = Document::new(document);
    let elements = view.batches();
    let Ok(owned) = owned else {
        let accepted = elements.is_ok_and(|elements| elements.iter().all(|element| element.batch.is_ok()));
        assert!(!accepted, "only the view accepts {:?}", document.escape_ascii().to_string());
        return;
    };
    let elements = elements.expect("what the owned way accepts, the view accepts");
    let owned = owned.unwrap_or_default();
    assert_eq!(elements.len(), owned.len());
    for (element, owned) in elements.iter().zip(&owned) {
        assert_eq!(to_vec(element.batch.as_ref().expect("accepted")), to_vec(owned));
        if element.is_canonical {
            let written = to_vec(owned).expect("what Go wrote");
            assert_eq!(String::from_utf8_lossy(&written), element.raw);
        }
    }
}

/// As Go writes it: every field, times with and without a fraction, labels.
const CANONICAL: &str = concat!(
    r#"{"uuid":"b-1","env-uuid":"m-1","model-name":"","unit-name":"u/0","charm-url":"cs:c-1","created":"2018-03-22T10:15:28Z","#,
    r#""metrics":[{"key":"pings","value":"5","time":"2018-03-22T10:15:28.05Z","labels":{"a":"1","b":"2"}},"#,
    r#"{"key":"x","value":"1e3","time":"2018-03-22T10:15:28.123456789Z"}],"#,
    r#""credentials":"AAEC","reseller-credentials":null,"sla-credentials":null}"#,
);

fn is_canonical(element: &str) -> bool {
    let document = format!("[{element}]");
    Document::new(document.as_bytes()).batches().expect("an array")[0].is_canonical
}

#[test]
fn what_go_wrote_is_known_as_such() {
    assert!(is_canonical(CANONICAL));
    let document = format!("[ {{ }},{CANONICAL}]");
    let document = Document::new(document.as_bytes());
    let known =
        document.batches().expect("an array").iter().map(|element| element.is_canonical).collect::<Vec<_>>();
    assert_eq!(known, [false, true], "each by itself");
    for (part, same) in [
        (r#""metrics":["#, r#""metrics": ["#),
        (r#""model-name":"","#, ""),
        (r#""model-name":"","#, r#""model-name":null,"#),
        (r#""model-name":"","#, r#""Model-Name":"","#),
        (r#","sla-credentials":null"#, ""),
        (r#","sla-credentials":null"#, r#","sla-credentials":null,"more":1"#),
        (r#""uuid":"b-1","env-uuid":"m-1""#, r#""env-uuid":"m-1","uuid":"b-1""#),
        (r#""uuid":"b-1""#, r#""uuid":"b-0","uuid":"b-1""#),
        ("u/0", "u<0"),
        ("u/0", "u\\/0"),
        ("u/0", "u\u{2028}0"),
        (r#""a":"1","b":"2""#, r#""b":"2","a":"1""#),
        (r#""a":"1","b":"2""#, r#""a":"0","a":"1""#),
        (r#","labels":{"a":"1","b":"2"}"#, r#","labels":{}"#),
        (r#","labels":{"a":"1","b":"2"}"#, r#","labels":null"#),
        ("28.05Z", "28.050Z"),
        ("28.05Z", "28,05Z"),
        ("28.05Z", "28.05+00:00"),
        ("T10:15:28Z", "T1:15:28Z"),
        ("28.123456789Z", "28.1234567891Z"),
        ("AAEC", "AAEC\\n"),
        (r#""AAEC""#, "[0,1,2]"),
        (CANONICAL, "{}"),
        (CANONICAL, "null"),
    ] {
        assert!(CANONICAL.contains(part), "{part}");
        assert!(!is_canonical(&CANONICAL.replacen(part, same, 1)), "{same}");
    }
}

#[test]
fn whatever_is_changed_in_what_go_wrote_it_is_not_taken_for_that() {
    let canonical = CANONICAL.as_bytes();
    let document = |head: &[u8], middle: &[u8], rest: &[u8]| [b"[", head, middle, rest, b"]"].concat();
    for place in 0..canonical.len() {
        for byte in 0..=u8::MAX {
            check_ways_agree(&document(&canonical[..place], &[byte], &canonical[place + 1..]));
            check_ways_agree(&document(&canonical[..place], &[byte], &canonical[place..]));
        }
        check_ways_agree(&document(&canonical[..place], b"", &canonical[place + 1..]));
    }
}

/// Pieces that documents of this format are made of, good and bad.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "7",
        "-0",
        "1e5",
        " ",
        "\"\"",
        "\"a\"",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"uuid\":",
        "\"UUID\":",
        "\"env-uuid\":",
        "\"metrics\":",
        "\"key\":",
        "\"value\":",
        "\"time\":",
        "\"labels\":",
        "\"credentials\":",
        "\"sla-credentials\":",
        "\"created\":",
        "\"2018-03-22T10:15:28Z\"",
        "\"2018-03-22T1:15:28,5+24:00\"",
        "\"AAEC\"",
        "\"AR==\"",
        "[1,2,3]",
        "[null,7]",
        "[{\"key\":\"k\"},{\"value\":\"1\"}]",
        "{\"a\":\"b\",\"a\":null}",
        "\"cha\\u017fm-url\":",
        "\u{fffd}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_ways_agree_on_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        check_ways_agree(pieces.concat().as_bytes());
    }

    #[test]
    fn both_ways_agree_on_members(members in prop::collection::vec((piece(), piece()), 0..20)) {
        let members: Vec<String> = members
            .into_iter()
            .filter(|(key, _)| key.ends_with(':'))
            .map(|(key, value)| format!("{key}{value}"))
            .collect();
        check_ways_agree(format!("[{{{}}}]", members.join(",")).as_bytes());
    }

    #[test]
    fn both_ways_agree_on_damaged_examples(place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut document = include_bytes!("../golden/examples/metric-batches.json").to_vec();
        let place = place.index(document.len());
        if cut { document.truncate(place) } else { document[place] = byte }
        check_ways_agree(&document);
    }
}

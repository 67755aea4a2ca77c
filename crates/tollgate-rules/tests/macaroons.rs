//! Macaroons as other implementations make them, and what is none.

#![expect(clippy::panic, reason = "a helper of a test fails it by panicking")]

use serde_json::Value;
use tollgate_rules::{Macaroon, MacaroonError, Secret, limits};

/// What `gopkg.in/macaroon.v2` makes; `conformance/credentials/cmd/golden` wrote it.
const GOLDEN: &str = include_str!("../golden/macaroons.jsonl");

fn golden() -> Vec<Value> {
    let lines: Vec<Value> = GOLDEN.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(5 < lines.len());
    lines
}

fn text<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_else(|| panic!("{member} in {line}"))
}

fn root_key(line: &Value) -> Secret {
    let digits = text(line, "root_key_hex").as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    Secret::new(digits.chunks(2).map(byte).collect::<Vec<_>>())
}

fn one(form: &str) -> Macaroon {
    let [macaroon] = <[_; 1]>::try_from(Macaroon::parse(form.as_bytes()).expect(form)).expect("one");
    macaroon
}

#[test]
fn every_form_that_go_writes_is_read_and_verifies() {
    for line in golden() {
        let caveats = line["caveats"].as_array().expect("a list").iter();
        let caveats: Vec<&str> = caveats.map(|caveat| caveat.as_str().expect("text")).collect();
        let quoted = |member| format!("\"{}\"", text(&line, member));
        for form in [
            text(&line, "json_v1").to_owned(),
            text(&line, "json_v2").to_owned(),
            quoted("binary_v1_base64"),
            quoted("binary_v2_base64"),
        ] {
            let macaroon = one(&form);
            assert_eq!(macaroon.location(), text(&line, "location"), "{form}");
            assert_eq!(macaroon.identifier(), text(&line, "identifier"), "{form}");
            assert_eq!(macaroon.caveats(), caveats, "{form}");
            assert!(macaroon.is_signed_with(&root_key(&line)), "{form}");
            assert!(!macaroon.is_signed_with(&Secret::new(*b"another")), "{form}");
        }
    }
}

#[test]
fn what_is_made_and_written_here_is_what_go_makes_and_writes() {
    for line in golden() {
        let caveats: Vec<String> = serde_json::from_value(line["caveats"].clone()).expect("texts");
        let (location, identifier) = (text(&line, "location").into(), text(&line, "identifier").into());
        let macaroon = Macaroon::mint(location, identifier, caveats, &root_key(&line));
        // Go writes an empty identifier by leaving it out, and reads it either way.
        if !macaroon.identifier().is_empty() && !macaroon.caveats().contains(&String::new()) {
            assert_eq!(macaroon.to_json_v2(), text(&line, "json_v2"));
        }
        assert_eq!(macaroon.to_json_v1(), text(&line, "json_v1"));
    }
}

#[test]
fn a_condition_added_is_what_go_adds() {
    let line = golden().into_iter().find(|line| text(line, "name") == "a plan's credential").expect("there");
    let caveats: Vec<String> = serde_json::from_value(line["caveats"].clone()).expect("texts");
    let (location, identifier) = (text(&line, "location").into(), text(&line, "identifier").into());
    let bare = Macaroon::mint(location, identifier, Vec::new(), &root_key(&line));
    let restricted = caveats.into_iter().fold(bare, Macaroon::restricted);
    assert_eq!(restricted.to_json_v1(), text(&line, "json_v1"));
}

const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn lists_and_space_around_are_read() {
    let object = format!(r#"{{"caveats":[],"location":"l","identifier":"i","signature":"{ZERO}"}}"#);
    let check = |text: &str, n_macaroons: usize| {
        let parsed = Macaroon::parse(text.as_bytes());
        assert_eq!(parsed.map(|macaroons| macaroons.len()), Ok(n_macaroons), "{text:?}");
    };
    check(&object, 1);
    check(&format!("{object}\n"), 1);
    check(&format!(" \r\n\t{object} "), 1);
    check(&format!("[{object}]\n"), 1);
    check(&format!("[{object}, {object}]"), 2);
    check("", 0);
    check(" \n", 0);
    check("null", 0);
    check("[]", 0);
    check("[ ]", 0);
    // pymacaroons leaves out what is empty.
    check(&format!(r#"{{"identifier":"i","signature":"{ZERO}"}}"#), 1);
    // libmacaroons names the version.
    check(r#"{"v":2,"c":[],"i":"i","s64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#, 1);
    check(r#"{"i64":"aQ","s64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#, 1);
    check(r#"{"c":[{"i":"a","v":"","l":""}],"s64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#, 1);
}

#[track_caller]
fn check_refused(form: &str, expected: &str) {
    let refusal = Macaroon::parse(form.as_bytes()).expect_err(form).to_string();
    assert!(refusal.starts_with(expected), "{form}\nis refused with {refusal:?}");
}

#[test]
fn what_is_no_macaroon_is_refused_with_what_is_wrong() {
    let v1 = |more: &str| format!(r#"{{"identifier":"i","signature":"{ZERO}"{more}}}"#);
    check_refused("{", "it is not the JSON of a macaroon: EOF");
    check_refused("7", "it is not the JSON of a macaroon: invalid type: integer `7`, expected a macaroon");
    check_refused("[null]", "it is not the JSON of a macaroon: invalid type: null, expected a macaroon");
    check_refused("[[]]", "it is not the JSON of a macaroon: invalid type: sequence, expected a macaroon");
    check_refused(&format!("{}{}", v1(""), v1("")), "it is not the JSON of a macaroon: trailing characters");
    check_refused(&v1(r#","extra":1"#), "it is not the JSON of a macaroon: unknown field `extra`");
    check_refused(&v1(r#","Caveats":[]"#), "it is not the JSON of a macaroon: unknown field `Caveats`");
    check_refused(&v1(r#","identifier":"j""#), "it is not the JSON of a macaroon: duplicate field");
    check_refused(&v1(r#","c":[]"#), "the list of members is not those of one version");
    check_refused("{}", "s64 is not there");
    check_refused(r#"{"identifier":"i"}"#, "signature is not there");
    check_refused(&format!(r#"{{"signature":"{ZERO}"}}"#), "identifier is not there");
    check_refused(r#"{"identifier":"i","signature":"00"}"#, "signature is not there, or not 64 hex");
    check_refused(&v1("").replace('0', "A"), "signature is not there, or not 64 hex");
    check_refused(&v1(r#","caveats":[{}]"#), "cid is not there");
    check_refused(r#"{"i":"i","s64":"AAAA"}"#, "s64 is not there, or not 32 bytes");
    check_refused(r#"{"i":"i","i64":"aQ"}"#, "i is not there once");
    check_refused(r#"{"v":1,"i":"i"}"#, "v is not 2");
    check_refused(r#"{"i64":"_w","s64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#, "i is not text");
    // Bits that say nothing are not zero.
    check_refused(r#"{"i":"i","s64":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}"#, "s64 is not base64");
    check_refused(r#""!""#, "the JSON string is not base64");
    check_refused(r#""""#, "the binary form is not a packet");
    check_refused(r#""AA""#, "the binary form is not a packet");
    check_refused(r#""Ag""#, "the binary form is not a field");
}

#[test]
fn what_somebody_else_would_have_to_discharge_is_refused() {
    const EXPECTED: &str = "it has a third-party caveat";
    let s64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    check_refused(
        &format!(
            r#"{{"identifier":"i","caveats":[{{"cid":"c","vid":"AAAA","cl":"l"}}],"signature":"{ZERO}"}}"#
        ),
        EXPECTED,
    );
    check_refused(
        &format!(r#"{{"identifier":"i","caveats":[{{"cid":"c","cl":"l"}}],"signature":"{ZERO}"}}"#),
        EXPECTED,
    );
    check_refused(&format!(r#"{{"i":"i","c":[{{"i":"c","v64":"AAAA"}}],"s64":"{s64}"}}"#), EXPECTED);
    check_refused(&format!(r#"{{"i":"i","c":[{{"i":"c","l":"there"}}],"s64":"{s64}"}}"#), EXPECTED);
}

#[test]
fn more_than_the_limits_is_refused() {
    let of = |n_caveats: usize| {
        let caveats = vec![r#"{"cid":"c"}"#; n_caveats].join(",");
        format!(r#"{{"identifier":"i","caveats":[{caveats}],"signature":"{ZERO}"}}"#)
    };
    let list = |n_macaroons: usize| format!("[{}]", vec![of(0); n_macaroons].join(","));
    assert!(Macaroon::parse(of(limits::CREDENTIAL_CAVEATS_MAX).as_bytes()).is_ok());
    check_refused(&of(limits::CREDENTIAL_CAVEATS_MAX + 1), "it has 65 conditions, more than the 64 allowed");
    assert!(Macaroon::parse(list(limits::CREDENTIAL_MACAROONS_MAX).as_bytes()).is_ok());
    check_refused(&list(9), "it is a list of 9, more than the 8 allowed");
    let halves = format!("[{},{}]", of(40), of(40));
    check_refused(&halves, "it has 80 conditions, more than the 64 allowed");
    let long = vec![b' '; limits::CREDENTIAL_BYTES_MAX + 1];
    assert_eq!(Macaroon::parse(&long), Err(MacaroonError::TooLarge { n_bytes: 16_385 }));
    check_refused(&"[".repeat(16_000), "it is not the JSON of a macaroon: ");
}

#[test]
fn a_secret_is_not_shown() {
    assert_eq!(format!("{:?}", Secret::new(*b"hunter2")), "[redacted]");
}

//! Which batches a credential covers, and that nothing done to it makes it cover more.

#![expect(clippy::panic, reason = "a helper of a test fails it by panicking")]

use std::fmt::Write as _;

use proptest::prelude::*;
use tollgate_rules::{
    Authorization, Claim, CredentialError, CredentialId, KeyRing, Macaroon, Reason, TermError, Terms,
    authorize, authorize_batch, limits, mint,
};
use tollgate_wire::{Document, Status, Timestamp};

const KEYS: &str = "\
# the newest first
2026-11 1111111111111111111111111111111111111111111111111111111111111111

2026-05 2222222222222222222222222222222222222222222222222222222222222222
";

const CLAIM: Claim<'static> =
    Claim { model_uuid: "deadbeef", unit_name: "metered/0", charm_url: "ch:amd64/jammy/metered-7" };

fn keys() -> KeyRing {
    KeyRing::parse(KEYS).expect("a key file")
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn now() -> Timestamp {
    time("2026-11-27T12:00:00Z")
}

fn all_terms() -> Terms {
    Terms {
        model_uuid: Some("deadbeef".into()),
        charm_url: Some("ch:amd64/jammy/metered-1".into()),
        service: Some("metered".into()),
        plan: Some("acme/gold".into()),
        user: Some("bob".into()),
        sla: Some("essential".into()),
        expires: Some(time("2027-01-01T00:00:00Z")),
    }
}

fn minted(terms: &Terms) -> Macaroon {
    mint(terms, &keys(), [7; 16]).expect("terms that can be said")
}

fn decide(credentials: &str, claim: Claim<'_>) -> Result<Authorization, CredentialError> {
    authorize(credentials.as_bytes(), &keys(), claim, now(), |_| false)
}

#[track_caller]
fn check_refused(credentials: &str, claim: Claim<'_>, expected: &str) {
    match decide(credentials, claim) {
        Ok(_) => panic!("covered: {credentials} {claim:?}"),
        Err(refusal) => assert_eq!(refusal.to_string(), expected, "{credentials} {claim:?}"),
    }
}

#[test]
fn a_credential_says_what_it_was_made_for() {
    let credential = minted(&all_terms());
    let expected = Authorization {
        credential_id: "07070707070707070707070707070707".into(),
        model_uuid: Some("deadbeef".into()),
        service: Some("metered".into()),
        charm_url: Some("ch:amd64/jammy/metered-1".into()),
        plan: Some("acme/gold".into()),
        user: Some("bob".into()),
        sla: Some("essential".into()),
        expires: Some(time("2027-01-01T00:00:00Z")),
    };
    assert_eq!(credential.identifier(), "tollgate 1 2026-11 07070707070707070707070707070707 7");
    assert_eq!(
        credential.caveats(),
        [
            "declared environment deadbeef",
            "declared charm ch:amd64/jammy/metered-1",
            "declared service metered",
            "declared plan acme/gold",
            "declared user bob",
            "declared sla essential",
            "time-before 2027-01-01T00:00:00Z",
        ]
    );
    let (v1, v2) = (credential.to_json_v1(), credential.to_json_v2());
    for form in [v1.clone(), v2.clone(), format!("{v1}\n"), format!("[{v1}]"), format!("[{v1},{v2}]\n")] {
        assert_eq!(decide(&form, CLAIM), Ok(expected.clone()), "{form}");
    }
}

#[test]
fn every_term_has_to_cover_the_batch() {
    let credential = minted(&all_terms()).to_json_v1();
    check_refused(
        &credential,
        Claim { model_uuid: "deadbeef ", ..CLAIM },
        "the credential is for the model \"deadbeef\"",
    );
    check_refused(
        &credential,
        Claim { charm_url: "ch:amd64/jammy/meteredd-1", ..CLAIM },
        "the credential is for the charm \"ch:amd64/jammy/metered-1\"",
    );
    for unit_name in ["meteredd/0", "metere/0", "metered", ""] {
        let claim = Claim { unit_name, ..CLAIM };
        check_refused(&credential, claim, "the credential is for the application \"metered\"");
    }
}

#[test]
fn what_is_left_out_is_left_open() {
    let nothing = minted(&Terms::default()).to_json_v1();
    assert!(decide(&nothing, CLAIM).is_ok());
    let model = minted(&Terms { model_uuid: Some("deadbeef".into()), ..Terms::default() }).to_json_v1();
    assert!(decide(&model, Claim { unit_name: "", charm_url: "", ..CLAIM }).is_ok());
}

#[test]
fn a_credential_ends_at_its_second() {
    let credential = minted(&all_terms()).to_json_v1();
    let at = |now: &str| authorize(credential.as_bytes(), &keys(), CLAIM, time(now), |_| false).map(|_| ());
    let expired = CredentialError::Expired { expired: time("2027-01-01T00:00:00Z") };
    assert_eq!(at("2026-12-31T23:59:59.999Z"), Ok(()));
    assert_eq!(at("2027-01-01T00:00:00Z"), Err(expired.clone()));
    assert_eq!(at("2027-01-01T00:59:00+01:00"), Ok(()));
    assert_eq!(at("2030-01-01T00:00:00Z"), Err(expired.clone()));
    assert_eq!(expired.to_string(), "the credential expired at 2027-01-01T00:00:00Z");
}

#[test]
fn a_revoked_credential_admits_nothing() {
    let credential = minted(&all_terms()).to_json_v1();
    let is_revoked = |id: &str| id == "07070707070707070707070707070707";
    let refusal = authorize(credential.as_bytes(), &keys(), CLAIM, now(), is_revoked).expect_err("revoked");
    assert_eq!(refusal.to_string(), "the credential 07070707070707070707070707070707 was revoked");

    let other = mint(&all_terms(), &keys(), [8; 16]).expect("terms").to_json_v1();
    assert!(authorize(other.as_bytes(), &keys(), CLAIM, now(), is_revoked).is_ok());
    let both = format!("[{other},{credential}]");
    assert!(authorize(both.as_bytes(), &keys(), CLAIM, now(), is_revoked).is_err());
}

#[test]
fn what_is_missing_or_foreign_is_refused() {
    for none in ["", "\n", "null", "[]"] {
        check_refused(none, CLAIM, "the batch carries no credential");
    }
    check_refused(
        "{",
        CLAIM,
        "the credential cannot be read: it is not the JSON of a macaroon: EOF while parsing an object at line 1 column 1",
    );
    let zero = "00".repeat(32);
    let foreign = |location: &str, identifier: &str| {
        format!(
            r#"{{"caveats":[],"location":"{location}","identifier":"{identifier}","signature":"{zero}"}}"#
        )
    };
    let id = "tollgate 1 2026-11 07070707070707070707070707070707 0";
    check_refused(
        &foreign("omnibus", id),
        CLAIM,
        "the credential cannot be read: its location is not tollgate",
    );
    for identifier in [
        "id1",
        "tollgate 2 2026-11 07070707070707070707070707070707 0",
        "tollgate 1 2026-11 0707070707070707070707070707070A 0",
        "tollgate 1 2026-11 07070707070707070707070707070707 00",
        "tollgate 1 2026-11 07070707070707070707070707070707 +0",
        "tollgate 1 2026-11 07070707070707070707070707070707",
        "tollgate 1 2026-11  07070707070707070707070707070707 0",
    ] {
        check_refused(
            &foreign("tollgate", identifier),
            CLAIM,
            "the credential cannot be read: its identifier is not one of Tollgate's",
        );
    }
    check_refused(
        &foreign("tollgate", id),
        CLAIM,
        "the credential's signature is wrong: it was changed, or made elsewhere",
    );
    check_refused(
        &foreign("tollgate", &id.replace("2026-11", "2025-01")),
        CLAIM,
        "the credential was made with the key \"2025-01\", which is not among the keys",
    );
}

#[test]
fn a_key_that_was_rotated_still_verifies_until_it_is_dropped() {
    let old = KeyRing::parse(KEYS.lines().last().expect("a line")).expect("a key");
    let credential = mint(&all_terms(), &old, [7; 16]).expect("terms").to_json_v1();
    assert!(decide(&credential, CLAIM).is_ok());
    let new = KeyRing::parse(KEYS.lines().nth(1).expect("a line")).expect("a key");
    let refusal = authorize(credential.as_bytes(), &new, CLAIM, now(), |_| false).expect_err("dropped");
    assert_eq!(refusal, CredentialError::UnknownKey { key_id: "2026-05".into() });
    // The same id with another secret.
    let other = KeyRing::parse(&format!("2026-05 {}", "33".repeat(32))).expect("a key");
    let refusal = authorize(credential.as_bytes(), &other, CLAIM, now(), |_| false).expect_err("another");
    assert_eq!(refusal, CredentialError::BadSignature);
}

#[test]
fn conditions_that_a_holder_adds_only_narrow() {
    let check = |terms: &Terms, added: &str, expected: Option<&str>| {
        let credential = minted(terms).restricted(added.to_owned()).to_json_v1();
        let refusal = decide(&credential, CLAIM).err().map(|refusal| refusal.to_string());
        assert_eq!(refusal.as_deref(), expected, "{added}");
    };
    let all = all_terms();
    check(&all, "declared environment deadbeef", None);
    check(&all, "declared environment other", Some("the credential is for the model \"other\""));
    check(&all, "declared service other", Some("the credential is for the application \"other\""));
    check(&all, "declared charm ch:metered", None);
    check(&all, "declared charm ch:other", Some("the credential is for the charm \"ch:other\""));
    check(&all, "time-before 2026-12-01T00:00:00Z", None);
    check(&all, "time-before 2099-01-01T00:00:00Z", None);
    check(&all, "time-before 2026-11-01T00:00:00Z", Some("the credential expired at 2026-11-01T00:00:00Z"));
    check(&all, "declared user bob", None);
    check(&all, "declared user eve", Some("the credential was given a user that it was not made with"));
    // Nor can who has one that names nobody have somebody charged.
    let anonymous = Terms { user: None, plan: None, sla: None, ..all_terms() };
    check(&anonymous, "declared user eve", Some("the credential was given a user that it was not made with"));
    check(
        &anonymous,
        "declared plan free",
        Some("the credential was given a plan that it was not made with"),
    );
    check(&anonymous, "declared sla none", Some("the credential was given a sla that it was not made with"));
    for unknown in
        ["", " ", "declared", "declared ", "declared user", "declared user ", "declared colour red"]
    {
        let expected = format!("the credential has a condition that is not understood: {unknown:?}");
        check(&all, unknown, Some(&expected));
    }
    check(
        &all,
        "time-before soon",
        Some("the credential has a condition that is not understood: \"time-before soon\""),
    );
    check(
        &all,
        "Time-Before 2099-01-01T00:00:00Z",
        Some("the credential has a condition that is not understood: \"Time-Before 2099-01-01T00:00:00Z\""),
    );

    let sooner = minted(&all).restricted("time-before 2026-12-01T00:00:00Z".into()).to_json_v1();
    let authorization = decide(&sooner, CLAIM).expect("covered");
    assert_eq!(authorization.expires, Some(time("2026-12-01T00:00:00Z")));
}

#[test]
fn each_of_a_list_has_to_cover_the_batch() {
    let good = minted(&all_terms()).to_json_v1();
    let for_other = minted(&Terms { model_uuid: Some("other".into()), ..Terms::default() }).to_json_v1();
    let of_eve = minted(&Terms { user: Some("eve".into()), ..Terms::default() }).to_json_v1();
    check_refused(&format!("[{good},{for_other}]"), CLAIM, "the credential is for the model \"other\"");
    check_refused(&format!("[{good},{of_eve}]"), CLAIM, "the credentials declare more than one user");
}

#[test]
fn terms_that_cannot_be_said_are_refused() {
    let check = |terms: Terms, expected: TermError| assert_eq!(mint(&terms, &keys(), [0; 16]), Err(expected));
    for text in ["", "a\nb", "\u{7f}", &"x".repeat(limits::NAME_BYTES_MAX + 1)] {
        check(Terms { user: Some(text.into()), ..Terms::default() }, TermError::Text { term: "user" });
    }
    let never = Terms { expires: Some(time("9999-12-31T23:59:59-01:00")), ..Terms::default() };
    assert!(mint(&never, &keys(), [0; 16]).is_ok());
    let beyond = Terms { expires: Some(time("0000-01-01T00:00:00+24:00")), ..Terms::default() };
    check(beyond, TermError::Time);
    // The longest that can be said is still short enough to be read.
    let longest = |character: &str| Some(character.repeat(limits::NAME_BYTES_MAX));
    let terms = Terms {
        model_uuid: longest("\""),
        charm_url: longest("\\"),
        service: longest("\""),
        plan: longest("\""),
        user: longest("\""),
        sla: longest("\""),
        expires: all_terms().expires,
    };
    assert_eq!(Macaroon::parse(minted(&terms).to_json_v1().as_bytes()), Ok(vec![minted(&terms)]));
}

#[test]
fn a_key_file_is_read_line_by_line() {
    assert_eq!(keys().key_ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
    let made = KeyRing::new_line("k.1_A", [0xab; 32]).expect("an id");
    assert_eq!(made, format!("k.1_A {}\n", "ab".repeat(32)));
    assert_eq!(KeyRing::parse(&made).expect("a key").key_ids().collect::<Vec<_>>(), ["k.1_A"]);
    assert!(KeyRing::parse(&format!("k {}", "ab".repeat(64))).is_ok());

    let check = |text: &str, expected: &str| {
        let refusal = KeyRing::parse(text).expect_err(text).to_string();
        assert!(refusal.starts_with(expected), "{refusal}");
    };
    let secret = "ab".repeat(32);
    check("", "find a key: there is no line with one");
    check("# k\n\n", "find a key");
    check("k", "read line 1: expected an id and a secret");
    check(&format!("# k\n\nk {secret} x"), "read line 3: expected an id and a secret");
    check(&format!("k/1 {secret}"), "use the key id in line 1: it may have");
    check(&format!("{} {secret}", "k".repeat(65)), "use the key id in line 1: it may have");
    check(&format!("k {secret}\nk {secret}"), "use the key id in line 2: an earlier line has the same");
    check("k hunter2", "read the secret in line 1: it is not pairs");
    check(&format!("k {}", secret.to_uppercase()), "read the secret in line 1: it is not pairs");
    check(
        &format!("k {}", "ab".repeat(31)),
        "use the secret in line 1: it has 31 bytes, and may have 32 to 64",
    );
    check(&format!("k {}", "ab".repeat(65)), "use the secret in line 1: it has 65 bytes");
    assert!(KeyRing::new_line("a b", [0; 32]).is_err());
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", keys());
    assert!(!shown.contains("11111111") && !shown.contains("17, 17"), "{shown}");
}

/// Decides on one batch of a posted document.
fn decide_on_batch(
    credentials: &str,
    sla_credentials: &str,
    unit_name: &str,
) -> Result<Authorization, CredentialError> {
    let base64 = |text: &str| base64_simd::STANDARD.encode_to_string(text);
    let body = format!(
        r#"[{{"uuid":"u","env-uuid":"deadbeef","unit-name":"{unit_name}","charm-url":"","credentials":"{}","sla-credentials":"{}"}}]"#,
        base64(credentials),
        base64(sla_credentials)
    );
    let document = Document::new(body.as_bytes());
    let elements = document.batches().expect("an array");
    let batch = elements[0].batch.as_ref().expect("a batch");
    authorize_batch(batch, &keys(), now(), |_| false)
}

#[test]
fn a_batch_of_the_model_itself_may_carry_its_sla() {
    let plan = minted(&Terms { plan: Some("p".into()), ..Terms::default() }).to_json_v1();
    let sla = minted(&Terms { sla: Some("s".into()), ..Terms::default() }).to_json_v1();
    let plan_of = |credentials: &str, sla_credentials: &str, unit_name: &str| {
        decide_on_batch(credentials, sla_credentials, unit_name)
            .map(|said| (said.plan.is_some(), said.sla.is_some()))
    };
    assert_eq!(plan_of(&plan, &sla, "metered/0"), Ok((true, false)));
    assert_eq!(plan_of(&plan, &sla, ""), Ok((true, false)));
    assert_eq!(plan_of("", &sla, ""), Ok((false, true)));
    assert_eq!(plan_of("", &sla, "metered/0"), Err(CredentialError::Missing));
    assert_eq!(plan_of("", "", ""), Err(CredentialError::Missing));
}

#[test]
fn what_a_credential_does_not_admit_shows_red() {
    let reason = Reason::Credential { refusal: CredentialError::Missing };
    assert_eq!((reason.code(), reason.status()), ("credential", Status::Red));
    assert_eq!(reason.to_string(), "the batch carries no credential");
    assert_eq!(Reason::MissingUuid.status(), Status::Amber);
}

/// Every form of a credential for all that can be said.
fn forms() -> Vec<String> {
    let credential = minted(&all_terms());
    let (v1, v2) = (credential.to_json_v1(), credential.to_json_v2());
    vec![
        format!("{v1}\n"),
        format!("[{v1}]"),
        format!("[{v2}]"),
        v2,
        binary_v1(&credential),
        binary_v2(&credential),
    ]
}

fn quoted_base64(bytes: &[u8]) -> String {
    format!("\"{}\"", base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes))
}

fn signature_of(credential: &Macaroon) -> Vec<u8> {
    let json: serde_json::Value = serde_json::from_str(&credential.to_json_v2()).expect("JSON");
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(json["s64"].as_str().expect("text")).expect("base64")
}

fn binary_v1(credential: &Macaroon) -> String {
    let mut bytes = Vec::new();
    let mut packet = |name: &str, value: &[u8]| {
        let mut length = String::new();
        write!(length, "{:04x}", name.len() + value.len() + 6).expect("a String takes all");
        bytes.extend([length.as_bytes(), name.as_bytes(), b" ", value, b"\n"].concat());
    };
    packet("location", credential.location().as_bytes());
    packet("identifier", credential.identifier().as_bytes());
    for caveat in credential.caveats() {
        packet("cid", caveat.as_bytes());
    }
    packet("signature", &signature_of(credential));
    quoted_base64(&bytes)
}

fn binary_v2(credential: &Macaroon) -> String {
    let mut bytes = vec![2];
    let mut field = |kind: u8, value: &[u8]| {
        bytes.extend([kind, u8::try_from(value.len()).expect("short")]);
        bytes.extend(value);
        if kind == 2 {
            bytes.push(0);
        }
    };
    field(1, credential.location().as_bytes());
    field(2, credential.identifier().as_bytes());
    for caveat in credential.caveats() {
        field(2, caveat.as_bytes());
    }
    bytes.push(0);
    bytes.extend([6, 32]);
    bytes.extend(signature_of(credential));
    quoted_base64(&bytes)
}

#[test]
fn no_bit_can_be_flipped() {
    let mut n_flips = 0;
    for form in forms() {
        assert!(decide(&form, CLAIM).is_ok(), "{form}");
        let mut bytes = form.clone().into_bytes();
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decided = authorize(&bytes, &keys(), CLAIM, now(), |_| false);
            assert!(decided.is_err(), "bit {bit} of {form}: {}", bytes.escape_ascii());
            bytes[bit / 8] ^= 1 << (bit % 8);
            n_flips += 1;
        }
    }
    assert!(20_000 < n_flips, "{n_flips} bits were flipped");
}

/// A credential with its caveats changed, and everything else as it was.
fn tampered(change: impl FnOnce(&mut Vec<serde_json::Value>)) -> Result<Authorization, CredentialError> {
    let mut json: serde_json::Value = serde_json::from_str(&minted(&all_terms()).to_json_v1()).expect("JSON");
    change(json["caveats"].as_array_mut().expect("a list"));
    decide(&json.to_string(), CLAIM)
}

#[test]
fn caveats_cannot_be_removed_swapped_or_repeated_without_signing() {
    let n_caveats = minted(&all_terms()).caveats().len();
    assert!(tampered(|_| ()).is_ok());
    for one in 0..n_caveats {
        assert_eq!(tampered(|caveats| drop(caveats.remove(one))), Err(CredentialError::BadSignature));
        assert_eq!(tampered(|caveats| caveats.truncate(one)), Err(CredentialError::BadSignature));
        assert_eq!(
            tampered(|caveats| caveats.push(caveats[one].clone())),
            Err(CredentialError::BadSignature)
        );
        for other in 0..one {
            assert_eq!(tampered(|caveats| caveats.swap(one, other)), Err(CredentialError::BadSignature));
        }
    }
}

fn any_caveat() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "declared (environment|charm|service|plan|user|sla) (deadbeef|metered|ch:metered|bob|[a-z]{1,8})",
        "time-before 20[0-9]{2}-0[1-9]-0[1-9]T00:00:00Z",
    ]
}

proptest! {
    #[test]
    fn added_caveats_never_widen(
        added in proptest::collection::vec(any_caveat(), 0..4),
        model_uuid in "deadbeef|[a-z]{0,8}",
        unit_name in "metered/[0-9]|[a-z]{0,8}(/[0-9])?",
        charm_url in "ch:(amd64/)?metered-[0-9]|[a-z:/-]{0,12}",
        has_user in any::<bool>(),
    ) {
        let terms = Terms { user: has_user.then(|| "bob".into()), ..all_terms() };
        let claim = Claim { model_uuid: &model_uuid, unit_name: &unit_name, charm_url: &charm_url };
        let bare = minted(&terms);
        let restricted = added.into_iter().fold(bare.clone(), Macaroon::restricted);
        let before = decide(&bare.to_json_v1(), claim);
        let after = decide(&restricted.to_json_v2(), claim);
        if let Ok(after) = after {
            let before = before.expect("what is restricted covers no more");
            prop_assert_eq!((after.user, after.plan, after.sla), (before.user, before.plan, before.sla));
            prop_assert!(after.expires <= before.expires);
        }
    }

    #[test]
    fn no_bytes_are_a_credential(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(authorize(&bytes, &keys(), CLAIM, now(), |_| false).is_err());
    }

    #[test]
    fn what_is_written_is_read(identifier in ".{0,40}", location in ".{0,40}", caveats in proptest::collection::vec(".{0,40}", 0..5)) {
        let macaroon = Macaroon::mint(location, identifier, caveats, &tollgate_rules::Secret::new(*b"k"));
        prop_assert_eq!(Macaroon::parse(macaroon.to_json_v1().as_bytes()), Ok(vec![macaroon.clone()]));
        prop_assert_eq!(Macaroon::parse(macaroon.to_json_v2().as_bytes()), Ok(vec![macaroon.clone()]));
    }
}

#[test]
fn an_identifier_names_key_and_credential() {
    let id = CredentialId::of(&minted(&all_terms())).expect("ours");
    assert_eq!(
        (&*id.key_id, &*id.credential_id, id.n_caveats),
        ("2026-11", "07070707070707070707070707070707", 7)
    );
}

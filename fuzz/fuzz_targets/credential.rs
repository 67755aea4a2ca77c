//! Any bytes as the credential of a batch.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tollgate_rules::{Claim, CredentialError, KeyRing, Macaroon, authorize, limits, verify};
use tollgate_wire::Timestamp;

static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    KeyRing::parse("k 1111111111111111111111111111111111111111111111111111111111111111").expect("a key")
});

const CLAIM: Claim<'static> =
    Claim { model_uuid: "deadbeef", unit_name: "metered/0", charm_url: "ch:amd64/jammy/metered-1" };

fuzz_target!(|text: &[u8]| {
    let decided = authorize(text, &KEYS, CLAIM, Timestamp::default(), |_| false);
    let macaroons = match Macaroon::parse(text) {
        Ok(macaroons) => macaroons,
        Err(error) => {
            assert_eq!(decided, Err(CredentialError::Malformed(error)));
            return;
        }
    };
    assert!(
        text.len() <= limits::CREDENTIAL_BYTES_MAX && macaroons.len() <= limits::CREDENTIAL_MACAROONS_MAX
    );
    for macaroon in &macaroons {
        for form in [macaroon.to_json_v1(), macaroon.to_json_v2()] {
            match Macaroon::parse(form.as_bytes()) {
                Ok(again) => assert_eq!(&again[..], std::slice::from_ref(macaroon), "{form}"),
                // Escapes make it longer than it came.
                Err(error) => assert!(limits::CREDENTIAL_BYTES_MAX < form.len(), "{error}: {form}"),
            }
        }
    }
    // Nobody guesses a signature: only what was made with the key is ever taken.
    if let Ok(authorization) = decided {
        let ids =
            macaroons.iter().map(|macaroon| verify(macaroon, &KEYS).expect("each verifies").credential_id);
        assert!(ids.into_iter().next().is_some_and(|first| first == authorization.credential_id));
    }
});

//! Macaroons: tokens whose conditions can be added to by who holds them, and taken away by nobody.
//!
//! What `gopkg.in/macaroon.v2` and `pymacaroons` make is read here, and the other way round: the JSON of both versions, and the
//! binary forms within a JSON string. Only what Tollgate can verify is read: text in identifiers and conditions, and no
//! third-party caveat, which would have to be discharged by somebody else.
//!
//! Of each form there is one spelling, and whatever departs from it is refused: no bit of a macaroon can change without
//! being noticed, although its location is not signed.

mod binary;
mod json;

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::limits;

/// What root keys are keyed with, in every implementation, to become keys of one length.
const KEY_GENERATOR: &[u8] = b"macaroons-key-generator";

/// A macaroon without third-party caveats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macaroon {
    location: String,
    identifier: String,
    caveats: Vec<String>,
    signature: [u8; 32],
}

/// Bytes that only their owner may know. They are never shown.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// These bytes, from now on a secret.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// HMAC-SHA256 of `text` under this secret: a secret too.
    #[must_use]
    pub fn derive(&self, text: &[u8]) -> Self {
        Self::new(keyed_hash(&self.0, text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Macaroon {
    /// Makes a macaroon with these caveats, all of them to be verified by who made it.
    #[must_use]
    pub fn mint(location: String, identifier: String, caveats: Vec<String>, root_key: &Secret) -> Self {
        let mut macaroon = Self { location, identifier, caveats, signature: [0; 32] };
        macaroon.signature = macaroon.signature_under(root_key);
        macaroon
    }

    /// With one more condition. Anybody can do that who has the macaroon.
    #[must_use]
    pub fn restricted(mut self, caveat: String) -> Self {
        self.signature = keyed_hash(&self.signature, caveat.as_bytes());
        self.caveats.push(caveat);
        self
    }

    /// Whether it was made with this key and only added to since. Takes as long whatever the answer.
    #[must_use]
    pub fn is_signed_with(&self, root_key: &Secret) -> bool {
        self.signature_under(root_key).ct_eq(&self.signature).into()
    }

    fn signature_under(&self, root_key: &Secret) -> [u8; 32] {
        let key = keyed_hash(KEY_GENERATOR, &root_key.0);
        let start = keyed_hash(&key, self.identifier.as_bytes());
        self.caveats.iter().fold(start, |signature, caveat| keyed_hash(&signature, caveat.as_bytes()))
    }

    /// Where it is to be used. It is not signed.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What tells its maker the key.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Its conditions, all of which must hold.
    #[must_use]
    pub fn caveats(&self) -> &[String] {
        &self.caveats
    }

    /// Reads what a batch carries or a file holds: a macaroon in JSON, or an array of them; space around it does not matter. Blank
    /// text, `null` and `[]` are no macaroon.
    ///
    /// # Errors
    ///
    /// When it is something else, or more than [`limits`] allow.
    pub fn parse(text: &[u8]) -> Result<Vec<Self>, MacaroonError> {
        if limits::CREDENTIAL_BYTES_MAX < text.len() {
            return Err(MacaroonError::TooLarge { n_bytes: text.len() });
        }
        let macaroons = json::parse(text.trim_ascii())?;
        if limits::CREDENTIAL_MACAROONS_MAX < macaroons.len() {
            return Err(MacaroonError::TooManyMacaroons { n_macaroons: macaroons.len() });
        }
        let n_caveats = macaroons.iter().map(|macaroon| macaroon.caveats.len()).sum();
        if limits::CREDENTIAL_CAVEATS_MAX < n_caveats {
            return Err(MacaroonError::TooManyCaveats { n_caveats });
        }
        Ok(macaroons)
    }

    /// As JSON of version 1, which every Juju reads.
    #[must_use]
    pub fn to_json_v1(&self) -> String {
        json::write_v1(self)
    }

    /// As JSON of version 2, which is shorter.
    #[must_use]
    pub fn to_json_v2(&self) -> String {
        json::write_v2(self)
    }
}

/// Why text is no macaroon that could be verified here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacaroonError {
    /// More than [`limits::CREDENTIAL_BYTES_MAX`].
    #[error("it has {n_bytes} bytes, more than the {} allowed", limits::CREDENTIAL_BYTES_MAX)]
    TooLarge {
        /// How many there are.
        n_bytes: usize,
    },
    /// More than [`limits::CREDENTIAL_MACAROONS_MAX`].
    #[error("it is a list of {n_macaroons}, more than the {} allowed", limits::CREDENTIAL_MACAROONS_MAX)]
    TooManyMacaroons {
        /// How many there are.
        n_macaroons: usize,
    },
    /// More than [`limits::CREDENTIAL_CAVEATS_MAX`], in all.
    #[error("it has {n_caveats} conditions, more than the {} allowed", limits::CREDENTIAL_CAVEATS_MAX)]
    TooManyCaveats {
        /// How many there are.
        n_caveats: usize,
    },
    /// Not JSON, or JSON of something else.
    #[error("it is not the JSON of a macaroon: {message}")]
    NotJson {
        /// What was expected and where.
        message: String,
    },
    /// A part that is missing, or is there and is something else.
    #[error("{part} is not {expected}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A condition that somebody else would have to discharge.
    #[error("it has a third-party caveat, which nobody here can discharge")]
    ThirdPartyCaveat,
}

fn keyed_hash(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut hash = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hash.update(text);
    hash.finalize().into_bytes().into()
}

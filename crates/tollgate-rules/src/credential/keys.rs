//! The keys that credentials are made and verified with.

use crate::hex::{from_hex, to_hex};
use crate::{CredentialId, Secret};

/// Bytes of a key's secret, at least: as many as the hash has, so that nothing is quicker than to guess the signature.
const SECRET_BYTES_MIN: usize = 32;

/// Bytes of a key's secret, at most: more would be hashed to 32.
const SECRET_BYTES_MAX: usize = 64;

/// Bytes of a key's id. It is in every credential.
const KEY_ID_BYTES_MAX: usize = 64;

/// The keys of a collector, as a file holds them: a key a line, `KEY-ID SECRET`, the secret in hexadecimal digits. Blank lines and
/// those that start with `#` say nothing.
///
/// The first key makes credentials, and each verifies those that were made with it: to change the key, put a new one first,
/// and drop the old one when nobody uses its credentials any more.
#[derive(Debug, Clone)]
pub struct KeyRing {
    first: Key,
    others: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Box<str>,
    secret: Secret,
}

/// Why a text is no key file. It never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// No line has a key.
    #[error("find a key: there is no line with one")]
    Empty,
    /// A line is not an id and a secret.
    #[error("read line {line}: expected an id and a secret, KEY-ID SECRET")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// An id that cannot be one.
    #[error(
        "use the key id in line {line}: it may have up to {KEY_ID_BYTES_MAX} of the letters a to z and A to Z, digits, `-`, `_` and `.`"
    )]
    KeyId {
        /// Which, from 1.
        line: usize,
    },
    /// A new key's id that cannot be one.
    #[error(
        "use the key id: it may have up to {KEY_ID_BYTES_MAX} of the letters a to z and A to Z, digits, `-`, `_` and `.`"
    )]
    NewKeyId,
    /// An id that another key has.
    #[error("use the key id in line {line}: an earlier line has the same")]
    SameId {
        /// Which, from 1.
        line: usize,
    },
    /// A secret that is not in hexadecimal digits.
    #[error("read the secret in line {line}: it is not pairs of the digits 0 to 9 and a to f")]
    NotHex {
        /// Which, from 1.
        line: usize,
    },
    /// A secret that is too short or too long.
    #[error(
        "use the secret in line {line}: it has {n_bytes} bytes, and may have {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}, two digits each"
    )]
    SecretLength {
        /// Which, from 1.
        line: usize,
        /// How many it has.
        n_bytes: usize,
    },
}

impl KeyRing {
    /// Reads the text of a key file.
    ///
    /// # Errors
    ///
    /// When a line is not a key, or there is none.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, content) in text.lines().enumerate() {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line = index + 1;
            let key = Key::parse(content, line)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(KeyRingError::SameId { line });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyRingError::Empty)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// The line of a key file for a new key.
    ///
    /// # Errors
    ///
    /// When the id cannot be one.
    pub fn new_line(key_id: &str, secret: [u8; 32]) -> Result<String, KeyRingError> {
        if is_key_id(key_id) {
            Ok(format!("{key_id} {}\n", to_hex(&secret)))
        } else {
            Err(KeyRingError::NewKeyId)
        }
    }

    /// The ids of the keys, the first of which makes credentials.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| &*key.id)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// An id for a new credential, and the root key of it.
    pub(super) fn new_credential(&self, nonce: [u8; 16], n_caveats: usize) -> (CredentialId, Secret) {
        let id = CredentialId::new(&self.first.id, nonce, n_caveats);
        let root_key = self.first.root_key(&id);
        (id, root_key)
    }

    /// The root key of a credential, if its key is here.
    pub(super) fn root_key(&self, id: &CredentialId) -> Option<Secret> {
        let key = self.keys().find(|key| key.id == id.key_id)?;
        Some(key.root_key(id))
    }
}

impl Key {
    fn parse(content: &str, line: usize) -> Result<Self, KeyRingError> {
        let mut words = content.split_ascii_whitespace();
        let (Some(id), Some(secret), None) = (words.next(), words.next(), words.next()) else {
            return Err(KeyRingError::Line { line });
        };
        if !is_key_id(id) {
            return Err(KeyRingError::KeyId { line });
        }
        let secret = from_hex(secret).ok_or(KeyRingError::NotHex { line })?;
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()) {
            return Err(KeyRingError::SecretLength { line, n_bytes: secret.len() });
        }
        Ok(Self { id: id.into(), secret: Secret::new(secret) })
    }

    /// Each credential has a root key of its own, which follows from its identifier: nothing has to be stored, and who learns
    /// one root key knows no other.
    fn root_key(&self, id: &CredentialId) -> Secret {
        self.secret.derive(id.to_string().as_bytes())
    }
}

fn is_key_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX && id.bytes().all(is_allowed)
}

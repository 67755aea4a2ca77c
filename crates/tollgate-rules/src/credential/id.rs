//! What a credential is known by.

use std::fmt;

use crate::hex::{from_hex, to_hex};
use crate::{Macaroon, MacaroonError};

/// Where our macaroons say they are to be used.
pub(super) const LOCATION: &str = "tollgate";

/// What our identifiers start with. The number changes when what follows means something else.
const PREFIX: &str = "tollgate 1 ";

/// A credential's identifier: `tollgate 1 KEY ID CAVEATS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialId {
    /// The key it was made with.
    pub key_id: Box<str>,
    /// Its own id, by which it can be revoked: 32 hexadecimal digits.
    pub credential_id: Box<str>,
    /// How many of its caveats it was made with. Any holder can add more, and what those declare is not our word.
    pub n_caveats: usize,
}

impl CredentialId {
    pub(super) fn new(key_id: &str, nonce: [u8; 16], n_caveats: usize) -> Self {
        Self { key_id: key_id.into(), credential_id: to_hex(&nonce).into(), n_caveats }
    }

    /// Reads a macaroon's identifier.
    ///
    /// # Errors
    ///
    /// When it is none of ours.
    pub fn of(macaroon: &Macaroon) -> Result<Self, MacaroonError> {
        if macaroon.location() != LOCATION {
            return Err(MacaroonError::Part { part: "its location", expected: "tollgate" });
        }
        let id = Self::parse(macaroon.identifier());
        id.ok_or(MacaroonError::Part { part: "its identifier", expected: "one of Tollgate's" })
    }

    fn parse(identifier: &str) -> Option<Self> {
        let (key_id, rest) = identifier.strip_prefix(PREFIX)?.split_once(' ')?;
        let (credential_id, n_caveats) = rest.split_once(' ')?;
        let nonce = from_hex(credential_id)?.try_into().ok()?;
        let id = Self::new(key_id, nonce, n_caveats.parse().ok()?);
        // There is one way to write each.
        (id.to_string() == identifier).then_some(id)
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{} {} {}", self.key_id, self.credential_id, self.n_caveats)
    }
}

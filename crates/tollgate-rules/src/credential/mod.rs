//! Credentials: macaroons of our own, which say what a batch that carries one may be.

mod authorize;
mod error;
mod id;
mod keys;
mod terms;

pub use authorize::{Authorization, Claim, authorize, authorize_batch, verify};
pub use error::CredentialError;
pub use id::CredentialId;
pub use keys::{KeyRing, KeyRingError};
pub use terms::{TermError, Terms, mint};

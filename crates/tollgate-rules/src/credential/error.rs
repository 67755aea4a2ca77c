//! Why a credential does not admit a batch.

use tollgate_wire::Timestamp;

use crate::MacaroonError;

/// Why a credential does not admit a batch, as a sentence for who runs its sender.
///
/// What it quotes is cut to a few words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is none.
    #[error("the batch carries no credential")]
    Missing,
    /// It is no macaroon of ours, or too large for one.
    #[error("the credential cannot be read: {0}")]
    Malformed(MacaroonError),
    /// Its key is not among the keys, or not any more.
    #[error("the credential was made with the key {key_id:?}, which is not among the keys")]
    UnknownKey {
        /// The key, perhaps cut.
        key_id: String,
    },
    /// It was changed, or not made with the key that it names.
    #[error("the credential's signature is wrong: it was changed, or made elsewhere")]
    BadSignature,
    /// A condition that is not understood, so it cannot be said to hold.
    #[error("the credential has a condition that is not understood: {caveat:?}")]
    UnknownCaveat {
        /// The condition, perhaps cut.
        caveat: String,
    },
    /// A holder added a declaration that it was not made with.
    #[error("the credential was given a {what} that it was not made with")]
    Added {
        /// What it declares.
        what: &'static str,
    },
    /// Two credentials that go together disagree.
    #[error("the credentials declare more than one {what}")]
    Contradiction {
        /// Of what.
        what: &'static str,
    },
    /// It is for another model.
    #[error("the credential is for the model {declared:?}")]
    WrongModel {
        /// The model that it is for, perhaps cut.
        declared: String,
    },
    /// It is for all models of a user, and this one is another's, or in use and nobody's.
    #[error("the credential is for the models of the user {declared:?}, and this one is not known to be")]
    WrongUser {
        /// The user that it is for, perhaps cut.
        declared: String,
    },
    /// It is for another application.
    #[error("the credential is for the application {declared:?}")]
    WrongService {
        /// The application that it is for, perhaps cut.
        declared: String,
    },
    /// It is for another charm.
    #[error("the credential is for the charm {declared:?}")]
    WrongCharm {
        /// The charm that it is for, perhaps cut.
        declared: String,
    },
    /// Its time is over.
    #[error("the credential expired at {expired}")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// An operator revoked it.
    #[error("the credential {credential_id} was revoked")]
    Revoked {
        /// Its id.
        credential_id: Box<str>,
    },
}

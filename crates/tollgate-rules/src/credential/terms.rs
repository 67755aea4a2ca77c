//! What a credential says, as caveats.

use tollgate_wire::Timestamp;

use super::id::LOCATION;
use crate::{KeyRing, Macaroon, limits};

/// What a credential is for. Each term that is given must hold; what is left out is left open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// The model whose batches it admits.
    pub model_uuid: Option<String>,
    /// The charm that a batch may name, in any revision.
    pub charm_url: Option<String>,
    /// The application whose units a batch may name.
    pub service: Option<String>,
    /// What the use is charged by.
    pub plan: Option<String>,
    /// Who the use is charged to.
    pub user: Option<String>,
    /// The level of support.
    pub sla: Option<String>,
    /// From when on it admits nothing.
    pub expires: Option<Timestamp>,
}

/// Why a credential cannot say this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// A text that is none.
    #[error(
        "use the {term}: it is empty, longer than {} bytes, or has control characters",
        limits::NAME_BYTES_MAX
    )]
    Text {
        /// Which.
        term: &'static str,
    },
    /// A time that RFC 3339 cannot say.
    #[error("use the time of expiry: it is not within the years 0 to 9999")]
    Time,
}

/// Makes a credential with the first of the keys. `nonce` is what tells it from all others: random bytes, never used before.
///
/// # Errors
///
/// When a term cannot be said.
pub fn mint(terms: &Terms, keys: &KeyRing, nonce: [u8; 16]) -> Result<Macaroon, TermError> {
    let caveats = terms.caveats()?;
    let (id, root_key) = keys.new_credential(nonce, caveats.len());
    Ok(Macaroon::mint(LOCATION.to_owned(), id.to_string(), caveats, &root_key))
}

/// What a caveat can declare, by the word that it does it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    Model,
    Charm,
    Service,
    Plan,
    User,
    Sla,
}

impl Term {
    const ALL: [Self; 6] = [Self::Model, Self::Charm, Self::Service, Self::Plan, Self::User, Self::Sla];

    /// The words are those that Juju's own plan service used.
    fn word(self) -> &'static str {
        match self {
            Self::Model => "environment",
            Self::Charm => "charm",
            Self::Service => "service",
            Self::Plan => "plan",
            Self::User => "user",
            Self::Sla => "sla",
        }
    }
}

/// One condition of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    Declared(Term, &'a str),
    TimeBefore(Timestamp),
}

const DECLARED: &str = "declared";
const TIME_BEFORE: &str = "time-before";

impl<'a> Condition<'a> {
    /// Reads a caveat; `None` when it is not understood.
    pub(super) fn parse(caveat: &'a str) -> Option<Self> {
        match caveat.split_once(' ')? {
            (TIME_BEFORE, time) => Timestamp::parse(time).ok().map(Self::TimeBefore),
            (DECLARED, rest) => {
                let (word, value) = rest.split_once(' ')?;
                let term = Term::ALL.into_iter().find(|term| term.word() == word)?;
                (!value.is_empty()).then_some(Self::Declared(term, value))
            }
            _ => None,
        }
    }
}

impl Terms {
    fn caveats(&self) -> Result<Vec<String>, TermError> {
        let declared = [
            (Term::Model, "model", &self.model_uuid),
            (Term::Charm, "charm", &self.charm_url),
            (Term::Service, "service", &self.service),
            (Term::Plan, "plan", &self.plan),
            (Term::User, "user", &self.user),
            (Term::Sla, "sla", &self.sla),
        ];
        let mut caveats = Vec::new();
        for (term, name, value) in declared {
            let Some(value) = value else { continue };
            let is_text = !value.is_empty()
                && value.len() <= limits::NAME_BYTES_MAX
                && !value.contains(|character: char| character.is_control());
            if !is_text {
                return Err(TermError::Text { term: name });
            }
            caveats.push(format!("{DECLARED} {} {value}", term.word()));
        }
        if let Some(expires) = self.expires {
            let written = expires.to_string();
            if Timestamp::parse(&written).is_err() {
                return Err(TermError::Time);
            }
            caveats.push(format!("{TIME_BEFORE} {written}"));
        }
        Ok(caveats)
    }
}

//! The three colours of a meter status.

use std::fmt;
use std::str::FromStr;

/// A meter status that a Juju controller accepts, from best to worst.
///
/// On the wire a status is any string ([`crate::MeterStatus`] keeps it as it came, `UNKNOWN` among them);
/// this type is the three words that a sender acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All is well.
    Green,
    /// Attention is needed: nearly at a limit, or something was set aside.
    Amber,
    /// Over a limit, or refused.
    Red,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "GREEN",
            Self::Amber => "AMBER",
            Self::Red => "RED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A status word that is none of the three colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStatus(String);

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {:?} as a meter status: expected GREEN, AMBER or RED, in capitals", self.0)
    }
}

impl std::error::Error for UnknownStatus {}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        match word {
            "GREEN" => Ok(Self::Green),
            "AMBER" => Ok(Self::Amber),
            "RED" => Ok(Self::Red),
            other => Err(UnknownStatus(other.to_owned())),
        }
    }
}

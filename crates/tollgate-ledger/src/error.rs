//! How a ledger fails.

/// What the caller can do about a failed ledger call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later (HTTP 503). Of a group a part may have been recorded: sent again, it comes back as
    /// duplicates.
    Retry,
    /// The call cannot succeed until there is room on the disk (HTTP 507). Of a group a part may have been recorded, as
    /// above.
    FreeSpace,
    /// The ledger is closed for writing until the process restarts and recovers (HTTP 503, then exit).
    Restart,
    /// What is stored is damaged, or what is asked for can never be done; a person has to look (HTTP 500).
    Repair,
}

/// Why a ledger call failed. On any error acknowledge nothing of the call.
///
/// The text names the step that failed, as it reads after "failed to"; what made it fail is its `source`. Callers branch on
/// [`LedgerError::remedy`] alone.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct LedgerError {
    step: String,
    remedy: Remedy,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LedgerError {
    /// `step` fits after "failed to": what was tried, on what.
    pub fn new(remedy: Remedy, step: impl Into<String>) -> Self {
        Self { step: step.into(), remedy, source: None }
    }

    /// With the error that made the step fail.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it, which is all the HTTP layer needs to know.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.remedy
    }
}

/// A batch counts and is known for ever, but its body as it came was dropped by retention.
///
/// It is the `source()` of the error of [`crate::Reader::batch`], which can never give it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "retention dropped its credentials, and with them its body as it came; an export has what is left of it"
)]
pub struct BodyDropped;

/// A cursor that no page of this listing gave. It is the `source()` of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this listing gave; start without one")]
pub struct BadCursor;

/// An error with the errors that caused it, on one line: for logs and answers.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.replace(char::is_control, " ")
}

//! How a command ends: the documented exit codes, and the one place where an error is printed.

use std::io::Write as _;
use std::process::ExitCode;

use crate::output;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// The thing that was checked is bad, or the work failed.
    Failed,
    /// The command line or the configuration is wrong; nothing was done.
    Usage,
    /// The ledger failed while serving and closed itself; what was acknowledged is durable, a restart recovers.
    Ledger,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            // EX_SOFTWARE of sysexits.h: apart from everything that a restart does not help.
            Self::Ledger => 70,
        }
    }
}

/// An error that ends the process with another code than [`Exit::Failed`].
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct EndsWith {
    exit: Exit,
    text: String,
}

/// The command line or the configuration asks for something that cannot be.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    EndsWith { exit: Exit::Usage, text: text.into() }.into()
}

/// An error and its causes, as one of usage.
pub(crate) fn as_usage(error: &anyhow::Error) -> anyhow::Error {
    usage(chain(error))
}

/// An error of a ledger that was open and failed, under which the process ends with [`Exit::Ledger`].
pub(crate) fn as_ledger_failure(error: &anyhow::Error) -> anyhow::Error {
    EndsWith { exit: Exit::Ledger, text: chain(error) }.into()
}

/// An error and its causes, and behind them what to do about it.
pub(crate) fn with_hint(error: &anyhow::Error, hint: &str) -> anyhow::Error {
    anyhow::anyhow!("{}; {hint}", chain(error))
}

/// Prints what went wrong, if anything, and gives the exit code.
///
/// A reader that closed standard output early (`tollgate export … | head`) has what it wanted: that ends quietly.
pub(crate) fn conclude(result: anyhow::Result<Exit>) -> ExitCode {
    let exit = match result {
        Ok(exit) => exit,
        Err(error) if output::is_closed(&error) => Exit::Ok,
        Err(error) => {
            // Nobody is left to tell when standard error is closed as well.
            let _ = writeln!(std::io::stderr(), "tollgate: failed to {}", chain(&error));
            error.chain().find_map(|cause| cause.downcast_ref::<EndsWith>()).map_or(Exit::Failed, |e| e.exit)
        }
    };
    ExitCode::from(exit.code())
}

/// An error and its causes as one text. Each level says only its own step, so they are joined here.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_are_joined_in_order() {
        let error = Err::<(), _>(std::io::Error::other("disk on fire")).context("read x").context("open y");
        assert_eq!(chain(&error.unwrap_err()), "open y: read x: disk on fire");
    }

    #[test]
    fn wrong_usage_keeps_its_code_under_context() {
        let error = Err::<Exit, _>(usage("no such key")).context("read the configuration");
        assert_eq!(conclude(error), ExitCode::from(2));
    }
}

//! Standard output, which its reader may close before we are done.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;

/// How a command prints what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One object
    Json,
}

/// Buffered standard output. Must be flushed at the end, so that a failure is noticed.
pub(crate) fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(64 * 1024, Stdout(io::stdout()))
}

/// Standard output that marks "the reader went away" apart from every other broken pipe.
#[derive(Debug)]
pub(crate) struct Stdout(io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(mark)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(mark)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("standard output was closed by its reader")]
struct Closed;

/// Marks a failure to write to standard output that means its reader has gone.
pub(crate) fn mark(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::other(Closed) } else { error }
}

/// Whether the error is, at its root, that the reader of standard output went away.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| matches!(error.get_ref(), Some(inner) if inner.is::<Closed>()))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn only_a_closed_standard_output_is_quiet() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdout = Err::<(), _>(mark(pipe())).context("write the table").unwrap_err();
        let socket = Err::<(), _>(pipe()).context("write to the collector").unwrap_err();
        assert!(is_closed(&stdout));
        assert!(!is_closed(&socket));
    }
}

//! What is shown of a journal while it is opened.

use crate::{Checkpoint, Group, JournalError, Tail};

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the journal that were read, from where the walk began.
    pub n_bytes: u64,
    /// Bytes that there were to read at the beginning; whoever appends meanwhile may add to them.
    pub n_bytes_total: u64,
}

/// Is shown a journal while it is opened: whoever derives something from it need not read it a second time.
pub trait Visitor {
    /// Why opening fails.
    type Error: From<JournalError>;

    /// Up to where it has seen the journal already, so that the walk begins there; `None` from the start. Asked once, when
    /// nobody else can have the journal open for writing any longer. When the journal does not hold what it held then,
    /// opening fails with [`JournalError::UnknownCheckpoint`].
    ///
    /// # Errors
    ///
    /// When it cannot tell. Then opening fails, and nothing was changed.
    fn resume(&mut self) -> Result<Option<Checkpoint>, Self::Error> {
        Ok(None)
    }

    /// Takes the next group.
    ///
    /// # Errors
    ///
    /// When the group makes no sense to the visitor. Then opening fails, and nothing was changed.
    fn visit(&mut self, group: &Group, progress: Progress) -> Result<(), Self::Error>;

    /// Hears what is about to be cut off, after the last group and before anything is changed: once it is cut, nothing
    /// shows that it was there.
    fn before_cut(&mut self, tail: &Tail);
}

/// Does not look.
impl Visitor for () {
    type Error = JournalError;

    fn visit(&mut self, _: &Group, _: Progress) -> Result<(), JournalError> {
        Ok(())
    }

    fn before_cut(&mut self, _: &Tail) {}
}

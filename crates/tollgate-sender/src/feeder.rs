//! Reads what waits to be acknowledged, oldest first, without holding it in memory.

use tollgate_journal::{Checkpoint, Group, Groups, JournalError, Reader};

use crate::SpoolError;
use crate::chunk::{Chunk, Limits};
use crate::core::Core;
use crate::spool::Spool;

/// A place in the spool from which it is read on. Takes the memory of one group, however much is spooled.
#[derive(Debug)]
pub(crate) struct Feeder {
    reader: Reader,
    groups: Option<Groups>,
    /// Up to where it was read, when the groups have ended.
    after: Option<Checkpoint>,
    /// The group that it is in, and the last of its records that was given.
    group: Option<Group>,
    given: Option<usize>,
    /// The last group that was begun; 0 at the start.
    pub(crate) sequence: u64,
}

/// What came of filling a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// There may be more.
    Full,
    /// Everything up to the end was read.
    End,
}

impl Feeder {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, groups: None, after: None, group: None, given: None, sequence: 0 }
    }

    /// Begins again with the oldest.
    pub(crate) fn rewind(&mut self) {
        *self = Self::new(self.reader.clone());
    }

    /// Adds to `chunk` what follows up to group `until`, as far as it `is_due`.
    pub(crate) fn fill(
        &mut self,
        spool: &Spool,
        chunk: &mut Chunk,
        limits: Limits,
        until: u64,
        is_due: impl Fn(&Core, u64) -> bool,
    ) -> Result<Filled, SpoolError> {
        loop {
            if self.group.is_none() && !self.enter_next(spool, until)? {
                return Ok(Filled::End);
            }
            let Some(group) = &self.group else { return Ok(Filled::End) };
            let mut is_full = false;
            let given = &mut self.given;
            spool.with_core(|core| {
                core.each_pending(group, |index, number, body| {
                    if is_full || given.is_some_and(|given| index <= given) || !is_due(core, number) {
                        return;
                    }
                    if chunk.add(number, body.json, limits) {
                        *given = Some(index);
                    } else {
                        is_full = true;
                    }
                })
            })?;
            if is_full {
                return Ok(Filled::Full);
            }
            self.group = None;
        }
    }

    /// Goes on to the next group that is durable; `false` at the end.
    fn enter_next(&mut self, spool: &Spool, until: u64) -> Result<bool, SpoolError> {
        let end = spool.with_core(|core| core.journal.end().sequence).min(until);
        if end <= self.sequence {
            return Ok(false);
        }
        let mut n_attempts = 0;
        let group = loop {
            match self.read_next() {
                // What it was in was forgotten meanwhile: all of that is done with.
                Err(JournalError::Damaged { .. } | JournalError::UnknownCheckpoint { .. })
                    if n_attempts < 2 =>
                {
                    n_attempts += 1;
                    self.groups = None;
                    self.after = None;
                }
                read => break read?,
            }
        };
        let Some(group) = group.filter(|group| group.position().sequence <= end) else {
            // It is just being appended, and nobody was told of it yet.
            self.groups = None;
            return Ok(false);
        };
        self.sequence = group.position().sequence;
        self.after = Some(group.checkpoint());
        self.group = Some(group);
        self.given = None;
        Ok(true)
    }

    fn read_next(&mut self) -> Result<Option<Group>, JournalError> {
        let groups = match &mut self.groups {
            Some(groups) => groups,
            None => self.groups.insert(match &self.after {
                Some(after) => self.reader.groups_after(after)?,
                None => self.reader.groups()?,
            }),
        };
        let next = groups.next().transpose()?;
        if next.is_none() {
            self.groups = None;
        }
        Ok(next)
    }
}

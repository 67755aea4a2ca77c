//! What a simulated disk remembers, and how its calls go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::dice::Dice;
use super::image::FileState;
use super::names::{NameChange, prefix_of};
use super::{Failure, Lies};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) files: Vec<FileState>,
    /// Name to index in `files`. The name of a file in a subfolder has the subfolder's before it; a subfolder is an empty
    /// file with `/` at the end of its name.
    pub(super) names: BTreeMap<String, usize>,
    pub(super) durable_names: BTreeMap<String, usize>,
    pub(super) pending_names: Vec<NameChange>,
    pub(super) lies: Lies,
    pub(super) n_changes: u64,
    pub(super) n_syncs: u64,
    pub(super) failure: Option<(u64, Failure)>,
    pub(super) is_dead: bool,
    /// Grows with each end of the process: handles from before are of no use.
    pub(super) life: u64,
    /// The prefixes of the folders that are locked.
    pub(super) locked: BTreeSet<String>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) is_out_of_files: bool,
    pub(super) room_fails: bool,
    pub(super) n_salts: u64,
}

/// How a changing call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Succeeds,
    /// Carried out to a part of 0..=256 256ths, then the process is dead.
    Dies(usize),
    WritesHalf,
    WritesHalfAndFails,
    Fails(Refusal),
}

impl Course {
    /// Of a call that is carried out as a whole or not at all: whether it is. It may still be the last one of its process.
    pub(super) fn whole_or_not(self) -> io::Result<()> {
        match self {
            Self::Succeeds => Ok(()),
            Self::Dies(part) if 128 <= part => Ok(()),
            Self::Dies(_) => Err(dead()),
            Self::WritesHalf => Err(failed(OTHER)),
            Self::WritesHalfAndFails => Err(failed(FULL)),
            Self::Fails(refusal) => Err(failed(refusal)),
        }
    }
}

/// Why a call does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Kind(io::ErrorKind),
    TooManyOpen,
}

impl State {
    /// Counts a changing call and says how it goes.
    pub(super) fn next_course(&mut self) -> Course {
        if self.is_dead {
            return Course::Dies(0);
        }
        self.n_changes += 1;
        let Some((at, failure)) = self.failure else { return Course::Succeeds };
        if self.n_changes < at {
            return Course::Succeeds;
        }
        match failure {
            Failure::ErrorsFromThereOn => return Course::Fails(OTHER),
            _ => self.failure = None,
        }
        match failure {
            Failure::Death => {
                self.is_dead = true;
                let extremes = [0, 256];
                let mut dice = self.dice();
                let part = if dice.flip() { extremes[dice.below(2)] } else { dice.below(257) };
                Course::Dies(part)
            }
            Failure::Error | Failure::ErrorsFromThereOn => Course::Fails(OTHER),
            Failure::Short => Course::WritesHalf,
            Failure::FullInTheMiddle => Course::WritesHalfAndFails,
            Failure::Full => Course::Fails(FULL),
            Failure::OverQuota => Course::Fails(Refusal::Kind(io::ErrorKind::QuotaExceeded)),
            Failure::TooManyOpen => Course::Fails(Refusal::TooManyOpen),
        }
    }

    /// Carries out a change of names, as the course has it.
    pub(super) fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        self.next_course().whole_or_not()?;
        change.apply(&mut self.names);
        self.pending_names.push(change);
        if self.is_dead { Err(dead()) } else { Ok(()) }
    }

    pub(super) fn sync_file(&mut self, file: usize) -> io::Result<()> {
        self.n_syncs += 1;
        let course = self.next_course();
        let mut dice = self.dice();
        let file = &mut self.files[file];
        match course {
            Course::Succeeds if self.lies.skips_sync_data => Ok(()),
            Course::Succeeds => {
                file.sync();
                Ok(())
            }
            Course::Dies(part) => {
                if 128 <= part {
                    file.sync();
                }
                Err(dead())
            }
            Course::WritesHalf => {
                file.fail_sync(&mut dice);
                Err(failed(OTHER))
            }
            Course::WritesHalfAndFails => {
                file.fail_sync(&mut dice);
                Err(failed(FULL))
            }
            Course::Fails(refusal) => {
                file.fail_sync(&mut dice);
                Err(failed(refusal))
            }
        }
    }

    /// Makes the names in the folder with `prefix` durable.
    pub(super) fn sync_names(&mut self, prefix: &str) {
        let pending = std::mem::take(&mut self.pending_names);
        let (synced, rest) = pending.into_iter().partition(|change| prefix_of(change.name()) == prefix);
        self.pending_names = rest;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable_names));
    }

    /// A sync of the folder with `prefix`.
    pub(super) fn sync_folder(&mut self, prefix: &str) -> io::Result<()> {
        self.n_syncs += 1;
        match self.next_course() {
            Course::Succeeds if self.lies.skips_sync_folder => return Ok(()),
            course => course.whole_or_not()?,
        }
        self.sync_names(prefix);
        if self.is_dead { Err(dead()) } else { Ok(()) }
    }

    pub(super) fn set_contents(&mut self, name: &str, bytes: &[u8]) {
        let durable = bytes.to_vec();
        self.files.push(FileState { bytes: durable.clone(), durable, ..FileState::default() });
        let file = self.files.len() - 1;
        self.names.insert(name.to_owned(), file);
        self.durable_names.insert(name.to_owned(), file);
    }

    pub(super) fn end_life(&mut self) {
        self.life += 1;
        self.is_dead = false;
        self.locked.clear();
        self.failure = None;
    }

    /// The same for the same history.
    pub(super) fn dice(&self) -> Dice {
        Dice(self.n_changes.wrapping_mul(0x9E37_79B9))
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].bytes.len() as u64).sum()
    }
}

/// No room.
pub(super) const FULL: Refusal = Refusal::Kind(io::ErrorKind::StorageFull);

/// An I/O error.
pub(super) const OTHER: Refusal = Refusal::Kind(io::ErrorKind::Other);

pub(super) fn dead() -> io::Error {
    io::Error::other("the simulated process is dead")
}

pub(super) fn failed(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Kind(kind) => io::Error::new(kind, "simulated failure"),
        Refusal::TooManyOpen => rustix::io::Errno::MFILE.into(),
    }
}

//! The contents of a simulated file: as calls see them, and as they are durable.

use std::ops::Range;

use super::dice::Dice;

/// What a power cut leaves whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone, Default)]
pub(super) struct FileState {
    pub(super) bytes: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// Reading any of these bytes fails.
    pub(super) unreadable: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

impl FileState {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
        // A length is metadata: what an earlier failed sync dropped reads as zeros.
        self.durable.resize(self.bytes.len(), 0);
    }

    /// The kernel reports the failure and forgets what it could not write.
    pub(super) fn fail_sync(&mut self, dice: &mut Dice) {
        for change in std::mem::take(&mut self.pending) {
            if dice.below(4) == 0 {
                change.apply(&mut self.durable);
            }
        }
    }

    pub(super) fn cut_power(&mut self, dice: &mut Dice) {
        let fate = Fate::roll(dice);
        let durable_length = self.durable.len();
        let mut is_cut_to = durable_length;
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Truncate { length } if fate.keeps(dice) => {
                    self.durable.truncate(length);
                    is_cut_to = is_cut_to.min(length);
                }
                Change::Truncate { .. } => {}
                Change::Write { offset, bytes } => {
                    for (start, sector) in sectors(offset, &bytes) {
                        if fate.keeps(dice) {
                            overwrite(&mut self.durable, start, sector);
                        }
                    }
                }
            }
        }
        if fate == Fate::Mixed {
            // The length is written apart from the contents: it may lag behind, or run ahead and show zeros.
            let longest = self.bytes.len().max(self.durable.len());
            if is_cut_to < longest && dice.flip() {
                self.durable.resize(is_cut_to + dice.below(longest - is_cut_to + 1), 0);
            }
        }
        self.bytes = self.durable.clone();
    }
}

/// The parts of a write that a power cut keeps or loses on their own.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = rest.chunks(SECTOR_BYTES).enumerate();
    let rest = rest.map(move |(index, sector)| (offset + first + index * SECTOR_BYTES, sector));
    std::iter::once((offset, head)).chain(rest)
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => overwrite(to, *offset, bytes),
            Self::Truncate { length } => to.resize(*length, 0),
        }
    }
}

/// What a power cut does to changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Kept,
    Mixed,
}

impl Fate {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        [Self::Lost, Self::Kept, Self::Mixed, Self::Mixed][dice.below(4)]
    }

    pub(super) fn keeps(self, dice: &mut Dice) -> bool {
        match self {
            Self::Lost => false,
            Self::Kept => true,
            Self::Mixed => dice.flip(),
        }
    }
}

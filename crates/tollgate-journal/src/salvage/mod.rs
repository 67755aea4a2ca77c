//! Getting out of a damaged journal what is still intact.
//!
//! Unlike a walk, which ends where something is wrong, this goes over all files twice: first to find the runs of intact
//! groups, wherever they are, then to give each group once and in order.

mod patched;
mod search;

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use crate::attest;
use crate::format::{segment_name, segment_number};
use crate::frame::{FrameHeader, Link};
use crate::pack::Unpacker;
use crate::scan::FrameScan;
use crate::segment;
use crate::{Disk, Fault, Group, JournalError, Kind};

use search::{Run, Search};

/// What [`salvage`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// What the records are; `None` when no segment has an intact header.
    pub kind: Option<Kind>,
    /// Groups that were given.
    pub n_groups: u64,
    /// Records in them.
    pub n_records: u64,
    /// The groups that are not there, in order. Of those behind the last one that is there, the ones that are known to have
    /// been durable.
    pub missing: Vec<RangeInclusive<u64>>,
    /// Whatever is wrong in the files, in the order of their names.
    pub damage: Vec<Damage>,
}

/// A stretch of a file that gave no group, or one that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file; of several in a row that are missing, the first.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offsets: Range<u64>,
    /// What is wrong there.
    pub fault: Fault,
    /// The groups that were there, as far as it can be told. They may have been found elsewhere.
    pub sequences: Option<RangeInclusive<u64>>,
    /// How many records they had, when it can be told.
    pub n_records: Option<u64>,
}

/// Gives `visit` every group of the journal in the folder of `disk` that is intact in itself: each once, and in order.
///
/// Changes nothing. It goes on behind damage, and behind what the disk cannot read, wherever the next intact group begins, also in segments that have a damaged
/// header or another's name. Of two groups with the same sequence, as in a file that was copied beside its original, it
/// gives the one that continues the hash chain, or else the first.
///
/// # Errors
///
/// [`JournalError::Missing`] when there is no segment at all, [`JournalError::Newer`] when one is of a later version; when the
/// folder cannot be listed or a file not be opened; and the first error of `visit`.
pub fn salvage<E: From<JournalError>>(
    disk: &dyn Disk,
    visit: impl FnMut(&Group) -> Result<(), E>,
) -> Result<Salvaged, E> {
    let names = disk.list().map_err(JournalError::disk("list the files of", disk.folder().into()))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return Err(JournalError::Missing { path: disk.folder().into() }.into());
    }
    let (oldest, oldest_sequence) = begin(disk, &numbers)?;
    // What was forgotten and not removed yet is nobody's loss.
    numbers.retain(|&number| oldest <= number);
    let mut search = Search::default();
    let mut expected = oldest;
    let last = numbers.last().copied();
    for number in numbers {
        if expected < number {
            search.miss_files(disk, expected);
        }
        search.search_file(disk, number, last == Some(number))?;
        expected = number.saturating_add(1);
    }
    // It is a help where it can be read, and no more.
    let attested = attest::read(disk).ok().flatten();
    search.know(attested.map_or(0, |attested| attested.link.sequence));

    let Search { kind, runs, damage, last_known, .. } = search;
    let first_found = runs.iter().map(|run| *run.sequences.start()).min();
    let next = oldest_sequence.or(first_found).unwrap_or(1);
    let mut given = Giver { disk, visit, next, link: None, n_groups: 0, n_records: 0, damage };
    let mut missing = given.give_all(runs)?;
    if given.next <= last_known {
        missing.push(given.next..=last_known);
    }
    let Giver { n_groups, n_records, mut damage, .. } = given;
    damage.sort_by(|one, other| one.path.cmp(&other.path).then(one.offsets.start.cmp(&other.offsets.start)));
    Ok(Salvaged { kind, n_groups, n_records, missing, damage })
}

/// The segment that the journal begins with, as the last intact header says, and its first group when that can be told.
fn begin(disk: &dyn Disk, numbers: &[u64]) -> Result<(u64, Option<u64>), JournalError> {
    let header = |number: u64| match segment::open_to_read(disk, number) {
        Ok((_, header)) => Ok(Some(header)),
        // What the disk cannot read is like what is damaged.
        Err(JournalError::Damaged { .. } | JournalError::Disk { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    for &number in numbers.iter().rev() {
        if let Some(newest) = header(number)? {
            let first_sequence = match newest.oldest {
                1 => Some(1),
                oldest => header(oldest)?.map(|oldest| oldest.first_sequence),
            };
            return Ok((newest.oldest, first_sequence));
        }
    }
    Ok((1, Some(1)))
}

/// Gives groups in order.
struct Giver<'a, V> {
    disk: &'a dyn Disk,
    visit: V,
    /// The group that would be next.
    next: u64,
    /// The group before it, unless that is missing.
    link: Option<Link>,
    n_groups: u64,
    n_records: u64,
    damage: Vec<Damage>,
}

impl<V> Giver<'_, V> {
    /// Gives the groups of all `runs`, and tells which are missing between them.
    fn give_all<E>(&mut self, mut runs: Vec<Run>) -> Result<Vec<RangeInclusive<u64>>, E>
    where
        E: From<JournalError>,
        V: FnMut(&Group) -> Result<(), E>,
    {
        // Of runs that begin with the same group, that of the earlier file stays the first.
        runs.sort_by_key(|run| *run.sequences.start());
        let mut later = runs.into_iter().peekable();
        let mut present: Vec<Run> = Vec::new();
        let mut missing = Vec::new();
        loop {
            while let Some(run) = later.next_if(|run| *run.sequences.start() <= self.next) {
                present.push(run);
            }
            self.drop_given(&mut present);
            if present.is_empty() {
                let Some(run) = later.peek() else { return Ok(missing) };
                missing.push(self.next..=run.sequences.start() - 1);
                self.next = *run.sequences.start();
                self.link = None;
                continue;
            }
            let run = present.remove(self.choose(&present)?);
            self.give(&run)?;
        }
    }

    /// Drops the runs of which every group was given from elsewhere.
    fn drop_given(&mut self, present: &mut Vec<Run>) {
        let next = self.next;
        for run in present.extract_if(.., |run| *run.sequences.end() < next) {
            self.damage.push(Damage {
                path: self.disk.folder().join(segment_name(run.number)),
                offsets: run.offsets,
                fault: Fault::Repeated,
                sequences: Some(run.sequences),
                n_records: None,
            });
        }
    }

    /// The index of the run from which the next group is taken: one where it continues the hash chain, or else the first.
    fn choose(&self, present: &[Run]) -> Result<usize, JournalError> {
        let (Some(link), true) = (&self.link, 1 < present.len()) else { return Ok(0) };
        for (index, run) in present.iter().enumerate() {
            let mut frames = run.open(self.disk)?;
            let offset = skip_to(&mut frames, run, self.next)?;
            if let Ok((header, stored)) = frames.read_frame(offset)?
                && header.check_link(link, stored).is_ok()
            {
                return Ok(index);
            }
        }
        Ok(0)
    }

    /// Gives the groups of `run` from the next one on.
    fn give<E>(&mut self, run: &Run) -> Result<(), E>
    where
        E: From<JournalError>,
        V: FnMut(&Group) -> Result<(), E>,
    {
        let mut frames = run.open(self.disk)?;
        let mut unpacker = Unpacker::default();
        let path = frames.path();
        let mut offset = skip_to(&mut frames, run, self.next)?;
        while offset < run.offsets.end {
            let read = match frames.read_frame(offset)? {
                Ok((header, stored)) => {
                    let link = self.link.take();
                    let fits = link.map_or(Ok(()), |link| header.check_link(&link, stored));
                    Group::new(&header, stored, &mut unpacker, (run.number, offset))
                        .map(|group| (header, group, fits))
                }
                Err(stop) => Err(stop.fault()),
            };
            let damage = |offsets, fault, header: Option<&FrameHeader>| Damage {
                path: path.clone(),
                offsets,
                fault,
                sequences: header.map(|header| header.link.sequence..=header.link.sequence),
                n_records: header.map(|header| header.n_records.into()),
            };
            let (header, group, fits) = match read {
                Ok(read) => read,
                Err(fault) => {
                    // It was intact when it was found.
                    self.damage.push(damage(offset..run.offsets.end, fault, None));
                    return Ok(());
                }
            };
            let end = offset + header.frame_bytes();
            if let Err(fault) = fits {
                self.damage.push(damage(offset..end, fault, Some(&header)));
            }
            (self.visit)(&group)?;
            self.n_groups += 1;
            self.n_records += u64::from(header.n_records);
            self.next = header.link.sequence.saturating_add(1);
            self.link = Some(header.link);
            offset = end;
        }
        Ok(())
    }
}

/// Where group `sequence` begins in `run`, which holds it.
fn skip_to(frames: &mut FrameScan, run: &Run, sequence: u64) -> Result<u64, JournalError> {
    let mut offset = run.offsets.start;
    while offset < run.offsets.end {
        match frames.read_header(offset)? {
            Ok(header) if header.link.sequence < sequence => offset += header.frame_bytes(),
            Ok(_) | Err(_) => break,
        }
    }
    Ok(offset)
}

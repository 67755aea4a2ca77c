//! Opening a journal for writing: finding its end after whatever happened.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::attest::{self, AttestFile, Attested};
use crate::format::{NEW_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::frame::Link;
use crate::scan::SegmentScan;
use crate::segment::{self, write_whole};
use crate::survey::survey;
use crate::{Checkpoint, Disk, DiskFile, Fault, Groups, JournalError, Kind, Progress, Reader, Tail, Visitor};

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether there was no journal, and one was made.
    pub is_new: bool,
    /// How many segments there are.
    pub n_segments: u64,
    /// The first group, or the one that will be: those before it were forgotten.
    pub first_sequence: u64,
    /// The end of the last group.
    pub end: Checkpoint,
    /// The write of a group that a crash had cut short, which was dropped; it had never been acknowledged.
    pub dropped: Option<Tail>,
}

/// The segment that is appended to.
#[derive(Debug)]
pub(crate) struct OpenEnd {
    pub(crate) header: SegmentHeader,
    /// The first segment of the journal.
    pub(crate) first: u64,
    /// How long each sealed segment was when this opened or sealed it.
    pub(crate) sealed_bytes: BTreeMap<u64, u64>,
    pub(crate) file: Box<dyn DiskFile>,
    /// Where the next group begins.
    pub(crate) offset: u64,
    /// The length of its file: up to there are zeros.
    pub(crate) length: u64,
    pub(crate) link: Link,
    pub(crate) attest_file: AttestFile,
}

/// Checks the journal from `after` on, or from where the visitor resumes, finds its end, and makes all before it durable.
/// The caller holds the lock.
///
/// What is before that was durable then, and is not read.
///
/// Each step can be cut short and done again from the start.
pub(crate) fn recover<V: Visitor>(
    disk: &Arc<dyn Disk>,
    kind: Kind,
    after: Option<&Checkpoint>,
    visitor: &mut V,
) -> Result<(OpenEnd, Recovery), V::Error> {
    let survey = survey(&**disk)?;
    let is_new = survey.last == 0;
    let after = match after {
        Some(after) => Some(*after),
        None => visitor.resume()?,
    };
    if is_new {
        if let Some(Checkpoint { sequence, .. }) = after.filter(|after| 0 < after.sequence) {
            let path = disk.folder().into();
            return Err(JournalError::UnknownCheckpoint { path, sequence }.into());
        }
        create_first(&**disk, kind)?;
    }
    let (segments, last) = (survey.first..=survey.last.max(1), survey.last.max(1));
    let (mut lengths, first_sequence) = check_segments(&**disk, kind, segments)?;

    let mut groups = match after {
        Some(after) => {
            let groups = Groups::after(disk.clone(), &after)?;
            if 0 < after.sequence {
                // Nothing before the checkpoint is read, but the group that it names is there whole.
                Reader::new(disk.clone(), kind).group(after.sequence)?;
            }
            groups
        }
        None => Groups::from_start(disk.clone())?,
    };
    let first = groups.segment_header().number;
    let n_bytes_total =
        lengths.range(first..).map(|(_, length)| length).sum::<u64>() - groups.skipped_bytes();
    // What is before the checkpoint was durable and need not be made so again.
    let mut rewrite_from = if first == last { groups.offset() } else { SEGMENT_HEADER_BYTES as u64 };
    while let Some(group) = groups.next().transpose()? {
        if group.position().segment == last {
            rewrite_from = group.position().offset;
        }
        visitor.visit(&group, Progress { n_bytes: groups.n_bytes(), n_bytes_total })?;
    }
    // From here on nothing is damaged, and the folder may be changed.
    if let Some(tail) = groups.tail() {
        visitor.before_cut(&tail);
    }
    // The first segment was just made from what was left of an attempt.
    let mut leftovers = survey.leftovers;
    leftovers.retain(|name| !(is_new && name == NEW_SEGMENT));
    let n_segments = lengths.len() as u64;
    lengths.remove(&last);
    let end = settle(&**disk, &groups, rewrite_from, (lengths, &leftovers))?;
    let (end_of_groups, dropped) = (groups.checkpoint(), groups.tail());
    let recovery = Recovery { is_new, n_segments, first_sequence, end: end_of_groups, dropped };
    Ok((end, recovery))
}

/// Makes what the walk found durable and ready to be appended to.
fn settle(
    disk: &dyn Disk,
    groups: &Groups,
    rewrite_from: u64,
    (sealed_bytes, leftovers): (BTreeMap<u64, u64>, &[String]),
) -> Result<OpenEnd, JournalError> {
    let Checkpoint { sequence, chain } = groups.checkpoint();
    let link = Link { sequence, chain };
    let (segment, offset) = (groups.segment_header().number, groups.offset());
    let name = segment_name(segment);
    let path = disk.folder().join(&name);
    let file = disk.open(&name).map_err(JournalError::disk("open", path.clone()))?;
    if offset < file.length().map_err(JournalError::disk("measure", path.clone()))? {
        // An unfinished group, or room.
        file.truncate(offset).map_err(JournalError::disk("cut the end of", path.clone()))?;
    }
    // IMPORTANT: the last group may be in the page cache alone, left by a process that died before its sync
    // returned or whose sync failed; after a failed one, another sync would succeed and do nothing. It is written
    // again, and synced, before anything is acknowledged because it is there.
    rewrite(&*file, rewrite_from, offset)
        .map_err(JournalError::disk("make the last group durable in", path))?;
    let folder_failed = |step| JournalError::disk(step, disk.folder().into());
    for name in leftovers {
        disk.remove(name).map_err(folder_failed("remove an unfinished segment from"))?;
    }
    // The rename that gave the last segment its name may have been cut off from its sync.
    segment::sync_names(disk)?;

    let attest_file = AttestFile::open(disk).map_err(folder_failed("open the attestation in"))?;
    attest_file.write(&Attested { segment, link }).map_err(folder_failed("write the attestation in"))?;
    let header = groups.segment_header().clone();
    let first = header.oldest;
    Ok(OpenEnd { header, first, sealed_bytes, file, offset, length: offset, link, attest_file })
}

/// Writes and syncs the bytes of `file` from `start` to `end` as they are.
fn rewrite(file: &dyn DiskFile, start: u64, end: u64) -> std::io::Result<()> {
    let mut bytes = vec![0; usize::try_from(end - start).map_err(std::io::Error::other)?];
    let n_read = file.read_at(&mut bytes, start)?;
    if n_read != bytes.len() {
        return Err(std::io::Error::other("the file became shorter"));
    }
    if !bytes.is_empty() {
        write_whole(file, &[&bytes], start)?;
    }
    file.sync_data()
}

/// Makes the first segment of a new journal.
fn create_first(disk: &dyn Disk, kind: Kind) -> Result<(), JournalError> {
    // An empty journal must not take the place of one whose segments are gone.
    if attest::read(disk)?.is_some_and(|attested| 0 < attested.link.sequence) {
        let path = disk.folder().join(segment_name(1));
        return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
    }
    let link = Link::genesis(kind);
    let header = SegmentHeader {
        kind,
        number: 1,
        first_sequence: 1,
        chain: link.chain,
        salt: disk.salt(),
        previous_bytes: 0,
        oldest: 1,
        compacted: None,
    };
    segment::create(disk, &header)?;
    segment::sync_names(disk)
}

/// Checks each segment's header and the lengths of the sealed ones, before the long walk. Gives all lengths by number, and
/// the sequence of the first group.
fn check_segments(
    disk: &dyn Disk,
    kind: Kind,
    segments: RangeInclusive<u64>,
) -> Result<(BTreeMap<u64, u64>, u64), JournalError> {
    let mut lengths = BTreeMap::new();
    let (mut previous_bytes, mut first_sequence) = (Some(0).filter(|_| *segments.start() == 1), 0);
    for number in segments {
        let segment = SegmentScan::open(disk, number)?;
        if segment.header.kind != kind {
            let (found, expected) = (segment.header.kind.to_string(), kind.to_string());
            return Err(JournalError::OtherKind { path: disk.folder().into(), found, expected });
        }
        let expected = segment.header.previous_bytes;
        if let Some(found) = previous_bytes.filter(|&found| expected != found) {
            let path = disk.folder().join(segment_name(number - 1));
            let offset = expected.min(found);
            return Err(JournalError::Damaged { path, offset, fault: Fault::Length { expected, found } });
        }
        if lengths.is_empty() {
            first_sequence = segment.header.first_sequence;
        }
        let length = segment.frames.length()?;
        previous_bytes = Some(segment.sealed_bytes(length)?);
        lengths.insert(number, length);
    }
    Ok((lengths, first_sequence))
}

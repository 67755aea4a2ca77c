//! Copying a journal while somebody appends to it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::attest::{self, AttestFile, Attested};
use crate::format::{NEW_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, Link};
use crate::segment::{self, write_whole};
use crate::{Checkpoint, Claim, Disk, DiskFile, Groups, JournalError, Progress, Reader};

/// What [`backup`] copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// Files.
    pub n_segments: u64,
    /// Groups.
    pub n_groups: u64,
    /// The end of the copy; `verify` on it gives the same.
    pub end: Checkpoint,
}

/// Copies the journal in the folder of `from` into that of `to`, which holds none.
///
/// Somebody may append to it or compact it meanwhile: the copy ends behind the last whole group that was there when it
/// came to the end. Each group is checked on the way, with its checksums and the hash chain, so a copy is a proof. When this
/// returns the copy is durable, and states its last group, so that it is missed when it is cut. Until then the first segment
/// does not have its name, so that what was cut short can be opened by nobody: empty the folder to try again.
///
/// # Errors
///
/// [`JournalError::NotEmpty`] when there is a journal in `to` or a part of one; [`JournalError::InUse`] when somebody uses it;
/// [`JournalError::Full`] when there is too little room for what is there at the beginning;
/// [`JournalError::Damaged`] when the journal is, with nothing but the sound part before it copied; or when a disk fails.
pub fn backup(
    from: &Arc<dyn Disk>,
    to: &Arc<dyn Disk>,
    mut progress: impl FnMut(Progress),
) -> Result<BackedUp, JournalError> {
    let claim = Claim::take(to.clone())?;
    let to = &*claim.disk;
    let path = || to.folder().to_owned();
    let names = to.list().map_err(JournalError::disk("list the files of", path()))?;
    let is_ours =
        |name: &String| segment_number(name).is_some() || name == NEW_SEGMENT || name == attest::NAME;
    if let Some(name) = names.into_iter().find(is_ours) {
        return Err(JournalError::NotEmpty { path: path(), name });
    }

    let n_bytes_total = Reader::open(from.clone())?.n_bytes()?;
    let free_bytes = to.room().map_err(JournalError::disk("measure the free space of", path()))?.free_bytes;
    if free_bytes < n_bytes_total {
        let (path, needed_bytes) = (path(), n_bytes_total);
        return Err(JournalError::Full { path, needed_bytes, free_bytes, kept_bytes: 0 });
    }
    let mut groups = Groups::from_start(from.clone())?;
    let mut next = groups.next().transpose()?;
    if next.is_some() {
        // From here on nobody makes an empty journal in the folder by mistake.
        state_end(to, &groups)?;
    }
    let first = groups.segment_header().number;
    let mut copy = Copy::begin(to, groups.segment_header(), NEW_SEGMENT)?;
    let (mut n_groups, mut n_segments) = (0, 1);
    while let Some(group) = next {
        if copy.number != group.position().segment {
            copy = copy.next(to, groups.segment_header())?;
            n_segments += 1;
        }
        let path = from.folder().join(segment_name(copy.number));
        copy.add(groups.last_frame(&group)?, path)?;
        n_groups += 1;
        progress(Progress { n_bytes: groups.n_bytes(), n_bytes_total });
        next = groups.next().transpose()?;
    }
    if copy.number != groups.segment_header().number {
        // It was begun and holds no group yet.
        copy = copy.next(to, groups.segment_header())?;
        n_segments += 1;
    }
    copy.finish()?;
    state_end(to, &groups)?;
    let first = segment_name(first);
    // IMPORTANT: last, when all else is durable: without its first segment no journal can be opened.
    to.rename(NEW_SEGMENT, &first).map_err(JournalError::disk("name", path().join(&first)))?;
    segment::sync_names(to)?;
    Ok(BackedUp { n_segments, n_groups, end: groups.checkpoint() })
}

/// States durably in `to` that the last group that was given is durable, and makes all names so.
fn state_end(to: &dyn Disk, groups: &Groups) -> Result<(), JournalError> {
    let Checkpoint { sequence, chain } = groups.checkpoint();
    let attested = Attested { segment: groups.segment_header().number, link: Link { sequence, chain } };
    let failed = |step| JournalError::disk(step, to.folder().into());
    let file = AttestFile::open(to).map_err(failed("open the attestation in"))?;
    file.write(&attested).map_err(failed("write the attestation in"))?;
    file.sync().map_err(failed("sync the attestation in"))?;
    segment::sync_names(to)
}

/// A segment that is being copied.
struct Copy {
    number: u64,
    salt: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    n_bytes: u64,
}

impl Copy {
    fn begin(to: &dyn Disk, header: &SegmentHeader, name: &str) -> Result<Self, JournalError> {
        let path = to.folder().join(segment_name(header.number));
        let file = to.create(name).map_err(JournalError::disk("create", path.clone()))?;
        write_whole(&*file, &[&header.encode()], 0)
            .map_err(JournalError::disk("write the header of", path.clone()))?;
        let n_bytes = SEGMENT_HEADER_BYTES as u64;
        Ok(Self { number: header.number, salt: header.salt, path, file, n_bytes })
    }

    /// Ends this one and begins the next.
    fn next(self, to: &dyn Disk, header: &SegmentHeader) -> Result<Self, JournalError> {
        self.finish()?;
        Self::begin(to, header, &segment_name(header.number))
    }

    /// Adds the frame that was read at the same offset of the file `from`.
    fn add(&mut self, frame: &[u8], from: PathBuf) -> Result<(), JournalError> {
        // It was read a second time, and must be what was checked.
        let checked = FrameHeader::decode(frame, Some(self.salt))
            .and_then(|header| header.check_payload(&frame[FRAME_HEADER_BYTES..]));
        let damaged = |fault| JournalError::Damaged { path: from, offset: self.n_bytes, fault };
        checked.map_err(damaged)?;
        write_whole(&*self.file, &[frame], self.n_bytes)
            .map_err(JournalError::disk("copy a group to", self.path.clone()))?;
        self.n_bytes += frame.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::disk("sync", self.path))
    }
}

//! A segment's file.

use std::io;

use crate::format::{HeaderError, NEW_SEGMENT, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION, segment_name};
use crate::{Disk, DiskFile, Fault, JournalError};

/// Makes the segment that `header` describes. It is durable, but its name is not before the folder is synced.
///
/// When this fails the journal is what it was before: only what has a segment's name belongs to it.
pub(crate) fn create(disk: &dyn Disk, header: &SegmentHeader) -> Result<Box<dyn DiskFile>, JournalError> {
    let name = segment_name(header.number);
    let path = disk.folder().join(&name);
    let file = disk.create(NEW_SEGMENT).map_err(JournalError::disk("create", path.clone()))?;
    let bytes = header.encode();
    write_whole(&*file, &[&bytes], 0).map_err(JournalError::disk("write the header of", path.clone()))?;
    // IMPORTANT: the header is durable before the file gets its name, so a segment never lacks it.
    file.sync_data().map_err(JournalError::disk("sync", path.clone()))?;
    disk.rename(NEW_SEGMENT, &name).map_err(JournalError::disk("rename the new", path))?;
    Ok(file)
}

/// Makes the names of segments durable.
///
/// IMPORTANT: before any group is written to a new one, or a power cut takes the file with its groups.
pub(crate) fn sync_names(disk: &dyn Disk) -> Result<(), JournalError> {
    disk.sync_folder().map_err(JournalError::disk("sync", disk.folder().into()))
}

/// Reads the header of segment `number` from its `file`.
pub(crate) fn read_header(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    number: u64,
) -> Result<SegmentHeader, JournalError> {
    let path = || disk.folder().join(segment_name(number));
    let damaged = |fault| JournalError::Damaged { path: path(), offset: 0, fault };
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let n_read = file.read_at(&mut bytes, 0).map_err(JournalError::disk("read the header of", path()))?;
    let header = match SegmentHeader::decode(&bytes[..n_read]) {
        Ok(header) => header,
        Err(HeaderError::Fault(fault)) => return Err(damaged(fault)),
        Err(HeaderError::Newer(version)) => {
            return Err(JournalError::Newer { path: path(), version, known: VERSION });
        }
    };
    if header.number != number {
        return Err(damaged(Fault::Segment { expected: number, found: header.number }));
    }
    if header.first_sequence == 0 {
        return Err(damaged(Fault::Discontinued));
    }
    Ok(header)
}

/// Opens segment `number` for reading, and reads its header.
pub(crate) fn open_to_read(
    disk: &dyn Disk,
    number: u64,
) -> Result<(Box<dyn DiskFile>, SegmentHeader), JournalError> {
    let name = segment_name(number);
    let path = disk.folder().join(&name);
    let file = match disk.open_to_read(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::Damaged { path, offset: 0, fault: Fault::SegmentMissing });
        }
        Err(error) => return Err(JournalError::Disk { step: "open", path, source: error }),
    };
    let header = read_header(disk, &*file, number)?;
    Ok((file, header))
}

/// Writes all of `parts`, one after the other and in one call: a short write is a failed one.
pub fn write_whole(file: &dyn DiskFile, parts: &[&[u8]], offset: u64) -> io::Result<()> {
    let n_bytes = parts.iter().map(|part| part.len()).sum();
    write_at_least(n_bytes, file, parts, offset).map(drop)
}

/// As [`write_whole`], when only the first `n_bytes` matter; gives how many were written.
pub(crate) fn write_at_least(
    n_bytes: usize,
    file: &dyn DiskFile,
    parts: &[&[u8]],
    offset: u64,
) -> io::Result<usize> {
    let n_written = file.write_at(parts, offset)?;
    if n_bytes <= n_written {
        return Ok(n_written);
    }
    let text = format!("only {n_written} of {n_bytes} bytes were written at offset {offset}");
    Err(io::Error::new(io::ErrorKind::WriteZero, text))
}

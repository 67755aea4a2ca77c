//! Finding a group without walking to it and without a table of where each one is.
//!
//! Sequences grow with the segments and within each, so both are searched by halving: the segments by their headers, and
//! a segment by the headers of the frames that are found in it. What is read is bounded by some frames for each halving.

use crate::format::SEGMENT_HEADER_BYTES;
use crate::frame::Link;
use crate::scan::{SegmentScan, Stop};
use crate::survey::survey;
use crate::{Disk, Fault, JournalError};

/// Within this distance going from header to header takes no longer than another halving.
const NEAR_BYTES: u64 = 64 << 10;

/// Where a group begins, or would if the journal held it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) segment: SegmentScan,
    pub(crate) offset: u64,
    /// The group before it.
    pub(crate) link: Link,
}

/// Where group `sequence` begins; `None` when the journal ends before that, with a whole group.
///
/// Of the groups on the way only headers are read. `sequence` is not 0.
pub(crate) fn locate(disk: &dyn Disk, sequence: u64) -> Result<Option<Place>, JournalError> {
    let mut segment = SegmentScan::open(disk, segment_of(disk, sequence)?)?;
    segment.frames.set_sparing(true);
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut link = Link { sequence: segment.header.first_sequence - 1, chain: segment.header.chain };

    let mut end = segment.frames.length()?;
    while link.sequence + 1 < sequence && offset + NEAR_BYTES < end {
        let middle = offset + (end - offset) / 2;
        let is_new = |found: &Link| link.sequence < found.sequence;
        match segment.frames.find_frame(middle, end, |header| is_new(&header.link))? {
            Some((start, header)) if header.link.sequence < sequence => {
                offset = start + header.frame_bytes();
                link = header.link;
            }
            _ => end = middle,
        }
    }
    let mut start = offset;
    while link.sequence + 1 < sequence {
        let checked = match segment.frames.read_header(offset)? {
            Ok(header) => header.check_sequence(&link).map(|()| header),
            Err(Stop::End) => return Ok(None),
            Err(Stop::Room(_)) if survey(disk)?.last <= segment.header.number => return Ok(None),
            Err(stop) => Err(stop.fault()),
        };
        let header = checked.map_err(|fault| segment.frames.damaged(offset, fault))?;
        start = offset;
        offset += header.frame_bytes();
        link = header.link;
    }
    if segment.frames.length()? < offset {
        // Whoever appends goes on behind whole groups alone.
        return Err(segment.frames.damaged(start, Fault::CutShort));
    }
    Ok(Some(Place { segment, offset, link }))
}

/// The number of the segment that holds group `sequence`, or would hold it.
pub(crate) fn segment_of(disk: &dyn Disk, sequence: u64) -> Result<u64, JournalError> {
    let survey = survey(disk)?;
    let (mut first, mut last) = (survey.first, survey.last.max(1));
    while first < last {
        let middle = last - (last - first) / 2;
        if SegmentScan::open(disk, middle)?.header.first_sequence <= sequence {
            first = middle;
        } else {
            last = middle - 1;
        }
    }
    Ok(first)
}

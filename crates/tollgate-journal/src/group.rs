//! One group of records.

use std::ops::Range;

use crate::frame::{FrameHeader, split_records};
use crate::pack::Unpacker;
use crate::{Checkpoint, Fault, GroupPosition, RecordPosition};

/// One group, checked.
#[derive(Debug, Clone)]
pub struct Group {
    position: GroupPosition,
    chain: [u8; 32],
    payload: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl Group {
    /// The group with `header`, of what is stored of it, in segment `segment` at `offset`.
    pub(crate) fn new(
        header: &FrameHeader,
        stored: &[u8],
        unpacker: &mut Unpacker,
        (segment, offset): (u64, u64),
    ) -> Result<Self, Fault> {
        let payload = unpacker.unpack(header, stored)?;
        let records = split_records(&payload, header.n_records)?;
        let position = GroupPosition { sequence: header.link.sequence, segment, offset };
        Ok(Self { position, chain: header.link.chain, payload, records })
    }

    /// Where it is.
    #[must_use]
    pub fn position(&self) -> GroupPosition {
        self.position
    }

    /// The place behind it.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { sequence: self.position.sequence, chain: self.chain }
    }

    /// Its records in order, each with which it is.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (RecordPosition, &[u8])> {
        let sequence = self.position.sequence;
        let mut index = 0;
        self.records.iter().map(move |range| {
            let position = RecordPosition { sequence, index };
            index += 1;
            (position, &self.payload[range.clone()])
        })
    }

    /// The record at `index`, counted from 0.
    #[must_use]
    pub fn record(&self, index: u32) -> Option<&[u8]> {
        self.records.get(index as usize).map(|range| &self.payload[range.clone()])
    }
}

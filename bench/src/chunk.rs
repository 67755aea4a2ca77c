//! A text with the ids of batches in it, which get other values each time it is sent: making it anew would cost more than
//! sending it.

use std::ops::Range;

use memchr::memmem;
use tollgate_wire::{MetricBatch, to_vec};

/// Bytes of an id as text.
const ID_BYTES: usize = 36;

/// A text and where in it the ids stand.
#[derive(Debug, Clone)]
pub struct Chunk {
    text: Vec<u8>,
    n_batches: usize,
    /// Where ids stand, and whose: in the order of the text.
    places: Vec<(usize, usize)>,
    ids: Vec<u8>,
}

impl Chunk {
    /// A `POST /metrics` of these batches, head and all.
    ///
    /// # Panics
    ///
    /// When an id of the batches is not a uuid.
    #[must_use]
    pub fn of_request(batches: &[MetricBatch]) -> Self {
        let body = to_vec(&Some(batches.to_vec())).expect("the times of the document can be written");
        let mut request = format!(
            "POST /metrics HTTP/1.1\r\nhost: collector\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        Self::new(request, batches)
    }

    /// Finds the ids of `batches` in `text`: each as often as it stands there.
    ///
    /// # Panics
    ///
    /// When an id of the batches is not a uuid or not in the text.
    #[must_use]
    pub fn new(text: Vec<u8>, batches: &[MetricBatch]) -> Self {
        let mut places = Vec::with_capacity(batches.len());
        for (index, batch) in batches.iter().enumerate() {
            assert_eq!(batch.uuid.len(), ID_BYTES, "a uuid as text");
            let found = places.len();
            places.extend(memmem::find_iter(&text, &batch.uuid).map(|offset| (offset, index)));
            assert_ne!(places.len(), found, "each id is in the text");
        }
        places.sort_unstable();
        let ids = vec![0; batches.len() * ID_BYTES];
        Self { text, n_batches: batches.len(), places, ids }
    }

    /// Gives the batches the ids with these numbers of a lane. Ids of different lanes or numbers differ, and look random.
    pub fn number(&mut self, lane: usize, first: u64) {
        for (number, id) in (first..).zip(self.ids.chunks_exact_mut(ID_BYTES)) {
            write_id(id, lane, number);
        }
        for &(offset, index) in &self.places {
            let id = &self.ids[index * ID_BYTES..][..ID_BYTES];
            self.text[offset..offset + ID_BYTES].copy_from_slice(id);
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// How many batches it has.
    #[must_use]
    pub fn n_batches(&self) -> usize {
        self.n_batches
    }

    /// The ids that it has just now, in the order of the batches.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.ids.chunks_exact(ID_BYTES)
    }
}

/// Odd, so that products of different numbers differ, and spread over all sixteen bytes.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
const GROUPS: [Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];

fn write_id(id: &mut [u8], lane: usize, number: u64) {
    let value = (((lane as u128) << 64) | (u128::from(number) + 1)).wrapping_mul(SPREAD);
    let bytes = value.to_be_bytes();
    let mut digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    id.fill(b'-');
    for group in GROUPS {
        for (place, digit) in id[group].iter_mut().zip(&mut digits) {
            *place = b"0123456789abcdef"[usize::from(digit)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::batches;

    #[test]
    fn a_numbered_chunk_is_the_same_document_with_other_ids() {
        let original = &batches()[..3];
        let mut chunk = Chunk::of_request(original);
        let length = chunk.text().len();
        chunk.number(1, 7);
        assert_eq!(chunk.text().len(), length);
        let begin = memmem::find(chunk.text(), b"\r\n\r\n").expect("a head") + 4;
        let mut decoded: Vec<MetricBatch> =
            tollgate_wire::from_slice(&chunk.text()[begin..]).expect("batches");
        let ids: Vec<String> = decoded.iter().map(|batch| batch.uuid.clone()).collect();
        assert!(ids.iter().map(String::as_bytes).eq(chunk.ids()));
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        for (decoded, original) in decoded.iter_mut().zip(original) {
            decoded.uuid.clone_from(&original.uuid);
        }
        assert_eq!(decoded, original);
    }
}

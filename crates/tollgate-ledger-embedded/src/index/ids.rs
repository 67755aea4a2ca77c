//! Which batches are recorded.

use std::collections::HashMap;

use tollgate_journal::RecordPosition;
use tollgate_rules::{BatchId, Digest};

/// The ids of all recorded batches.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// Models are few and their batches many, so a batch's key holds its model's number.
    models: HashMap<Box<str>, u32>,
    by_uuid: HashMap<(u32, [u8; 16]), Recorded>,
    /// Batches whose id is not a uuid in its canonical spelling.
    by_text: HashMap<(u32, Box<str>), Recorded>,
}

/// What is known of a recorded batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) digest: Digest,
    pub(crate) position: RecordPosition,
}

impl Ids {
    pub(crate) fn find(&self, id: &BatchId) -> Option<Recorded> {
        let model = *self.models.get(&id.model_uuid)?;
        match pack_uuid(&id.batch_uuid) {
            Some(uuid) => self.by_uuid.get(&(model, uuid)).copied(),
            None => self.by_text.get(&(model, id.batch_uuid.clone())).copied(),
        }
    }

    /// Adds an id; `false` when it is known already, and then nothing changes.
    pub(crate) fn insert(&mut self, id: &BatchId, recorded: Recorded) -> bool {
        let model = match self.models.get(&id.model_uuid) {
            Some(&model) => model,
            None => {
                let model = u32::try_from(self.models.len()).expect("fewer models than fit into memory");
                self.models.insert(id.model_uuid.clone(), model);
                model
            }
        };
        let earlier = match pack_uuid(&id.batch_uuid) {
            Some(uuid) => *self.by_uuid.entry((model, uuid)).or_insert(recorded),
            None => *self.by_text.entry((model, id.batch_uuid.clone())).or_insert(recorded),
        };
        earlier.position == recorded.position
    }

    pub(crate) fn n_batches(&self) -> u64 {
        (self.by_uuid.len() + self.by_text.len()) as u64
    }
}

/// The bytes of a uuid in its canonical spelling: lower case, 8-4-4-4-12. Any other text is `None`, also another
/// spelling of a uuid: it is another id.
fn pack_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut packed = [0; 16];
    let mut n_digits = 0;
    for (index, &byte) in text.iter().enumerate() {
        let digit = match (index, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        packed[n_digits / 2] = packed[n_digits / 2] << 4 | digit;
        n_digits += 1;
    }
    Some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_of_a_uuid_is_packed() {
        let packed =
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10];
        assert_eq!(pack_uuid("01234567-89ab-cdef-fedc-ba9876543210"), Some(packed));
        for other in [
            "01234567-89AB-CDEF-FEDC-BA9876543210",
            "0123456789abcdeffedcba9876543210",
            "01234567-89ab-cdef-fedcb-a9876543210",
            "{1234567-89ab-cdef-fedc-ba987654321}",
            "01234567-89ab-cdef-fedc-ba987654321",
            "01234567-89ab-cdef-fedc-ba98765432100",
            "01234567-89ab-cdef-fedc-ba98765432é",
            "",
        ] {
            assert_eq!(pack_uuid(other), None, "{other}");
        }
    }

    #[test]
    fn ids_that_look_alike_are_different() {
        let mut ids = Ids::default();
        let texts = [
            ("m", "01234567-89ab-cdef-fedc-ba9876543210"),
            ("m", "01234567-89AB-CDEF-FEDC-BA9876543210"),
            ("n", "01234567-89ab-cdef-fedc-ba9876543210"),
            ("m", "01234567-89ab-cdef-fedc-ba9876543211"),
            ("m", "b"),
            ("n", "b"),
            ("b", "m"),
        ];
        let id =
            |(model, batch): (&str, &str)| BatchId { model_uuid: model.into(), batch_uuid: batch.into() };
        let at =
            |offset| Recorded { digest: Digest([0; 32]), position: RecordPosition { segment: 1, offset } };
        for (offset, text) in (0..).zip(texts) {
            assert_eq!(ids.find(&id(text)), None, "{text:?}");
            assert!(ids.insert(&id(text), at(offset)), "{text:?}");
            assert!(!ids.insert(&id(text), at(99)), "{text:?}");
        }
        for (offset, text) in (0..).zip(texts) {
            assert_eq!(ids.find(&id(text)), Some(at(offset)), "{text:?}");
        }
        assert_eq!(ids.n_batches(), 7);
    }
}

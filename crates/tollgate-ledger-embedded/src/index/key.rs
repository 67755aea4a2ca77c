//! What an id is looked up by.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use tollgate_journal::Disk;
use tollgate_ledger::{Act, Entry};
use tollgate_rules::{BatchIdRef, Digest, Quarantined};

/// The hash of an id under keys that are this index's own: 128 bits that nobody outside can aim at.
///
/// Two ids with the same key are to be expected once in some 10^19 batches. The second of them would find another
/// digest under its key and go to quarantine as a conflict, where it shows; it is never lost, nor taken for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(super) u128);

/// Makes keys. Kept in the checkpoint: the keys in runs are of no use without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeyMaker {
    secret: [u64; 2],
}

/// What is looked up; the first thing that is hashed, so that one kind never meets another.
#[repr(u8)]
#[derive(Clone, Copy)]
enum Kind {
    Batch,
    Element,
    Quarantine,
    Series,
    Nothing,
}

/// Makes the keys of the series of one unit under one charm.
pub(super) struct SeriesKeys(SipHasher13);

impl KeyMaker {
    pub(crate) fn new(disk: &dyn Disk) -> Self {
        Self { secret: [disk.salt(), disk.salt()] }
    }

    /// Of a recorded batch.
    pub(crate) fn batch(&self, id: BatchIdRef<'_>) -> Key {
        self.key(Kind::Batch, &[id.model_uuid.as_bytes(), id.batch_uuid.as_bytes()])
    }

    /// Of an entry as it is posted; under that of an act without a batch there is never anything.
    pub(crate) fn entry(&self, entry: &Entry) -> Key {
        match entry {
            Entry::Batch(batch)
            | Entry::Refused(batch, _)
            | Entry::Act(Act::Release { batch: Some(batch), .. }) => self.batch(batch.id()),
            Entry::Quarantine(element) => self.element(element),
            Entry::Act(_) => self.key(Kind::Nothing, &[]),
        }
    }

    /// Of a quarantined element.
    pub(crate) fn element(&self, element: &Quarantined) -> Key {
        self.element_with(&element.id.model_uuid, &element.id.batch_uuid, element.digest)
    }

    /// Of a quarantined element, by what equal ones have in common.
    pub(crate) fn element_with(&self, model_uuid: &str, batch_uuid: &str, digest: Digest) -> Key {
        self.key(Kind::Element, &[model_uuid.as_bytes(), batch_uuid.as_bytes(), &digest.0])
    }

    /// Of the quarantine's own id of an element.
    pub(crate) fn quarantine(&self, id: u64) -> Key {
        self.key(Kind::Quarantine, &[&id.to_le_bytes()])
    }

    /// Of series.
    pub(super) fn series_of(&self, model_uuid: &str, unit_name: &str, charm_url: &str) -> SeriesKeys {
        let parts = [model_uuid, unit_name, charm_url].map(str::as_bytes);
        SeriesKeys(self.hasher(Kind::Series, &parts))
    }

    fn key(&self, kind: Kind, parts: &[&[u8]]) -> Key {
        Key(self.hasher(kind, parts).finish128().as_u128())
    }

    fn hasher(&self, kind: Kind, parts: &[&[u8]]) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.secret[0], self.secret[1]);
        hasher.write_u8(kind as u8);
        write(&mut hasher, parts);
        hasher
    }
}

impl SeriesKeys {
    /// Of one of them.
    pub(super) fn key(&self, meter: &str, labels: &str) -> Key {
        let mut hasher = self.0;
        write(&mut hasher, &[meter.as_bytes(), labels.as_bytes()]);
        Key(hasher.finish128().as_u128())
    }
}

fn write(hasher: &mut SipHasher13, parts: &[&[u8]]) {
    for part in parts {
        // The length keeps apart what would be the same bytes one after the other.
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_journal::sim::SimDisk;

    #[test]
    fn keys_tell_apart_what_looks_alike() {
        let keys = KeyMaker::new(&*SimDisk::new().shared());
        let mut made = Vec::new();
        let texts =
            [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("c", "ab"), ("AB", "c"), ("ab", "C")];
        for (model, batch) in texts {
            made.push(keys.batch(BatchIdRef { model_uuid: model, batch_uuid: batch }));
            for digest in [Digest([0; 16]), Digest([1; 16])] {
                made.push(keys.element_with(model, batch, digest));
            }
            made.push(keys.series_of(model, batch, "x").key("", ""));
            made.push(keys.series_of("x", model, batch).key("", ""));
            made.push(keys.series_of("x", "x", model).key(batch, ""));
            made.push(keys.series_of("x", "x", "x").key(model, batch));
        }
        made.extend((0..9).map(|id| keys.quarantine(id)));
        let n_made = made.len();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), n_made);
    }

    /// Under other keys than those that it was stored under, what is recorded would look as if it were new, and count twice.
    #[test]
    fn a_key_does_not_change() {
        let keys = KeyMaker { secret: [1, 2] };
        let made = [
            keys.batch(BatchIdRef { model_uuid: "model", batch_uuid: "batch" }),
            keys.element_with("model", "batch", Digest([3; 16])),
            keys.quarantine(4),
            keys.series_of("model", "unit/0", "charm").key("meter", r#"{"label":"value"}"#),
        ];
        let stored = [
            0xe540_a07f_7e6d_6897_6c76_c66d_b54f_1de5,
            0x0f65_dcc2_80cd_9876_93e6_41e9_8dfd_0bee,
            0x153f_f979_b005_5251_3933_8da5_9a5d_6085,
            0x0f97_9707_cb4f_4010_a0bc_212a_432b_d94c,
        ];
        assert_eq!(made, stored.map(Key));
    }
}

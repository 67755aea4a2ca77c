//! Ids as they are stored: a uuid in its canonical spelling takes 17 bytes, any other string one more than it has.

use tollgate_ledger::{LedgerError, Remedy};

const STRING: u8 = 0;
const UUID: u8 = 1;

/// Where a canonical uuid has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// As it is stored. Two ids are equal exactly when these are.
pub(crate) fn pack(id: &str) -> Vec<u8> {
    match uuid(id.as_bytes()) {
        Some(uuid) => [&[UUID], &uuid[..]].concat(),
        None => [&[STRING], id.as_bytes()].concat(),
    }
}

/// The id that was stored.
pub(crate) fn unpack(key: &[u8]) -> Result<String, LedgerError> {
    let id = match key.split_first() {
        Some((&STRING, id)) => String::from_utf8(id.to_vec()).ok(),
        Some((&UUID, uuid)) => <[u8; 16]>::try_from(uuid).ok().map(spell),
        _ => None,
    };
    id.ok_or_else(|| LedgerError::new(Remedy::Repair, "read an id: what is stored is none"))
}

fn uuid(id: &[u8]) -> Option<[u8; 16]> {
    let id: &[u8; 36] = id.try_into().ok()?;
    let mut digits =
        id.iter().enumerate().filter(|(place, _)| !HYPHENS.contains(place)).map(|(_, digit)| digit);
    if HYPHENS.iter().any(|&place| id[place] != b'-') {
        return None;
    }
    let mut digit = || match digits.next()? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digit()? << 4 | digit()?;
    }
    Some(uuid)
}

fn spell(uuid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_packed(id: &str, n_bytes: usize) {
        let key = pack(id);
        assert_eq!(key.len(), n_bytes);
        assert_eq!(unpack(&key).expect("an id"), id);
    }

    #[test]
    fn only_canonical_uuids_are_short() {
        check_packed("deadbeef-0bad-400d-8000-4b1d0d06f00d", 17);
        check_packed("00000000-0000-0000-0000-000000000000", 17);
        check_packed("DEADBEEF-0bad-400d-8000-4b1d0d06f00d", 37);
        check_packed("deadbeef-0bad-400d-8000+4b1d0d06f00d", 37);
        check_packed("deadbeef-0bad-400d-8000-4b1d0d06f00g", 37);
        check_packed("deadbeef0bad400d80004b1d0d06f00d", 33);
        check_packed("sixteen bytes id", 17);
        check_packed("a\0b", 4);
        check_packed("", 1);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for key in [&[][..], &[1, 2], &[2], &[0, 0xff]] {
            let refusal = unpack(key).expect_err("no id").to_string();
            assert_eq!(refusal, "read an id: what is stored is none");
        }
    }
}

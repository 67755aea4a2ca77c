//! The BLAKE3 of many short contents at once.
//!
//! BLAKE3 is fast on long contents, whose chunks of 1,024 bytes it hashes side by side in the lanes of a vector register. A batch is
//! one chunk, whose blocks follow from each other: alone it leaves all lanes but one empty. So here each lane has a batch.
//! `docs/decisions/0005-many-digests-at-once.md` has the figures, and why the crate's version is fixed.

use blake3::IncrementCounter;
use blake3::platform::Platform;

/// The most lanes that a processor has.
pub(crate) const N_LANES: usize = 16;

const BLOCK_BYTES: usize = 64;
const CHUNK_BYTES: usize = 1024;

/// As the BLAKE3 paper names them, section 2.2: what the state starts from, and what a block is told of its place.
const IV: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;

/// The hash of each of `contents`: what [`blake3::hash`] gives.
pub(crate) fn hash_each(contents: &[&[u8]]) -> Vec<[u8; 32]> {
    let platform = Platform::detect();
    let mut hashes = Vec::with_capacity(contents.len());
    for group in contents.chunks(N_LANES) {
        let n_common = group.iter().map(|content| n_whole_blocks(content)).min().unwrap_or(0);
        if group.len() == 1 || n_common == 0 {
            hashes.extend(group.iter().map(|content| *blake3::hash(content).as_bytes()));
            continue;
        }
        let states = common_blocks(platform, group, n_common);
        let rests = group.iter().map(|content| &content[n_common * BLOCK_BYTES..]);
        hashes.extend(states.iter().zip(rests).map(|(state, rest)| finish(platform, state, rest)));
    }
    hashes
}

/// Blocks before the last one; none of a content that is no single chunk, and is not for lanes.
fn n_whole_blocks(content: &[u8]) -> usize {
    if content.len() <= CHUNK_BYTES { content.len().saturating_sub(1) / BLOCK_BYTES } else { 0 }
}

type State = [u8; 32];

/// The states after the first `n_blocks` blocks of each content, all of which have more.
fn common_blocks(platform: Platform, group: &[&[u8]], n_blocks: usize) -> [State; N_LANES] {
    macro_rules! with_length {
        ($($n:literal)+) => {
            match n_blocks {
                $($n => blocks::<{ $n * BLOCK_BYTES }>(platform, group),)+
                _ => unreachable!("a chunk has 16 blocks, and at least one is the last"),
            }
        };
    }
    with_length!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
}

fn blocks<const N_BYTES: usize>(platform: Platform, group: &[&[u8]]) -> [State; N_LANES] {
    let mut lanes = [&[0; N_BYTES]; N_LANES];
    for (lane, content) in lanes.iter_mut().zip(group) {
        *lane = content.first_chunk().expect("each content has these blocks and a last one");
    }
    let mut states = [State::default(); N_LANES];
    let (lanes, room) = (&lanes[..group.len()], states[..group.len()].as_flattened_mut());
    platform.hash_many(lanes, &IV, 0, IncrementCounter::No, 0, CHUNK_START, 0, room);
    states
}

/// The hash, from the state before `rest`, the end of the content.
fn finish(platform: Platform, state: &State, rest: &[u8]) -> State {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(state.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let n_before_last = rest.len().saturating_sub(1) / BLOCK_BYTES;
    let (whole, last) = rest.split_at(n_before_last * BLOCK_BYTES);
    for block in whole.as_chunks().0 {
        platform.compress_in_place(&mut words, block, BLOCK_BYTES as u8, 0, 0);
    }
    let mut block = [0; BLOCK_BYTES];
    block[..last.len()].copy_from_slice(last);
    platform.compress_in_place(&mut words, &block, last.len() as u8, 0, CHUNK_END | ROOT);
    let mut hash = State::default();
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(contents: &[&[u8]]) {
        let expected: Vec<_> = contents.iter().map(|content| *blake3::hash(content).as_bytes()).collect();
        let lengths: Vec<_> = contents.iter().map(|content| content.len()).collect();
        assert_eq!(hash_each(contents), expected, "{lengths:?}");
    }

    fn bytes(n_bytes: usize) -> Vec<u8> {
        (0..n_bytes).map(|place| (place * 131 + place / 251) as u8).collect()
    }

    #[test]
    fn every_length_alone_and_in_company() {
        let bytes = bytes(2 * CHUNK_BYTES + 20);
        check(&[]);
        for n_bytes in 0..2 * CHUNK_BYTES {
            let content = &bytes[..n_bytes];
            check(&[content]);
            check(&[&bytes[7..7 + n_bytes], content]);
            check(&[&bytes[1..20 + n_bytes / 2], content, &bytes[3..900]]);
        }
    }

    #[test]
    fn every_number_of_lanes() {
        let bytes = bytes(CHUNK_BYTES);
        let contents: Vec<&[u8]> = (0..100).map(|index| &bytes[index..600 + index * 7 % 400]).collect();
        for n_contents in 0..contents.len() {
            check(&contents[..n_contents]);
        }
    }
}

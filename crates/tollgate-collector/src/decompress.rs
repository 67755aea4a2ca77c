//! Decompression with the limit on the side where it matters.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::problem::Problem;

/// The largest window a zstd frame may ask for: 2^23 bytes, 8 MiB, which is what RFC 8878 recommends to support. The
/// library's own limit is 128 MiB, so a frame's first bytes alone could claim that much.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How many times its compressed size a body may take of memory before it is known to be within its limit. Batches
/// shrink four to forty times; a bomb shrinks a thousand times.
const TRUSTED_RATIO: usize = 16;

/// Bodies up to this size are kept whatever their ratio: smaller than what decompressing takes in any case.
const TRUSTED_BYTES: usize = 256 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or more.
    Gzip,
    /// RFC 8878, one frame or more.
    Zstd,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn reader(self, bytes: &[u8]) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Identity => Box::new(bytes),
            Self::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            Self::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(bytes)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

/// The document in a body, whose length is `bytes_max` at most.
///
/// A body that is suspiciously larger than it came is only measured at first, and decompressed a second time when it
/// turns out to be within the limit: a bomb costs time but no memory.
pub(crate) fn decompress(bytes: Vec<u8>, encoding: Encoding, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    if encoding == Encoding::Identity {
        return Ok(bytes);
    }
    let broken = |error: io::Error| Problem::BadCompression {
        encoding: encoding.name(),
        reason: match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends too early".to_owned(),
            _ => format!("is not: {}", tollgate_ledger::chain(&error)),
        },
    };
    let trusted_bytes = bytes.len().saturating_mul(TRUSTED_RATIO).max(TRUSTED_BYTES);
    let mut document = Vec::new();
    let mut n_bytes = 0;
    let mut piece = vec![0; 64 << 10];
    let mut reader = encoding.reader(&bytes).map_err(broken)?;
    loop {
        let n_read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(n_read) => n_read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        n_bytes += n_read;
        if bytes_max < n_bytes {
            return Err(Problem::BodyTooLarge { what: "A body, decompressed,", bytes_max });
        }
        if n_bytes <= trusted_bytes {
            document.extend_from_slice(&piece[..n_read]);
        } else {
            document = Vec::new();
        }
    }
    if trusted_bytes < n_bytes {
        drop(reader);
        document.reserve_exact(n_bytes);
        let reader = encoding.reader(&bytes).map_err(broken)?;
        reader.take(n_bytes as u64).read_to_end(&mut document).map_err(broken)?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(document: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(document).expect("compress");
        encoder.finish().expect("compress")
    }

    fn zstd(document: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(document, 3).expect("compress")
    }

    #[track_caller]
    fn check_refused(bytes: Vec<u8>, encoding: Encoding, expected_start: &str) {
        match decompress(bytes, encoding, 1 << 20) {
            Err(Problem::BadCompression { reason, .. }) => {
                assert!(reason.starts_with(expected_start), "{reason:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn documents_come_out_whole_whatever_their_ratio() {
        let plain: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let flat = vec![b' '; 900_000];
        for document in [&b"[]"[..], b"", &plain, &flat] {
            for (bytes, encoding) in [
                (document.to_vec(), Encoding::Identity),
                (gzip(document), Encoding::Gzip),
                (zstd(document), Encoding::Zstd),
            ] {
                assert_eq!(decompress(bytes, encoding, 1 << 20).as_deref(), Ok(document), "{encoding:?}");
            }
        }
    }

    #[test]
    fn members_and_frames_are_joined() {
        let two = [gzip(b"[1,"), gzip(b"2]")].concat();
        assert_eq!(decompress(two, Encoding::Gzip, 100).as_deref(), Ok(&b"[1,2]"[..]));
        let two = [zstd(b"[1,"), zstd(b"2]")].concat();
        assert_eq!(decompress(two, Encoding::Zstd, 100).as_deref(), Ok(&b"[1,2]"[..]));
    }

    #[test]
    fn the_limit_is_exact() {
        for (compress, encoding) in [(gzip as fn(&[u8]) -> Vec<u8>, Encoding::Gzip), (zstd, Encoding::Zstd)] {
            let document = vec![b'7'; 1 << 20];
            assert!(decompress(compress(&document), encoding, 1 << 20).is_ok(), "{encoding:?}");
            let too_large = Problem::BodyTooLarge { what: "A body, decompressed,", bytes_max: (1 << 20) - 1 };
            assert_eq!(decompress(compress(&document), encoding, (1 << 20) - 1), Err(too_large));
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let document: Vec<u8> = (0..2_000_u32).flat_map(|i| i.to_string().into_bytes()).collect();
        for (bytes, encoding) in [(gzip(&document), Encoding::Gzip), (zstd(&document), Encoding::Zstd)] {
            for n_bytes in 0..bytes.len() {
                let result = decompress(bytes[..n_bytes].to_vec(), encoding, 1 << 20);
                assert!(matches!(result, Err(Problem::BadCompression { .. })), "{encoding:?} {n_bytes}");
            }
        }
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        check_refused(b"[]".to_vec(), Encoding::Gzip, "ends too early");
        check_refused(b"[{\"uuid\":\"1\"}]".to_vec(), Encoding::Gzip, "is not: invalid gzip header");
        check_refused(b"[{\"uuid\":\"1\"}]".to_vec(), Encoding::Zstd, "is not: Unknown frame descriptor");
        check_refused([gzip(b"[]"), b"more than a header".to_vec()].concat(), Encoding::Gzip, "is not");
        check_refused([zstd(b"[]"), b"garbage".to_vec()].concat(), Encoding::Zstd, "is not");
        check_refused(gzip(&gzip(b"[]"))[1..].to_vec(), Encoding::Gzip, "is not");
        let mut wrong_sum = gzip(b"[]");
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        check_refused(
            wrong_sum,
            Encoding::Gzip,
            "is not: corrupt gzip stream does not have a matching checksum",
        );
    }

    #[test]
    fn a_huge_window_is_refused_before_it_is_allocated() {
        // A frame header without content size whose window descriptor says 2 GiB (exponent 21), then one raw block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x11, 0x00, 0x00, b'[', b']'];
        check_refused(frame.to_vec(), Encoding::Zstd, "is not: Frame requires too much memory for decoding");
        let allowed = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x11, 0x00, 0x00, b'[', b']'];
        assert_eq!(decompress(allowed.to_vec(), Encoding::Zstd, 100).as_deref(), Ok(&b"[]"[..]));
    }
}

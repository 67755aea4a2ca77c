//! Compressing requests for who takes it.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Shorter bodies are sent as they are: compressing them saves nothing.
const BYTES_MIN: usize = 1 << 10;

/// What a setting allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// What the collector says it takes, in the header `Accept-Encoding` of an answer.
    #[default]
    Auto,
    /// Never.
    None,
    /// Always gzip.
    Gzip,
    /// Always zstd.
    Zstd,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The best that a collector takes which answered with this `Accept-Encoding`.
    pub(crate) fn accepted(header: &str) -> Self {
        let takes = |name: &str| {
            header.split(',').any(|element| {
                let (coding, parameters) = element.split_once(';').unwrap_or((element, ""));
                let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
                coding.trim().eq_ignore_ascii_case(name) && weight.is_ok_and(|weight| 0.0 < weight)
            })
        };
        match (takes("zstd"), takes("gzip")) {
            (true, _) => Self::Zstd,
            (false, true) => Self::Gzip,
            (false, false) => Self::Identity,
        }
    }

    /// The body as it is sent, and in which encoding that is.
    pub(crate) fn encode(self, body: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        if body.len() < BYTES_MIN {
            return Ok((Self::Identity, body));
        }
        Ok((
            self,
            match self {
                Self::Identity => body,
                Self::Gzip => {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    encoder.write_all(&body)?;
                    encoder.finish()?
                }
                Self::Zstd => zstd::bulk::compress(&body, 1)?,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[track_caller]
    fn check_accepted(header: &str, expected: Encoding) {
        assert_eq!(Encoding::accepted(header), expected, "{header:?}");
    }

    #[test]
    fn the_best_that_is_taken_is_used() {
        check_accepted("gzip, zstd", Encoding::Zstd);
        check_accepted("gzip", Encoding::Gzip);
        check_accepted("GZIP;q=0.5 , br", Encoding::Gzip);
        check_accepted("zstd;q=0, gzip", Encoding::Gzip);
        check_accepted("zstd;q=often", Encoding::Identity);
        check_accepted("", Encoding::Identity);
        check_accepted("identity, zst", Encoding::Identity);
    }

    #[test]
    fn a_body_comes_back() {
        let body = b"[{\"uuid\":\"1\"}]".repeat(200);
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let (used, bytes) = encoding.encode(body.clone()).expect("encodes");
            let decoded = match used {
                Encoding::Identity => bytes,
                Encoding::Gzip => {
                    let mut decoded = Vec::new();
                    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut decoded).expect("gzip");
                    decoded
                }
                Encoding::Zstd => zstd::bulk::decompress(&bytes, 1 << 20).expect("zstd"),
            };
            assert_eq!((used, decoded), (encoding, body.clone()));
        }
        assert_eq!(Encoding::Zstd.encode(b"[]".to_vec()).expect("encodes").0, Encoding::Identity);
    }
}

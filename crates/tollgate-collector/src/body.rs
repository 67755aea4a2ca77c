//! From a request to the bytes of its document: read, limited, decompressed.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tracing::debug;

use crate::Settings;
use crate::budget::{Budget, Reservation};
use crate::decompress::Encoding;
use crate::problem::Problem;

/// After a request was answered without its body having been read, how long the rest of it is still taken in and thrown
/// away. Closing at once would reset the connection under a client that is still writing, and the answer with it.
const LINGER_MS: u64 = 2_000;

/// What a request's body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) body_bytes_max: usize,
    pub(crate) compressed_bytes_max: usize,
    pub(crate) timeout_ms: u64,
}

impl BodyLimits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            body_bytes_max: settings.body_bytes_max,
            compressed_bytes_max: settings.compressed_bytes_max,
            timeout_ms: settings.body_timeout_ms,
        }
    }
}

/// A body as it came.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoding: Encoding,
    /// Covers `bytes`.
    pub(crate) reservation: Reservation,
}

/// Reads a request's body within the limits. What can be refused by its head is refused before the body is read.
pub(crate) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    budget: &Budget,
    limits: BodyLimits,
) -> Result<Received, Problem> {
    let time_max = Duration::from_millis(limits.timeout_ms);
    let read = timeout(time_max, read(headers, &mut body, budget, limits)).await;
    let received = read.unwrap_or(Err(Problem::SlowBody { timeout_ms: limits.timeout_ms }));
    if received.is_err() {
        throw_away(headers, body);
    }
    received
}

/// Lets a client finish whose body nobody wants, for a while.
pub(crate) fn throw_away(headers: &HeaderMap, body: Body) {
    // Who asked whether to send the body waits for the answer, and reading would tell it to go on.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(linger(body));
    }
}

async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    budget: &Budget,
    limits: BodyLimits,
) -> Result<Received, Problem> {
    let encoding = encoding(headers)?;
    let (what, bytes_max) = match encoding {
        Encoding::Identity => ("A body", limits.body_bytes_max),
        Encoding::Gzip | Encoding::Zstd => ("A compressed body", limits.compressed_bytes_max),
    };
    let too_large = Problem::BodyTooLarge { what, bytes_max };
    let overloaded = Problem::Overloaded { what: "bytes" };

    let announced = announced_length(headers);
    if announced.is_some_and(|n_bytes| bytes_max < n_bytes) {
        return Err(too_large);
    }
    if !budget.has_room(announced.unwrap_or(1)) {
        return Err(overloaded);
    }

    // Reserved as it comes, not as it is announced: else a few silent connections could hold all there is.
    let mut reservation = budget.reservation();
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(FIRST_CAPACITY_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::BadBody { reason: broken_off(&error) })?;
        let Ok(data) = frame.into_data() else {
            continue; // Trailers say nothing to us.
        };
        if bytes_max - bytes.len() < data.len() {
            return Err(too_large);
        }
        reservation.grow_to(bytes.len() + data.len()).map_err(|_| overloaded.clone())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, encoding, reservation })
}

/// What a connection may make us allocate by announcing alone. Most of it stays untouched until bytes arrive.
const FIRST_CAPACITY_BYTES: usize = 1 << 20;

/// How long a body will be, when its head says so.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<usize> {
    // hyper has checked it: one number, and none beside a Transfer-Encoding.
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn broken_off(error: &axum::Error) -> String {
    format!("The body broke off: {}. Nothing of it was recorded.", tollgate_ledger::chain(error))
}

/// Which decompression a request asks for: none, or one.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let named: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    match named.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["identity"] => Ok(Encoding::Identity),
        ["gzip" | "x-gzip"] => Ok(Encoding::Gzip),
        ["zstd"] => Ok(Encoding::Zstd),
        _ => {
            let mut encodings = named.join(", ");
            if let Some((end, _)) = encodings.char_indices().nth(100) {
                encodings.truncate(end);
            }
            Err(Problem::UnsupportedEncoding { encodings })
        }
    }
}

async fn linger(mut body: Body) {
    let rest = async { while let Some(Ok(_thrown_away)) = body.frame().await {} };
    if timeout(Duration::from_millis(LINGER_MS), rest).await.is_err() {
        debug!("closing a connection whose refused body goes on");
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check_encoding(values: &[&str], expected: Result<Encoding, &str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).expect("a header value"));
        }
        let expected =
            expected.map_err(|encodings| Problem::UnsupportedEncoding { encodings: encodings.to_owned() });
        assert_eq!(encoding(&headers), expected, "{values:?}");
    }

    #[test]
    fn one_known_encoding_or_none() {
        check_encoding(&[], Ok(Encoding::Identity));
        check_encoding(&[""], Ok(Encoding::Identity));
        check_encoding(&["identity"], Ok(Encoding::Identity));
        check_encoding(&["gzip"], Ok(Encoding::Gzip));
        check_encoding(&[" GZip "], Ok(Encoding::Gzip));
        check_encoding(&["x-gzip"], Ok(Encoding::Gzip));
        check_encoding(&["zstd"], Ok(Encoding::Zstd));
        check_encoding(&["gzip, gzip"], Err("gzip, gzip"));
        check_encoding(&["gzip", "zstd"], Err("gzip, zstd"));
        check_encoding(&["identity, gzip"], Err("identity, gzip"));
        check_encoding(&["br"], Err("br"));
        check_encoding(&["deflate"], Err("deflate"));
        check_encoding(&["gzip;q=1"], Err("gzip;q=1"));
        check_encoding(&[&"x".repeat(500)], Err(&"x".repeat(100)));
    }
}

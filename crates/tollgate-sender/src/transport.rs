//! The way to a collector, and what its answer means.

use std::time::{Duration, SystemTime};

use tollgate_wire::Response;

use crate::encoding::Encoding;
use crate::pace;

/// Takes a request to a collector.
pub trait Transport {
    /// Posts `body`, and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// When there is none; whether the collector has the batches is unknown then.
    fn post(&mut self, body: Vec<u8>, encoding: Encoding) -> Result<Answer, NoAnswer>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// What happened, for people.
    pub why: String,
    /// Whether it ended on its way, in time or by somebody: where the way is slow, a smaller request may get through.
    pub is_cut: bool,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The header `Accept-Encoding`, by which a collector tells what it takes.
    pub accept_encoding: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What an answer means for the batches of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The response tells which of them are recorded.
    Answered(Response),
    /// This very body will never be taken; parts of it may be.
    Unacceptable { why: String },
    /// The encoding is not taken; the same without may be.
    Encoding { why: String },
    /// Not now; when it `is_cut`, perhaps a smaller one.
    Failed { why: String, retry_after: Option<Duration>, is_cut: bool },
}

impl Verdict {
    pub(crate) fn failed(why: String) -> Self {
        Self::Failed { why, retry_after: None, is_cut: false }
    }
}

impl From<NoAnswer> for Verdict {
    fn from(NoAnswer { why, is_cut }: NoAnswer) -> Self {
        Self::Failed { why, retry_after: None, is_cut }
    }
}

/// Bytes of an answer's body that are shown to people, at most.
const EXCERPT_BYTES: usize = 200;

/// Reads an answer as a Juju controller does: only 200 is success, and only with a response in it.
pub(crate) fn judge(answer: &Answer, now: SystemTime) -> Verdict {
    let why = || format!("answered {}{}", answer.status, excerpt(&answer.body));
    match answer.status {
        200 => match response(&answer.body) {
            Ok(response) => Verdict::Answered(response),
            Err(reason) => Verdict::failed(format!("answered 200 with no response: {reason}")),
        },
        400 | 413 | 422 => Verdict::Unacceptable { why: why() },
        415 => Verdict::Encoding { why: why() },
        _ => {
            let retry_after = answer.retry_after.as_deref().and_then(|header| pace::retry_after(header, now));
            // Somebody on the way had no patience.
            let is_cut = matches!(answer.status, 408 | 504);
            Verdict::Failed { why: why(), retry_after, is_cut }
        }
    }
}

/// The response in a body; what is behind the first JSON value does not count. Something that is JSON and no response, as a
/// portal's `{}` that says nothing of batches, acknowledges nothing.
fn response(body: &[u8]) -> Result<Response, String> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    let end = match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        // What only Go's decoder takes is left to ours, which takes the same.
        Some(Err(_)) => body.len(),
        None => return Err("the body is empty".to_owned()),
    };
    tollgate_wire::from_slice(&body[..end]).map_err(|error| error.to_string())
}

/// The beginning of a body, for people: one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn verdict(status: u16, retry_after: Option<&str>, body: &str) -> String {
        let retry_after = retry_after.map(str::to_owned);
        let answer = Answer { status, retry_after, body: body.into(), ..Answer::default() };
        match judge(&answer, UNIX_EPOCH) {
            Verdict::Answered(response) => format!("answered by {:?}", response.uuid),
            Verdict::Unacceptable { why } => format!("unacceptable: {why}"),
            Verdict::Encoding { why } => format!("encoding: {why}"),
            Verdict::Failed { why, is_cut: true, .. } => format!("cut: {why}"),
            Verdict::Failed { why, retry_after: None, .. } => format!("failed: {why}"),
            Verdict::Failed { why, retry_after: Some(after), .. } => format!("failed for {after:?}: {why}"),
        }
    }

    #[track_caller]
    fn check(status: u16, retry_after: Option<&str>, body: &str, expected: &str) {
        let found = verdict(status, retry_after, body);
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn only_200_with_a_response_is_an_answer() {
        check(200, None, r#"{"uuid":"r","env-responses":null}"#, "answered by \"r\"");
        check(200, None, "{\"uuid\":\"r\"}\n<trailing>", "answered by \"r\"");
        check(200, None, "", "failed: answered 200 with no response: the body is empty");
        check(200, None, "<html>Log in</html>", "failed: answered 200 with no response: ");
        check(200, None, r#"{"uuid":"r""#, "failed: answered 200 with no response: ");
        check(200, None, r#"{"new-grace-period":"24h"}"#, "failed: answered 200 with no response: ");
        for status in [201, 202, 204, 301, 307, 401, 403, 404, 409, 429, 500, 503, 507] {
            check(status, None, r#"{"uuid":"r"}"#, &format!("failed: answered {status}: "));
        }
    }

    #[test]
    fn what_can_never_work_is_told_from_what_may_later() {
        check(400, None, "no", "unacceptable: answered 400: no");
        check(413, None, "", "unacceptable: answered 413");
        check(422, None, "a\nb\u{1b}[2J", "unacceptable: answered 422: a b [2J");
        check(415, None, "", "encoding: answered 415");
        check(408, None, "", "cut: answered 408");
        check(504, None, "", "cut: answered 504");
        check(503, Some("7"), "", "failed for 7s: answered 503");
        check(429, Some("Thu, 01 Jan 1970 00:01:00 GMT"), "", "failed for 60s: answered 429");
        check(503, Some("soon"), &"x".repeat(1000), "failed: answered 503: xxx");
        assert!(verdict(503, None, &"x".repeat(1000)).len() < 300);
    }
}

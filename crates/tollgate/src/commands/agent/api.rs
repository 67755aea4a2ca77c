//! What applications ask an agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tollgate_sender::{Reading, Release, Remedy, Source, Spool, SpoolError, Standing};
use tollgate_wire::{Metric, Timestamp};

use super::scrape::{now, reading};
use crate::sending;
use crate::words::time;

/// Bytes of one post of readings, at most.
const POST_BYTES_MAX: usize = 8 << 20;

/// What the requests share.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) spool: Spool,
    /// What a reading is about that does not say so.
    pub(crate) source: Source,
    /// Told when the spool has failed.
    pub(crate) failed: Arc<Notify>,
}

/// The routes; `is_exposed` when others than this machine's users may reach them with a browser.
pub(crate) fn router(agent: Agent, is_exposed: bool) -> Router {
    let router = Router::new()
        .route("/readings", post(post_readings))
        .route("/meter-status", get(meter_status))
        .route("/spool", get(spool))
        .route("/spool/release", post(release))
        .route("/healthz", get(healthz))
        .layer(DefaultBodyLimit::max(POST_BYTES_MAX))
        .with_state(agent);
    if is_exposed { router.layer(axum::middleware::from_fn(refuse_browsers)) } else { router }
}

/// A page that somebody looks at must not post readings: browsers say where a request comes from, and by which name it found us.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if headers.contains_key(header::ORIGIN) || !["127.0.0.1", "localhost", "[::1]"].contains(&name) {
        return problem(
            StatusCode::FORBIDDEN,
            "This takes requests of programs on this machine, not of web pages.",
        );
    }
    next.run(request).await
}

/// A reading as an application posts it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted<'a> {
    meter: String,
    /// A number, or a text with one; it is kept as it is written.
    #[serde(borrow)]
    value: &'a RawValue,
    time: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    model: Option<String>,
    model_name: Option<String>,
    unit: Option<String>,
    charm: Option<String>,
}

/// The readings in a body, which is one or an array of them. All can count, or none is taken.
fn readings(body: &[u8], source: &Source, now: Timestamp) -> Result<Vec<Reading>, String> {
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let posted: Result<Vec<Posted<'_>>, serde_json::Error> = match start {
        Some(b'[') => serde_json::from_slice(body),
        _ => serde_json::from_slice(body).map(|one| vec![one]),
    };
    let posted = posted.map_err(|error| format!("This is not a reading or an array of them: {error}."))?;
    let mut readings = Vec::with_capacity(posted.len());
    for (index, posted) in posted.into_iter().enumerate() {
        let reading = one(posted, source, now).map_err(|reason| format!("Reading {index}: {reason}."))?;
        readings.push(reading);
    }
    Ok(readings)
}

fn one(posted: Posted<'_>, source: &Source, now: Timestamp) -> Result<Reading, String> {
    let raw = posted.value.get();
    let value = match raw.starts_with('"') {
        true => serde_json::from_str(raw).map_err(|error| error.to_string())?,
        false => raw.to_owned(),
    };
    let time = match posted.time {
        None => now,
        Some(text) => Timestamp::parse(&text).map_err(|error| error.to_string())?,
    };
    let source = Source {
        model: posted.model.unwrap_or_else(|| source.model.clone()),
        model_name: posted.model_name.unwrap_or_else(|| source.model_name.clone()),
        unit: posted.unit.unwrap_or_else(|| source.unit.clone()),
        charm: posted.charm.unwrap_or_else(|| source.charm.clone()),
        credentials: source.credentials.clone(),
    };
    if source.model.is_empty() {
        return Err("it needs a model; say `model`, or set it in [agent]".to_owned());
    }
    let metric = Metric { key: posted.meter, value, time, labels: posted.labels };
    sending::check_batch(&source.batch(vec![metric.clone()], now)).map_err(|error| error.to_string())?;
    Ok(reading(&source, metric, now))
}

async fn post_readings(State(agent): State<Agent>, body: Bytes) -> Response {
    let readings = match readings(&body, &agent.source, now()) {
        Ok(readings) => readings,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let n_readings = readings.len();
    match on_spool(&agent, move |spool| spool.add_readings(readings, Vec::new())).await {
        Ok(()) => Json(serde_json::json!({ "recorded": n_readings })).into_response(),
        Err(problem) => problem,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    model: Option<String>,
    unit: Option<String>,
}

async fn meter_status(State(agent): State<Agent>, Query(whose): Query<Whose>) -> Json<Standing> {
    Json(agent.spool.meter_status(whose.model.as_deref(), whose.unit.as_deref()))
}

#[derive(Debug, Serialize)]
struct Shown {
    pending: u64,
    refused: u64,
    recorded: u64,
    given_up: u64,
    readings: u64,
    bytes: u64,
    damaged_records: u64,
    damaged_stretches: u64,
    consecutive_errors: u32,
    last_success: Option<String>,
    last_error: Option<String>,
}

async fn spool(State(agent): State<Agent>) -> Json<Shown> {
    let summary = agent.spool.summary();
    Json(Shown {
        pending: summary.n_pending,
        refused: summary.n_refused,
        recorded: summary.n_recorded,
        given_up: summary.n_given_up,
        readings: summary.n_readings,
        bytes: summary.n_bytes,
        damaged_records: summary.set_aside.n_records,
        damaged_stretches: summary.set_aside.n_stretches,
        consecutive_errors: summary.link.n_errors,
        last_success: summary.link.last_success_ms.map(time),
        last_error: summary.link.last_error,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: Release,
    /// All that were refused when it is not there.
    batches: Option<Vec<String>>,
}

async fn release(State(agent): State<Agent>, body: Bytes) -> Response {
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let detail = format!("This is not {{\"action\":\"send-again\"}} or alike: {error}.");
            return problem(StatusCode::BAD_REQUEST, &detail);
        }
    };
    if asked.action == Release::GiveUp && asked.batches.is_none() {
        return problem(StatusCode::BAD_REQUEST, "Name the batches that are given up.");
    }
    match on_spool(&agent, move |spool| spool.release(asked.batches.as_deref(), asked.action)).await {
        Ok(n_batches) => Json(serde_json::json!({ "released": n_batches })).into_response(),
        Err(problem) => problem,
    }
}

async fn healthz(State(agent): State<Agent>) -> Response {
    match agent.spool.is_closed() {
        false => "ok\n".into_response(),
        true => problem(StatusCode::SERVICE_UNAVAILABLE, "The spool has failed; start the agent again."),
    }
}

/// Does what takes the disk, off the threads that serve.
async fn on_spool<T: Send + 'static>(
    agent: &Agent,
    act: impl FnOnce(&Spool) -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, Response> {
    let spool = agent.spool.clone();
    let Ok(done) = tokio::task::spawn_blocking(move || act(&spool)).await else {
        return Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "This is a mistake in the agent."));
    };
    done.map_err(|error| {
        if error.remedy() == Remedy::Restart {
            agent.failed.notify_one();
        }
        let (status, detail) = refusal(error);
        problem(status, &detail)
    })
}

/// How a request is answered that the spool did not take.
fn refusal(error: SpoolError) -> (StatusCode, String) {
    let (status, what) = match error.remedy() {
        Remedy::Retry => (StatusCode::INSUFFICIENT_STORAGE, "Nothing was recorded"),
        Remedy::Mend => (StatusCode::BAD_REQUEST, "Nothing was recorded"),
        // Only the next start finds out what is stored.
        Remedy::Restart => (StatusCode::SERVICE_UNAVAILABLE, "It is not known whether this was recorded"),
    };
    (status, format!("{what}: failed to {:#}.", anyhow::Error::from(error)))
}

/// An answer by RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(body: &str) -> Result<Vec<(String, String, String)>, String> {
        let source = Source { model: "m".to_owned(), unit: "u/0".to_owned(), ..Source::default() };
        let readings = readings(body.as_bytes(), &source, Timestamp::default())?;
        Ok(readings.into_iter().map(|r| (r.source.unit, r.metric.key, r.metric.value)).collect())
    }

    #[track_caller]
    fn check_taken(body: &str, expected: &[(&str, &str, &str)]) {
        let expected = expected.iter().map(|&(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(taken(body), Ok(expected.collect()), "{body}");
    }

    #[test]
    fn a_number_stays_as_it_is_written() {
        check_taken(r#"{"meter":"a","value":12}"#, &[("u/0", "a", "12")]);
        check_taken(r#" {"meter":"a","value":0.10}"#, &[("u/0", "a", "0.10")]);
        check_taken(r#"{"meter":"a","value":"1e-3","unit":"v/1"}"#, &[("v/1", "a", "1e-3")]);
        let big = "12345678901234567890.123456789";
        check_taken(&format!(r#"[{{"meter":"a","value":{big}}}]"#), &[("u/0", "a", big)]);
        check_taken("[]", &[]);
    }

    #[track_caller]
    fn check_refused(body: &str, expected: &str) {
        let refusal = taken(body).expect_err("refused");
        assert!(refusal.starts_with(expected), "{refusal}");
    }

    #[test]
    fn an_answer_does_not_say_more_than_is_known() {
        let refused = |error| {
            let (status, detail) = refusal(error);
            (status.as_u16(), detail.split(": failed to ").next().unwrap_or_default().to_owned())
        };
        let nothing = "Nothing was recorded".to_owned();
        assert_eq!(refused(SpoolError::NoModel), (400, nothing.clone()));
        let path = || std::path::PathBuf::from("spool");
        let full = SpoolError::Full { path: path(), needed_bytes: 1, n_bytes: 1, bytes_max: 1 };
        assert_eq!(refused(full), (507, nothing));
        let source = std::io::Error::other("disk on fire");
        let failed = SpoolError::Folder { step: "sync", path: path(), source };
        assert_eq!(refused(failed), (503, "It is not known whether this was recorded".to_owned()));
    }

    #[test]
    fn what_cannot_count_is_refused() {
        check_refused("", "This is not a reading or an array of them: EOF");
        check_refused(r#"{"meter":"a"}"#, "This is not a reading or an array of them: missing field `value`");
        check_refused(
            r#"{"meter":"a","value":1,"lables":{}}"#,
            "This is not a reading or an array of them: unknown field",
        );
        check_refused(r#"[{"meter":"a","value":1},{"meter":"a","value":-1}]"#, "Reading 1: ");
        for value in ["\"twelve\"", "\"NaN\"", "null", "true", "[]", "\"\""] {
            check_refused(&format!(r#"{{"meter":"a","value":{value}}}"#), "Reading 0: ");
        }
        check_refused(r#"{"meter":"a","value":1,"model":""}"#, "Reading 0: it needs a model; say `model`");
        check_refused(r#"{"meter":"a","value":1,"time":"noon"}"#, "Reading 0: ");
    }
}

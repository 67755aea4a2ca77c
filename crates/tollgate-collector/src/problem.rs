//! What a request is told when it fails: the only place that knows status codes.
//!
//! 4xx: this request will never work. 503: send it again after a while. 507: send it again when there is room.
//! 500: a bug.

use std::borrow::Cow;

use axum::http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// How long a refused sender is asked to wait. Some groups are durable by then, and a restart has recovered.
const RETRY_AFTER_SECONDS: u16 = 5;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The body is not JSON of the right outer shape.
    BadJson { reason: String, offset: usize },
    /// The body is not what its `Content-Encoding` says.
    BadCompression { encoding: &'static str, reason: String },
    /// The body ended before its announced length, or its chunks are malformed.
    BadBody { reason: String },
    /// The body did not arrive in time.
    SlowBody { timeout_ms: u64 },
    /// The body is over a limit.
    BodyTooLarge { what: &'static str, bytes_max: usize },
    /// The body has more elements than are taken at once.
    TooManyBatches { batches_max: usize },
    /// What the body says takes more memory than there is for all requests together.
    TooManyMetrics { bytes_max: usize },
    /// The body is compressed in a way that is not understood, or more than once.
    UnsupportedEncoding { encodings: String },
    /// As much is being worked on as is allowed.
    Overloaded { what: &'static str },
    /// The ledger could not record this time, and changed nothing.
    LedgerBusy,
    /// The ledger has no room.
    DiskFull,
    /// The ledger is closed for writing.
    LedgerClosed,
    /// The ledger cannot record this, now or later.
    Unrecordable,
    /// A probe asked, and batches should not be sent here just now.
    NotReady { reason: Cow<'static, str> },
    /// A parameter of a query is not understood.
    BadParameter { reason: String },
    /// An element stays in quarantine, for it cannot be counted.
    CannotCount { reason: String },
    /// A page of another site had a browser send this.
    CrossSite,
    /// It is asked of another host than this one.
    OtherHost,
    /// What was asked a credential for is not understood.
    BadAuthorization { reason: String },
    /// The plan is not one that the charm can have.
    NoSuchPlan,
    /// Nobody chose a plan, and the charm has none by itself.
    NoDefaultPlan,
    /// Credentials are not handed to who asks.
    NotSelfService,
    /// There is no key to make credentials with.
    NoKeys,
    /// There is nothing at this path.
    NoSuchPath { instead: &'static str },
    /// There is no such model, batch or quarantined element.
    NoSuchItem { what: &'static str },
    /// The batch is recorded, and its body is kept no longer.
    BodyDropped,
    /// The path does not take this method.
    MethodNotAllowed,
    /// What is stored is damaged.
    Damaged,
    /// A bug.
    Bug,
}

/// The last part of a problem's `type`, kept with the response for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slug(pub(crate) &'static str);

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
}

impl Problem {
    /// Status, the stable last part of `type`, and the title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadJson { .. } => {
                (StatusCode::BAD_REQUEST, "bad-json", "The body is not a list of batches")
            }
            Self::BadCompression { .. } => {
                (StatusCode::BAD_REQUEST, "bad-compression", "The body cannot be decompressed")
            }
            Self::BadBody { .. } => {
                (StatusCode::BAD_REQUEST, "bad-body", "The body is incomplete or malformed")
            }
            Self::BadParameter { .. } => {
                (StatusCode::BAD_REQUEST, "bad-parameter", "A parameter is not understood")
            }
            Self::CannotCount { .. } => {
                (StatusCode::CONFLICT, "cannot-count", "The element cannot be counted")
            }
            Self::CrossSite => {
                (StatusCode::FORBIDDEN, "cross-site", "A page of another site must not do this")
            }
            Self::OtherHost => {
                (StatusCode::FORBIDDEN, "other-host", "This listener is asked by no such name")
            }
            Self::BadAuthorization { .. } => (
                StatusCode::BAD_REQUEST,
                "bad-authorization",
                "The request for a credential is not understood",
            ),
            Self::NoSuchPlan => (StatusCode::NOT_FOUND, "no-such-plan", "There is no such plan"),
            Self::NoDefaultPlan => (StatusCode::NOT_FOUND, "no-default-plan", "There is no default plan"),
            Self::NotSelfService => {
                (StatusCode::FORBIDDEN, "not-self-service", "Credentials are not handed out here")
            }
            Self::NoKeys => {
                (StatusCode::NOT_IMPLEMENTED, "no-keys", "The collector has no key to make credentials with")
            }
            Self::NoSuchPath { .. } => {
                (StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path")
            }
            Self::NoSuchItem { .. } => (StatusCode::NOT_FOUND, "no-such-item", "There is no such thing"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method")
            }
            Self::SlowBody { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "slow-body", "The body did not arrive in time")
            }
            Self::BodyTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            }
            Self::TooManyBatches { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-many-batches", "The body has too many batches")
            }
            Self::TooManyMetrics { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-many-metrics", "The body has too many metrics")
            }
            Self::UnsupportedEncoding { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", "The encoding is not supported")
            }
            Self::Unrecordable => {
                (StatusCode::INTERNAL_SERVER_ERROR, "unrecordable", "The ledger cannot record this")
            }
            Self::BodyDropped => (StatusCode::GONE, "body-dropped", "The batch's body was dropped"),
            Self::Damaged => (StatusCode::INTERNAL_SERVER_ERROR, "damaged", "What is stored is damaged"),
            Self::Bug => (StatusCode::INTERNAL_SERVER_ERROR, "bug", "The collector has a bug"),
            Self::Overloaded { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The collector is busy")
            }
            Self::LedgerBusy => (StatusCode::SERVICE_UNAVAILABLE, "ledger-busy", "The ledger is busy"),
            Self::NotReady { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "The collector takes no batches now")
            }
            Self::LedgerClosed => (StatusCode::SERVICE_UNAVAILABLE, "ledger-closed", "The ledger is closed"),
            Self::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The ledger's disk is full"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::BadJson { reason, .. }
            | Self::BadBody { reason }
            | Self::BadParameter { reason }
            | Self::BadAuthorization { reason } => reason.clone(),
            Self::BadCompression { encoding, reason } => {
                format!("The body is said to be {encoding} but {reason}. Nothing of it was recorded.")
            }
            Self::SlowBody { timeout_ms } => {
                format!("The body had {timeout_ms} ms to arrive. Nothing of it was recorded: send it again.")
            }
            Self::BodyTooLarge { what, bytes_max } => {
                format!(
                    "{what} may have {bytes_max} bytes. Nothing of it was recorded: post fewer batches at once."
                )
            }
            Self::TooManyBatches { batches_max } => {
                format!(
                    "A body may have {batches_max} batches. Nothing of it was recorded: post fewer at once."
                )
            }
            Self::TooManyMetrics { bytes_max } => {
                format!(
                    "Decoded, a body may take {bytes_max} bytes. Nothing of it was recorded: post fewer metrics at \
                     once."
                )
            }
            Self::UnsupportedEncoding { encodings } => format!(
                "Content-Encoding {encodings:?} is not understood: use one of gzip or zstd, once, or none."
            ),
            Self::Overloaded { what } => {
                format!("As many {what} are in work as are allowed. Nothing was recorded: send it again.")
            }
            Self::LedgerBusy => "Nothing is acknowledged: send it again.".to_owned(),
            Self::DiskFull => {
                "Nothing is acknowledged: send it again when the operator has freed space.".to_owned()
            }
            Self::LedgerClosed => {
                "Nothing is acknowledged: send it again when the collector has restarted.".to_owned()
            }
            Self::Unrecordable => {
                "Nothing is acknowledged, and will not be when it comes again: the collector's log says why."
                    .to_owned()
            }
            Self::NotReady { reason } => format!("Not ready: {reason}."),
            Self::CannotCount { reason } => format!("It stays in quarantine: {reason}."),
            Self::CrossSite => {
                "Send it without the headers Origin and Sec-Fetch-Site, or from a page of this listener. Nothing was changed."
                    .to_owned()
            }
            Self::NoSuchPlan => {
                "The charm cannot have this plan: GET /charm?charm-url=… lists those that it can.".to_owned()
            }
            Self::NoDefaultPlan => {
                "The charm has no default plan: choose one of those that GET /charm?charm-url=… lists.".to_owned()
            }
            Self::NotSelfService => {
                "This collector hands out no credentials: ask its operator for one, who makes it with `tollgate credential \
                 mint`."
                    .to_owned()
            }
            Self::NoKeys => {
                "This collector has no key to make credentials with: its operator makes one with `tollgate credential \
                 new-key FILE` and names the file as keys_file in [credential]."
                    .to_owned()
            }
            Self::OtherHost => {
                "Ask it by an address or as localhost; a proxy in front of it has to send such a Host. Else a page of \
                 another site, whose name leads here, could read and decide as the operator does."
                    .to_owned()
            }
            Self::NoSuchPath { instead } => (*instead).to_owned(),
            Self::NoSuchItem { what } => format!("The ledger holds no such {what}."),
            Self::BodyDropped => {
                "The batch counts, and a copy of it is a duplicate; retention dropped its credentials. \
                                  `tollgate export` has what is left of it."
                    .to_owned()
            }
            Self::MethodNotAllowed => "The Allow header lists what it takes.".to_owned(),
            Self::Damaged => {
                "The collector's log says what and where; `tollgate verify` checks all.".to_owned()
            }
            Self::Bug => "The collector's log says where.".to_owned(),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Overloaded { .. } | Self::LedgerBusy | Self::LedgerClosed | Self::DiskFull => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            Self::SlowBody { .. } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::UnsupportedEncoding { .. } => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
            }
            // Where the rest of the body would begin is not known.
            Self::BadBody { .. } | Self::BodyTooLarge { .. } => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::BadJson { .. }
            | Self::BadCompression { .. }
            | Self::BadParameter { .. }
            | Self::CannotCount { .. }
            | Self::CrossSite
            | Self::OtherHost
            | Self::NotReady { .. }
            | Self::TooManyBatches { .. }
            | Self::TooManyMetrics { .. }
            | Self::BadAuthorization { .. }
            | Self::NoSuchPlan
            | Self::NoDefaultPlan
            | Self::NotSelfService
            | Self::NoKeys
            | Self::NoSuchPath { .. }
            | Self::NoSuchItem { .. }
            | Self::BodyDropped
            | Self::MethodNotAllowed
            | Self::Unrecordable
            | Self::Damaged
            | Self::Bug => {}
        }
        headers
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.kind();
        let offset = match &self {
            Self::BadJson { offset, .. } => Some(*offset),
            _ => None,
        };
        let document = Document {
            r#type: format!("urn:tollgate:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            offset,
        };
        let body = serde_json::to_vec(&document).expect("strings and numbers always serialize");
        let mut response = (status, self.headers(), body).into_response();
        response.extensions_mut().insert(Slug(slug));
        response
    }
}

/// A problem as the clients read it that ask for credentials. They came from different teams: Juju wants the text as `error`,
/// JIMM and the plan tools as `message` beside a `code`.
pub(crate) struct ToldJuju(Problem);

impl From<Problem> for ToldJuju {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ToldJuju {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a str,
            code: &'a str,
            message: &'a str,
        }

        let Self(problem) = self;
        let (status, slug, _) = problem.kind();
        let text = problem.detail();
        let body = serde_json::to_vec(&Document { error: &text, code: slug, message: &text })
            .expect("strings always serialize");
        let mut headers = problem.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut response = (status, headers, body).into_response();
        response.extensions_mut().insert(Slug(slug));
        response
    }
}

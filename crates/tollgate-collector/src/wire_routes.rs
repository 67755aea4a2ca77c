//! Where senders post.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::body::throw_away;
use crate::credential_routes::{self, Issuer};
use crate::post::Post;
use crate::problem::Problem;
use crate::reply::AnswerShape;

/// Under which bases senders know a collector. Juju appends `/metrics` to whatever its `metering-url` says, and over the
/// years the collector's own address carried these.
pub(crate) const BASES: [&str; 6] = ["", "/v2", "/v3", "/omnibus", "/omnibus/v2", "/omnibus/v3"];

const NO_SUCH_PATH: Problem = Problem::NoSuchPath { instead: "POST batches to /metrics." };

/// All that the wire listener answers. Nothing redirects: a Go client follows a redirect with a GET, which looks like an
/// empty success.
pub(crate) fn router(post_state: Arc<Post>, issuer: Arc<Issuer>) -> Router {
    let mut router = Router::new();
    for base in BASES {
        // A configured base may end in a slash; JEM 0.9 posted to the base itself.
        for path in ["/metrics", "//metrics", "/"] {
            router = router.route(&format!("{base}{path}"), post(metrics));
        }
        if !base.is_empty() {
            router = router.route(base, post(metrics));
        }
        router = router.route(&format!("{base}/users/metrics"), post(users_metrics));
        router = router.route(&format!("{base}/v4/jimm/metrics"), post(jimm_metrics));
    }
    router
        .merge(credential_routes::router(issuer))
        .fallback(async |request| refuse(request, NO_SUCH_PATH))
        .method_not_allowed_fallback(async |request| refuse(request, Problem::MethodNotAllowed))
        .with_state(post_state)
}

async fn metrics(State(post): State<Arc<Post>>, request: Request) -> Result<Response, Problem> {
    answer(&post, request, AnswerShape::ByContent).await
}

async fn users_metrics(State(post): State<Arc<Post>>, request: Request) -> Result<Response, Problem> {
    answer(&post, request, AnswerShape::Users).await
}

async fn jimm_metrics(State(post): State<Arc<Post>>, request: Request) -> Result<Response, Problem> {
    answer(&post, request, AnswerShape::Jimm).await
}

async fn answer(post: &Post, request: Request, shape: AnswerShape) -> Result<Response, Problem> {
    let body = post.answer(request, shape).await?;
    // By RFC 7694: so a sender learns what it may compress its next request with.
    let headers = [(CONTENT_TYPE, "application/json"), (ACCEPT_ENCODING, "zstd, gzip")];
    Ok((headers, body).into_response())
}

fn refuse(request: Request, problem: Problem) -> Problem {
    let (head, body) = request.into_parts();
    throw_away(&head.headers, body);
    problem
}

//! What is counted and logged of every request.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{debug, error, info, warn};

use crate::metrics::{ListenerName, Metrics};
use crate::problem::{Problem, Slug};
use crate::server::Peer;

/// Counts and logs every request, and answers a panic with 500.
pub(crate) fn observed(router: Router, listener: ListenerName, metrics: Arc<Metrics>) -> Router {
    router
        .layer(CatchPanicLayer::custom(|_panic| {
            error!("the handler of a request panicked: a bug");
            Problem::Bug.into_response()
        }))
        .layer(from_fn_with_state((listener, metrics), observe))
}

async fn observe(
    State((listener, metrics)): State<(ListenerName, Arc<Metrics>)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    // The pattern, not the path: what is counted and logged is never a sender's text.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let response = next.run(request).await;

    let took = started.elapsed();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status().as_u16();
    metrics.count_request(listener, route, status, took);
    let listener = listener.as_str();
    let problem = response.extensions().get::<Slug>().map_or("none", |slug| slug.0);
    let took_us = took.as_micros();
    match status {
        500.. => warn!(listener, route, status, problem, took_us, ?peer, "could not answer a request"),
        400.. => info!(listener, route, status, problem, took_us, ?peer, "refused a request"),
        _ => debug!(listener, route, status, took_us, ?peer, "answered a request"),
    }
    response
}

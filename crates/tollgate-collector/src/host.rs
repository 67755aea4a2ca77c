//! By what name the admin listener is asked.

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Refuses what is asked of another host.
///
/// A page of another site can have its own name lead to this host, whereupon a browser takes the page and this listener for one
/// site: the page may read what is here, and decide. Only the name in its requests gives it away.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if is_of_this_host(&request) { next.run(request).await } else { Problem::OtherHost.into_response() }
}

fn is_of_this_host(request: &Request) -> bool {
    if let Some(authority) = request.uri().authority() {
        return is_local(authority.host());
    }
    // Every browser names a host.
    let Some(host) = request.headers().get(HOST) else { return true };
    Authority::try_from(host.as_bytes()).is_ok_and(|authority| is_local(authority.host()))
}

/// An address is no name that could lead elsewhere, and `localhost` leads nowhere else.
fn is_local(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[track_caller]
    fn check(uri: &str, host: Option<&str>, expected: bool) {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let request = request.body(Body::empty()).expect("a request");
        assert_eq!(is_of_this_host(&request), expected, "{uri} {host:?}");
    }

    #[test]
    fn only_addresses_and_localhost_are_of_this_host() {
        for host in
            ["127.0.0.1:8481", "127.0.0.1", "[::1]:8481", "localhost:9", "LocalHost", "tollgate.localhost"]
        {
            check("/", Some(host), true);
        }
        for host in [
            "evil.example",
            "evil.example:8481",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a b",
            "",
        ] {
            check("/", Some(host), false);
        }
        check("/", None, true);
        check("http://evil.example/", Some("127.0.0.1"), false);
        check("http://127.0.0.1:8481/", Some("127.0.0.1"), true);
    }
}

//! The checks that every request must pass, and the security headers that every response carries.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Only code that the page itself contains may run, and it may contact only this server.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
     worker-src 'self' blob:; manifest-src 'self'; base-uri 'self'; form-action 'none'; \
     frame-ancestors 'none'";

/// Refuses requests that are not read-only, or that come from another origin, and adds the security
/// headers to the response.
pub(super) async fn enforce(is_loopback: bool, request: Request, next: Next) -> Response {
    let mut response = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allowed = [(header::ALLOW, "GET, HEAD")];
        (StatusCode::METHOD_NOT_ALLOWED, allowed, "this server is read-only: use GET or HEAD\n")
            .into_response()
    } else if is_loopback && !host_is_loopback(request.headers()) {
        // A foreign page whose DNS name was pointed at this host (DNS rebinding).
        (StatusCode::FORBIDDEN, "the Host header must name a loopback address or localhost\n")
            .into_response()
    } else if !is_same_origin(request.headers()) {
        (StatusCode::FORBIDDEN, "requests from other origins are not allowed\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Other origins cannot even embed the responses.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    // Responses without a caching rule of their own describe the current moment only.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn host_is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = header_text(headers, header::HOST) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns whether the request comes from the page's own origin. Programs other than browsers send
/// no `Origin`.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = header_text(headers, header::ORIGIN) else {
        return !headers.contains_key(header::ORIGIN);
    };
    let Some(host) = header_text(headers, header::HOST) else { return false };
    ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str, origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn only_same_origin_requests_are_allowed() {
        assert!(is_same_origin(&headers("127.0.0.1:7780", None)));
        assert!(is_same_origin(&headers("127.0.0.1:7780", Some("http://127.0.0.1:7780"))));
        for origin in ["http://127.0.0.1:80", "http://evil.example", "null", "127.0.0.1:7780"] {
            assert!(!is_same_origin(&headers("127.0.0.1:7780", Some(origin))), "{origin}");
        }
    }

    #[test]
    fn rebound_dns_name_is_rejected() {
        for host in ["localhost:1", "127.0.0.1", "127.9.9.9:80", "[::1]:7780", "a.localhost:1"] {
            assert!(host_is_loopback(&headers(host, None)), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "localhost.evil"] {
            assert!(!host_is_loopback(&headers(host, None)), "{host}");
        }
    }
}

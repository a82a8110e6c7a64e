//! What every request has to be, and what every answer says about itself.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Only what the page itself brings may run, and it may talk to nobody else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
     worker-src 'self' blob:; manifest-src 'self'; base-uri 'self'; form-action 'none'; \
     frame-ancestors 'none'";

/// Refuses what isn't a plain reading request of somebody who may read, and marks the answer.
pub(super) async fn enforce(is_loopback: bool, request: Request, next: Next) -> Response {
    let mut response = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allowed = [(header::ALLOW, "GET, HEAD")];
        (StatusCode::METHOD_NOT_ALLOWED, allowed, "this server is read-only here\n").into_response()
    } else if is_loopback && !host_is_loopback(request.headers()) {
        // A page elsewhere whose name was made to point here (DNS rebinding).
        (StatusCode::FORBIDDEN, "ask for it by its own address\n").into_response()
    } else if !is_same_origin(request.headers()) {
        (StatusCode::FORBIDDEN, "another origin\n").into_response()
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
    // Other origins can't even embed what is here.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    // What nobody has said anything else about is true at this moment only.
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

/// Programs send no `Origin`. A browser does, and it has to be the page's own.
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

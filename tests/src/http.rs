//! A minimal HTTP client: one request for each connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::log::log;
use crate::wait::WAIT_LIMIT;

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes after the headers.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parses the body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Requests a path with GET. The path is sent unchanged, so that a test can send a malformed path.
///
/// # Panics
/// As [`request`].
#[track_caller]
pub fn get(server: SocketAddr, path: &str) -> Response {
    request(server, "GET", path, &[])
}

/// Sends a request without a body. The `host` header is the server's address unless `headers`
/// contains another.
///
/// # Panics
/// If the server cannot be reached, or its response is not HTTP.
#[track_caller]
pub fn request(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut stream = TcpStream::connect_timeout(&server, WAIT_LIMIT).expect("the server listens");
    stream.set_read_timeout(Some(WAIT_LIMIT)).expect("a timeout");
    // With HTTP/1.0 the body is not chunked, and ends when the connection does.
    let mut text = format!("{method} {path} HTTP/1.0\r\ncontent-length: 0\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.extend(["host: ", &server.to_string(), "\r\n"]);
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).expect("the server reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server responds");
    let response = parse(&bytes).unwrap_or_else(|| {
        panic!("{method} {path}: not HTTP: {:?}", String::from_utf8_lossy(&bytes))
    });
    let (status, len) = (response.status, response.body.len());
    log("http", format_args!("{method} {path}: {status}, {len} bytes"));
    response
}

fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name, value.trim())))
        .map(|header| header.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())))
        .collect::<Option<Vec<_>>>()?;
    Some(Response { status, headers, body: bytes[end + 4..].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_parsed() {
        let response = parse(b"HTTP/1.0 404 Not Found\r\nX-One: 1\r\n\r\nbody").expect("HTTP");
        assert_eq!((response.status, response.header("x-one")), (404, Some("1")));
        assert_eq!(response.text(), "body");
        assert!(parse(b"nonsense").is_none());
    }
}

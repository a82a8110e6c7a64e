//! A small HTTP client: one request, one answer, one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::log::{PATIENCE, tell};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The bytes after the headers.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }
}

/// Gets a path. It is sent as it is written here, so that a test can ask for odd ones.
#[track_caller]
pub fn get(server: SocketAddr, path: &str) -> Answer {
    request(server, "GET", path, &[])
}

/// Makes a request without a body. Its `host` is the server's address unless another is given.
#[track_caller]
pub fn request(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // HTTP/1.0: the answer comes whole and ends with the connection.
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
    stream.read_to_end(&mut bytes).expect("the server answers");
    let answer = parse(&bytes).unwrap_or_else(|| {
        panic!("{method} {path}: not HTTP: {:?}", String::from_utf8_lossy(&bytes))
    });
    tell("http", format_args!("{method} {path}: {}, {}", answer.status, answer.body.len()));
    answer
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name, value.trim())))
        .map(|header| header.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())))
        .collect::<Option<Vec<_>>>()?;
    Some(Answer { status, headers, body: bytes[end + 4..].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nX-One: 1\r\n\r\nbody").expect("HTTP");
        assert_eq!((answer.status, answer.header("x-one")), (404, Some("1")));
        assert_eq!(answer.text(), "body");
        assert!(parse(b"nonsense").is_none());
    }
}

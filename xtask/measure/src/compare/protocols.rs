//! The protocols of the other servers: the requests by which a client acquires and releases a lock
//! of its own, and the replies that have to follow.

use anyhow::{bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::driver::{Protocol, Reply, Step};

/// The length of the echo's payload: about that of a request to leasehold.
const ECHO_LEN: usize = 128;

/// An upper limit of the headers in a reply of etcd, which has about six.
const HEADERS_MAX: usize = 32;

/// Datagrams that come back unchanged: the cost of the machine's network by itself.
pub(crate) struct Echo;

/// `SET key client NX PX 5000`, then `DEL key`. A release that checks the owner would need a
/// script, and would be somewhat slower.
pub(crate) struct Redis {
    pub(crate) run: usize,
}

/// A put and a delete through etcd's HTTP gateway.
pub(crate) struct Etcd {
    pub(crate) run: usize,
}

/// The Python server of a first exercise.
pub(crate) struct Coursework {
    pub(crate) run: usize,
}

impl Protocol for Echo {
    fn is_udp(&self) -> bool {
        true
    }

    fn write_request(&self, _client: usize, step: Step, out: &mut Vec<u8>) {
        out.push(match step {
            Step::Acquire => b'a',
            Step::Release => b'r',
        });
        out.resize(ECHO_LEN, b'.');
    }

    fn check_reply(&self, client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Reply> {
        let mut expected = Vec::new();
        self.write_request(client, step, &mut expected);
        Ok(if bytes == expected { Reply::Complete } else { Reply::Unrelated })
    }
}

impl Protocol for Redis {
    fn is_udp(&self) -> bool {
        false
    }

    fn write_request(&self, client: usize, step: Step, out: &mut Vec<u8>) {
        let key = format!("lock-{}-{client}", self.run);
        let value = format!("client-{client}");
        let words: &[&str] = match step {
            Step::Acquire => &["SET", &key, &value, "NX", "PX", "5000"],
            Step::Release => &["DEL", &key],
        };
        out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    fn check_reply(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Reply> {
        if !bytes.ends_with(b"\r\n") {
            return Ok(Reply::Incomplete);
        }
        let expected: &[u8] = match step {
            Step::Acquire => b"+OK\r\n",
            Step::Release => b":1\r\n",
        };
        let text = String::from_utf8_lossy(bytes);
        ensure!(bytes == expected, "unexpected reply of Redis: {text:?}");
        Ok(Reply::Complete)
    }
}

impl Protocol for Etcd {
    fn is_udp(&self) -> bool {
        false
    }

    fn write_request(&self, client: usize, step: Step, out: &mut Vec<u8>) {
        let key = STANDARD.encode(format!("lock-{}-{client}", self.run));
        let (path, body) = match step {
            Step::Acquire => {
                let value = STANDARD.encode(format!("client-{client}"));
                ("put", json!({"key": key, "value": value}))
            }
            Step::Release => ("deleterange", json!({"key": key})),
        };
        let body = body.to_string();
        let head = format!(
            "POST /v3/kv/{path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body.as_bytes());
    }

    /// A client library with a connection of its own cannot take part in the driver's one poll, so
    /// only the head is parsed by a library.
    fn check_reply(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Reply> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes)? else {
            return Ok(Reply::Incomplete);
        };
        let text = String::from_utf8_lossy(bytes);
        ensure!(response.code == Some(200), "unexpected reply of etcd: {text}");
        let mut headers = response.headers.iter();
        let len = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let len = len.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
        let Some(len) = len else { bail!("a reply of etcd has no length: {text}") };
        let body = &bytes[head..];
        if body.len() < len {
            return Ok(Reply::Incomplete);
        }
        let is_deleted = step == Step::Acquire || text.contains("\"deleted\":\"1\"");
        ensure!(is_deleted, "etcd has deleted nothing: {text}");
        Ok(Reply::Complete)
    }
}

impl Protocol for Coursework {
    fn is_udp(&self) -> bool {
        true
    }

    fn write_request(&self, client: usize, step: Step, out: &mut Vec<u8>) {
        let (op, id) = match step {
            Step::Acquire => ("acquire", 0),
            Step::Release => ("release", 1),
        };
        let lock = format!("lock-{}-{client}", self.run);
        let request = json!({"op": op, "id": id, "lock": lock, "client": client});
        out.extend_from_slice(request.to_string().as_bytes());
    }

    fn check_reply(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Reply> {
        let reply: Value = serde_json::from_slice(bytes)?;
        let (id, expected) = match step {
            Step::Acquire => (0, "granted"),
            Step::Release => (1, "released"),
        };
        if reply["re"] != id {
            return Ok(Reply::Unrelated);
        }
        // If the reply to a release was lost, the retransmission is answered by `not_holder`.
        ensure!(
            reply["status"] == expected || reply["status"] == "not_holder",
            "unexpected reply of the Python server: {reply}"
        );
        Ok(Reply::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_incomplete_complete_or_wrong() {
        let redis = Redis { run: 1 };
        let check = |bytes: &[u8]| redis.check_reply(0, Step::Acquire, bytes);
        assert_eq!(check(b"+O").unwrap(), Reply::Incomplete);
        assert_eq!(check(b"+OK\r\n").unwrap(), Reply::Complete);
        assert!(check(b"$-1\r\n").is_err(), "the lock is held");
        let etcd = Etcd { run: 1 };
        let check = |bytes: &[u8]| etcd.check_reply(0, Step::Release, bytes);
        let complete = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"deleted\":\"1\"}";
        assert_eq!(check(&complete[..20]).unwrap(), Reply::Incomplete);
        assert_eq!(check(&complete[..50]).unwrap(), Reply::Incomplete);
        assert_eq!(check(complete).unwrap(), Reply::Complete);
        assert!(check(b"HTTP/1.1 503 No\r\n\r\n").is_err());
    }
}

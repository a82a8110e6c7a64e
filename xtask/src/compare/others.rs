//! How the others are spoken to: the requests by which each takes and gives back a lock of the
//! client's own, and what has to come in answer.

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::driver::{Heard, Step, Talk};

/// How long a payload of the echo is: about as long as a request of leasehold's.
const ECHO_LEN: usize = 128;

/// Datagrams that come back as they were sent: what the machine's network costs by itself.
pub(crate) struct Echo;

/// `SET key client NX PX 5000`, then `DEL key`. A release that looks whose lock it is would be a
/// script, and somewhat slower.
pub(crate) struct Redis {
    pub(crate) run: usize,
}

/// A put and a delete through its HTTP gateway.
pub(crate) struct Etcd {
    pub(crate) run: usize,
}

/// The server of a first exercise.
pub(crate) struct Coursework {
    pub(crate) run: usize,
}

impl Talk for Echo {
    fn is_udp(&self) -> bool {
        true
    }

    fn ask(&self, _client: usize, step: Step, out: &mut Vec<u8>) {
        out.push(match step {
            Step::Acquire => b'a',
            Step::Release => b'r',
        });
        out.resize(ECHO_LEN, b'.');
    }

    fn hear(&self, client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Heard> {
        let mut expected = Vec::new();
        self.ask(client, step, &mut expected);
        Ok(if bytes == expected { Heard::All } else { Heard::Other })
    }
}

impl Talk for Redis {
    fn is_udp(&self) -> bool {
        false
    }

    fn ask(&self, client: usize, step: Step, out: &mut Vec<u8>) {
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

    fn hear(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Heard> {
        if !bytes.ends_with(b"\r\n") {
            return Ok(Heard::Part);
        }
        let expected: &[u8] = match step {
            Step::Acquire => b"+OK\r\n",
            Step::Release => b":1\r\n",
        };
        ensure!(bytes == expected, "Redis says {:?}", String::from_utf8_lossy(bytes));
        Ok(Heard::All)
    }
}

impl Talk for Etcd {
    fn is_udp(&self) -> bool {
        false
    }

    fn ask(&self, client: usize, step: Step, out: &mut Vec<u8>) {
        let key = base64(format!("lock-{}-{client}", self.run).as_bytes());
        let (path, body) = match step {
            Step::Acquire => {
                let value = base64(format!("client-{client}").as_bytes());
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

    fn hear(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Heard> {
        let text = String::from_utf8_lossy(bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(Heard::Part) };
        ensure!(head.starts_with("HTTP/1.1 200"), "etcd says {text}");
        let len = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_len = name.eq_ignore_ascii_case("content-length");
            is_len.then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let Some(len) = len else { bail!("etcd does not say how long its answer is: {head}") };
        if body.len() < len {
            return Ok(Heard::Part);
        }
        let deleted = step == Step::Acquire || body.contains("\"deleted\":\"1\"");
        ensure!(deleted, "etcd has deleted nothing: {body}");
        Ok(Heard::All)
    }
}

impl Talk for Coursework {
    fn is_udp(&self) -> bool {
        true
    }

    fn ask(&self, client: usize, step: Step, out: &mut Vec<u8>) {
        let (op, id) = match step {
            Step::Acquire => ("acquire", 0),
            Step::Release => ("release", 1),
        };
        let lock = format!("lock-{}-{client}", self.run);
        let request = json!({"op": op, "id": id, "lock": lock, "client": client});
        out.extend_from_slice(request.to_string().as_bytes());
    }

    fn hear(&self, _client: usize, step: Step, bytes: &[u8]) -> anyhow::Result<Heard> {
        let reply: Value = serde_json::from_slice(bytes)?;
        let (id, expected) = match step {
            Step::Acquire => (0, "granted"),
            Step::Release => (1, "released"),
        };
        if reply["re"] != id {
            return Ok(Heard::Other);
        }
        // Where the first answer to a release was lost, the second says so.
        ensure!(
            reply["status"] == expected || reply["status"] == "not_holder",
            "the Python server says {reply}"
        );
        Ok(Heard::All)
    }
}

/// RFC 4648, with padding. etcd's gateway takes keys in no other form.
fn base64(bytes: &[u8]) -> String {
    let letters = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']);
    let alphabet: Vec<char> = letters.collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = alphabet[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn answers_are_whole_or_wrong() {
        let redis = Redis { run: 1 };
        assert_eq!(redis.hear(0, Step::Acquire, b"+O").unwrap(), Heard::Part);
        assert_eq!(redis.hear(0, Step::Acquire, b"+OK\r\n").unwrap(), Heard::All);
        assert!(redis.hear(0, Step::Acquire, b"$-1\r\n").is_err(), "it is held");
        let etcd = Etcd { run: 1 };
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"deleted\":\"1\"}";
        assert_eq!(etcd.hear(0, Step::Release, &whole[..50]).unwrap(), Heard::Part);
        assert_eq!(etcd.hear(0, Step::Release, whole).unwrap(), Heard::All);
        assert!(etcd.hear(0, Step::Release, b"HTTP/1.1 503 No\r\n\r\n").is_err());
    }
}

//! A blocking client with one request at a time. It implements the protocol independently, so that
//! the measurements and checks do not rely on the project's own client.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The first and the longest interval between transmissions of a request.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// How long a reply may take. It includes the time until a killed server is restarted.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The pause after the system reports that the server's port is closed.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// The size limit of a datagram.
const LEN_MAX: usize = 1_500;

/// A session with the server.
pub(super) struct LockClient {
    socket: UdpSocket,
    session: String,
    seq: u64,
}

/// A final reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    json: Value,
    /// Whether the request was sent only once, so that no earlier transmission can have had an
    /// effect.
    pub(super) is_first_attempt: bool,
}

impl LockClient {
    pub(super) fn open(
        server: SocketAddr,
        name: &str,
        nonce: u64,
        lease_ms: u64,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(server)?;
        let mut client = Self { socket, session: String::new(), seq: 0 };
        let hello = format!(
            r#""op":"hello","client":"{name}","nonce":"{nonce:016x}","lease_ms":{lease_ms}"#
        );
        let reply = client.exchange(&hello)?;
        let session = reply.text("session").context("the server has opened no session")?;
        session.clone_into(&mut client.session);
        Ok(client)
    }

    /// Acquires a lock, and waits in its queue if it is held.
    pub(super) fn acquire(&mut self, lock: &str, wait_ms: u64) -> anyhow::Result<Reply> {
        self.request("acquire_lock", &format!(r#","lock":"{lock}","wait_ms":{wait_ms}"#))
    }

    pub(super) fn append(&mut self, file: &str, token: u64, line: &str) -> anyhow::Result<Reply> {
        let data = Value::from(line);
        self.request("append_file", &format!(r#","file":"{file}","token":{token},"data":{data}"#))
    }

    pub(super) fn release(&mut self, lock: &str, token: u64) -> anyhow::Result<Reply> {
        self.request("release_lock", &format!(r#","lock":"{lock}","token":{token}"#))
    }

    fn request(&mut self, op: &str, fields: &str) -> anyhow::Result<Reply> {
        self.seq += 1;
        let (session, seq) = (&self.session, self.seq);
        let request = format!(r#""op":"{op}","session":"{session}","seq":{seq}{fields}"#);
        self.exchange(&request)
    }

    /// Sends a request until its final reply arrives.
    fn exchange(&self, request: &str) -> anyhow::Result<Reply> {
        let (begin, mut buffer) = (Instant::now(), [0; LEN_MAX]);
        let mut interval = RETRY_FIRST;
        for attempt in 0_u64.. {
            if begin.elapsed() > TIME_LIMIT {
                break;
            }
            let datagram = format!(r#"{{"v":1,"attempt":{attempt},{request}}}"#);
            // A datagram that cannot be sent counts as lost.
            let _ = self.socket.send(datagram.as_bytes());
            let until = Instant::now() + interval;
            while let Some(reply) = self.receive(until, &mut buffer)? {
                if reply.get("status").and_then(Value::as_str) != Some("queued") {
                    return Ok(Reply { json: reply, is_first_attempt: attempt == 0 });
                }
            }
            interval = (interval * 2).min(RETRY_MAX);
        }
        bail!("no reply within {TIME_LIMIT:?} to {request}")
    }

    /// Returns the next reply to the last request, or `None` if none arrives in time.
    fn receive(&self, until: Instant, buffer: &mut [u8]) -> anyhow::Result<Option<Value>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(buffer) {
                Ok(len) => {
                    let reply: Value = serde_json::from_slice(&buffer[..len])?;
                    if reply.get("re").and_then(Value::as_u64) == Some(self.seq) {
                        return Ok(Some(reply));
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    thread::sleep(REFUSED_PAUSE);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("cannot receive from the server"),
            }
        }
    }
}

impl Reply {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.json.get(field)?.as_str()
    }

    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.json.get(field)?.as_u64()
    }

    pub(super) fn has_status(&self, status: &str) -> bool {
        self.text("status") == Some(status)
    }

    /// Returns the code of a refusal, or an empty text.
    pub(super) fn code(&self) -> &str {
        self.text("code").unwrap_or_default()
    }
}

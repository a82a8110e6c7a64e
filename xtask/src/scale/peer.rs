//! A client that asks one thing after the other, by itself: the protocol written once more, so that
//! what is measured and checked does not rest on the project's own client.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// How long an answer is waited for before it is asked again, first and at last.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LAST: Duration = Duration::from_millis(500);

/// How long an answer may take altogether: a server may be gone for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pauses where nobody listens, which the system tells at once.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// The largest datagram.
const LEN_MAX: usize = 1_500;

/// A session.
pub(super) struct Peer {
    socket: UdpSocket,
    session: String,
    seq: u64,
}

/// What came in answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    reply: Value,
    /// Whether it was asked only once: then nothing of it was done before.
    pub(super) at_once: bool,
}

impl Peer {
    pub(super) fn open(
        server: SocketAddr,
        name: &str,
        nonce: u64,
        lease_ms: u64,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(server)?;
        let mut peer = Self { socket, session: String::new(), seq: 0 };
        let hello = format!(
            r#""op":"hello","client":"{name}","nonce":"{nonce:016x}","lease_ms":{lease_ms}"#
        );
        let answer = peer.hear(&hello)?;
        answer.text("session").context("it was not welcome")?.clone_into(&mut peer.session);
        Ok(peer)
    }

    /// Acquires a lock, waiting in line where somebody has it.
    pub(super) fn acquire(&mut self, lock: &str, wait_ms: u64) -> anyhow::Result<Answer> {
        self.ask("acquire_lock", &format!(r#","lock":"{lock}","wait_ms":{wait_ms}"#))
    }

    pub(super) fn append(&mut self, file: &str, token: u64, line: &str) -> anyhow::Result<Answer> {
        let data = Value::from(line);
        self.ask("append_file", &format!(r#","file":"{file}","token":{token},"data":{data}"#))
    }

    pub(super) fn release(&mut self, lock: &str, token: u64) -> anyhow::Result<Answer> {
        self.ask("release_lock", &format!(r#","lock":"{lock}","token":{token}"#))
    }

    fn ask(&mut self, op: &str, fields: &str) -> anyhow::Result<Answer> {
        self.seq += 1;
        let (session, seq) = (&self.session, self.seq);
        let request = format!(r#""op":"{op}","session":"{session}","seq":{seq}{fields}"#);
        self.hear(&request)
    }

    /// Asks until there is an answer that is the last word.
    fn hear(&self, request: &str) -> anyhow::Result<Answer> {
        let (begun, mut buffer) = (Instant::now(), [0; LEN_MAX]);
        let mut pause = AGAIN_FIRST;
        for attempt in 0_u64.. {
            if begun.elapsed() > PATIENCE {
                break;
            }
            let datagram = format!(r#"{{"v":1,"attempt":{attempt},{request}}}"#);
            // What is not sent is lost, as any datagram may be.
            let _ = self.socket.send(datagram.as_bytes());
            let until = Instant::now() + pause;
            while let Some(reply) = self.receive(until, &mut buffer)? {
                if reply.get("status").and_then(Value::as_str) != Some("queued") {
                    return Ok(Answer { reply, at_once: attempt == 0 });
                }
            }
            pause = (pause * 2).min(AGAIN_LAST);
        }
        bail!("no answer to {request}")
    }

    /// The next reply to what was asked last, if it comes in time.
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
                Err(error) => return Err(error).context("the server can't be heard"),
            }
        }
    }
}

impl Answer {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.reply.get(field)?.as_str()
    }

    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.reply.get(field)?.as_u64()
    }

    pub(super) fn is(&self, status: &str) -> bool {
        self.text("status") == Some(status)
    }

    /// Why it was refused.
    pub(super) fn code(&self) -> &str {
        self.text("code").unwrap_or_default()
    }
}

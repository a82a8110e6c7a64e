//! What the server answers.

use serde::Deserialize;

use super::request::{Cookie, VERSION};
use super::text::Object;
use crate::id::{Attempt, Name, Seq, SessionId, Token};
use crate::refusal::{Bound, Refusal};
use crate::secret::Secret;
use crate::time::Span;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number of the request that it answers.
    pub re: Seq,
    /// The highest transmission of that request which the server has received.
    pub attempt: Attempt,
    /// The answer.
    pub status: Status,
}

/// An answer, as the wire tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the wire's own fields")]
pub enum Status {
    Welcome { session: Secret<SessionId>, lease: Span, heartbeat: Span, poll: Span, window: u64 },
    Retry { cookie: Cookie },
    Granted { lock: Name, token: Token, lease: Span, hold: Option<Span> },
    Queued { lock: Name, position: u64 },
    Cancelled { lock: Name },
    Released { lock: Name },
    Appended { file: Name, offset: u64, len: u64 },
    Applied { file: Name, offset: u64, len: u64 },
    NotApplied,
    Forgotten,
    Alive { lease: Span, held: u64 },
    Closed { released: u64 },
    Refused(Refusal),
}

/// Why some bytes are not a reply of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reply of this protocol: {0}")]
pub struct BadReply(String);

impl Reply {
    /// Writes the datagram onto the end of `out`, without the trailer of a key. At most 400 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Status::Refused(refusal) = &self.status {
            self.encode_refusal(refusal, &refusal.to_string(), out);
            return;
        }
        let mut object = self.begin(self.status.word(), out);
        self.status.encode(&mut object);
        object.end();
    }

    /// Writes the datagram as [`Reply::encode`] does, in at most `len_max` bytes: a refusal goes
    /// with a shorter sentence then. Where that isn't short enough either it writes nothing and
    /// says `false`.
    pub fn encode_within(&self, len_max: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.encode(out);
        if let Status::Refused(refusal) = &self.status
            && out.len() - start > len_max
        {
            out.truncate(start);
            self.encode_refusal(refusal, refusal.code(), out);
        }
        let fits = out.len() - start <= len_max;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Reads one datagram, without the trailer of a key.
    ///
    /// # Errors
    /// Where it isn't a reply of this protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadReply> {
        let fields: Fields = serde_json::from_slice(bytes).map_err(|e| BadReply(e.to_string()))?;
        if fields.v != VERSION {
            return Err(BadReply("another version".to_owned()));
        }
        let (re, attempt) = (Seq::new(fields.re), Attempt::new(fields.attempt));
        let status = fields.status().ok_or_else(|| BadReply("a field is missing".to_owned()))?;
        Ok(Self { re, attempt, status })
    }

    fn begin<'a>(&self, word: &str, out: &'a mut Vec<u8>) -> Object<'a> {
        let mut object = Object::begin(out);
        object.number("v", VERSION);
        object.number("re", self.re.number());
        object.number("attempt", self.attempt.number());
        object.word("status", word);
        object
    }

    fn encode_refusal(&self, refusal: &Refusal, message: &str, out: &mut Vec<u8>) {
        let mut object = self.begin("error", out);
        object.word("code", refusal.code());
        match refusal {
            Refusal::StaleToken { current } => object.number("current", current.number()),
            Refusal::AlreadyHeld { token } => object.number("token", token.number()),
            Refusal::LockHeld { retry_after } | Refusal::RateLimited { retry_after } => {
                object.number("retry_after_ms", retry_after.as_millis());
            }
            Refusal::BadRequest { .. }
            | Refusal::TooLarge { .. }
            | Refusal::BadName
            | Refusal::UnknownSession
            | Refusal::StaleSeq
            | Refusal::SeqReused
            | Refusal::WindowFull { .. }
            | Refusal::Overloaded { .. }
            | Refusal::StorageFailed
            | Refusal::WaitTimeout
            | Refusal::NotWaiting
            | Refusal::NotHolder => {}
        }
        object.text("message", message);
        object.end();
    }
}

impl Status {
    /// The word on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Retry { .. } => "retry",
            Self::Granted { .. } => "granted",
            Self::Queued { .. } => "queued",
            Self::Cancelled { .. } => "cancelled",
            Self::Released { .. } => "released",
            Self::Appended { .. } => "appended",
            Self::Applied { .. } => "applied",
            Self::NotApplied => "not_applied",
            Self::Forgotten => "forgotten",
            Self::Alive { .. } => "alive",
            Self::Closed { .. } => "closed",
            Self::Refused(_) => "error",
        }
    }

    fn encode(&self, object: &mut Object<'_>) {
        match self {
            Self::Welcome { session, lease, heartbeat, poll, window } => {
                object.word("session", &session.expose().to_hex());
                object.number("lease_ms", lease.as_millis());
                object.number("heartbeat_ms", heartbeat.as_millis());
                object.number("poll_ms", poll.as_millis());
                object.number("window", *window);
            }
            Self::Retry { cookie } => object.word("cookie", &cookie.to_hex()),
            Self::Granted { lock, token, lease, hold } => {
                object.word("lock", lock.as_str());
                object.number("token", token.number());
                object.number("lease_ms", lease.as_millis());
                if let Some(hold) = hold {
                    object.number("hold_ms", hold.as_millis());
                }
            }
            Self::Queued { lock, position } => {
                object.word("lock", lock.as_str());
                object.number("position", *position);
            }
            Self::Cancelled { lock } | Self::Released { lock } => {
                object.word("lock", lock.as_str());
            }
            Self::Appended { file, offset, len } | Self::Applied { file, offset, len } => {
                object.word("file", file.as_str());
                object.number("offset", *offset);
                object.number("len", *len);
            }
            Self::NotApplied | Self::Forgotten | Self::Refused(_) => {}
            Self::Alive { lease, held } => {
                object.number("lease_ms", lease.as_millis());
                object.number("held", *held);
            }
            Self::Closed { released } => object.number("released", *released),
        }
    }
}

/// The fields of every reply, as they stand there.
#[derive(Deserialize)]
struct Fields {
    v: u64,
    re: u64,
    #[serde(default)]
    attempt: u64,
    status: String,
    code: Option<String>,
    message: Option<String>,
    session: Option<String>,
    cookie: Option<String>,
    lock: Option<Name>,
    file: Option<Name>,
    token: Option<u64>,
    current: Option<u64>,
    lease_ms: Option<u64>,
    hold_ms: Option<u64>,
    heartbeat_ms: Option<u64>,
    poll_ms: Option<u64>,
    retry_after_ms: Option<u64>,
    window: Option<u64>,
    position: Option<u64>,
    offset: Option<u64>,
    len: Option<u64>,
    held: Option<u64>,
    released: Option<u64>,
}

impl Fields {
    fn status(self) -> Option<Status> {
        let span = |millis: Option<u64>| millis.map(Span::from_millis);
        Some(match self.status.as_str() {
            "welcome" => Status::Welcome {
                session: Secret::new(SessionId::from_hex(&self.session?)?),
                lease: span(self.lease_ms)?,
                heartbeat: span(self.heartbeat_ms)?,
                poll: span(self.poll_ms)?,
                window: self.window?,
            },
            "retry" => Status::Retry { cookie: Cookie::from_hex(&self.cookie?)? },
            "granted" => Status::Granted {
                lock: self.lock?,
                token: Token::new(self.token?),
                lease: span(self.lease_ms)?,
                hold: span(self.hold_ms),
            },
            "queued" => Status::Queued { lock: self.lock?, position: self.position? },
            "cancelled" => Status::Cancelled { lock: self.lock? },
            "released" => Status::Released { lock: self.lock? },
            "appended" => {
                Status::Appended { file: self.file?, offset: self.offset?, len: self.len? }
            }
            "applied" => Status::Applied { file: self.file?, offset: self.offset?, len: self.len? },
            "not_applied" => Status::NotApplied,
            "forgotten" => Status::Forgotten,
            "alive" => Status::Alive { lease: span(self.lease_ms)?, held: self.held? },
            "closed" => Status::Closed { released: self.released? },
            "error" => Status::Refused(self.refusal()?),
            _ => return None,
        })
    }

    /// What a code leaves unsaid (which bound, which limit) is made up; only the server knows.
    fn refusal(self) -> Option<Refusal> {
        let retry_after = self.retry_after_ms.map(Span::from_millis);
        Some(match self.code?.as_str() {
            "bad_request" => Refusal::BadRequest { why: self.message.unwrap_or_default() },
            "too_large" => Refusal::TooLarge { limit: crate::limits::DATAGRAM_LEN_MAX as u64 },
            "bad_name" => Refusal::BadName,
            "unknown_session" => Refusal::UnknownSession,
            "stale_seq" => Refusal::StaleSeq,
            "seq_reused" => Refusal::SeqReused,
            "window_full" => Refusal::WindowFull { window: crate::limits::WINDOW },
            "overloaded" => Refusal::Overloaded { bound: Bound::Sessions },
            "rate_limited" => Refusal::RateLimited { retry_after: retry_after? },
            "storage_failed" => Refusal::StorageFailed,
            "lock_held" => Refusal::LockHeld { retry_after: retry_after? },
            "wait_timeout" => Refusal::WaitTimeout,
            "already_held" => Refusal::AlreadyHeld { token: Token::new(self.token?) },
            "not_waiting" => Refusal::NotWaiting,
            "not_holder" => Refusal::NotHolder,
            "stale_token" => Refusal::StaleToken { current: Token::new(self.current?) },
            _ => return None,
        })
    }
}

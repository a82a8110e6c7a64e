//! Replies of the server: their types, encoding and decoding.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::object_writer::ObjectWriter;
use super::request::{Cookie, VERSION};
use crate::id::{Attempt, Name, Seq, SessionKey, Token};
use crate::refusal::{Limit, Refusal};
use crate::secret::Secret;
use crate::time::Millis;

/// A reply to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The sequence number of the request.
    pub request_seq: Seq,
    /// The highest attempt of the request that the server has received.
    pub attempt: Attempt,
    /// The answer, with its data.
    pub status: Status,
}

/// The statuses of a reply, with the fields that each adds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are documented in the protocol")]
pub enum Status {
    Welcome {
        session_key: Secret<SessionKey>,
        lease: Millis,
        heartbeat: Millis,
        poll: Millis,
        window: u64,
    },
    Retry {
        cookie: Cookie,
    },
    Granted {
        lock: Name,
        token: Token,
        lease: Millis,
        hold: Option<Millis>,
    },
    Queued {
        lock: Name,
        position: u64,
    },
    Cancelled {
        lock: Name,
    },
    Released {
        lock: Name,
    },
    Appended {
        file: Name,
        offset: u64,
        len: u64,
    },
    Applied {
        file: Name,
        offset: u64,
        len: u64,
    },
    NotApplied,
    Forgotten,
    Alive {
        lease: Millis,
        held: u64,
    },
    Closed {
        released: u64,
    },
    Refused(Refusal),
}

/// The error for bytes that are not a reply of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reply of this protocol: {0}")]
pub struct DecodeReplyError(String);

impl Reply {
    /// Appends the datagram to `out`, without an authentication trailer. At most 400 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Status::Refused(refusal) = &self.status {
            self.encode_refusal(refusal, &format_args!("{refusal}"), out);
            return;
        }
        let mut object = self.begin_object(self.status.code(), out);
        self.status.encode(&mut object);
        object.finish();
    }

    /// Appends the datagram as [`Reply::encode`] does, but at most `len_max` bytes. If a refusal
    /// would be longer, its code replaces its message. Returns false, and appends nothing, if the
    /// datagram is still too long.
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

    /// Decodes one datagram, without an authentication trailer.
    ///
    /// # Errors
    /// Returns [`DecodeReplyError`] if the datagram is not a reply of this protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeReplyError> {
        let fields: Fields<'_> =
            serde_json::from_slice(bytes).map_err(|error| DecodeReplyError(error.to_string()))?;
        if fields.v != VERSION {
            return Err(DecodeReplyError("unsupported version".to_owned()));
        }
        let (request_seq, attempt) = (Seq::new(fields.re), Attempt::new(fields.attempt));
        let status = fields
            .into_status()
            .ok_or_else(|| DecodeReplyError("a field is missing or invalid".to_owned()))?;
        Ok(Self { request_seq, attempt, status })
    }

    fn begin_object<'a>(&self, code: &str, out: &'a mut Vec<u8>) -> ObjectWriter<'a> {
        let mut object = ObjectWriter::begin(out);
        object.write_number("v", VERSION);
        object.write_number("re", self.request_seq.number());
        object.write_number("attempt", self.attempt.number());
        object.write_plain("status", code);
        object
    }

    fn encode_refusal<T: Serialize + ?Sized>(
        &self,
        refusal: &Refusal,
        message: &T,
        out: &mut Vec<u8>,
    ) {
        let mut object = self.begin_object("error", out);
        object.write_plain("code", refusal.code());
        match refusal {
            Refusal::StaleToken { current } => object.write_number("current", current.number()),
            Refusal::AlreadyHeld { token } => object.write_number("token", token.number()),
            Refusal::LockHeld { retry_after } | Refusal::RateLimited { retry_after } => {
                object.write_number("retry_after_ms", retry_after.as_millis());
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
        object.write_escaped("message", message);
        object.finish();
    }
}

impl Status {
    /// Returns the code of the status in JSON.
    pub const fn code(&self) -> &'static str {
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

    fn encode(&self, object: &mut ObjectWriter<'_>) {
        match self {
            Self::Welcome { session_key, lease, heartbeat, poll, window } => {
                object.write_plain("session", &session_key.expose().to_hex());
                object.write_number("lease_ms", lease.as_millis());
                object.write_number("heartbeat_ms", heartbeat.as_millis());
                object.write_number("poll_ms", poll.as_millis());
                object.write_number("window", *window);
            }
            Self::Retry { cookie } => object.write_plain("cookie", &cookie.to_hex()),
            Self::Granted { lock, token, lease, hold } => {
                object.write_plain("lock", lock.as_str());
                object.write_number("token", token.number());
                object.write_number("lease_ms", lease.as_millis());
                if let Some(hold) = hold {
                    object.write_number("hold_ms", hold.as_millis());
                }
            }
            Self::Queued { lock, position } => {
                object.write_plain("lock", lock.as_str());
                object.write_number("position", *position);
            }
            Self::Cancelled { lock } | Self::Released { lock } => {
                object.write_plain("lock", lock.as_str());
            }
            Self::Appended { file, offset, len } | Self::Applied { file, offset, len } => {
                object.write_plain("file", file.as_str());
                object.write_number("offset", *offset);
                object.write_number("len", *len);
            }
            Self::NotApplied | Self::Forgotten | Self::Refused(_) => {}
            Self::Alive { lease, held } => {
                object.write_number("lease_ms", lease.as_millis());
                object.write_number("held", *held);
            }
            Self::Closed { released } => object.write_number("released", *released),
        }
    }
}

/// The fields of all statuses, before validation.
#[derive(Deserialize)]
struct Fields<'a> {
    v: u64,
    re: u64,
    #[serde(default)]
    attempt: u64,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cookie: Option<Cow<'a, str>>,
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

impl Fields<'_> {
    fn into_status(self) -> Option<Status> {
        let duration = |millis: Option<u64>| millis.map(Millis::from_millis);
        Some(match self.status.as_ref() {
            "welcome" => Status::Welcome {
                session_key: Secret::new(SessionKey::from_hex(&self.session?)?),
                lease: duration(self.lease_ms)?,
                heartbeat: duration(self.heartbeat_ms)?,
                poll: duration(self.poll_ms)?,
                window: self.window?,
            },
            "retry" => Status::Retry { cookie: Cookie::from_hex(&self.cookie?)? },
            "granted" => Status::Granted {
                lock: self.lock?,
                token: Token::new(self.token?),
                lease: duration(self.lease_ms)?,
                hold: duration(self.hold_ms),
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
            "alive" => Status::Alive { lease: duration(self.lease_ms)?, held: self.held? },
            "closed" => Status::Closed { released: self.released? },
            "error" => Status::Refused(self.into_refusal()?),
            _ => return None,
        })
    }

    /// Returns the refusal. A reply does not contain which limit of the server is reached, nor its
    /// value, so these are filled in with defaults.
    fn into_refusal(self) -> Option<Refusal> {
        let retry_after = self.retry_after_ms.map(Millis::from_millis);
        Some(match self.code?.as_ref() {
            "bad_request" => {
                Refusal::BadRequest { reason: self.message.unwrap_or_default().into_owned() }
            }
            "too_large" => Refusal::TooLarge { limit: crate::limits::DATAGRAM_LEN_MAX as u64 },
            "bad_name" => Refusal::BadName,
            "unknown_session" => Refusal::UnknownSession,
            "stale_seq" => Refusal::StaleSeq,
            "seq_reused" => Refusal::SeqReused,
            "window_full" => Refusal::WindowFull { window: crate::limits::WINDOW },
            "overloaded" => Refusal::Overloaded { limit: Limit::Sessions },
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

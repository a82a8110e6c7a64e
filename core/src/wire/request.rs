//! What a client asks: read leniently enough to answer a mistake, written exactly.

use serde::de::IgnoredAny;

use super::fields::{Envelope, Fields, Value, bad};
use super::text::Object;
use crate::data::Data;
use crate::digest::{Digest, Digester};
use crate::id::{Attempt, Name, Nonce, Seq, SessionId, Token};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::Span;

/// The version of the protocol.
pub(super) const VERSION: u64 = 1;

/// The bits of a cookie: what a server gives to a stranger, to see whether it can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub [u8; 16]);

/// One request, as a client means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The capability of its session. Unset for `hello` alone.
    pub session: Option<Secret<SessionId>>,
    /// Its number within the session.
    pub seq: Seq,
    /// Which transmission of it this is.
    pub attempt: Attempt,
    /// What it asks for.
    pub operation: Operation,
}

/// What a request asks for, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the wire's own fields")]
pub enum Operation {
    Hello { client: Name, nonce: Secret<Nonce>, lease: Option<Span>, cookie: Option<Cookie> },
    AcquireLock { lock: Name, wait: Span, hold: Option<Span> },
    CancelAcquire { lock: Name },
    ReleaseLock { lock: Name, token: Token },
    AppendFile { file: Name, token: Token, data: Data },
    AppendOutcome { of: Seq },
    Heartbeat,
    Close,
}

/// Why some bytes are not a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not to be answered at all.
    Drop(DropReason),
    /// Not a JSON object: answered only where the answer is no longer than the bytes are.
    NotJson,
    /// To be answered.
    Refuse {
        /// The number of the request, as far as it could be read; else 0.
        re: Seq,
        /// Which transmission, likewise.
        attempt: Attempt,
        /// The answer.
        refusal: Refusal,
    },
}

impl Operation {
    /// Which operation it is.
    pub const fn op(&self) -> Op {
        match self {
            Self::Hello { .. } => Op::Hello,
            Self::AcquireLock { .. } => Op::AcquireLock,
            Self::CancelAcquire { .. } => Op::CancelAcquire,
            Self::ReleaseLock { .. } => Op::ReleaseLock,
            Self::AppendFile { .. } => Op::AppendFile,
            Self::AppendOutcome { .. } => Op::AppendOutcome,
            Self::Heartbeat => Op::Heartbeat,
            Self::Close => Op::Close,
        }
    }

    /// What makes it the same request when it comes again. How long it would wait or hold is no
    /// part of that: a client may count down while it asks again.
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::default();
        digester.bytes(self.op().word().as_bytes());
        match self {
            Self::Hello { client, nonce, .. } => {
                digester.bytes(client.as_str().as_bytes());
                digester.number(nonce.expose().bits());
            }
            Self::AcquireLock { lock, .. } | Self::CancelAcquire { lock } => {
                digester.bytes(lock.as_str().as_bytes());
            }
            Self::ReleaseLock { lock, token } => {
                digester.bytes(lock.as_str().as_bytes());
                digester.number(token.number());
            }
            Self::AppendFile { file, token, data } => {
                digester.bytes(file.as_str().as_bytes());
                digester.number(token.number());
                digester.bytes(data.bytes());
            }
            Self::AppendOutcome { of } => digester.number(of.number()),
            Self::Heartbeat | Self::Close => {}
        }
        digester.finish()
    }

    /// The lock or file that it names.
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::AcquireLock { lock, .. }
            | Self::CancelAcquire { lock }
            | Self::ReleaseLock { lock, .. } => Some(lock),
            Self::AppendFile { file, .. } => Some(file),
            Self::Hello { .. } | Self::AppendOutcome { .. } | Self::Heartbeat | Self::Close => None,
        }
    }

    /// The token that it names.
    pub const fn token(&self) -> Option<Token> {
        match self {
            Self::ReleaseLock { token, .. } | Self::AppendFile { token, .. } => Some(*token),
            Self::Hello { .. }
            | Self::AcquireLock { .. }
            | Self::CancelAcquire { .. }
            | Self::AppendOutcome { .. }
            | Self::Heartbeat
            | Self::Close => None,
        }
    }
}

impl Request {
    /// Reads one datagram, without the trailer of a key.
    ///
    /// # Errors
    /// Where it isn't a request of this protocol; says how that is to be answered.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        // A struct may also be read from an array, which is no request.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(
                too_large(bytes, Seq::default(), Attempt::default()).unwrap_or(Malformed::NotJson)
            );
        }
        let fields = match Fields::read(bytes) {
            Ok(fields) => fields,
            Err(error) => return Err(unreadable(bytes, &error)),
        };
        if fields.re.is_some() {
            return Err(Malformed::Drop(DropReason::IsReply));
        }
        if fields.op.is_none() {
            return Err(Malformed::Drop(DropReason::NoOperation));
        }
        let re = Seq::new(fields.seq.as_ref().and_then(Value::number).unwrap_or(0));
        let attempt = Attempt::new(fields.attempt.as_ref().and_then(Value::number).unwrap_or(0));
        if let Some(refused) = too_large(bytes, re, attempt) {
            return Err(refused);
        }
        fields.request().map_err(|refusal| Malformed::Refuse { re, attempt, refusal })
    }

    /// Writes the datagram onto the end of `out`, without the trailer of a key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.number("v", VERSION);
        object.word("op", self.operation.op().word());
        if let Some(session) = self.session {
            object.word("session", &session.expose().to_hex());
            object.number("seq", self.seq.number());
        }
        if self.attempt > Attempt::default() {
            object.number("attempt", self.attempt.number());
        }
        match &self.operation {
            Operation::Hello { client, nonce, lease, cookie } => {
                object.word("client", client.as_str());
                object.word("nonce", &nonce.expose().to_hex());
                if let Some(lease) = lease {
                    object.number("lease_ms", lease.as_millis());
                }
                if let Some(cookie) = cookie {
                    object.word("cookie", &cookie.to_hex());
                }
            }
            Operation::AcquireLock { lock, wait, hold } => {
                object.word("lock", lock.as_str());
                if !wait.is_zero() {
                    object.number("wait_ms", wait.as_millis());
                }
                if let Some(hold) = hold {
                    object.number("hold_ms", hold.as_millis());
                }
            }
            Operation::CancelAcquire { lock } => object.word("lock", lock.as_str()),
            Operation::ReleaseLock { lock, token } => {
                object.word("lock", lock.as_str());
                object.number("token", token.number());
            }
            Operation::AppendFile { file, token, data } => {
                object.word("file", file.as_str());
                object.number("token", token.number());
                match data.text() {
                    Some(text) => object.text("data", text),
                    None => object.word("data_b64", &data.to_base64()),
                }
            }
            Operation::AppendOutcome { of } => object.number("of", of.number()),
            Operation::Heartbeat | Operation::Close => {}
        }
        object.end();
    }
}

impl Cookie {
    /// The cookie as the wire's 32 hex digits.
    pub fn to_hex(self) -> String {
        SessionId::from_bytes(self.0).to_hex()
    }

    /// The cookie of these 32 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        SessionId::from_hex(text).map(|bits| Self(bits.to_bytes()))
    }
}

fn too_large(bytes: &[u8], re: Seq, attempt: Attempt) -> Option<Malformed> {
    let refusal = Refusal::TooLarge { limit: DATAGRAM_LEN_MAX as u64 };
    (bytes.len() > DATAGRAM_LEN_MAX).then_some(Malformed::Refuse { re, attempt, refusal })
}

/// What to say of bytes that begin like an object and can't be read as a request.
fn unreadable(bytes: &[u8], error: &serde_json::Error) -> Malformed {
    if let Some(refused) = too_large(bytes, Seq::default(), Attempt::default()) {
        return refused;
    }
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return Malformed::NotJson;
    }
    let envelope = serde_json::from_slice::<Envelope<'_>>(bytes).unwrap_or_default();
    if envelope.re.is_some() {
        return Malformed::Drop(DropReason::IsReply);
    }
    let number = |value: Option<Value<'_>>| value.and_then(|it| it.number()).unwrap_or(0);
    let (re, attempt) = (Seq::new(number(envelope.seq)), Attempt::new(number(envelope.attempt)));
    Malformed::Refuse { re, attempt, refusal: bad(error) }
}

//! Requests of clients: their types, encoding and decoding.
//!
//! Decoding an invalid request extracts its `seq` and `attempt` if possible, so that the error
//! reply reaches the caller that made the mistake.

use serde::de::IgnoredAny;

use super::object_writer::ObjectWriter;
use super::request_fields::{Envelope, Fields, Value, bad_request};
use crate::data::Data;
use crate::digest::{Digest, Digester};
use crate::id::{Attempt, Name, Nonce, Seq, SessionKey, Token};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::Millis;

/// The version of the protocol.
pub(super) const VERSION: u64 = 1;

/// A cookie, which the server sends to a new client to verify its source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub [u8; 16]);

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The key of the session. `None` for `hello` only.
    pub session_key: Option<Secret<SessionKey>>,
    /// The sequence number within the session.
    pub seq: Seq,
    /// The number of this transmission of the request.
    pub attempt: Attempt,
    /// The operation, with its arguments.
    pub operation: Operation,
}

/// The operations, with their arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are documented in the protocol")]
pub enum Operation {
    Hello { client: Name, nonce: Secret<Nonce>, lease: Option<Millis>, cookie: Option<Cookie> },
    AcquireLock { lock: Name, wait: Millis, hold: Option<Millis> },
    CancelAcquire { lock: Name },
    ReleaseLock { lock: Name, token: Token },
    AppendFile { file: Name, token: Token, data: Data },
    AppendOutcome { append_seq: Seq },
    Heartbeat,
    Close,
}

/// The reason for which bytes are not a request, which determines the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeRequestError {
    /// The server must not reply.
    Drop(DropReason),
    /// The bytes are not a JSON object. The server replies only if the reply is no longer than
    /// they are.
    NotJson,
    /// The server replies with a refusal.
    Refuse {
        /// The sequence number of the request, or 0 if it could not be read.
        request_seq: Seq,
        /// The attempt, or 0 if it could not be read.
        attempt: Attempt,
        /// The refusal.
        refusal: Refusal,
    },
}

impl Operation {
    /// Returns the operation without its arguments.
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

    /// Returns the digest by which the server recognizes a duplicate. It excludes `wait_ms` and
    /// `hold_ms`, because a client may count them down when it retransmits.
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::default();
        digester.write_bytes(self.op().code().as_bytes());
        match self {
            Self::Hello { client, nonce, .. } => {
                digester.write_bytes(client.as_str().as_bytes());
                digester.write_u64(nonce.expose().bits());
            }
            Self::AcquireLock { lock, .. } | Self::CancelAcquire { lock } => {
                digester.write_bytes(lock.as_str().as_bytes());
            }
            Self::ReleaseLock { lock, token } => {
                digester.write_bytes(lock.as_str().as_bytes());
                digester.write_u64(token.number());
            }
            Self::AppendFile { file, token, data } => {
                digester.write_bytes(file.as_str().as_bytes());
                digester.write_u64(token.number());
                digester.write_bytes(data.bytes());
            }
            Self::AppendOutcome { append_seq } => digester.write_u64(append_seq.number()),
            Self::Heartbeat | Self::Close => {}
        }
        digester.finish()
    }

    /// Returns the lock or file that the operation names.
    pub const fn resource_name(&self) -> Option<&Name> {
        match self {
            Self::AcquireLock { lock, .. }
            | Self::CancelAcquire { lock }
            | Self::ReleaseLock { lock, .. } => Some(lock),
            Self::AppendFile { file, .. } => Some(file),
            Self::Hello { .. } | Self::AppendOutcome { .. } | Self::Heartbeat | Self::Close => None,
        }
    }

    /// Returns the token that the operation names.
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
    /// Decodes one datagram, without an authentication trailer.
    ///
    /// # Errors
    /// Returns [`DecodeRequestError`], which determines the response, if the datagram is not a
    /// request of this protocol.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRequestError> {
        // serde would also deserialize a struct from an array.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(too_large(bytes, Seq::default(), Attempt::default())
                .unwrap_or(DecodeRequestError::NotJson));
        }
        let fields: Fields<'_> =
            serde_json::from_slice(bytes).map_err(|error| classify_unreadable(bytes, &error))?;
        if fields.re.is_some() {
            return Err(DecodeRequestError::Drop(DropReason::IsReply));
        }
        if fields.op.is_none() {
            return Err(DecodeRequestError::Drop(DropReason::NoOperation));
        }
        let request_seq = Seq::new(fields.seq.as_ref().and_then(Value::number).unwrap_or(0));
        let attempt = Attempt::new(fields.attempt.as_ref().and_then(Value::number).unwrap_or(0));
        if let Some(refused) = too_large(bytes, request_seq, attempt) {
            return Err(refused);
        }
        fields.into_request().map_err(|refusal| DecodeRequestError::Refuse {
            request_seq,
            attempt,
            refusal,
        })
    }

    /// Appends the datagram to `out`, without an authentication trailer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::begin(out);
        object.write_number("v", VERSION);
        object.write_plain("op", self.operation.op().code());
        if let Some(session_key) = self.session_key {
            object.write_plain("session", &session_key.expose().to_hex());
            object.write_number("seq", self.seq.number());
        }
        if self.attempt > Attempt::default() {
            object.write_number("attempt", self.attempt.number());
        }
        match &self.operation {
            Operation::Hello { client, nonce, lease, cookie } => {
                object.write_plain("client", client.as_str());
                object.write_plain("nonce", &nonce.expose().to_hex());
                if let Some(lease) = lease {
                    object.write_number("lease_ms", lease.as_millis());
                }
                if let Some(cookie) = cookie {
                    object.write_plain("cookie", &cookie.to_hex());
                }
            }
            Operation::AcquireLock { lock, wait, hold } => {
                object.write_plain("lock", lock.as_str());
                if !wait.is_zero() {
                    object.write_number("wait_ms", wait.as_millis());
                }
                if let Some(hold) = hold {
                    object.write_number("hold_ms", hold.as_millis());
                }
            }
            Operation::CancelAcquire { lock } => object.write_plain("lock", lock.as_str()),
            Operation::ReleaseLock { lock, token } => {
                object.write_plain("lock", lock.as_str());
                object.write_number("token", token.number());
            }
            Operation::AppendFile { file, token, data } => {
                object.write_plain("file", file.as_str());
                object.write_number("token", token.number());
                // Escaped, a NUL has six bytes.
                match data.text().filter(|text| !text.contains('\0')) {
                    Some(text) => object.write_escaped("data", text),
                    None => object.write_plain("data_b64", &data.to_base64()),
                }
            }
            Operation::AppendOutcome { append_seq } => {
                object.write_number("of", append_seq.number());
            }
            Operation::Heartbeat | Operation::Close => {}
        }
        object.finish();
    }
}

impl Cookie {
    /// Returns the cookie as 32 lower-case hex digits.
    pub fn to_hex(self) -> String {
        SessionKey::from_bytes(self.0).to_hex()
    }

    /// Parses 32 hex digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        SessionKey::from_hex(text).map(|bits| Self(bits.to_bytes()))
    }
}

fn too_large(bytes: &[u8], request_seq: Seq, attempt: Attempt) -> Option<DecodeRequestError> {
    let refusal = Refusal::TooLarge { limit: DATAGRAM_LEN_MAX as u64 };
    (bytes.len() > DATAGRAM_LEN_MAX).then_some(DecodeRequestError::Refuse {
        request_seq,
        attempt,
        refusal,
    })
}

/// Determines the response to bytes that begin like an object but are not a request.
fn classify_unreadable(bytes: &[u8], error: &serde_json::Error) -> DecodeRequestError {
    if let Some(refused) = too_large(bytes, Seq::default(), Attempt::default()) {
        return refused;
    }
    if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return DecodeRequestError::NotJson;
    }
    let envelope = serde_json::from_slice::<Envelope<'_>>(bytes).unwrap_or_default();
    if envelope.re.is_some() {
        return DecodeRequestError::Drop(DropReason::IsReply);
    }
    let number = |value: Option<Value<'_>>| value.and_then(|it| it.number()).unwrap_or(0);
    let (request_seq, attempt) =
        (Seq::new(number(envelope.seq)), Attempt::new(number(envelope.attempt)));
    DecodeRequestError::Refuse { request_seq, attempt, refusal: bad_request(error) }
}

//! What a client asks: read leniently enough to answer a mistake, written exactly.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

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
        let fields: Fields<'_> = match serde_json::from_slice(bytes) {
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

/// What is needed to answer an object of which some other field can't even be read.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    re: Option<IgnoredAny>,
    #[serde(borrow)]
    seq: Option<Value<'a>>,
    attempt: Option<Value<'a>>,
}

fn bad(why: impl fmt::Display) -> Refusal {
    Refusal::BadRequest { why: why.to_string() }
}

/// The fields of every operation, as they stand there. An unknown field is passed over.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    v: Option<Value<'a>>,
    op: Option<Value<'a>>,
    re: Option<Value<'a>>,
    session: Option<Value<'a>>,
    seq: Option<Value<'a>>,
    attempt: Option<Value<'a>>,
    client: Option<Value<'a>>,
    nonce: Option<Value<'a>>,
    lease_ms: Option<Value<'a>>,
    cookie: Option<Value<'a>>,
    lock: Option<Value<'a>>,
    wait_ms: Option<Value<'a>>,
    hold_ms: Option<Value<'a>>,
    file: Option<Value<'a>>,
    token: Option<Value<'a>>,
    data: Option<Value<'a>>,
    data_b64: Option<Value<'a>>,
    of: Option<Value<'a>>,
}

impl Fields<'_> {
    fn request(self) -> Result<Request, Refusal> {
        if need(number(self.v.as_ref(), "v")?, "v")? != VERSION {
            return Err(bad("this server speaks version 1"));
        }
        let op = Op::from_word(need(text(self.op.as_ref(), "op")?, "op")?)
            .ok_or_else(|| bad("no such op"))?;
        let attempt = Attempt::new(number(self.attempt.as_ref(), "attempt")?.unwrap_or(0));
        let seq = Seq::new(number(self.seq.as_ref(), "seq")?.unwrap_or(0));
        let session = if op == Op::Hello {
            None
        } else {
            let digits = need(text(self.session.as_ref(), "session")?, "session")?;
            let id = SessionId::from_hex(digits).ok_or_else(|| bad("session is 32 hex digits"))?;
            Some(Secret::new(id))
        };
        match (op, seq == Seq::default()) {
            (Op::Hello, false) => return Err(bad("the seq of hello is 0")),
            (Op::Hello, true) | (_, false) => {}
            (_, true) => return Err(bad("seq is 1 or more")),
        }
        Ok(Request { session, seq, attempt, operation: self.operation(op)? })
    }

    fn operation(&self, op: Op) -> Result<Operation, Refusal> {
        Ok(match op {
            Op::Hello => self.hello()?,
            Op::AcquireLock => Operation::AcquireLock {
                lock: name(self.lock.as_ref(), "lock")?,
                wait: span(self.wait_ms.as_ref(), "wait_ms")?.unwrap_or(Span::ZERO),
                hold: span(self.hold_ms.as_ref(), "hold_ms")?,
            },
            Op::CancelAcquire => {
                Operation::CancelAcquire { lock: name(self.lock.as_ref(), "lock")? }
            }
            Op::ReleaseLock => Operation::ReleaseLock {
                lock: name(self.lock.as_ref(), "lock")?,
                token: self.token()?,
            },
            Op::AppendFile => Operation::AppendFile {
                file: name(self.file.as_ref(), "file")?,
                token: self.token()?,
                data: self.data()?,
            },
            Op::AppendOutcome => Operation::AppendOutcome {
                of: Seq::new(need(number(self.of.as_ref(), "of")?, "of")?),
            },
            Op::Heartbeat => Operation::Heartbeat,
            Op::Close => Operation::Close,
        })
    }

    fn hello(&self) -> Result<Operation, Refusal> {
        let digits = need(text(self.nonce.as_ref(), "nonce")?, "nonce")?;
        let nonce = Nonce::from_hex(digits).ok_or_else(|| bad("nonce is 16 hex digits"))?;
        Ok(Operation::Hello {
            client: name(self.client.as_ref(), "client")?,
            nonce: Secret::new(nonce),
            lease: span(self.lease_ms.as_ref(), "lease_ms")?,
            // A cookie that is none is as good as a wrong one: the answer is another.
            cookie: text(self.cookie.as_ref(), "cookie")?.and_then(Cookie::from_hex),
        })
    }

    fn token(&self) -> Result<Token, Refusal> {
        Ok(Token::new(need(number(self.token.as_ref(), "token")?, "token")?))
    }

    fn data(&self) -> Result<Data, Refusal> {
        let plain = text(self.data.as_ref(), "data")?;
        let encoded = text(self.data_b64.as_ref(), "data_b64")?;
        match (plain, encoded) {
            (Some(text), None) => Ok(Data::new(text.as_bytes())),
            (None, Some(text)) => {
                Data::from_base64(text).ok_or_else(|| bad("data_b64 is not base64"))
            }
            (Some(_), Some(_)) | (None, None) => Err(bad("either data or data_b64")),
        }
    }
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| bad(format_args!("{field} is missing")))
}

fn number(value: Option<&Value<'_>>, field: &str) -> Result<Option<u64>, Refusal> {
    let wrong = || bad(format_args!("{field} is a whole number, 0 or more"));
    value.map(|value| value.number().ok_or_else(wrong)).transpose()
}

fn span(value: Option<&Value<'_>>, field: &str) -> Result<Option<Span>, Refusal> {
    Ok(number(value, field)?.map(Span::from_millis))
}

fn text<'v>(value: Option<&'v Value<'_>>, field: &str) -> Result<Option<&'v str>, Refusal> {
    let wrong = || bad(format_args!("{field} is a text"));
    value.map(|value| value.text().ok_or_else(wrong)).transpose()
}

fn name(value: Option<&Value<'_>>, field: &str) -> Result<Name, Refusal> {
    Name::new(need(text(value, field)?, field)?).map_err(|_| Refusal::BadName)
}

/// A JSON value, as far as the protocol has use for it.
enum Value<'a> {
    Number(u64),
    Text(Cow<'a, str>),
    Other,
}

impl Value<'_> {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Other => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    // Passed over without recursion: nesting has no bound, and costs nothing.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

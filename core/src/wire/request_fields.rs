//! The JSON fields of a request, and their validation.
//!
//! Parsing accepts any JSON value for any field. A field of the wrong type is found when the
//! operation that needs it is built, so that `re`, `op` and `seq` are available before that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::request::{Cookie, Operation, Request, VERSION};
use crate::data::Data;
use crate::id::{Attempt, Name, Nonce, Seq, SessionKey, Token};
use crate::op::Op;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::Millis;

/// The fields that the response to an invalid request depends on.
#[derive(Default, Deserialize)]
pub(super) struct Envelope<'a> {
    pub(super) re: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) seq: Option<Value<'a>>,
    pub(super) attempt: Option<Value<'a>>,
}

pub(super) fn bad_request(reason: impl fmt::Display) -> Refusal {
    Refusal::BadRequest { reason: reason.to_string() }
}

/// The fields of all operations, before validation. Unknown fields are ignored.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    v: Option<Value<'a>>,
    pub(super) op: Option<Value<'a>>,
    pub(super) re: Option<Value<'a>>,
    session: Option<Value<'a>>,
    pub(super) seq: Option<Value<'a>>,
    pub(super) attempt: Option<Value<'a>>,
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
    pub(super) fn into_request(self) -> Result<Request, Refusal> {
        if required(optional_number(self.v.as_ref(), "v")?, "v")? != VERSION {
            return Err(bad_request("unsupported version: v must be 1"));
        }
        let op = Op::from_code(required(optional_text(self.op.as_ref(), "op")?, "op")?)
            .ok_or_else(|| bad_request("unknown op"))?;
        let attempt = Attempt::new(optional_number(self.attempt.as_ref(), "attempt")?.unwrap_or(0));
        let seq = Seq::new(optional_number(self.seq.as_ref(), "seq")?.unwrap_or(0));
        let session_key = if op == Op::Hello {
            None
        } else {
            let digits = required(optional_text(self.session.as_ref(), "session")?, "session")?;
            let key = SessionKey::from_hex(digits)
                .ok_or_else(|| bad_request("session must be 32 hex digits"))?;
            Some(Secret::new(key))
        };
        match (op == Op::Hello, seq == Seq::default()) {
            (true, false) => return Err(bad_request("the seq of hello must be 0")),
            (false, true) => return Err(bad_request("seq must be 1 or more")),
            (true, true) | (false, false) => {}
        }
        Ok(Request { session_key, seq, attempt, operation: self.operation(op)? })
    }

    fn operation(&self, op: Op) -> Result<Operation, Refusal> {
        Ok(match op {
            Op::Hello => self.hello()?,
            Op::AcquireLock => Operation::AcquireLock {
                lock: required_name(self.lock.as_ref(), "lock")?,
                wait: optional_millis(self.wait_ms.as_ref(), "wait_ms")?.unwrap_or(Millis::ZERO),
                hold: optional_millis(self.hold_ms.as_ref(), "hold_ms")?,
            },
            Op::CancelAcquire => {
                Operation::CancelAcquire { lock: required_name(self.lock.as_ref(), "lock")? }
            }
            Op::ReleaseLock => Operation::ReleaseLock {
                lock: required_name(self.lock.as_ref(), "lock")?,
                token: self.token()?,
            },
            Op::AppendFile => Operation::AppendFile {
                file: required_name(self.file.as_ref(), "file")?,
                token: self.token()?,
                data: self.data()?,
            },
            Op::AppendOutcome => Operation::AppendOutcome {
                append_seq: Seq::new(required(optional_number(self.of.as_ref(), "of")?, "of")?),
            },
            Op::Heartbeat => Operation::Heartbeat,
            Op::Close => Operation::Close,
        })
    }

    fn hello(&self) -> Result<Operation, Refusal> {
        let digits = required(optional_text(self.nonce.as_ref(), "nonce")?, "nonce")?;
        let nonce =
            Nonce::from_hex(digits).ok_or_else(|| bad_request("nonce must be 16 hex digits"))?;
        Ok(Operation::Hello {
            client: required_name(self.client.as_ref(), "client")?,
            nonce: Secret::new(nonce),
            lease: optional_millis(self.lease_ms.as_ref(), "lease_ms")?,
            // A malformed cookie is treated like a wrong one: the server replies with a new one.
            cookie: optional_text(self.cookie.as_ref(), "cookie")?.and_then(Cookie::from_hex),
        })
    }

    fn token(&self) -> Result<Token, Refusal> {
        Ok(Token::new(required(optional_number(self.token.as_ref(), "token")?, "token")?))
    }

    fn data(&self) -> Result<Data, Refusal> {
        let plain = optional_text(self.data.as_ref(), "data")?;
        let encoded = optional_text(self.data_b64.as_ref(), "data_b64")?;
        Data::from_fields(plain, encoded).map_err(bad_request)
    }
}

fn required<T>(value: Option<T>, field: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| bad_request(format_args!("{field} is missing")))
}

fn optional_number(value: Option<&Value<'_>>, field: &str) -> Result<Option<u64>, Refusal> {
    let wrong_type = || bad_request(format_args!("{field} must be a non-negative integer"));
    value.map(|value| value.number().ok_or_else(wrong_type)).transpose()
}

fn optional_millis(value: Option<&Value<'_>>, field: &str) -> Result<Option<Millis>, Refusal> {
    Ok(optional_number(value, field)?.map(Millis::from_millis))
}

fn optional_text<'v>(
    value: Option<&'v Value<'_>>,
    field: &str,
) -> Result<Option<&'v str>, Refusal> {
    let wrong_type = || bad_request(format_args!("{field} must be a string"));
    value.map(|value| value.text().ok_or_else(wrong_type)).transpose()
}

fn required_name(value: Option<&Value<'_>>, field: &str) -> Result<Name, Refusal> {
    Name::new(required(optional_text(value, field)?, field)?).map_err(|_| Refusal::BadName)
}

/// A JSON value. The protocol uses non-negative integers and strings; all others are equal to it.
pub(super) enum Value<'a> {
    Number(u64),
    Text(Cow<'a, str>),
    Other,
}

impl Value<'_> {
    pub(super) fn number(&self) -> Option<u64> {
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

    // Ignored without recursion, so that deep nesting cannot overflow the stack.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

//! A measure and a value as they are read.

use std::fmt;

use serde::de::value::Error;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Measure, Value};
use crate::check::Invariant;
use crate::message::Message;
use crate::trace::{LockNo, NodeNo};

/// The fields of all measures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flat {
    of: String,
    lock: Option<LockNo>,
    client: Option<NodeNo>,
    message: Option<Message>,
    invariant: Option<Invariant>,
}

impl TryFrom<Flat> for Measure {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let of = std::mem::take(&mut flat.of);
        let measure = match of.as_str() {
            "next_holder" => take!(flat, Self::NextHolder { lock }),
            "freed_after_ms" => take!(flat, Self::FreedAfterMs { lock }),
            "next_append" => take!(flat, Self::NextAppend { client }),
            "lines" => take!(flat, Self::Lines { lock }),
            "believers" => take!(flat, Self::Believers { lock }),
            "believers_most" => take!(flat, Self::BelieversMost { lock }),
            "sent" => take!(flat, Self::Sent { message }),
            "next_token" => take!(flat, Self::NextToken { lock }),
            "violated" => take!(flat, Self::Violated { invariant }),
            of => return unknown!("of", of),
        };
        // Whoever writes a scenario is told of a field that means nothing.
        let Flat { of: _, lock, client, message, invariant } = flat;
        let spare = [
            (lock.is_some(), "lock"),
            (client.is_some(), "client"),
            (message.is_some(), "message"),
            (invariant.is_some(), "invariant"),
        ];
        if let Some((_, name)) = spare.into_iter().find(|(is_there, _)| *is_there) {
            return Err(Error::custom(format_args!("{of} has no field `{name}`")));
        }
        Ok(measure)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Takes a number or a word.
struct Reader;

impl Visitor<'_> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 on, or a word")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Value, E> {
        Ok(Value::word(word))
    }
}

//! Decodes events from JSON. Their encoding is derived.

use serde::de::Error as _;

use crate::data::Data;
use crate::deserialize_from_fields;
use crate::digest::Digest;
use crate::fields::{Error, Fields, FromFields, unknown_variant};
use crate::id::Attempt;
use crate::refusal::Refusal;

use super::{Event, EventKind, RequestId};

deserialize_from_fields!(Event, EventKind, RequestId);

impl FromFields for Event {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let (index, at) = (fields.take("index")?, fields.take("at_ms")?);
        Ok(Self { index, at, kind: EventKind::from_fields(fields)? })
    }
}

impl FromFields for RequestId {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let attempt = fields.take_or("attempt", Attempt::default())?;
        Ok(Self { seq: fields.take("seq")?, attempt, digest: Digest::default() })
    }
}

impl FromFields for EventKind {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("type")?;
        Ok(match &*tag {
            "server_started" => Self::ServerStarted {
                unix_ms: fields.take("unix_ms")?,
                token_floor: fields.take("token_floor")?,
            },
            "server_stopped" => Self::ServerStopped,
            "session_opened" => Self::SessionOpened {
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                lease: fields.take("lease_ms")?,
                key: None,
                nonce: None,
            },
            "session_expired" => Self::SessionExpired {
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
            },
            "session_closed" => Self::SessionClosed {
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                request_id: RequestId::from_fields(fields)?,
            },
            "lock_queued" => Self::LockQueued {
                lock: fields.take("lock")?,
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                request_id: RequestId::from_fields(fields)?,
                wait: fields.take("wait_ms")?,
                hold: fields.take_optional("hold_ms")?,
            },
            "lock_granted" => Self::LockGranted {
                lock: fields.take("lock")?,
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                token: fields.take("token")?,
                request_id: RequestId::from_fields(fields)?,
                hold: fields.take_optional("hold_ms")?,
                from_queue: fields.take("from_queue")?,
            },
            "lock_released" => Self::LockReleased {
                lock: fields.take("lock")?,
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                token: fields.take("token")?,
                cause: fields.take("cause")?,
                request_id: RequestId::from_fields(fields).ok(),
            },
            "wait_ended" => Self::WaitEnded {
                lock: fields.take("lock")?,
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                wait_seq: fields.take("waited")?,
                cause: fields.take("cause")?,
                request_id: RequestId::from_fields(fields).ok(),
            },
            "file_appended" => Self::FileAppended {
                file: fields.take("file")?,
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                token: fields.take("token")?,
                offset: fields.take("offset")?,
                data: take_data(fields)?,
                request_id: RequestId::from_fields(fields)?,
            },
            "request_refused" => Self::RequestRefused {
                session_id: fields.take_optional("session_no")?,
                client: fields.take_optional("client")?,
                op: fields.take("op")?,
                resource_name: fields.take_optional("name")?,
                token: fields.take_optional("given")?,
                refusal: Refusal::from_fields(fields)?,
                request_id: RequestId::from_fields(fields)?,
            },
            "duplicate_answered" => Self::DuplicateAnswered {
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                op: fields.take("op")?,
                request_id: RequestId::from_fields(fields)?,
            },
            "lease_renewed" => Self::LeaseRenewed {
                session_id: fields.take("session_no")?,
                client: fields.take("client")?,
                op: fields.take("op")?,
                request_id: RequestId::from_fields(fields)?,
            },
            "datagram_dropped" => Self::DatagramDropped { reason: fields.take("reason")? },
            _ => return Err(unknown_variant(&tag)),
        })
    }
}

fn take_data(fields: &mut Fields<'_>) -> Result<Data, Error> {
    let (text, base64) =
        (fields.take_optional::<String>("data")?, fields.take_optional::<String>("data_b64")?);
    Data::from_fields(text.as_deref(), base64.as_deref()).map_err(Error::custom)
}

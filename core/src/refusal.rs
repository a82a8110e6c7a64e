//! Refusals: the error replies of the protocol.
//!
//! A refusal is an answer and not a failure of the server: the server processed the request, and
//! nothing changed.

use serde::{Deserialize, Serialize};

use crate::deserialize_from_fields;
use crate::fields::{Error, Fields, FromFields, unknown_variant};
use crate::id::{BadName, Token};
use crate::time::Millis;

/// A limit of the server, see [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The number of live sessions.
    Sessions,
    /// The number of locks that are held or waited for.
    Locks,
    /// The number of waiters in all wait queues.
    Waiters,
    /// The number of guarded files.
    Files,
}

impl Limit {
    const fn noun(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Locks => "locks",
            Self::Waiters => "waiters",
            Self::Files => "files",
        }
    }
}

/// The reason for which a request was refused. A refused request has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// The datagram is not a request of this protocol.
    #[error("{reason}")]
    BadRequest {
        /// A description of the mistake, for people.
        #[serde(skip)]
        reason: String,
    },
    /// The datagram is too long, or the append would make the file too long.
    #[error("longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A name is not well formed.
    #[error("{}", BadName)]
    BadName,
    /// The session never existed, was closed, or has expired.
    #[error("the session never existed, was closed, or has expired")]
    UnknownSession,
    /// The `seq` is older than the cached replies.
    #[error("this seq is older than the cached replies")]
    StaleSeq,
    /// The `seq` was already used for a different request.
    #[error("this seq was already used for a different request")]
    SeqReused,
    /// More requests are outstanding than the window allows.
    #[error("more than {window} requests are outstanding")]
    WindowFull {
        /// The largest number of outstanding requests.
        window: usize,
    },
    /// A limit of the server is reached.
    #[error("the server's limit on {} is reached", limit.noun())]
    Overloaded {
        /// The limit that is reached.
        #[serde(rename = "bound")]
        limit: Limit,
    },
    /// The client sends requests too fast. Reserved: this server never sends it.
    #[error("too many requests; retry in {retry_after}")]
    RateLimited {
        /// The delay after which the client may retry.
        retry_after: Millis,
    },
    /// The server could not make the request durable, and did not execute it. This answers one
    /// transmission of the request: a further one may be executed.
    #[error("the server could not make the request durable; send the same request again")]
    StorageFailed,
    /// Another session holds the lock, and the request did not ask to wait.
    #[error("another session holds the lock; retry in {retry_after}")]
    LockHeld {
        /// The delay after which a retry may succeed.
        retry_after: Millis,
    },
    /// The lock was not granted within `wait_ms`.
    #[error("the lock was not granted in time")]
    WaitTimeout,
    /// The session already holds the lock.
    #[error("this session already holds the lock, under token {token}")]
    AlreadyHeld {
        /// The token of the session's tenure.
        token: Token,
    },
    /// The session does not wait for the lock.
    #[error("this session does not wait for the lock")]
    NotWaiting,
    /// The token is current, but the tenure belongs to another session.
    #[error("another session holds the lock")]
    NotHolder,
    /// The token is not that of the lock's live tenure.
    #[error("the token is stale; {}", current_tenure(*current))]
    StaleToken {
        /// The token of the live tenure, or 0 if the lock is free.
        current: Token,
    },
}

deserialize_from_fields!(Refusal);

impl FromFields for Refusal {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("code")?;
        Ok(match &*tag {
            "bad_request" => Self::BadRequest { reason: String::new() },
            "too_large" => Self::TooLarge { limit: fields.take("limit")? },
            "bad_name" => Self::BadName,
            "unknown_session" => Self::UnknownSession,
            "stale_seq" => Self::StaleSeq,
            "seq_reused" => Self::SeqReused,
            "window_full" => Self::WindowFull { window: fields.take("window")? },
            "overloaded" => Self::Overloaded { limit: fields.take("bound")? },
            "rate_limited" => Self::RateLimited { retry_after: fields.take("retry_after")? },
            "storage_failed" => Self::StorageFailed,
            "lock_held" => Self::LockHeld { retry_after: fields.take("retry_after")? },
            "wait_timeout" => Self::WaitTimeout,
            "already_held" => Self::AlreadyHeld { token: fields.take("token")? },
            "not_waiting" => Self::NotWaiting,
            "not_holder" => Self::NotHolder,
            "stale_token" => Self::StaleToken { current: fields.take("current")? },
            _ => return Err(unknown_variant(&tag)),
        })
    }
}

impl Refusal {
    /// Returns the code of the refusal in JSON. The codes are part of the protocol and never
    /// change; the messages may.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::TooLarge { .. } => "too_large",
            Self::BadName => "bad_name",
            Self::UnknownSession => "unknown_session",
            Self::StaleSeq => "stale_seq",
            Self::SeqReused => "seq_reused",
            Self::WindowFull { .. } => "window_full",
            Self::Overloaded { .. } => "overloaded",
            Self::RateLimited { .. } => "rate_limited",
            Self::StorageFailed => "storage_failed",
            Self::LockHeld { .. } => "lock_held",
            Self::WaitTimeout => "wait_timeout",
            Self::AlreadyHeld { .. } => "already_held",
            Self::NotWaiting => "not_waiting",
            Self::NotHolder => "not_holder",
            Self::StaleToken { .. } => "stale_token",
        }
    }

    /// Returns whether the refusal is cached for duplicates of the request. A refusal that says how
    /// the `seq` was used before must not replace the cached reply of that earlier request, and
    /// `storage_failed` answers one transmission of a request, and not the request.
    pub const fn is_cacheable(&self) -> bool {
        !matches!(
            self,
            Self::StaleSeq | Self::SeqReused | Self::UnknownSession | Self::StorageFailed
        )
    }
}

fn current_tenure(current: Token) -> String {
    if current == Token::default() {
        "the lock is free".to_owned()
    } else {
        format!("the current token is {current}")
    }
}

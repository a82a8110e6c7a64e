//! A refusal is an answer, not a failure: the request was understood, and changed nothing.

use serde::{Deserialize, Serialize};

use crate::id::Token;
use crate::time::Millis;

/// Which of a server's bounds is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Live sessions.
    Sessions,
    /// Locks held or waited for.
    Locks,
    /// Waits over all locks.
    Waiters,
    /// Guarded files.
    Files,
}

/// Why a request was refused. A refused request has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// Not a request of this protocol.
    #[error("{reason}")]
    BadRequest {
        /// What is wrong with it, for a person.
        #[serde(skip)]
        reason: String,
    },
    /// A datagram over its bound, or a file that would be.
    #[error("over {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// A name that isn't one.
    #[error("a name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with a dot")]
    BadName,
    /// A session that was never given, was closed, or has expired.
    #[error("no such session: it was never given, was closed, or its lease ran out")]
    UnknownSession,
    /// A `seq` older than the kept replies.
    #[error("this seq is older than the replies that are kept")]
    StaleSeq,
    /// A `seq` that another request has used.
    #[error("this seq was used for a different request")]
    SeqReused,
    /// More requests outstanding than the window allows.
    #[error("more than {window} requests outstanding")]
    WindowFull {
        /// How many may be.
        window: usize,
    },
    /// A bound of the server's is reached.
    #[error("the server's bound on {limit:?} is reached")]
    Overloaded {
        /// Which one.
        #[serde(rename = "bound")]
        limit: Limit,
    },
    /// Too many requests in too short a time.
    #[error("too many requests; try again in {retry_after}")]
    RateLimited {
        /// When another is welcome.
        retry_after: Millis,
    },
    /// It can't be made durable, and so nothing was done.
    #[error("it can't be made durable, so nothing was done")]
    StorageFailed,
    /// Somebody else has the lock, and the request would not wait.
    #[error("the lock is held; try again in {retry_after}")]
    LockHeld {
        /// When it may be worth asking again.
        retry_after: Millis,
    },
    /// The lock didn't come free in time.
    #[error("the lock did not come free in time")]
    WaitTimeout,
    /// The session has the lock.
    #[error("this session holds the lock, under token {token}")]
    AlreadyHeld {
        /// The token of its tenure.
        token: Token,
    },
    /// The session doesn't wait for the lock.
    #[error("this session does not wait for the lock")]
    NotWaiting,
    /// The token is right, but the tenure is another session's.
    #[error("the lock is held by another session")]
    NotHolder,
    /// The token isn't that of the lock's live tenure.
    #[error("this token is not that of the live tenure, {current}")]
    StaleToken {
        /// The live tenure's token, 0 where the lock is free.
        current: Token,
    },
}

impl Refusal {
    /// The word on the wire. Part of the protocol, so never reworded; the sentence may be.
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

    /// Whether the answer is kept for duplicates. What says that a `seq` was used otherwise must
    /// not take the place of the answer that it was used for.
    pub const fn is_cacheable(&self) -> bool {
        !matches!(self, Self::StaleSeq | Self::SeqReused | Self::UnknownSession)
    }
}

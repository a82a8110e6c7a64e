//! The operations of the protocol, and the reasons for which the server drops a datagram.

use serde::{Deserialize, Serialize};

/// An operation of the protocol, without its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Open a session.
    Hello,
    /// Acquire a lock, or be queued for it.
    AcquireLock,
    /// Leave the wait queue of a lock.
    CancelAcquire,
    /// Release a lock.
    ReleaseLock,
    /// Append to the file that a lock guards.
    AppendFile,
    /// Query the outcome of an append.
    AppendOutcome,
    /// Renew the lease.
    Heartbeat,
    /// End the session.
    Close,
}

impl Op {
    /// Every operation, in the order of the table in the protocol document.
    pub const ALL: [Self; 8] = [
        Self::Hello,
        Self::AcquireLock,
        Self::CancelAcquire,
        Self::ReleaseLock,
        Self::AppendFile,
        Self::AppendOutcome,
        Self::Heartbeat,
        Self::Close,
    ];

    /// Returns the code of the operation in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::AcquireLock => "acquire_lock",
            Self::CancelAcquire => "cancel_acquire",
            Self::ReleaseLock => "release_lock",
            Self::AppendFile => "append_file",
            Self::AppendOutcome => "append_outcome",
            Self::Heartbeat => "heartbeat",
            Self::Close => "close",
        }
    }

    /// Returns the operation with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.code() == code)
    }
}

/// Why the server dropped a datagram without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It is a reply. Two servers that answer replies could answer each other endlessly.
    IsReply,
    /// It has no `op`, so it is not a request.
    NoOperation,
    /// It is not a JSON object, and the reply would be longer than the datagram.
    NotJson,
    /// The reply would be too long for a source address that may be spoofed.
    WouldAmplify,
    /// Its authentication trailer is missing or wrong.
    BadKey,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::IsReply, Self::NoOperation, Self::NotJson, Self::WouldAmplify, Self::BadKey];

    /// Returns the code of the reason in events and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::IsReply => "is_reply",
            Self::NoOperation => "no_operation",
            Self::NotJson => "not_json",
            Self::WouldAmplify => "would_amplify",
            Self::BadKey => "bad_key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_match_their_json() {
        for op in Op::ALL {
            assert_eq!(serde_json::to_string(&op).unwrap(), format!("\"{}\"", op.code()));
            assert_eq!(Op::from_code(op.code()), Some(op));
        }
        for reason in DropReason::ALL {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.code()));
        }
    }
}

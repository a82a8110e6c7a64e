//! The operations of the protocol, by name, and why a datagram may get no answer at all.

use serde::{Deserialize, Serialize};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Open a session.
    Hello,
    /// Get a lock, or stand in line for it.
    AcquireLock,
    /// Leave the line.
    CancelAcquire,
    /// Give a lock back.
    ReleaseLock,
    /// Append to the file that a lock guards.
    AppendFile,
    /// Learn what became of an append.
    AppendOutcome,
    /// Renew the lease.
    Heartbeat,
    /// End the session.
    Close,
}

impl Op {
    /// All of them, in the order of the protocol's table.
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

    /// The word on the wire.
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

    /// The operation that this word of the wire names.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.code() == code)
    }
}

/// Why a datagram was dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It is a reply: answering it could begin a loop between two servers.
    IsReply,
    /// It has no `op`, so it isn't a request.
    NoOperation,
    /// It isn't a JSON object, and the answer would be longer than it is.
    NotJson,
    /// The answer would be too long for somebody who may not even be there.
    WouldAmplify,
    /// It has no valid trailer of the key.
    BadKey,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::IsReply, Self::NoOperation, Self::NotJson, Self::WouldAmplify, Self::BadKey];

    /// The word in events and metrics.
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

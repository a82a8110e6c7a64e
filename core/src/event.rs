//! Everything that can happen to the service. Events are the truth: the journal stores them, the
//! state is their fold, the stream shows them, the page folds them again.
//!
//! - An event is in the past tense: it has been decided, and can't be refused any more.
//! - What opens doors (session ids, nonces) never appears in an event's JSON. The journal writes
//!   it by name.

use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::digest::Digest;
use crate::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey, Token};
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::{Millis, Time};

/// One thing that happened, and its place in history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place: each event's is one more than that of the event before it.
    pub index: LogIndex,
    /// When, on the server's clock.
    #[serde(rename = "at_ms")]
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Which request led to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId {
    /// Its number within the session.
    pub seq: Seq,
    /// Which transmission of it arrived.
    #[serde(default)]
    pub attempt: Attempt,
    /// What it asked for, in short: the same `seq` with another digest is another request.
    #[serde(skip)]
    pub digest: Digest,
}

/// How a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCause {
    /// Its holder gave the lock back.
    Released,
    /// Its holder's lease ran out.
    LeaseExpired,
    /// Its own time ran out: `hold_ms`, or three polls without a word after a grant that came
    /// out of the queue.
    HoldExpired,
    /// Its holder closed the session.
    Closed,
}

/// How a wait ended without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEndCause {
    /// The waiter left the line.
    Cancelled,
    /// `wait_ms` ran out.
    Timeout,
    /// The waiter's session ended.
    SessionEnded,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields' meaning is that of the wire's fields of those names")]
pub enum EventKind {
    /// The server began to serve, for the first time or again. Every session that is alive has
    /// its full lease from here on.
    ServerStarted {
        /// Milliseconds since 1970 on the wall clock, for people: nothing is decided by it.
        unix_ms: u64,
        /// No token up to this one is granted any more. Moved far ahead after a loss of data.
        token_floor: Token,
    },
    /// The server ends in good order.
    ServerStopped,
    SessionOpened {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        #[serde(rename = "lease_ms")]
        lease: Millis,
        #[serde(skip)]
        key: Option<Secret<SessionKey>>,
        #[serde(skip)]
        nonce: Option<Secret<Nonce>>,
    },
    /// A lease ran out. What the session held and waited for was ended before.
    SessionExpired {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
    },
    /// A client closed its session. What it held and waited for was ended before.
    SessionClosed {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        #[serde(flatten)]
        request_id: RequestId,
    },
    LockQueued {
        lock: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        #[serde(flatten)]
        request_id: RequestId,
        #[serde(rename = "wait_ms")]
        wait: Millis,
        #[serde(rename = "hold_ms", skip_serializing_if = "Option::is_none")]
        hold: Option<Millis>,
    },
    LockGranted {
        lock: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        token: Token,
        #[serde(flatten)]
        request_id: RequestId,
        #[serde(rename = "hold_ms", skip_serializing_if = "Option::is_none")]
        hold: Option<Millis>,
        /// Whether it came out of the queue, so that its holder has yet to be heard from.
        from_queue: bool,
    },
    LockReleased {
        lock: Name,
        /// Whose tenure it was.
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        token: Token,
        cause: ReleaseCause,
        /// Set where the holder asked for it.
        #[serde(flatten)]
        request_id: Option<RequestId>,
    },
    WaitEnded {
        lock: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        /// The number of the request that waited.
        #[serde(rename = "waited")]
        wait_seq: Seq,
        cause: WaitEndCause,
        /// Set where the client asked for it.
        #[serde(flatten)]
        request_id: Option<RequestId>,
    },
    FileAppended {
        file: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        token: Token,
        /// Where its bytes begin.
        offset: u64,
        #[serde(flatten)]
        data: Data,
        #[serde(flatten)]
        request_id: RequestId,
    },
    RequestRefused {
        /// Unset where the session is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "session_no")]
        session_id: Option<SessionId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<Name>,
        op: Op,
        /// The lock or file that it named.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "name")]
        resource_name: Option<Name>,
        /// The token that it named. In JSON `given`, since a refusal may add a `token`.
        #[serde(rename = "given", skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
        #[serde(flatten)]
        refusal: Refusal,
        #[serde(flatten)]
        request_id: RequestId,
    },
    /// A request that was answered before, or waits already, was answered once more.
    DuplicateAnswered {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        op: Op,
        #[serde(flatten)]
        request_id: RequestId,
    },
    /// A new request that changes nothing else renewed its session's lease.
    LeaseRenewed {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        op: Op,
        #[serde(flatten)]
        request_id: RequestId,
    },
    DatagramDropped {
        reason: DropReason,
    },
}

impl EventKind {
    /// Whether the journal must hold it before anybody may hear of it.
    ///
    /// A refusal is, where the request would do something if it were executed again in another
    /// state of things: a copy of a refused acquire that the network held back must stay refused,
    /// also after a crash. A refused append or release stays refused by its token alone.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::ServerStarted { .. }
            | Self::SessionOpened { .. }
            | Self::SessionExpired { .. }
            | Self::SessionClosed { .. }
            | Self::LockQueued { .. }
            | Self::LockGranted { .. }
            | Self::LockReleased { .. }
            | Self::WaitEnded { .. }
            | Self::FileAppended { .. } => true,
            Self::RequestRefused { session_id, op, refusal, .. } => {
                let repeatable = matches!(op, Op::AcquireLock | Op::CancelAcquire)
                    || matches!(refusal, Refusal::StorageFailed);
                session_id.is_some() && refusal.is_cacheable() && repeatable
            }
            Self::ServerStopped
            | Self::DuplicateAnswered { .. }
            | Self::LeaseRenewed { .. }
            | Self::DatagramDropped { .. } => false,
        }
    }

    /// The session that it is about, if it is about one.
    pub fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::SessionOpened { session_id, .. }
            | Self::SessionExpired { session_id, .. }
            | Self::SessionClosed { session_id, .. }
            | Self::LockQueued { session_id, .. }
            | Self::LockGranted { session_id, .. }
            | Self::LockReleased { session_id, .. }
            | Self::WaitEnded { session_id, .. }
            | Self::FileAppended { session_id, .. }
            | Self::DuplicateAnswered { session_id, .. }
            | Self::LeaseRenewed { session_id, .. } => Some(*session_id),
            Self::RequestRefused { session_id, .. } => *session_id,
            Self::ServerStarted { .. } | Self::ServerStopped | Self::DatagramDropped { .. } => None,
        }
    }

    /// The lock or file that it is about, if it is about one.
    pub fn resource_name(&self) -> Option<&Name> {
        match self {
            Self::LockQueued { lock, .. }
            | Self::LockGranted { lock, .. }
            | Self::LockReleased { lock, .. }
            | Self::WaitEnded { lock, .. } => Some(lock),
            Self::FileAppended { file, .. } => Some(file),
            Self::RequestRefused { resource_name: name, .. } => name.as_ref(),
            Self::ServerStarted { .. }
            | Self::ServerStopped
            | Self::SessionOpened { .. }
            | Self::SessionExpired { .. }
            | Self::SessionClosed { .. }
            | Self::DuplicateAnswered { .. }
            | Self::LeaseRenewed { .. }
            | Self::DatagramDropped { .. } => None,
        }
    }

    /// The word in JSON's `type`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ServerStarted { .. } => "server_started",
            Self::ServerStopped => "server_stopped",
            Self::SessionOpened { .. } => "session_opened",
            Self::SessionExpired { .. } => "session_expired",
            Self::SessionClosed { .. } => "session_closed",
            Self::LockQueued { .. } => "lock_queued",
            Self::LockGranted { .. } => "lock_granted",
            Self::LockReleased { .. } => "lock_released",
            Self::WaitEnded { .. } => "wait_ended",
            Self::FileAppended { .. } => "file_appended",
            Self::RequestRefused { .. } => "request_refused",
            Self::DuplicateAnswered { .. } => "duplicate_answered",
            Self::LeaseRenewed { .. } => "lease_renewed",
            Self::DatagramDropped { .. } => "datagram_dropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn request_id(seq: u64) -> RequestId {
        RequestId { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) }
    }

    #[test]
    fn event_json_matches_the_protocol_document() {
        let event = Event {
            index: LogIndex::new(5),
            at: Time::from_millis(1_234),
            kind: EventKind::FileAppended {
                file: name("a"),
                session_id: SessionId::new(3),
                client: name("me"),
                token: Token::new(7),
                offset: 10,
                data: Data::new(b"hi\n"),
                request_id: request_id(4),
            },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"index":5,"at_ms":1234,"type":"file_appended","file":"a","session_no":3,"client":"me","token":7,"offset":10,"data":"hi\n","seq":4,"attempt":0}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn refusal_json_contains_the_code_and_the_given_token() {
        let kind = EventKind::RequestRefused {
            session_id: None,
            client: None,
            op: Op::AppendFile,
            resource_name: Some(name("a")),
            token: Some(Token::new(33)),
            refusal: Refusal::StaleToken { current: Token::new(34) },
            request_id: request_id(9),
        };
        let json = serde_json::to_string(&kind).unwrap();
        assert!(json.contains(r#""given":33,"code":"stale_token","current":34"#), "{json}");
        assert_eq!(serde_json::from_str::<EventKind>(&json).unwrap(), kind);
    }

    #[test]
    fn event_json_contains_no_secret() {
        let kind = EventKind::SessionOpened {
            session_id: SessionId::new(1),
            client: name("me"),
            lease: Millis::from_secs(5),
            key: Some(Secret::new(SessionKey::from_entropy(0xabc))),
            nonce: Some(Secret::new(Nonce::new(0xdef))),
        };
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(
            json,
            r#"{"type":"session_opened","session_no":1,"client":"me","lease_ms":5000}"#
        );
        assert!(!format!("{kind:?}").contains("abc"), "{kind:?}");
    }
}

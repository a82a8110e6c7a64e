//! Events: everything that can change the state of the service, and what is worth reporting.
//!
//! Events are the source of truth. The log stores them, the state is a fold over them, and the
//! event stream sends them to the web page, which applies the same fold.
//!
//! - An event is in the past tense: it was decided, and applying it cannot be refused.
//! - Session keys and nonces are never part of the JSON of an event. The log writes them
//!   explicitly.

mod decode;

use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::digest::Digest;
use crate::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey, Token};
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::{Millis, Time};

/// One event, with its log index and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// One more than the index of the previous event.
    pub index: LogIndex,
    /// The reading of the server's clock.
    #[serde(rename = "at_ms")]
    pub at: Time,
    /// The event itself.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Identifies the request that led to an event, and its transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RequestId {
    /// The sequence number of the request within its session.
    pub seq: Seq,
    /// The transmission that the server received.
    pub attempt: Attempt,
    /// The digest of the operation: the same `seq` with another digest is another request.
    #[serde(skip)]
    pub digest: Digest,
}

/// The reason for which a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCause {
    /// The holder released the lock.
    Released,
    /// The lease of the holder expired.
    LeaseExpired,
    /// The hold limit expired, or the holder did not confirm a grant from the wait queue in time.
    HoldExpired,
    /// The holder closed its session.
    Closed,
}

/// The reason for which a wait ended without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEndCause {
    /// The client cancelled the wait.
    Cancelled,
    /// `wait_ms` elapsed.
    Timeout,
    /// The session of the waiter ended.
    SessionEnded,
}

/// The kinds of events, with their data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "fields are documented in the protocol, under the same names")]
pub enum EventKind {
    /// The server started, for the first time or again. Every live session has its full lease from
    /// this time on.
    ServerStarted {
        /// The wall clock in milliseconds since 1970, for display only.
        unix_ms: u64,
        /// All tokens granted from now on are larger. Far ahead after a loss of data.
        token_floor: Token,
    },
    /// The server shut down gracefully.
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
    /// A lease expired. The tenures and waits of the session were ended by earlier events.
    SessionExpired {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
    },
    /// A client closed its session. Its tenures and waits were ended by earlier events.
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
        /// Whether the client was queued, so that it has yet to confirm the grant by a request.
        from_queue: bool,
    },
    LockReleased {
        lock: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        token: Token,
        cause: ReleaseCause,
        /// The request by which the holder released the lock, if it did.
        #[serde(flatten)]
        request_id: Option<RequestId>,
    },
    WaitEnded {
        lock: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        /// The sequence number of the request that was queued.
        #[serde(rename = "waited")]
        wait_seq: Seq,
        cause: WaitEndCause,
        /// The `cancel_acquire` that ended the wait, if it was cancelled by one.
        #[serde(flatten)]
        request_id: Option<RequestId>,
    },
    FileAppended {
        file: Name,
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        token: Token,
        offset: u64,
        #[serde(flatten)]
        data: Data,
        #[serde(flatten)]
        request_id: RequestId,
    },
    RequestRefused {
        /// `None` if the session is unknown.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "session_no")]
        session_id: Option<SessionId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<Name>,
        op: Op,
        /// The lock or file that the request named.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[serde(rename = "name")]
        resource_name: Option<Name>,
        /// The token in the request. In JSON `given`, because a refusal may add a `token`.
        #[serde(rename = "given", skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
        #[serde(flatten)]
        refusal: Refusal,
        #[serde(flatten)]
        request_id: RequestId,
    },
    /// The server answered a duplicate of a request that it has answered or queued before.
    DuplicateAnswered {
        #[serde(rename = "session_no")]
        session_id: SessionId,
        client: Name,
        op: Op,
        #[serde(flatten)]
        request_id: RequestId,
    },
    /// A new request that changes nothing else renewed the lease of its session.
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
    /// Returns whether the event must be durable before a reply that depends on it may be sent.
    ///
    /// A refusal must be durable if executing the request again could have an effect in a later
    /// state: a delayed duplicate of a refused acquire must remain refused, even after a crash. A
    /// refused append or release remains refused because its token is stale.
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
                let repeatable = matches!(op, Op::AcquireLock | Op::CancelAcquire);
                session_id.is_some() && refusal.is_cacheable() && repeatable
            }
            Self::ServerStopped
            | Self::DuplicateAnswered { .. }
            | Self::LeaseRenewed { .. }
            | Self::DatagramDropped { .. } => false,
        }
    }

    /// Returns the session that the event concerns.
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

    /// Returns the lock or file that the event concerns.
    pub fn resource_name(&self) -> Option<&Name> {
        match self {
            Self::LockQueued { lock, .. }
            | Self::LockGranted { lock, .. }
            | Self::LockReleased { lock, .. }
            | Self::WaitEnded { lock, .. } => Some(lock),
            Self::FileAppended { file, .. } => Some(file),
            Self::RequestRefused { resource_name, .. } => resource_name.as_ref(),
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

    /// Returns the code of the event, its `type` in JSON.
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

//! The state of the lock service: sessions, locks with their wait queues, cached replies, files.
//!
//! - Only [`State::apply`] changes it. It cannot refuse an event: the code that makes the event has
//!   checked everything. The server, recovery, the simulator and the page all use this function.
//! - Nothing here makes decisions or knows timers; the service does.
//! - The state's JSON contains no secrets. The log stores those of [`State::secrets`] apart, and
//!   restores them with [`State::with_secrets`].

mod apply;
mod ended_sessions;
mod file;
mod lock;
mod reply_cache;
mod session;
mod unprotected;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use file::{AppliedAppend, File};
pub use lock::{Lock, Tenure, Waiter};
pub use reply_cache::{Answer, CachedReply, ReplyCache};
pub use session::{ReplayWindow, Session, Wait};

use crate::id::{LogIndex, Name, Nonce, Seq, SessionId, SessionKey, Token};
use crate::secret::Secret;
use crate::time::Time;
use ended_sessions::EndedSessions;

/// The state of the lock service: the fold of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    #[serde(rename = "index")]
    applied_index: LogIndex,
    #[serde(rename = "now_ms")]
    last_event_at: Time,
    last_token: Token,
    #[serde(rename = "last_session_no")]
    last_session_id: SessionId,
    sessions: BTreeMap<SessionId, Box<Session>>,
    locks: BTreeMap<Name, Lock>,
    files: BTreeMap<Name, File>,
    #[serde(default)]
    #[serde(rename = "departed")]
    ended_sessions: EndedSessions,
    #[serde(rename = "waiters")]
    waiter_count: usize,
    /// Whether the simulator has disabled fencing, so that appends of ended sessions are applied.
    #[serde(skip)]
    fencing_disabled: bool,
}

/// The secrets of one session, which only the log stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSecrets {
    /// The session.
    pub session_id: SessionId,
    /// The key that authorizes its requests.
    pub key: Secret<SessionKey>,
    /// The nonce of its `hello`; `None` for a session that has ended.
    pub nonce: Option<Secret<Nonce>>,
}

impl State {
    /// Creates the state after the log was lost: the length of each file is known, and a log index
    /// and a token that are not less than any that was used before.
    pub fn after_data_loss(
        files: impl IntoIterator<Item = (Name, u64)>,
        index: LogIndex,
        last_token: Token,
    ) -> Self {
        let files = files.into_iter().map(|(name, len)| (name, File::with_len(len))).collect();
        Self { applied_index: index, last_token, files, ..Self::default() }
    }

    /// Adds the secrets of the sessions, after the state was read from a form without them.
    #[must_use]
    pub fn with_secrets(mut self, secrets: &[SessionSecrets]) -> Self {
        for secret in secrets {
            match self.sessions.get_mut(&secret.session_id) {
                Some(session) => {
                    session.key = Some(secret.key);
                    session.nonce = secret.nonce;
                }
                None => self.ended_sessions.insert_key(secret.session_id, secret.key),
            }
        }
        self
    }

    /// Returns the secrets of all sessions, alive and ended, for the log.
    pub fn secrets(&self) -> Vec<SessionSecrets> {
        let live = self.sessions.iter().filter_map(|(&session_id, session)| {
            Some(SessionSecrets { session_id, key: session.key?, nonce: session.nonce })
        });
        let ended = self.ended_sessions.keys().map(|(session_id, key)| SessionSecrets {
            session_id,
            key,
            nonce: None,
        });
        live.chain(ended).collect()
    }

    /// Returns the log index of the last applied event.
    pub const fn applied_index(&self) -> LogIndex {
        self.applied_index
    }

    /// Returns the time of the last applied event, on the server's clock.
    pub const fn last_event_at(&self) -> Time {
        self.last_event_at
    }

    /// Returns the largest token ever granted.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }

    /// Returns the id of the session that was opened last.
    pub const fn last_session_id(&self) -> SessionId {
        self.last_session_id
    }

    /// Returns the live sessions.
    pub const fn sessions(&self) -> &BTreeMap<SessionId, Box<Session>> {
        &self.sessions
    }

    /// Returns the live session with this id.
    pub fn session(&self, session_id: SessionId) -> Option<&Session> {
        self.sessions.get(&session_id).map(AsRef::as_ref)
    }

    /// Returns the recently ended session that this key belonged to.
    pub fn ended_session(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.ended_sessions.find_by_key(key)
    }

    /// Returns whether an append of the session with this sequence number may have been applied,
    /// and then evicted from the recent appends of its file.
    pub fn may_have_evicted_append(&self, session_id: SessionId, seq: Seq) -> bool {
        self.ended_sessions.may_have_evicted_append(session_id, seq)
    }

    /// Returns the locks that are held or waited for.
    pub const fn locks(&self) -> &BTreeMap<Name, Lock> {
        &self.locks
    }

    /// Returns the live tenure of a lock.
    pub fn tenure(&self, lock: &Name) -> Option<&Tenure> {
        self.locks.get(lock)?.tenure()
    }

    /// Returns the guarded files, including those whose lock is free.
    pub const fn files(&self) -> &BTreeMap<Name, File> {
        &self.files
    }

    /// Returns the number of waiters, over all locks.
    pub const fn waiter_count(&self) -> usize {
        self.waiter_count
    }
}

//! What is so: sessions, locks and their lines, kept replies, files.
//!
//! - [`State::apply`] is the only thing that changes it, and it can't be refused: whoever made the
//!   event has checked everything. The same function serves the server, the journal's recovery,
//!   the simulator and the page.
//! - Nothing here decides, and nothing here knows what falls due: that is the service's.
//! - What opens doors is left out of its JSON. The journal takes it from [`State::secrets`] and
//!   gives it back through [`State::with_secrets`].

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
    /// Whether files believe whoever writes, also those whose session is gone..
    #[serde(skip)]
    fencing_disabled: bool,
}

/// What opens the door of one session, for the journal alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSecrets {
    /// Whose.
    pub session_id: SessionId,
    /// The capability that its `hello` gave.
    pub key: Secret<SessionKey>,
    /// The nonce of its `hello`; unset for a session that is gone.
    pub nonce: Option<Secret<Nonce>>,
}

impl State {
    /// What is left after a loss of the journal: how long each file is, and which place in
    /// history and which token nobody may have seen.
    pub fn after_data_loss(
        files: impl IntoIterator<Item = (Name, u64)>,
        index: LogIndex,
        last_token: Token,
    ) -> Self {
        let files = files.into_iter().map(|(name, len)| (name, File::with_len(len))).collect();
        Self { applied_index: index, last_token, files, ..Self::default() }
    }

    /// Gives the sessions their secrets back, after the state was read from where they are not.
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

    /// The secrets of all sessions, alive and departed, for the journal alone.
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

    /// The last event that it has taken in.
    pub const fn applied_index(&self) -> LogIndex {
        self.applied_index
    }

    /// When that event happened, on the server's clock.
    pub const fn last_event_at(&self) -> Time {
        self.last_event_at
    }

    /// The largest token ever granted.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }

    /// The number of the youngest session ever opened.
    pub const fn last_session_id(&self) -> SessionId {
        self.last_session_id
    }

    /// The live sessions.
    pub const fn sessions(&self) -> &BTreeMap<SessionId, Box<Session>> {
        &self.sessions
    }

    /// The live session of this number.
    pub fn session(&self, session_id: SessionId) -> Option<&Session> {
        self.sessions.get(&session_id).map(AsRef::as_ref)
    }

    /// The session that this capability opened, where it is gone and still remembered.
    pub fn ended_session(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.ended_sessions.find_by_key(key)
    }

    /// Whether an append of this number may have been applied by the session, and forgotten.
    pub fn has_forgotten_append(&self, session_id: SessionId, seq: Seq) -> bool {
        self.ended_sessions.has_forgotten_append(session_id, seq)
    }

    /// The locks that are held or waited for.
    pub const fn locks(&self) -> &BTreeMap<Name, Lock> {
        &self.locks
    }

    /// The live tenure of a lock.
    pub fn tenure(&self, lock: &Name) -> Option<&Tenure> {
        self.locks.get(lock)?.tenure()
    }

    /// The guarded files, also those whose lock is free.
    pub const fn files(&self) -> &BTreeMap<Name, File> {
        &self.files
    }

    /// How many waits there are, over all locks.
    pub const fn waiter_count(&self) -> usize {
        self.waiter_count
    }
}

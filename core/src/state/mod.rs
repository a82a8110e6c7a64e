//! What is so: sessions, locks and their lines, kept replies, files.
//!
//! - [`State::apply`] is the only thing that changes it, and it can't be refused: whoever made the
//!   event has checked everything. The same function serves the server, the journal's recovery,
//!   the simulator and the page.
//! - Nothing here decides, and nothing here knows what falls due: that is the service's.
//! - What opens doors is left out of its JSON. The journal takes it from [`State::secrets`] and
//!   gives it back through [`State::with_secrets`].

mod apply;
mod departed;
mod file;
mod lock;
mod replies;
mod session;
mod unguarded;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use file::{Applied, File};
pub use lock::{Lock, Tenure, Waiter};
pub use replies::{Answer, KeptReply, Replies};
pub use session::{Beats, Session, Wait};

use crate::id::{Index, Name, Nonce, Seq, SessionId, SessionNo, Token};
use crate::secret::Secret;
use crate::time::Time;
use departed::Departed;

/// The state of the lock service: the fold of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    index: Index,
    #[serde(rename = "now_ms")]
    now: Time,
    last_token: Token,
    last_session_no: SessionNo,
    sessions: BTreeMap<SessionNo, Box<Session>>,
    locks: BTreeMap<Name, Lock>,
    files: BTreeMap<Name, File>,
    #[serde(default)]
    departed: Departed,
    waiters: usize,
    /// Whether files believe whoever writes, also those whose session is gone..
    #[serde(skip)]
    unfenced: bool,
}

/// What opens the door of one session, for the journal alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSecret {
    /// Whose.
    pub session_no: SessionNo,
    /// The capability that its `hello` gave.
    pub id: Secret<SessionId>,
    /// The nonce of its `hello`; unset for a session that is gone.
    pub nonce: Option<Secret<Nonce>>,
}

impl State {
    /// What is left after a loss of the journal: how long each file is, and which place in
    /// history and which token nobody may have seen.
    pub fn after_loss(
        files: impl IntoIterator<Item = (Name, u64)>,
        index: Index,
        last_token: Token,
    ) -> Self {
        let files = files.into_iter().map(|(name, len)| (name, File::of_len(len))).collect();
        Self { index, last_token, files, ..Self::default() }
    }

    /// Gives the sessions their secrets back, after the state was read from where they are not.
    #[must_use]
    pub fn with_secrets(mut self, secrets: &[SessionSecret]) -> Self {
        for secret in secrets {
            match self.sessions.get_mut(&secret.session_no) {
                Some(session) => {
                    session.id = Some(secret.id);
                    session.nonce = secret.nonce;
                }
                None => self.departed.identify(secret.session_no, secret.id),
            }
        }
        self
    }

    /// The secrets of all sessions, alive and departed, for the journal alone.
    pub fn secrets(&self) -> Vec<SessionSecret> {
        let alive = self.sessions.iter().filter_map(|(&session_no, session)| {
            Some(SessionSecret { session_no, id: session.id?, nonce: session.nonce })
        });
        let gone = self.departed.ids().map(|(session_no, id)| SessionSecret {
            session_no,
            id,
            nonce: None,
        });
        alive.chain(gone).collect()
    }

    /// The last event that it has taken in.
    pub const fn index(&self) -> Index {
        self.index
    }

    /// When that event happened, on the server's clock.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The largest token ever granted.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }

    /// The number of the youngest session ever opened.
    pub const fn last_session_no(&self) -> SessionNo {
        self.last_session_no
    }

    /// The live sessions.
    pub const fn sessions(&self) -> &BTreeMap<SessionNo, Box<Session>> {
        &self.sessions
    }

    /// The live session of this number.
    pub fn session(&self, session_no: SessionNo) -> Option<&Session> {
        self.sessions.get(&session_no).map(AsRef::as_ref)
    }

    /// The session that this capability opened, where it is gone and still remembered.
    pub fn departed(&self, id: Secret<SessionId>) -> Option<SessionNo> {
        self.departed.find(id)
    }

    /// Whether an append of this number may have been applied by the session, and forgotten.
    pub fn has_forgotten_append(&self, session_no: SessionNo, seq: Seq) -> bool {
        self.departed.forgot(session_no, seq)
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
    pub const fn waiters(&self) -> usize {
        self.waiters
    }
}

//! The state where the simulator has taken a protection away. Nobody else can reach any of this.

use super::{Outcome, State};
use crate::id::{Name, Seq, SessionId, SessionNo, Token};
use crate::secret::Secret;
use crate::time::Time;

impl State {
    /// A state whose files believe whoever writes.
    #[must_use]
    pub(crate) fn unfenced(mut self) -> Self {
        self.unfenced = true;
        self
    }

    /// Forgets which tokens were given.
    pub(crate) fn forget_tokens(&mut self) {
        self.last_token = Token::default();
    }

    /// When each lease runs out.
    pub(crate) fn leases(&self) -> Vec<(SessionNo, Time)> {
        self.sessions.iter().map(|(&no, session)| (no, session.expires_at)).collect()
    }

    /// Sets the leases back to what they were.
    pub(crate) fn set_leases(&mut self, leases: &[(SessionNo, Time)]) {
        for (session_no, expires_at) in leases {
            if let Some(session) = self.sessions.get_mut(session_no) {
                session.expires_at = *expires_at;
            }
        }
    }

    /// The session that this capability opened, alive or gone.
    pub(crate) fn departed_session(&self, id: Secret<SessionId>) -> Option<SessionNo> {
        self.session_of(id).or_else(|| self.departed.find(id))
    }

    /// The append of this number, where it is in its file.
    pub(crate) fn applied_before(
        &self,
        session_no: SessionNo,
        seq: Seq,
    ) -> Option<(Name, u64, u64)> {
        match self.applied(session_no, seq)? {
            Outcome::Applied { file, offset, len } => Some((file, offset, len)),
            Outcome::NotApplied | Outcome::Forgotten => None,
        }
    }
}

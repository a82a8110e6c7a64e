//! Changes to the state that only the simulator makes: when it disables a protection, or starts a
//! server that has already used many numbers. No native program uses them.

use super::State;
use crate::id::{LogIndex, SessionId, Token};
use crate::time::Time;

impl State {
    /// Returns the state of a server without sessions, locks and files that has used these numbers
    /// and all below them.
    #[doc(hidden)]
    pub fn after_numbers(index: LogIndex, last_token: Token, last_session_id: SessionId) -> Self {
        Self { applied_index: index, last_token, last_session_id, ..Self::default() }
    }

    /// Returns the state with fencing disabled: also appends of ended sessions are applied.
    #[doc(hidden)]
    #[must_use]
    pub fn without_fencing(mut self) -> Self {
        self.fencing_disabled = true;
        self
    }

    /// Resets the token counter, so that tokens are granted again.
    #[doc(hidden)]
    pub fn reset_last_token(&mut self) {
        self.last_token = Token::default();
    }

    /// Returns when each lease expires.
    pub(crate) fn lease_expirations(&self) -> Vec<(SessionId, Time)> {
        self.sessions
            .iter()
            .map(|(&session_id, session)| (session_id, session.expires_at))
            .collect()
    }

    /// Restores the leases that [`State::lease_expirations`] returned.
    pub(crate) fn restore_lease_expirations(&mut self, leases: &[(SessionId, Time)]) {
        for (session_id, expires_at) in leases {
            if let Some(session) = self.sessions.get_mut(session_id) {
                session.expires_at = *expires_at;
            }
        }
    }
}

//! The state where the simulator has taken a protection away. No native program calls any of this.

use super::State;
use crate::id::{SessionId, Token};
use crate::time::Time;

impl State {
    /// A state whose files believe whoever writes.
    #[doc(hidden)]
    #[must_use]
    pub fn without_fencing(mut self) -> Self {
        self.fencing_disabled = true;
        self
    }

    /// Forgets which tokens were given.
    #[doc(hidden)]
    pub fn reset_last_token(&mut self) {
        self.last_token = Token::default();
    }

    /// When each lease runs out.
    pub(crate) fn lease_expirations(&self) -> Vec<(SessionId, Time)> {
        self.sessions
            .iter()
            .map(|(&session_id, session)| (session_id, session.expires_at))
            .collect()
    }

    /// Sets the leases back to what they were.
    pub(crate) fn restore_lease_expirations(&mut self, leases: &[(SessionId, Time)]) {
        for (session_id, expires_at) in leases {
            if let Some(session) = self.sessions.get_mut(session_id) {
                session.expires_at = *expires_at;
            }
        }
    }
}

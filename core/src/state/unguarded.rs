//! The state where the simulator has taken a protection away. No native program calls any of this.

use super::State;
use crate::id::{SessionNo, Token};
use crate::time::Time;

impl State {
    /// A state whose files believe whoever writes.
    #[doc(hidden)]
    #[must_use]
    pub fn unfenced(mut self) -> Self {
        self.unfenced = true;
        self
    }

    /// Forgets which tokens were given.
    #[doc(hidden)]
    pub fn forget_tokens(&mut self) {
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
}

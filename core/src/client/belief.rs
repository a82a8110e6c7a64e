//! How long a client may believe that it has its lease and its locks (S7).
//!
//! Measured from when a request was *sent*: the server renewed the lease at some time between the
//! send and the reply, and only the earlier end is safe.

use super::{LockClient, Notification};
use crate::id::{Name, Token};
use crate::limits::ROUNDING_ERROR_MAX;
use crate::time::{Millis, Time};

/// How long the client may believe that its session is alive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Belief {
    pub(super) until: Time,
}

/// A lock that was granted.
#[derive(Clone, Debug)]
pub(super) struct HeldLock {
    pub(super) token: Token,
    /// When the client received the grant.
    pub(super) learned_at: Time,
    /// When the hold limit ends the tenure; [`Time::NEVER`] if there is none.
    pub(super) hold_until: Time,
    /// How long the grant is valid by itself. Applies until the server has received a request that
    /// was sent after the grant, because until then it may end a tenure from the wait queue.
    pub(super) claim_until: Option<Time>,
}

/// Returns until when something certainly lasts that had `remaining` when the server replied to a
/// request sent at `sent_at`.
fn certain_until(sent_at: Time, remaining: Millis, drift_ppm: u64) -> Time {
    sent_at + remaining.shortened_by(drift_ppm).saturating_sub(ROUNDING_ERROR_MAX)
}

impl Belief {
    /// Extends the belief, after proof that the session lives until `until`.
    pub(super) fn renew(&mut self, until: Time) {
        // `max`: a late reply to an early request must not shorten what a newer one has proved.
        self.until = self.until.max(until);
    }
}

impl LockClient {
    /// Returns until when something certainly lasts that had `remaining` when the server made the
    /// reply that has arrived now, to a request sent at `sent_at`.
    pub(super) fn certain_until(&self, now: Time, sent_at: Time, remaining: Millis) -> Time {
        if self.protections.margin {
            certain_until(sent_at, remaining, self.config.drift_ppm)
        } else {
            now + remaining
        }
    }

    pub(super) fn belief_end(&self, held: &HeldLock) -> Time {
        let until = self.belief.until.min(held.hold_until);
        held.claim_until.map_or(until, |claim| until.min(claim))
    }

    /// Ends the beliefs that have expired. Releases these locks, because the server may not know
    /// that the client no longer uses them.
    pub(super) fn expire_beliefs(&mut self, now: Time) {
        let expired: Vec<(Name, Token)> = self
            .held
            .iter()
            .filter(|(_, held)| self.belief_end(held) <= now)
            .map(|(lock, held)| (lock.clone(), held.token))
            .collect();
        for (lock, token) in expired {
            self.report_lost(lock.clone(), token);
            self.release_in_background(now, lock, token);
        }
    }

    pub(super) fn report_lost(&mut self, lock: Name, token: Token) {
        self.held.remove(&lock);
        self.notify(Notification::LockLost { lock, token });
    }
}

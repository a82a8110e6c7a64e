//! What a client may still believe about its lease and its locks (S7).
//!
//! Counted from when the attempt was *sent*: the server's clock started somewhere between sending
//! and answer, and only the earlier end is safe.

use super::{LockClient, Notification};
use crate::id::{Name, Token};
use crate::limits::ROUNDING_ERROR_MAX;
use crate::time::{Millis, Time};

/// Until when the session is sure to be alive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Belief {
    pub(super) until: Time,
}

/// A lock that was granted.
#[derive(Clone, Debug)]
pub(super) struct HeldLock {
    pub(super) token: Token,
    /// When the client learned of it.
    pub(super) learned_at: Time,
    /// When its own bound ends, where it has one.
    pub(super) hold_until: Time,
    /// Until when the grant itself holds. Counts until the server has heard from the client after
    /// the grant, since until then it may take back what came out of the queue.
    pub(super) claim_until: Option<Time>,
}

/// The moment up to which something is sure that lasted for `left` when the answer to what was
/// sent at `sent_at` was given.
fn certain_until(sent_at: Time, remaining: Millis, drift_ppm: u64) -> Time {
    sent_at + remaining.shortened_by(drift_ppm).saturating_sub(ROUNDING_ERROR_MAX)
}

impl Belief {
    /// Takes in a proof that the session lives until then.
    pub(super) fn renew(&mut self, until: Time) {
        // `max`: a late answer to an early attempt must not shorten what a newer one has proved.
        self.until = self.until.max(until);
    }
}

impl LockClient {
    /// The moment up to which something is sure that lasted for `left` when the answer that came
    /// now was given, to what was sent at `sent_at`.
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

    /// Ends the beliefs whose time has come. What was lost is given back, since the server may
    /// not know that nobody uses it any more.
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

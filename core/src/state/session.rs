//! One session: a client's name, its lease, its locks and its waits.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::lock::Tenure;
use super::reply_cache::ReplyCache;
use crate::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionKey};
use crate::limits::REPLAY_WINDOW_LEN;
use crate::secret::Secret;
use crate::time::{Millis, Time};

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The client's name, for display.
    pub client: Name,
    #[serde(skip)]
    pub(super) key: Option<Secret<SessionKey>>,
    #[serde(skip)]
    pub(super) nonce: Option<Secret<Nonce>>,
    /// How long the session lives after its last renewal.
    #[serde(rename = "lease_ms")]
    pub lease: Millis,
    /// When the lease expires.
    #[serde(rename = "expires_at_ms")]
    pub expires_at: Time,
    /// The locks that the session holds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<Name>,
    /// The waits of the session, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// The recent answers.
    pub replies: ReplyCache,
    /// The heartbeats and outcome queries that have arrived.
    #[serde(rename = "beats")]
    pub replay_window: ReplayWindow,
    /// The last event that a datagram of the session led to.
    #[serde(rename = "heard")]
    pub last_seen_index: LogIndex,
    /// The last durable event about the session.
    #[serde(rename = "durable")]
    pub last_durable_index: LogIndex,
}

/// A request that is in the wait queue of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The sequence number of the request.
    pub seq: Seq,
    /// The lock.
    pub lock: Name,
    /// The ticket of the waiter in that lock's queue.
    pub ticket: LogIndex,
}

/// The recent requests whose answers are not cached: heartbeats and outcome queries.
///
/// A duplicate of one renews nothing. Duplicates are detected among the last 64 sequence numbers;
/// an older number counts as a duplicate, which is the safe choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWindow {
    highest: Seq,
    /// The highest attempt of the highest sequence number.
    attempt: Attempt,
    /// Bit `n` is set if the number `n` below the highest has arrived.
    seen: u64,
}

impl Session {
    pub(super) fn renew(&mut self, at: Time) {
        // The lease never changes, so `max` only guards against a clock that goes back.
        self.expires_at = self.expires_at.max(at + self.lease);
    }

    /// Returns the key, which only the server has.
    pub const fn key(&self) -> Option<Secret<SessionKey>> {
        self.key
    }

    /// Returns the nonce of the `hello` that opened the session, which only the server has.
    pub const fn nonce(&self) -> Option<Secret<Nonce>> {
        self.nonce
    }

    /// Returns whether a datagram of the session has arrived since this tenure was granted.
    pub fn has_claimed(&self, tenure: &Tenure) -> bool {
        self.last_seen_index > tenure.granted_index
    }

    /// Returns the wait with this sequence number.
    pub fn wait_by_seq(&self, seq: Seq) -> Option<&Wait> {
        self.waits.iter().find(|wait| wait.seq == seq)
    }

    /// Returns the wait for this lock.
    pub fn wait_for_lock(&self, lock: &Name) -> Option<&Wait> {
        self.waits.iter().find(|wait| wait.lock == *lock)
    }
}

impl ReplayWindow {
    pub(super) fn record(&mut self, seq: Seq, attempt: Attempt) {
        if seq > self.highest {
            let ahead = seq.number() - self.highest.number();
            self.seen = if ahead < REPLAY_WINDOW_LEN { self.seen << ahead } else { 0 };
            self.highest = seq;
            self.attempt = attempt;
        } else if seq == self.highest {
            self.attempt = self.attempt.max(attempt);
        }
        let below = self.highest.number() - seq.number();
        if below < REPLAY_WINDOW_LEN {
            self.seen |= 1 << below;
        }
    }

    /// Returns whether this sequence number has arrived, or is too old to know.
    pub fn may_have_seen(&self, seq: Seq) -> bool {
        let Some(below) = self.highest.number().checked_sub(seq.number()) else { return false };
        below >= REPLAY_WINDOW_LEN || self.seen >> below & 1 == 1
    }

    /// Returns whether this sequence number has certainly arrived, so no other request may use it.
    pub fn has_seen(&self, seq: Seq) -> bool {
        let Some(below) = self.highest.number().checked_sub(seq.number()) else { return false };
        below < REPLAY_WINDOW_LEN && self.seen >> below & 1 == 1
    }

    /// Returns the highest attempt known for this sequence number, or `given` if that is higher.
    pub fn highest_attempt(&self, seq: Seq, given: Attempt) -> Attempt {
        if seq == self.highest { self.attempt.max(given) } else { given }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_detected_in_any_order() {
        let mut window = ReplayWindow::default();
        let seq = Seq::new;
        assert!(!window.may_have_seen(seq(1)));
        for arrived in [5, 3, 70] {
            assert!(!window.has_seen(seq(arrived)));
            window.record(seq(arrived), Attempt::new(0));
            assert!(window.has_seen(seq(arrived)) && window.may_have_seen(seq(arrived)));
        }
        assert!(!window.may_have_seen(seq(69)), "between two that arrived");
        assert!(
            window.may_have_seen(seq(5)) && !window.has_seen(seq(5)),
            "too old to know: counts as a duplicate"
        );
        assert!(!window.may_have_seen(seq(71)));
        window.record(seq(u64::MAX), Attempt::new(2));
        assert_eq!(window.highest_attempt(seq(u64::MAX), Attempt::new(1)), Attempt::new(2));
    }
}

//! One session: a client's name, its one lease, what it holds and waits for.

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
    /// The client's name, for people.
    pub client: Name,
    #[serde(skip)]
    pub(super) key: Option<Secret<SessionKey>>,
    #[serde(skip)]
    pub(super) nonce: Option<Secret<Nonce>>,
    /// How long it lives without a word.
    #[serde(rename = "lease_ms")]
    pub lease: Millis,
    /// When its lease runs out.
    #[serde(rename = "expires_at_ms")]
    pub expires_at: Time,
    /// The locks that it holds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<Name>,
    /// What it waits for, in the order of asking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// Its last answers.
    pub replies: ReplyCache,
    /// Which heartbeats it has sent.
    #[serde(rename = "beats")]
    pub replay_window: ReplayWindow,
    /// The last event that a datagram of its own led to.
    #[serde(rename = "heard")]
    pub last_seen_index: LogIndex,
    /// The last durable event that is about it.
    #[serde(rename = "durable")]
    pub last_durable_index: LogIndex,
}

/// A request that stands in line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Its number.
    pub seq: Seq,
    /// What for.
    pub lock: Name,
    /// Its place in that lock's line.
    pub ticket: LogIndex,
}

/// Which requests of the kinds that are never kept have arrived: heartbeats and questions.
///
/// A copy of one renews nothing, so the last 64 numbers are told apart; anything older counts as
/// a copy, which is the safe side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWindow {
    highest: Seq,
    /// The highest transmission of the highest number.
    attempt: Attempt,
    /// Bit n is set where the number n below the highest has arrived.
    seen: u64,
}

impl Session {
    pub(super) fn renew(&mut self, at: Time) {
        // `max`: the lease is one length, so this only guards against a clock that goes back.
        self.expires_at = self.expires_at.max(at + self.lease);
    }

    /// The secret that opens it. Unset on the page, which is never told.
    pub const fn key(&self) -> Option<Secret<SessionKey>> {
        self.key
    }

    /// The nonce of the `hello` that opened it, unset likewise.
    pub const fn nonce(&self) -> Option<Secret<Nonce>> {
        self.nonce
    }

    /// Whether it has been heard from since this tenure of its own was granted.
    pub fn has_claimed(&self, tenure: &Tenure) -> bool {
        self.last_seen_index > tenure.granted_index
    }

    /// What it waits for under this number.
    pub fn wait_by_seq(&self, seq: Seq) -> Option<&Wait> {
        self.waits.iter().find(|wait| wait.seq == seq)
    }

    /// Its wait for this lock.
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

    /// Whether this number has arrived, or is too old to tell.
    pub fn may_have_seen(&self, seq: Seq) -> bool {
        let Some(below) = self.highest.number().checked_sub(seq.number()) else { return false };
        below >= REPLAY_WINDOW_LEN || self.seen >> below & 1 == 1
    }

    /// Whether this very number has arrived for certain, so that no other request may have it.
    pub fn has_seen(&self, seq: Seq) -> bool {
        let Some(below) = self.highest.number().checked_sub(seq.number()) else { return false };
        below < REPLAY_WINDOW_LEN && self.seen >> below & 1 == 1
    }

    /// The highest transmission of this number that is known to have arrived, `given` among them.
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
            "too old to tell: taken for a copy"
        );
        assert!(!window.may_have_seen(seq(71)));
        window.record(seq(u64::MAX), Attempt::new(2));
        assert_eq!(window.highest_attempt(seq(u64::MAX), Attempt::new(1)), Attempt::new(2));
    }
}

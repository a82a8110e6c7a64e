//! One lock: its current tenure, and its wait queue.
//!
//! - S1: a lock has at most one live tenure.
//! - A session is in the wait queue at most once.
//! - The wait queue is sorted by ticket, so that a waiter is found by binary search.
//!
//! Nothing here knows the time; timers are part of the service.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{Attempt, LogIndex, Seq, SessionId, Token};
use crate::time::{Millis, Time};

/// A lock that is held or waited for. Other locks are not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    tenure: Option<Tenure>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    #[serde(rename = "line")]
    wait_queue: VecDeque<Waiter>,
}

/// One client's uninterrupted holding of a lock, from grant to release or expiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The session that holds the lock.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The fencing token. No other tenure has the same.
    pub token: Token,
    /// When the lock was granted.
    #[serde(rename = "since_ms")]
    pub granted_at: Time,
    /// When the tenure ends even if its holder is alive. Set if the client asked for a hold limit.
    #[serde(rename = "hold_until_ms", default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Time>,
    /// By when the server has to receive something from the holder. Set for a grant from the wait
    /// queue, because the client may have crashed while it waited.
    #[serde(rename = "claim_by_ms", default, skip_serializing_if = "Option::is_none")]
    pub claim_by: Option<Time>,
    /// The log index of the grant.
    #[serde(rename = "granted")]
    pub granted_index: LogIndex,
}

/// A request in the wait queue of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The session that waits.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The sequence number of the request.
    pub seq: Seq,
    /// The log index of the event that queued it. The queue is sorted by it.
    pub ticket: LogIndex,
    /// When the wait times out.
    #[serde(rename = "until_ms")]
    pub deadline: Time,
    /// The hold limit that the client asked for.
    #[serde(rename = "hold_ms", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Millis>,
    /// When the last transmission of the request arrived.
    #[serde(rename = "heard_at_ms")]
    pub last_seen_at: Time,
    /// The highest attempt that has arrived.
    pub attempt: Attempt,
    /// The digest of the operation.
    pub digest: Digest,
}

impl Lock {
    pub(super) fn begin_tenure(&mut self, tenure: Tenure) {
        assert!(self.tenure.is_none(), "S1: a held lock was granted");
        self.tenure = Some(tenure);
    }

    pub(super) fn end_tenure(&mut self, token: Token) -> Tenure {
        let tenure = self.tenure.take().expect("only a held lock is released");
        assert_eq!(tenure.token, token, "S6: a release ended another tenure");
        tenure
    }

    pub(super) fn enqueue(&mut self, waiter: Waiter) {
        let last = self.wait_queue.back().map(|last| last.ticket);
        assert!(last < Some(waiter.ticket), "S8: tickets did not increase");
        self.wait_queue.push_back(waiter);
    }

    pub(super) fn dequeue(&mut self, ticket: LogIndex) -> Waiter {
        let index = self.queue_index(ticket).expect("only a queued waiter leaves the queue");
        self.wait_queue.remove(index).expect("the index was found in this queue")
    }

    pub(super) fn waiter_mut(&mut self, ticket: LogIndex) -> Option<&mut Waiter> {
        let index = self.queue_index(ticket)?;
        self.wait_queue.get_mut(index)
    }

    pub(super) fn tenure_and_waiters_mut(
        &mut self,
    ) -> (Option<&mut Tenure>, &mut VecDeque<Waiter>) {
        (self.tenure.as_mut(), &mut self.wait_queue)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.tenure.is_none() && self.wait_queue.is_empty()
    }

    /// Returns the live tenure, if the lock is held.
    pub const fn tenure(&self) -> Option<&Tenure> {
        self.tenure.as_ref()
    }

    /// Returns the waiters, first in the queue first.
    pub const fn wait_queue(&self) -> &VecDeque<Waiter> {
        &self.wait_queue
    }

    /// Returns the queue position of the waiter with this ticket, counted from 0.
    pub fn queue_index(&self, ticket: LogIndex) -> Option<usize> {
        self.wait_queue.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    /// Returns the waiter with this ticket.
    pub fn waiter(&self, ticket: LogIndex) -> Option<&Waiter> {
        self.wait_queue.get(self.queue_index(ticket)?)
    }
}

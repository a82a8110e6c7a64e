//! One lock: who holds it, under which token, and who waits in line.
//!
//! - S1: at most one live tenure.
//! - A session stands in a line at most once.
//! - The line is in the order of the tickets, so that a place in it is found by halving.
//!
//! Nothing here knows the time. What falls due, and when, is in the service's agenda.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{Attempt, LogIndex, Seq, SessionId, Token};
use crate::time::{Millis, Time};

/// A lock that is held or waited for. A lock that is neither is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    tenure: Option<Tenure>,
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    #[serde(rename = "line")]
    wait_queue: VecDeque<Waiter>,
}

/// One holding of a lock, from a grant to its release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// Who holds the lock.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The fencing token of this tenure alone.
    pub token: Token,
    /// When it was granted.
    #[serde(rename = "since_ms")]
    pub granted_at: Time,
    /// When it ends however alive its holder is, where `hold_ms` was asked for.
    #[serde(rename = "hold_until_ms", default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Time>,
    /// Until when its holder has to be heard from. Set where the grant came out of the queue: a
    /// waiter may have died in it.
    #[serde(rename = "claim_by_ms", default, skip_serializing_if = "Option::is_none")]
    pub claim_by: Option<Time>,
    /// The event that granted it.
    #[serde(rename = "granted")]
    pub granted_index: LogIndex,
}

/// One who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Who.
    #[serde(rename = "session_no")]
    pub session_id: SessionId,
    /// The number of the request that waits.
    pub seq: Seq,
    /// Its place in history, and so in the line.
    pub ticket: LogIndex,
    /// When it gives up.
    #[serde(rename = "until_ms")]
    pub deadline: Time,
    /// How long it wants to hold the lock at most.
    #[serde(rename = "hold_ms", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Millis>,
    /// When it last asked.
    #[serde(rename = "heard_at_ms")]
    pub last_seen_at: Time,
    /// Its highest transmission that has arrived.
    pub attempt: Attempt,
    /// What it asked for, in short.
    pub digest: Digest,
}

impl Lock {
    pub(super) fn begin_tenure(&mut self, tenure: Tenure) {
        assert!(self.tenure.is_none(), "S1: granted while it is held");
        self.tenure = Some(tenure);
    }

    pub(super) fn end_tenure(&mut self, token: Token) -> Tenure {
        let tenure = self.tenure.take().expect("only a held lock is released");
        assert_eq!(tenure.token, token, "S6: a release ends the tenure that it names");
        tenure
    }

    pub(super) fn enqueue(&mut self, waiter: Waiter) {
        let last = self.wait_queue.back().map(|last| last.ticket);
        assert!(last < Some(waiter.ticket), "S8: tickets are given in order");
        self.wait_queue.push_back(waiter);
    }

    pub(super) fn dequeue(&mut self, ticket: LogIndex) -> Waiter {
        let index = self.queue_index(ticket).expect("only who stands in line leaves it");
        self.wait_queue.remove(index).expect("the place was found in this line")
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

    /// Who holds it, if anybody does.
    pub const fn tenure(&self) -> Option<&Tenure> {
        self.tenure.as_ref()
    }

    /// Who waits, in order.
    pub const fn wait_queue(&self) -> &VecDeque<Waiter> {
        &self.wait_queue
    }

    /// How many stand before the holder of this ticket; unset where nobody has it.
    pub fn queue_index(&self, ticket: LogIndex) -> Option<usize> {
        self.wait_queue.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    /// The waiter with this ticket.
    pub fn waiter(&self, ticket: LogIndex) -> Option<&Waiter> {
        self.wait_queue.get(self.queue_index(ticket)?)
    }
}

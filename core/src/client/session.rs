//! The client's session: `hello`, heartbeats, and the loss of the session.
//!
//! A heartbeat is never retransmitted: each is a new request, because a duplicate renews nothing.
//! If no reply arrives, the next one follows sooner.

use std::collections::VecDeque;

use super::call::CallKind;
use super::retransmission::{Backoff, Transmissions, jittered};
use super::{CallOutcome, LockClient, Notification};
use crate::id::{Attempt, Nonce, Seq, SessionKey};
use crate::limits::{HEARTBEATS_PER_LEASE, RETRANSMIT_DELAY_FIRST, RETRANSMIT_DELAY_MAX};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::{Millis, Time};
use crate::wire::{Cookie, Operation, Status};

/// The jitter of heartbeats, in parts per million.
const HEARTBEAT_JITTER_PPM: u64 = 100_000;

/// The maximum number of unanswered heartbeats whose send times are retained.
const HEARTBEATS_OUTSTANDING_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Closed,
    Opening(PendingHello),
    Open(OpenSession),
}

#[derive(Clone, Debug)]
pub(super) struct PendingHello {
    nonce: Secret<Nonce>,
    cookie: Option<Cookie>,
    transmissions: Transmissions,
    /// Whether the last reply was `storage_failed`.
    storage_failed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct OpenSession {
    pub(super) key: Secret<SessionKey>,
    lease: Millis,
    next_heartbeat_at: Time,
    retry_delay: Millis,
    unanswered_heartbeats: VecDeque<(Seq, Time)>,
}

impl Phase {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        match self {
            Self::Closed => None,
            Self::Opening(hello) => Some(hello.transmissions.next_at()),
            Self::Open(session) => Some(session.next_heartbeat_at),
        }
    }

    pub(super) const fn next_heartbeat(&self) -> Option<Time> {
        match self {
            Self::Open(session) => Some(session.next_heartbeat_at),
            Self::Closed | Self::Opening(_) => None,
        }
    }
}

impl OpenSession {
    /// Returns the delay after the first unanswered heartbeat: a quarter of the usual interval,
    /// because the reply may only be slow.
    fn retry_delay_first(&self) -> Millis {
        let minimum = RETRANSMIT_DELAY_FIRST.min(self.lease.divided_by(2 * HEARTBEATS_PER_LEASE));
        self.lease.divided_by(4 * HEARTBEATS_PER_LEASE).max(minimum).min(RETRANSMIT_DELAY_MAX)
    }

    /// Returns the longest delay. Shorter than for other requests, because the lease is at risk.
    fn retry_delay_max(&self) -> Millis {
        self.lease
            .divided_by(4 * HEARTBEATS_PER_LEASE)
            .clamp(self.retry_delay_first(), RETRANSMIT_DELAY_MAX)
    }
}

impl LockClient {
    pub(super) fn begin_hello(&mut self, now: Time) {
        let nonce = Secret::new(Nonce::new(self.rng.next_u64()));
        self.phase = Phase::Opening(PendingHello {
            nonce,
            cookie: None,
            transmissions: Transmissions::default(),
            storage_failed: false,
        });
        self.send_due(now);
    }

    /// Sends the hello or the heartbeat if it is due. Opens a session if a call needs one.
    pub(super) fn send_due_session_request(&mut self, now: Time) {
        let needs_session = self.calls.values().any(|call| call.assignment.is_none());
        if matches!(self.phase, Phase::Closed) && needs_session {
            self.begin_hello(now);
            return;
        }
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Opening(hello) => {
                if !hello.transmissions.is_due(now) {
                    return;
                }
                let backoff = Backoff::Exponential { first: self.config.retransmit_delay };
                hello.transmissions.record_sent(now, backoff, &mut self.rng);
                let operation = Operation::Hello {
                    client: self.config.name.clone(),
                    nonce: hello.nonce,
                    lease: self.config.lease,
                    cookie: hello.cookie,
                };
                let transmissions = hello.transmissions.clone();
                self.push_request(None, Seq::default(), &transmissions, operation);
            }
            Phase::Open(session) if session.next_heartbeat_at <= now => self.send_heartbeat(now),
            Phase::Open(_) => {}
        }
    }

    /// Sends a heartbeat now, if there is a session, and schedules the next one.
    pub fn send_heartbeat(&mut self, now: Time) {
        let seq = self.next_seq();
        let Phase::Open(session) = &mut self.phase else { return };
        session.unanswered_heartbeats.push_back((seq, now));
        if session.unanswered_heartbeats.len() > HEARTBEATS_OUTSTANDING_MAX {
            session.unanswered_heartbeats.pop_front();
        }
        session.next_heartbeat_at =
            now + jittered(session.retry_delay, HEARTBEAT_JITTER_PPM, &mut self.rng);
        session.retry_delay = session.retry_delay.saturating_mul(2).min(session.retry_delay_max());
        let key = session.key;
        self.push_request(Some(key), seq, &Transmissions::default(), Operation::Heartbeat);
    }

    pub(super) fn handle_hello_reply(&mut self, now: Time, status: Status) {
        let Phase::Opening(hello) = &mut self.phase else { return };
        match status {
            Status::Welcome { session_key: key, lease, heartbeat, .. } => {
                // The first attempt may be the one that opened the session.
                let sent_at = hello.transmissions.sent_at(Attempt::default()).unwrap_or_default();
                // The lease does not count yet: this may be a late reply to an earlier instance of
                // this program. Only a reply to a request of the session proves the lease.
                self.belief = super::Belief::default();
                let next_heartbeat_at =
                    sent_at + jittered(heartbeat, HEARTBEAT_JITTER_PPM, &mut self.rng);
                let unanswered_heartbeats = VecDeque::new();
                let mut session = OpenSession {
                    key,
                    lease,
                    next_heartbeat_at,
                    retry_delay: Millis::ZERO,
                    unanswered_heartbeats,
                };
                session.retry_delay = session.retry_delay_first();
                self.phase = Phase::Open(session);
                self.notify(Notification::SessionOpened { lease });
            }
            Status::Retry { cookie } if hello.cookie != Some(cookie) => {
                hello.cookie = Some(cookie);
                hello.transmissions.set_next_at(now);
            }
            // This answers a transmission: the same `hello` is sent again.
            Status::Refused(Refusal::StorageFailed) => hello.storage_failed = true,
            Status::Refused(refusal) => {
                self.phase = Phase::Closed;
                self.refuse_unassigned_calls(&refusal);
                self.notify(Notification::SessionRefused { refusal });
            }
            Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. } => {}
        }
    }

    /// Returns whether the client opens a session, and the last reply was `storage_failed`.
    pub const fn is_hello_failing(&self) -> bool {
        match &self.phase {
            Phase::Opening(hello) => hello.storage_failed,
            Phase::Closed | Phase::Open(_) => false,
        }
    }

    /// Ends the calls that wait for a session, after the server has refused to open one.
    fn refuse_unassigned_calls(&mut self, refusal: &Refusal) {
        let waiting: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, it)| it.assignment.is_none())
            .map(|(&id, _)| id)
            .collect();
        for call in waiting {
            self.finish_call(call, CallOutcome::Refused(refusal.clone()));
        }
    }

    /// Handles the reply if it answers a heartbeat. Returns whether it does.
    pub(super) fn handle_heartbeat_reply(&mut self, now: Time, seq: Seq, status: &Status) -> bool {
        let Phase::Open(session) = &mut self.phase else { return false };
        let Some(position) = session
            .unanswered_heartbeats
            .iter()
            .position(|(heartbeat_seq, _)| *heartbeat_seq == seq)
        else {
            return false;
        };
        let (_, sent_at) = session.unanswered_heartbeats[position];
        match status {
            Status::Alive { lease, .. } => {
                session.unanswered_heartbeats.drain(..=position);
                session.retry_delay = session.retry_delay_first();
                let third = session.lease.divided_by(HEARTBEATS_PER_LEASE);
                let next = sent_at + jittered(third, HEARTBEAT_JITTER_PPM, &mut self.rng);
                session.next_heartbeat_at = next.max(now);
                let until = self.certain_until(now, sent_at, *lease);
                self.belief.renew(until);
                for held in self.held.values_mut().filter(|held| held.learned_at <= sent_at) {
                    held.claim_until = None;
                }
            }
            Status::Refused(Refusal::UnknownSession) => self.handle_session_loss(now),
            Status::Refused(_)
            | Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Closed { .. } => {}
        }
        true
    }

    /// Handles the loss of the session, with all its locks and waits. Acquires are repeated in a
    /// new session; the outcome of appends is queried.
    pub(super) fn handle_session_loss(&mut self, now: Time) {
        let Phase::Open(session) = &self.phase else { return };
        let lost_key = session.key;
        self.phase = Phase::Closed;
        self.notify(Notification::SessionLost);
        let held: Vec<_> = self.held().map(|(lock, token)| (lock.clone(), token)).collect();
        for (lock, token) in held {
            self.report_lost(lock, token);
        }
        let calls: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| {
                call.assignment.is_none_or(|(session_key, _)| session_key == lost_key)
            })
            .map(|(&id, _)| id)
            .collect();
        for id in calls {
            self.continue_after_session_loss(now, id);
        }
    }

    fn continue_after_session_loss(&mut self, now: Time, id: super::CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match &call.kind {
            CallKind::Acquire { .. } if call.detached => {
                self.finish_call(id, CallOutcome::Cancelled);
            }
            CallKind::Acquire { .. } => call.unassign(),
            CallKind::Cancel { .. } => self.finish_call(id, CallOutcome::Cancelled),
            CallKind::Close => self.finish_call(id, CallOutcome::Closed),
            // Not sent yet, and meaningless in another session.
            CallKind::Release { .. } if call.assignment.is_none() => {
                self.finish_call(id, CallOutcome::Refused(Refusal::UnknownSession));
            }
            CallKind::Append { .. } if call.assignment.is_none() => {
                self.finish_call(id, CallOutcome::Refused(Refusal::UnknownSession));
            }
            // These continue with the key of the old session: the server knows their outcome.
            CallKind::Release { .. } | CallKind::Append { .. } | CallKind::AppendOutcome { .. } => {
                call.transmissions.set_next_at(now);
            }
        }
    }
}

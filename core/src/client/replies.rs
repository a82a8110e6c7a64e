//! Handling of the server's replies to calls, and the ends of calls without a reply.
//!
//! A status that does not answer the operation of its call is ignored.

use super::belief::HeldLock;
use super::call::{Call, CallId, CallKind, CallOutcome};
use super::session::Phase;
use super::{LockClient, Notification};
use crate::id::{Name, Seq, Token};
use crate::limits::POLL_INTERVAL;
use crate::refusal::Refusal;
use crate::time::{Millis, Time};
use crate::wire::{Reply, Status};

impl LockClient {
    pub(super) fn handle_reply(&mut self, now: Time, reply: Reply) {
        if reply.request_seq == Seq::default() {
            self.handle_hello_reply(now, reply.status);
            return;
        }
        if self.handle_heartbeat_reply(now, reply.request_seq, &reply.status) {
            return;
        }
        let found = self.calls.iter().find(|(_, call)| {
            call.assignment.is_some_and(|(_, seq)| seq == reply.request_seq)
                && !call.awaiting_outcome
        });
        let Some((&id, call)) = found else {
            self.handle_unmatched_reply(now, reply.status);
            return;
        };
        let sent_at = call.transmissions.sent_at(reply.attempt);
        if reply.attempt > call.transmissions.last_attempt() {
            // This attempt was never sent, so the reply is not for this client.
            return;
        }
        let kind = call.kind.clone();
        if reply.status == Status::Refused(Refusal::StorageFailed) {
            self.handle_storage_failure(id);
            return;
        }
        match kind {
            CallKind::Acquire { lock, .. } => {
                self.handle_acquire_reply(now, id, lock, sent_at, reply.status);
            }
            CallKind::Cancel { lock, acquire_call } => {
                self.handle_cancel_reply(now, id, lock, acquire_call, &reply.status);
            }
            CallKind::Release { .. } => self.handle_release_reply(now, id, reply.status),
            CallKind::Append { .. } => self.handle_append_reply(now, id, reply.status),
            CallKind::AppendOutcome { append_call, .. } => {
                self.handle_append_outcome_reply(id, append_call, &reply.status);
            }
            CallKind::Close => self.handle_close_reply(id, &reply.status),
        }
    }

    /// Continues the call: `storage_failed` answers a transmission and not the request, so the same
    /// request is retransmitted, until its final reply arrives or the deadline passes.
    fn handle_storage_failure(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.storage_failed = true;
        }
    }

    fn handle_acquire_reply(
        &mut self,
        now: Time,
        id: CallId,
        lock: Name,
        sent_at: Option<Time>,
        status: Status,
    ) {
        let detached = self.calls.get(&id).is_some_and(|call| call.detached);
        match status {
            Status::Granted { token, .. } if detached => {
                self.finish_call(id, CallOutcome::Cancelled);
                self.release_in_background(now, lock, token);
            }
            Status::Granted { token, lease, hold, .. } => {
                self.handle_granted(now, id, lock, token, (sent_at, lease, hold));
            }
            Status::Queued { position, .. } => self.handle_queued(now, id, position, detached),
            Status::Refused(Refusal::UnknownSession) => self.handle_session_loss(now),
            Status::Refused(Refusal::AlreadyHeld { token }) => {
                // An earlier call was granted this tenure after it was abandoned.
                self.finish_call(id, CallOutcome::Refused(Refusal::AlreadyHeld { token }));
                if !self.held.contains_key(&lock) {
                    self.release_in_background(now, lock, token);
                }
            }
            Status::Refused(refusal) => self.finish_call(id, CallOutcome::Refused(refusal)),
            Status::Welcome { .. }
            | Status::Retry { .. }
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

    fn handle_queued(&mut self, now: Time, id: CallId, position: u64, detached: bool) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let CallKind::Acquire { lock, queued, .. } = &mut call.kind else { return };
        let lock = lock.clone();
        call.storage_failed = false;
        if !std::mem::replace(queued, true) {
            // Once queued, the request polls at a fixed interval, without backoff.
            let last = call.transmissions.sent_at(call.transmissions.last_attempt()).unwrap_or(now);
            call.transmissions.set_next_at((last + POLL_INTERVAL).max(now));
        }
        if detached {
            self.begin_cancel(now, id, lock);
        } else {
            self.notify(Notification::Queued { call: id, position });
        }
    }

    /// Handles a grant. `grant_terms` are when the answered request was sent, and how much of the
    /// lease and of the hold limit remained when the server replied.
    fn handle_granted(
        &mut self,
        now: Time,
        id: CallId,
        lock: Name,
        token: Token,
        grant_terms: (Option<Time>, Millis, Option<Millis>),
    ) {
        let (sent_at, lease, hold) = grant_terms;
        let until = sent_at.map_or(Time::ZERO, |sent_at| self.certain_until(now, sent_at, lease));
        if until <= now {
            // The lease may have expired, so this is not reported as a grant.
            self.finish_call(id, CallOutcome::TimedOut);
            self.release_in_background(now, lock, token);
            return;
        }
        self.belief.renew(until);
        let hold_until = match (sent_at, hold) {
            (Some(sent_at), Some(hold)) => self.certain_until(now, sent_at, hold),
            (None, _) | (_, None) => Time::NEVER,
        };
        let held = HeldLock { token, learned_at: now, hold_until, claim_until: Some(until) };
        self.held.insert(lock.clone(), held);
        self.finish_call(id, CallOutcome::Granted { lock, token });
        // A grant from the wait queue has to be claimed before its short lease expires.
        self.heartbeat_if_needed(now, until);
    }

    /// Sends a heartbeat at once if the next one is scheduled for the second half of the time until
    /// `until`.
    fn heartbeat_if_needed(&mut self, now: Time, until: Time) {
        let deadline = self.phase.next_deadline();
        let midpoint = now + now.until(until).divided_by(2);
        if matches!(self.phase, Phase::Open(_))
            && deadline.is_some_and(|deadline| deadline > midpoint)
        {
            self.send_heartbeat(now);
        }
    }

    /// Handles a reply that no call waits for. Releases a lock that it grants: its call was given
    /// up, or the reply is a late duplicate.
    fn handle_unmatched_reply(&mut self, now: Time, status: Status) {
        let Status::Granted { lock, token, lease, .. } = status else { return };
        let known = self.held.get(&lock).is_some_and(|held| held.token == token);
        let releasing = self.calls.values().any(
            |call| matches!(&call.kind, CallKind::Release { token: given, .. } if *given == token),
        );
        if !known && !releasing && !lease.is_zero() && self.is_open() {
            self.release_in_background(now, lock, token);
        }
    }

    pub(super) fn release_in_background(&mut self, now: Time, lock: Name, token: Token) {
        self.begin_detached_call(now, CallKind::Release { lock, token });
    }

    /// Detaches an acquire from its caller, and cancels its wait.
    pub(super) fn abandon_acquire(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let CallKind::Acquire { lock, .. } = &call.kind else { return };
        let lock = lock.clone();
        if call.assignment.is_none() {
            // The request was never sent.
            self.calls.remove(&id);
            return;
        }
        if std::mem::replace(&mut call.detached, true) {
            return;
        }
        call.deadline = Time::NEVER;
        self.begin_cancel(now, id, lock);
    }

    fn begin_cancel(&mut self, now: Time, acquire_call: CallId, lock: Name) {
        let pending = self.calls.values().any(|call| match &call.kind {
            CallKind::Cancel { acquire_call: cancelled, .. } => *cancelled == acquire_call,
            CallKind::Acquire { .. }
            | CallKind::Release { .. }
            | CallKind::Append { .. }
            | CallKind::AppendOutcome { .. }
            | CallKind::Close => false,
        });
        if !pending {
            self.begin_detached_call(now, CallKind::Cancel { lock, acquire_call });
        }
    }

    fn handle_cancel_reply(
        &mut self,
        now: Time,
        id: CallId,
        lock: Name,
        acquire_call: CallId,
        status: &Status,
    ) {
        match status {
            Status::Cancelled { .. } => {
                self.finish_call(id, CallOutcome::Cancelled);
                self.finish_call(acquire_call, CallOutcome::Cancelled);
            }
            Status::Refused(Refusal::AlreadyHeld { token }) => {
                self.finish_call(id, CallOutcome::Cancelled);
                if self.calls.contains_key(&acquire_call) {
                    self.finish_call(acquire_call, CallOutcome::Cancelled);
                    self.release_in_background(now, lock, *token);
                }
            }
            Status::Refused(Refusal::UnknownSession) => self.handle_session_loss(now),
            // `not_waiting`: the cancel may have overtaken the acquire. That is retransmitted until
            // it is answered, and then cancelled again.
            Status::Refused(_) => self.finish_call(id, CallOutcome::Cancelled),
            Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. } => {}
        }
    }

    fn handle_release_reply(&mut self, now: Time, id: CallId, status: Status) {
        match status {
            Status::Released { .. } => self.finish_call(id, CallOutcome::Released),
            Status::Refused(Refusal::UnknownSession) => {
                self.handle_session_loss(now);
                self.finish_call(id, CallOutcome::Refused(Refusal::UnknownSession));
            }
            Status::Refused(refusal) => self.finish_call(id, CallOutcome::Refused(refusal)),
            Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. } => {}
        }
    }

    fn handle_append_reply(&mut self, now: Time, id: CallId, status: Status) {
        match status {
            Status::Appended { offset, len, .. } => {
                self.finish_call(id, CallOutcome::Appended { offset, len });
            }
            // An earlier transmission may have been applied in a session that has ended, together
            // with its cached reply. The server knows the outcome.
            Status::Refused(
                refusal @ (Refusal::StaleToken { .. }
                | Refusal::NotHolder
                | Refusal::UnknownSession
                | Refusal::StaleSeq),
            ) => self.query_append_outcome(now, id, refusal),
            Status::Refused(refusal) => self.finish_call(id, CallOutcome::Refused(refusal)),
            Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. } => {}
        }
    }

    fn query_append_outcome(&mut self, now: Time, id: CallId, refusal: Refusal) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((session_key, seq)) = call.assignment else { return };
        let deadline = call.deadline;
        if let CallKind::Append { refused, .. } = &mut call.kind {
            *refused = Some(refusal);
        }
        call.awaiting_outcome = true;
        let mut query =
            Call::new(CallKind::AppendOutcome { append_call: id, append_seq: seq }, deadline);
        query.detached = true;
        query.assign(session_key, self.next_seq());
        self.last_call_id = self.last_call_id.next();
        self.calls.insert(self.last_call_id, query);
        self.send_due(now);
    }

    fn handle_append_outcome_reply(&mut self, id: CallId, append_call: CallId, status: &Status) {
        let outcome = match status {
            Status::Applied { offset, len, .. } => {
                CallOutcome::Appended { offset: *offset, len: *len }
            }
            Status::NotApplied => {
                let refused = self.calls.get(&append_call).and_then(Call::append_refusal).cloned();
                CallOutcome::Refused(refused.unwrap_or(Refusal::UnknownSession))
            }
            Status::Forgotten | Status::Refused(_) => CallOutcome::Unknown,
            Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Alive { .. }
            | Status::Closed { .. } => return,
        };
        self.finish_call(id, CallOutcome::Cancelled);
        self.finish_call(append_call, outcome);
    }

    fn handle_close_reply(&mut self, id: CallId, status: &Status) {
        match status {
            Status::Closed { .. } | Status::Refused(Refusal::UnknownSession) => {
                self.phase = Phase::Closed;
                self.finish_call(id, CallOutcome::Closed);
                self.calls.retain(|_, call| !call.detached);
            }
            Status::Refused(refusal) => {
                // The session is no longer wanted, so no heartbeat may keep it alive.
                self.phase = Phase::Closed;
                self.finish_call(id, CallOutcome::Refused(refusal.clone()));
            }
            Status::Welcome { .. }
            | Status::Retry { .. }
            | Status::Granted { .. }
            | Status::Queued { .. }
            | Status::Cancelled { .. }
            | Status::Released { .. }
            | Status::Appended { .. }
            | Status::Applied { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. } => {}
        }
    }

    /// Ends the calls whose deadline has passed.
    pub(super) fn expire_calls(&mut self, now: Time) {
        let expired: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.deadline <= now).map(|(&id, _)| id).collect();
        for id in expired {
            self.expire_call(now, id);
        }
    }

    fn expire_call(&mut self, now: Time, id: CallId) {
        // A call that waits for a session may have failed because of the `hello`.
        let hello_failed = self.is_hello_failing();
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.storage_failed |= call.assignment.is_none() && hello_failed;
        let outcome = call.outcome_at_deadline();
        match call.kind {
            CallKind::Acquire { .. } => {
                self.notify(Notification::Completed { call: id, outcome });
                self.abandon_acquire(now, id);
            }
            CallKind::Release { .. } => {
                // The session lives on and would keep the lock, so the release continues in the
                // background.
                call.detached = true;
                call.deadline = Time::NEVER;
                self.notify(Notification::Completed { call: id, outcome });
            }
            // A transmission may be in flight, and may be applied later.
            CallKind::Append { .. } if call.assignment.is_some() => {
                self.finish_call(id, CallOutcome::Unknown);
            }
            CallKind::Append { .. } => self.finish_call(id, outcome),
            CallKind::Close => {
                self.phase = Phase::Closed;
                self.finish_call(id, outcome);
            }
            CallKind::Cancel { .. } | CallKind::AppendOutcome { .. } => {
                self.finish_call(id, CallOutcome::TimedOut);
            }
        }
    }

    pub(super) fn finish_call(&mut self, id: CallId, outcome: CallOutcome) {
        let Some(call) = self.calls.remove(&id) else { return };
        if !call.detached {
            self.notify(Notification::Completed { call: id, outcome });
        }
    }
}

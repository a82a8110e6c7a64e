//! Acquiring a lock, waiting for it, and cancelling the wait.

use super::LockServer;
use super::dispatch::RequestContext;
use super::outbox::PendingReply;
use crate::event::{EventKind, RequestId, WaitEndCause};
use crate::id::{Name, SessionId};
use crate::limits::{POLL_INTERVAL, SILENCE_MAX, WAIT_MAX, WINDOW};
use crate::refusal::{Limit, Refusal};
use crate::state::Waiter;
use crate::time::Millis;
use crate::wire::{Reply, Status};

impl LockServer {
    pub(super) fn acquire(
        &mut self,
        context: &RequestContext,
        lock: &Name,
        wait: Millis,
        hold: Option<Millis>,
    ) {
        let hold = hold.map(|hold| hold.max(Millis::from_millis(1)));
        let tenure = self.state.tenure(lock);
        if let Some(token) =
            tenure.filter(|it| it.session_id == context.session_id).map(|it| it.token)
        {
            self.refuse(context, Refusal::AlreadyHeld { token });
            return;
        }
        let known = self.state.locks().contains_key(lock);
        if !known && self.state.locks().len() >= self.config.limits.locks_max {
            self.refuse(context, Refusal::Overloaded { limit: Limit::Locks });
            return;
        }
        if tenure.is_none() {
            self.cancel_older_wait(context, lock);
            // After a restart, a queued waiter may not have polled since.
            self.grant_to_next_waiter(lock);
        }
        let Some(tenure) = self.state.tenure(lock) else {
            self.grant_immediately(context, lock, hold);
            return;
        };
        if wait.is_zero() {
            let holder = self.state.session(tenure.session_id).expect("S1: a holder is alive");
            let retry_after = self.now.until(holder.expires_at).min(POLL_INTERVAL);
            self.refuse(context, Refusal::LockHeld { retry_after });
            return;
        }
        self.cancel_older_wait(context, lock);
        if let Some(refusal) = self.check_wait_capacity(context) {
            self.refuse(context, refusal);
            return;
        }
        self.record(EventKind::LockQueued {
            lock: lock.clone(),
            session_id: context.session_id,
            client: context.client.clone(),
            request_id: context.request_id,
            wait: wait.min(WAIT_MAX),
            hold,
        });
        self.waiter_addresses.insert((context.session_id, context.request_id.seq), context.from);
        let (context, status) = self.queue_status(context);
        self.reply_to(&context, status);
    }

    /// Cancels the session's wait for this lock: a client that acquires the lock with a new request
    /// no longer knows of the earlier wait.
    fn cancel_older_wait(&mut self, context: &RequestContext, lock: &Name) {
        let Some(wait) = self.session(context).wait_for_lock(lock).cloned() else { return };
        self.waiter_addresses.remove(&(context.session_id, wait.seq));
        self.record(EventKind::WaitEnded {
            lock: wait.lock,
            session_id: context.session_id,
            client: context.client.clone(),
            wait_seq: wait.seq,
            cause: WaitEndCause::Cancelled,
            request_id: None,
        });
    }

    fn check_wait_capacity(&self, context: &RequestContext) -> Option<Refusal> {
        if self.session(context).waits.len() >= WINDOW {
            return Some(Refusal::WindowFull { window: WINDOW });
        }
        (self.state.waiter_count() >= self.config.limits.waiters_max)
            .then_some(Refusal::Overloaded { limit: Limit::Waiters })
    }

    fn grant_immediately(&mut self, context: &RequestContext, lock: &Name, hold: Option<Millis>) {
        let token = self.state.last_token().next();
        self.record(EventKind::LockGranted {
            lock: lock.clone(),
            session_id: context.session_id,
            client: context.client.clone(),
            token,
            request_id: context.request_id,
            hold,
            from_queue: false,
        });
        let (lease, hold) = self.remaining_lease(context.session_id, lock, token);
        self.reply_to(context, Status::Granted { lock: lock.clone(), token, lease, hold });
    }

    /// Handles a retransmission of a request that is queued, with which the waiter polls.
    pub(super) fn poll_wait(&mut self, context: &RequestContext) {
        self.waiter_addresses.insert((context.session_id, context.request_id.seq), context.from);
        self.record_duplicate(context);
        let session = self.session(context);
        let wait = session.wait_by_seq(context.request_id.seq).expect("it is queued").clone();
        // If all waiters were silent the lock is free, and this waiter is no longer silent.
        self.grant_to_next_waiter(&wait.lock);
        if self.session(context).wait_by_seq(wait.seq).is_some() {
            let (context, status) = self.queue_status(context);
            self.reply_to_duplicate(&context, status);
        }
    }

    fn queue_status(&self, context: &RequestContext) -> (RequestContext, Status) {
        let session = self.session(context);
        let wait = session.wait_by_seq(context.request_id.seq).expect("it is queued");
        let lock = self.state.locks().get(&wait.lock).expect("a lock with waiters is retained");
        let index = lock.queue_index(wait.ticket).expect("a wait is in the wait queue");
        let attempt = lock.wait_queue()[index].attempt;
        let status = Status::Queued { lock: wait.lock.clone(), position: index as u64 + 1 };
        let request_id = RequestId { attempt, ..context.request_id };
        (RequestContext { request_id, ..context.clone() }, status)
    }

    /// Grants a free lock to the first waiter that is not silent (S8).
    pub(super) fn grant_to_next_waiter(&mut self, lock: &Name) {
        let Some(entry) = self.state.locks().get(lock) else { return };
        if entry.tenure().is_some() {
            return;
        }
        let mut eligible = entry.wait_queue().iter().filter(|waiter| !self.is_silent(waiter));
        let next = if self.protections.fifo { eligible.next() } else { eligible.next_back() };
        let Some(waiter) = next.cloned() else { return };
        let session = self.state.session(waiter.session_id).expect("a waiter is alive");
        let request_id =
            RequestId { seq: waiter.seq, attempt: waiter.attempt, digest: waiter.digest };
        let token = self.state.last_token().next();
        self.record(EventKind::LockGranted {
            lock: lock.clone(),
            session_id: waiter.session_id,
            client: session.client.clone(),
            token,
            request_id,
            hold: waiter.hold,
            from_queue: true,
        });
        let (lease, hold) = self.remaining_lease(waiter.session_id, lock, token);
        let status = Status::Granted { lock: lock.clone(), token, lease, hold };
        self.notify_waiter(waiter.session_id, request_id, status);
    }

    /// Returns whether a waiter has missed three polls and is skipped.
    pub(super) fn is_silent(&self, waiter: &Waiter) -> bool {
        self.now.since(waiter.last_seen_at) >= SILENCE_MAX
    }

    /// Sends the outcome of a wait, if the address of the waiter is known.
    pub(super) fn notify_waiter(
        &mut self,
        session_id: SessionId,
        request_id: RequestId,
        status: Status,
    ) {
        let Some(to) = self.waiter_addresses.remove(&(session_id, request_id.seq)) else { return };
        let reply = Reply { request_seq: request_id.seq, attempt: request_id.attempt, status };
        let pending = PendingReply::new(to, reply, self.last_durable_index);
        self.step.replies.push(PendingReply { drop_on_failure: true, ..pending });
    }

    pub(super) fn cancel(&mut self, context: &RequestContext, lock: &Name) {
        let Some(wait) = self.session(context).wait_for_lock(lock).cloned() else {
            let tenure = self.state.tenure(lock).filter(|it| it.session_id == context.session_id);
            let refusal = match tenure {
                Some(tenure) => Refusal::AlreadyHeld { token: tenure.token },
                None => Refusal::NotWaiting,
            };
            self.refuse(context, refusal);
            return;
        };
        self.waiter_addresses.remove(&(context.session_id, wait.seq));
        self.record(EventKind::WaitEnded {
            lock: wait.lock,
            session_id: context.session_id,
            client: context.client.clone(),
            wait_seq: wait.seq,
            cause: WaitEndCause::Cancelled,
            request_id: Some(context.request_id),
        });
        self.reply_to(context, Status::Cancelled { lock: lock.clone() });
    }
}

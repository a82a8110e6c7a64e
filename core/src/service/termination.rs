//! The ends of things: a session is closed or its lease expires, a tenure reaches its hold limit or
//! is not claimed, a wait times out.

use super::LockServer;
use super::dispatch::RequestContext;
use crate::event::{EventKind, ReleaseCause, RequestId, WaitEndCause};
use crate::id::{Name, Seq, SessionId, Token};
use crate::refusal::Refusal;
use crate::wire::Status;

impl LockServer {
    pub(super) fn close(&mut self, context: &RequestContext) {
        let freed = self.end_tenures_and_waits(context.session_id, ReleaseCause::Closed);
        self.record(EventKind::SessionClosed {
            session_id: context.session_id,
            client: context.client.clone(),
            request_id: context.request_id,
        });
        self.reply_to(context, Status::Closed { released: freed.len() as u64 });
        freed.iter().for_each(|lock| self.grant_to_next_waiter(lock));
    }

    pub(super) fn handle_lease_timer(&mut self, session_id: SessionId) {
        let Some(session) = self.state.session(session_id) else { return };
        if session.expires_at > self.now {
            self.timers.set_lease_timer(session_id, session.expires_at);
            return;
        }
        let client = session.client.clone();
        let freed = self.end_tenures_and_waits(session_id, ReleaseCause::LeaseExpired);
        self.record(EventKind::SessionExpired { session_id, client });
        freed.iter().for_each(|lock| self.grant_to_next_waiter(lock));
    }

    /// Ends all tenures and waits of a session. Returns the locks that are free now.
    fn end_tenures_and_waits(&mut self, session_id: SessionId, cause: ReleaseCause) -> Vec<Name> {
        let session = self.state.session(session_id).expect("only a live session ends");
        let (client, waits) = (session.client.clone(), session.waits.clone());
        let freed: Vec<Name> = session.held.iter().cloned().collect();
        for lock in &freed {
            let token = self.state.tenure(lock).expect("S1: a held lock has a tenure").token;
            self.record_release(lock, session_id, client.clone(), token, cause);
        }
        for wait in waits {
            self.waiter_addresses.remove(&(session_id, wait.seq));
            self.record(EventKind::WaitEnded {
                lock: wait.lock,
                session_id,
                client: client.clone(),
                wait_seq: wait.seq,
                cause: WaitEndCause::SessionEnded,
                request_id: None,
            });
        }
        freed
    }

    pub(super) fn handle_hold_timer(&mut self, lock: &Name, token: Token) {
        self.end_tenure(lock, token);
    }

    /// Ends a tenure that was granted from the wait queue and not claimed, if another waiter is not
    /// silent. The holder may have crashed while it waited. If it is alive, it does not believe
    /// that it still holds the lock: the grant named a lease that ends no later than this.
    pub(super) fn handle_claim_timer(&mut self, lock: &Name, token: Token) {
        let Some(entry) = self.state.locks().get(lock) else { return };
        let Some(tenure) = entry.tenure().filter(|tenure| tenure.token == token) else { return };
        let holder = self.state.session(tenure.session_id).expect("S1: a holder is alive");
        let claimed = holder.has_claimed(tenure);
        let wanted = entry.wait_queue().iter().any(|waiter| !self.is_silent(waiter));
        if !claimed && wanted {
            self.end_tenure(lock, token);
        }
    }

    fn end_tenure(&mut self, lock: &Name, token: Token) {
        let Some(tenure) = self.state.tenure(lock).filter(|it| it.token == token) else { return };
        let session_id = tenure.session_id;
        let holder = self.state.session(session_id).expect("S1: a holder is alive");
        let client = holder.client.clone();
        self.record_release(lock, session_id, client, token, ReleaseCause::HoldExpired);
        self.grant_to_next_waiter(lock);
    }

    fn record_release(
        &mut self,
        lock: &Name,
        session_id: SessionId,
        client: Name,
        token: Token,
        cause: ReleaseCause,
    ) {
        let lock = lock.clone();
        self.record(EventKind::LockReleased {
            lock,
            session_id,
            client,
            token,
            cause,
            request_id: None,
        });
    }

    pub(super) fn handle_wait_timer(&mut self, session_id: SessionId, seq: Seq) {
        let Some(session) = self.state.session(session_id) else { return };
        let Some(wait) = session.wait_by_seq(seq).cloned() else { return };
        let client = session.client.clone();
        let lock = self.state.locks().get(&wait.lock).expect("a lock with waiters is retained");
        let waiter = lock.waiter(wait.ticket).expect("a wait is in the wait queue");
        let request_id = RequestId { seq, attempt: waiter.attempt, digest: waiter.digest };
        self.record(EventKind::WaitEnded {
            lock: wait.lock,
            session_id,
            client,
            wait_seq: seq,
            cause: WaitEndCause::Timeout,
            request_id: None,
        });
        self.notify_waiter(session_id, request_id, Status::Refused(Refusal::WaitTimeout));
    }
}

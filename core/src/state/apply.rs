//! Application of an event to the state.
//!
//! The assertions check what the service has ensured when it made the event. A bug in either stops
//! the process here, before the event is logged or a client receives a reply.

use std::collections::BTreeSet;

use super::{Answer, AppliedAppend, CachedReply, Lock, Session, State, Tenure, Wait, Waiter};
use crate::event::{Event, EventKind, ReleaseCause, RequestId};
use crate::id::{LogIndex, Name, Seq, SessionId, Token};
use crate::limits::SILENCE_MAX;
use crate::op::Op;
use crate::refusal::Refusal;

impl State {
    /// Applies the next event.
    ///
    /// # Panics
    /// If the event is impossible in this state: the code that made it has a bug, or the log does
    /// not belong to this state.
    pub fn apply(&mut self, event: &Event) {
        assert!(self.applied_index < event.index, "events were not applied in order, each once");
        assert!(self.last_event_at <= event.at, "the time of an event is before the previous one");
        self.applied_index = event.index;
        self.last_event_at = event.at;
        self.apply_kind(event);
        if event.kind.is_durable()
            && let Some(session_id) = event.kind.session_id()
            && let Some(session) = self.sessions.get_mut(&session_id)
        {
            session.last_durable_index = event.index;
        }
    }

    fn apply_kind(&mut self, event: &Event) {
        match &event.kind {
            EventKind::ServerStarted { token_floor, .. } => self.start_server(*token_floor),
            EventKind::ServerStopped | EventKind::DatagramDropped { .. } => {}
            EventKind::SessionOpened { .. } => self.open_session(event),
            EventKind::SessionExpired { session_id, .. }
            | EventKind::SessionClosed { session_id, .. } => {
                self.end_session(*session_id);
            }
            EventKind::LockQueued { .. } => self.enqueue(event),
            EventKind::LockGranted { .. } => self.grant(event),
            EventKind::LockReleased { lock, session_id, token, cause, request_id, .. } => {
                self.release(lock, *session_id, *token);
                if let (ReleaseCause::Released, Some(request_id)) = (cause, request_id) {
                    self.accept_request(
                        *session_id,
                        *request_id,
                        Answer::Released { lock: lock.clone() },
                    );
                }
            }
            EventKind::WaitEnded { lock, session_id, wait_seq, request_id, .. } => {
                self.end_wait(*session_id, *wait_seq);
                if let Some(request_id) = request_id {
                    self.accept_request(
                        *session_id,
                        *request_id,
                        Answer::Cancelled { lock: lock.clone() },
                    );
                }
            }
            EventKind::FileAppended { .. } => self.append(event),
            EventKind::RequestRefused {
                session_id: Some(session_id), refusal, request_id, ..
            } => {
                self.refuse(*session_id, *request_id, refusal);
            }
            EventKind::RequestRefused { session_id: None, .. } => {}
            EventKind::DuplicateAnswered { session_id, op, request_id, .. } => {
                self.record_duplicate(*session_id, *op, *request_id);
            }
            EventKind::LeaseRenewed { session_id, request_id, .. } => {
                let now = self.last_event_at;
                let session = self.mark_seen(*session_id);
                session.replay_window.record(request_id.seq, request_id.attempt);
                session.renew(now);
            }
        }
    }

    fn start_server(&mut self, token_floor: Token) {
        self.last_token = self.last_token.max(token_floor);
        let now = self.last_event_at;
        for session in self.sessions.values_mut() {
            session.renew(now);
        }
        for lock in self.locks.values_mut() {
            let (tenure, wait_queue) = lock.tenure_and_waiters_mut();
            if let Some(tenure) = tenure {
                // The holder may have received the grant, and could not claim it meanwhile.
                tenure.claim_by = None;
            }
            wait_queue.iter_mut().for_each(|waiter| waiter.last_seen_at = now);
        }
    }

    fn open_session(&mut self, event: &Event) {
        let EventKind::SessionOpened { session_id, client, lease, key, nonce } = &event.kind else {
            unreachable!("called for this kind only");
        };
        assert!(self.last_session_id < *session_id, "session ids did not increase");
        self.last_session_id = *session_id;
        let session = Session {
            client: client.clone(),
            key: *key,
            nonce: *nonce,
            lease: *lease,
            expires_at: event.at + *lease,
            held: BTreeSet::new(),
            waits: Vec::new(),
            replies: super::ReplyCache::default(),
            replay_window: super::ReplayWindow::default(),
            last_seen_index: event.index,
            last_durable_index: event.index,
        };
        self.sessions.insert(*session_id, Box::new(session));
    }

    fn end_session(&mut self, session_id: SessionId) {
        let session = self.sessions.remove(&session_id).expect("only a live session ends");
        assert!(session.held.is_empty(), "L1: a session ended that holds locks");
        assert!(session.waits.is_empty(), "a session ended that waits for locks");
        self.ended_sessions.insert(session_id, session.key);
    }

    fn enqueue(&mut self, event: &Event) {
        let EventKind::LockQueued { lock, session_id, request_id, wait, hold, .. } = &event.kind
        else {
            unreachable!("called for this kind only");
        };
        let waiter = Waiter {
            session_id: *session_id,
            seq: request_id.seq,
            ticket: event.index,
            deadline: event.at + *wait,
            hold: *hold,
            last_seen_at: event.at,
            attempt: request_id.attempt,
            digest: request_id.digest,
        };
        self.locks.entry(lock.clone()).or_default().enqueue(waiter);
        self.waiter_count += 1;
        let session = self.mark_seen(*session_id);
        assert!(session.wait_for_lock(lock).is_none(), "a session was queued twice for one lock");
        session.waits.push(Wait { seq: request_id.seq, lock: lock.clone(), ticket: event.index });
        session.renew(event.at);
    }

    fn grant(&mut self, event: &Event) {
        let EventKind::LockGranted {
            lock, session_id, token, request_id, hold, from_queue, ..
        } = &event.kind
        else {
            unreachable!("called for this kind only");
        };
        // One counter for all locks, so that the tokens of different locks can be compared.
        assert!(self.last_token < *token, "S2: the fencing token did not increase");
        self.last_token = *token;
        if *from_queue {
            self.leave_wait_queue(*session_id, request_id.seq);
        }
        self.locks.entry(lock.clone()).or_default().begin_tenure(Tenure {
            session_id: *session_id,
            token: *token,
            granted_at: event.at,
            hold_until: hold.map(|hold| event.at + hold),
            claim_by: from_queue.then(|| event.at + SILENCE_MAX),
            granted_index: event.index,
        });
        let answer = Answer::Granted { lock: lock.clone(), token: *token };
        let session = self.session_mut(*session_id);
        session.held.insert(lock.clone());
        if *from_queue {
            self.cache_answer(*session_id, *request_id, answer);
        } else {
            self.accept_request(*session_id, *request_id, answer);
        }
    }

    fn release(&mut self, name: &Name, session_id: SessionId, token: Token) {
        let lock = self.locks.get_mut(name).expect("only a held lock is released");
        let tenure = lock.end_tenure(token);
        assert_eq!(
            tenure.session_id, session_id,
            "S6: a release ended the tenure of another session"
        );
        self.session_mut(session_id).held.remove(name);
        self.remove_lock_if_idle(name);
    }

    /// Ends a wait without a grant. Retransmissions of its request get the answer `wait_timeout`.
    fn end_wait(&mut self, session_id: SessionId, seq: Seq) {
        let waiter = self.leave_wait_queue(session_id, seq);
        let request_id = RequestId { seq, attempt: waiter.attempt, digest: waiter.digest };
        self.cache_answer(session_id, request_id, Answer::Refused(Refusal::WaitTimeout));
    }

    fn leave_wait_queue(&mut self, session_id: SessionId, seq: Seq) -> Waiter {
        let session = self.session_mut(session_id);
        let position = session.waits.iter().position(|wait| wait.seq == seq);
        let wait = session.waits.remove(position.expect("only a queued request leaves the queue"));
        let lock = self.locks.get_mut(&wait.lock).expect("a lock with waiters is retained");
        let waiter = lock.dequeue(wait.ticket);
        self.waiter_count -= 1;
        self.remove_lock_if_idle(&wait.lock);
        waiter
    }

    fn append(&mut self, event: &Event) {
        let EventKind::FileAppended {
            file: name, session_id, token, offset, data, request_id, ..
        } = &event.kind
        else {
            unreachable!("called for this kind only");
        };
        let applied = AppliedAppend {
            session_id: *session_id,
            seq: request_id.seq,
            token: *token,
            offset: *offset,
            len: data.len(),
        };
        let evicted = self.files.entry(name.clone()).or_default().append(applied);
        if let Some(evicted) = evicted {
            self.note_evicted_append(evicted);
        }
        if self.fencing_disabled && !self.sessions.contains_key(session_id) {
            return;
        }
        let answer = Answer::Appended { file: name.clone(), offset: *offset, len: data.len() };
        self.accept_request(*session_id, *request_id, answer);
    }

    fn note_evicted_append(&mut self, applied: AppliedAppend) {
        let AppliedAppend { session_id, seq, .. } = applied;
        if self.sessions.contains_key(&session_id) || self.ended_sessions.contains(session_id) {
            self.ended_sessions.note_evicted_append(session_id, seq);
        }
    }

    fn refuse(&mut self, session_id: SessionId, request_id: RequestId, refusal: &Refusal) {
        self.mark_seen(session_id);
        if refusal.is_cacheable() {
            self.cache_answer(session_id, request_id, Answer::Refused(refusal.clone()));
        }
    }

    fn record_duplicate(&mut self, session_id: SessionId, op: Op, request_id: RequestId) {
        let (now, session) = (self.last_event_at, self.mark_seen(session_id));
        match op {
            Op::Hello | Op::Close => {}
            Op::Heartbeat | Op::AppendOutcome => {
                session.replay_window.record(request_id.seq, request_id.attempt);
            }
            Op::AcquireLock | Op::CancelAcquire | Op::ReleaseLock | Op::AppendFile => {
                session.replies.record_attempt(request_id.seq, request_id.attempt);
                let Some(wait) = session.wait_by_seq(request_id.seq).cloned() else { return };
                let lock = self.locks.get_mut(&wait.lock).expect("a lock with waiters is retained");
                let waiter = lock.waiter_mut(wait.ticket).expect("a wait is in the wait queue");
                waiter.last_seen_at = now;
                waiter.attempt = waiter.attempt.max(request_id.attempt);
            }
        }
    }

    /// Caches the answer to a new request that was accepted, and renews the lease.
    fn accept_request(&mut self, session_id: SessionId, request_id: RequestId, answer: Answer) {
        let now = self.last_event_at;
        let session = self.mark_seen(session_id);
        session.renew(now);
        session.replies.insert(CachedReply::new(request_id, answer));
    }

    fn cache_answer(&mut self, session_id: SessionId, request_id: RequestId, answer: Answer) {
        self.session_mut(session_id).replies.insert(CachedReply::new(request_id, answer));
    }

    fn mark_seen(&mut self, session_id: SessionId) -> &mut Session {
        let index: LogIndex = self.applied_index;
        let session = self.session_mut(session_id);
        session.last_seen_index = index;
        session
    }

    fn session_mut(&mut self, session_id: SessionId) -> &mut Session {
        self.sessions.get_mut(&session_id).expect("S4: an event names a session that is not alive")
    }

    fn remove_lock_if_idle(&mut self, name: &Name) {
        if self.locks.get(name).is_some_and(Lock::is_idle) {
            self.locks.remove(name);
        }
    }
}

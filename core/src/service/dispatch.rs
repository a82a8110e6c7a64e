//! Handling of one datagram: decode it, detect duplicates, and dispatch it to its operation.

use super::LockServer;
use super::outbox::{Datagram, PendingReply};
use crate::event::{EventKind, RequestId};
use crate::id::{Attempt, LogIndex, Name, Peer, Seq, SessionId, SessionKey, Token};
use crate::limits::AMPLIFICATION_MAX;
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::state::{Answer, CachedReply, Session};
use crate::time::Millis;
use crate::wire::{DecodeRequestError, Operation, Reply, Request, Status};

/// A request of a live session.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) from: Peer,
    pub(super) session_id: SessionId,
    pub(super) client: Name,
    pub(super) op: Op,
    pub(super) resource_name: Option<Name>,
    pub(super) token: Option<Token>,
    pub(super) request_id: RequestId,
}

impl LockServer {
    pub(super) fn handle_datagram(&mut self, from: Peer, bytes: &[u8], entropy: u128) {
        let reply_len_max = bytes.len() * AMPLIFICATION_MAX;
        match Request::decode(bytes) {
            Ok(request) => self.handle_request(from, &request, entropy, reply_len_max),
            Err(DecodeRequestError::Drop(reason)) => {
                self.record(EventKind::DatagramDropped { reason });
            }
            Err(DecodeRequestError::NotJson) => {
                let refusal = Refusal::BadRequest { reason: "not a JSON object".to_owned() };
                let reply = refusal_reply(Seq::default(), Attempt::default(), refusal);
                self.reply_within(from, reply, bytes.len(), DropReason::NotJson);
            }
            Err(DecodeRequestError::Refuse { request_seq, attempt, refusal }) => {
                let reply = refusal_reply(request_seq, attempt, refusal);
                self.reply_within(from, reply, reply_len_max, DropReason::WouldAmplify);
            }
        }
    }

    /// Handles a decoded request. A reply to a client without a session has at most `reply_len_max`
    /// bytes.
    pub(super) fn handle_request(
        &mut self,
        from: Peer,
        request: &Request,
        entropy: u128,
        reply_len_max: usize,
    ) {
        let Some(key) = request.session_key else {
            self.hello(from, request, entropy, reply_len_max);
            return;
        };
        match self.lookup.session_by_key(key) {
            Some(session_id) => self.handle_session_request(from, session_id, request),
            None => self.handle_sessionless_request(from, key, request, reply_len_max),
        }
    }

    fn handle_session_request(&mut self, from: Peer, session_id: SessionId, request: &Request) {
        let session = self.state.session(session_id).expect("the lookup has live sessions only");
        let operation = &request.operation;
        let request_id = to_request_id(request);
        let context = RequestContext {
            from,
            session_id,
            client: session.client.clone(),
            op: operation.op(),
            resource_name: operation.resource_name().cloned(),
            token: operation.token(),
            request_id,
        };
        if self.protections.dedupe
            && let Some(cached) = session.replies.find(request_id.seq)
        {
            let cached = cached.clone();
            self.reply_from_cache(&context, cached);
        } else if let Some(wait) = session.wait_by_seq(request_id.seq) {
            let lock = self.state.locks().get(&wait.lock).expect("a lock with waiters is retained");
            let waiter = lock.waiter(wait.ticket).expect("a wait is in the wait queue");
            if waiter.digest == request_id.digest {
                self.poll_wait(&context);
            } else {
                self.refuse(&context, Refusal::SeqReused);
            }
        } else {
            self.execute(&context, operation);
        }
    }

    /// Executes a request that has no cached reply. Replies to heartbeats and outcome queries are
    /// never cached, so these can still be duplicates.
    fn execute(&mut self, context: &RequestContext, operation: &Operation) {
        let session = self.session(context);
        let dedupe = self.protections.dedupe;
        let stale = dedupe && session.replies.is_stale(context.request_id.seq);
        let reused = dedupe && session.replay_window.has_seen(context.request_id.seq);
        match operation {
            Operation::Heartbeat => self.heartbeat(context, stale),
            Operation::AppendOutcome { append_seq } => {
                self.append_outcome(context, *append_seq, stale);
            }
            Operation::ReleaseLock { .. }
            | Operation::AppendFile { .. }
            | Operation::AcquireLock { .. }
            | Operation::CancelAcquire { .. }
            | Operation::Close
                if reused =>
            {
                self.refuse(context, Refusal::SeqReused);
            }
            // These check the token before the age of the request.
            Operation::ReleaseLock { lock, token } => self.release(context, lock, *token, stale),
            Operation::AppendFile { file, token, data } => {
                self.append(context, file, *token, data, stale);
            }
            Operation::AcquireLock { .. } | Operation::CancelAcquire { .. } | Operation::Close
                if stale =>
            {
                self.refuse(context, Refusal::StaleSeq);
            }
            Operation::AcquireLock { lock, wait, hold } => {
                self.acquire(context, lock, *wait, *hold);
            }
            Operation::CancelAcquire { lock } => self.cancel(context, lock),
            Operation::Close => self.close(context),
            Operation::Hello { .. } => unreachable!("a hello names no session"),
        }
    }

    /// Returns the session of a request, which lives at least until the request is answered.
    pub(super) fn session(&self, context: &RequestContext) -> &Session {
        self.state.session(context.session_id).expect("the session of a request is alive")
    }

    /// Answers a duplicate with the cached reply.
    fn reply_from_cache(&mut self, context: &RequestContext, cached: CachedReply) {
        if cached.digest != context.request_id.digest {
            self.refuse(context, Refusal::SeqReused);
            return;
        }
        self.record_duplicate(context);
        let attempt = cached.attempt.max(context.request_id.attempt);
        let status = self.status_from_answer(context.session_id, cached.answer);
        let request_id = RequestId { attempt, ..context.request_id };
        self.reply_to_duplicate(&RequestContext { request_id, ..context.clone() }, status);
    }

    pub(super) fn record_duplicate(&mut self, context: &RequestContext) {
        self.record(EventKind::DuplicateAnswered {
            session_id: context.session_id,
            client: context.client.clone(),
            op: context.op,
            request_id: context.request_id,
        });
    }

    /// Converts a cached answer to a reply's status. The remaining lease is the current one.
    fn status_from_answer(&self, session_id: SessionId, answer: Answer) -> Status {
        match answer {
            Answer::Granted { lock, token } => {
                let (lease, hold) = self.remaining_lease(session_id, &lock, token);
                Status::Granted { lock, token, lease, hold }
            }
            Answer::Cancelled { lock } => Status::Cancelled { lock },
            Answer::Released { lock } => Status::Released { lock },
            Answer::Appended { file, offset, len } => Status::Appended { file, offset, len },
            Answer::Refused(refusal) => Status::Refused(refusal),
        }
    }

    /// Returns how long a tenure lasts unless it is renewed, and the rest of its hold limit if it
    /// has one. Returns zero if the tenure has ended.
    pub(super) fn remaining_lease(
        &self,
        session_id: SessionId,
        lock: &Name,
        token: Token,
    ) -> (Millis, Option<Millis>) {
        let (Some(session), Some(tenure)) =
            (self.state.session(session_id), self.state.tenure(lock))
        else {
            return (Millis::ZERO, None);
        };
        if tenure.token != token {
            return (Millis::ZERO, None);
        }
        let hold = tenure.hold_until.map(|until| self.now.until(until));
        let claim =
            tenure.claim_by.filter(|_| !session.has_claimed(tenure)).map(|by| self.now.until(by));
        let lease = self.now.until(session.expires_at);
        let lease = [hold, claim].into_iter().flatten().fold(lease, Ord::min);
        (lease, hold)
    }

    /// Handles a request whose session is not alive. The outcome of its appends may still be known.
    fn handle_sessionless_request(
        &mut self,
        from: Peer,
        key: Secret<SessionKey>,
        request: &Request,
        reply_len_max: usize,
    ) {
        if self.handle_unprotected(from, key, request) {
            return;
        }
        let status = match &request.operation {
            Operation::AppendOutcome { append_seq } => {
                self.lookup.append_outcome(&self.state, key, *append_seq)
            }
            Operation::ReleaseLock { lock: name, token }
            | Operation::AppendFile { file: name, token, .. } => {
                let current = self.state.tenure(name).map(|tenure| tenure.token);
                Status::Refused(if current == Some(*token) {
                    Refusal::NotHolder
                } else {
                    Refusal::StaleToken { current: current.unwrap_or_default() }
                })
            }
            Operation::Hello { .. }
            | Operation::AcquireLock { .. }
            | Operation::CancelAcquire { .. }
            | Operation::Heartbeat
            | Operation::Close => Status::Refused(Refusal::UnknownSession),
        };
        if let Status::Refused(refusal) = &status {
            self.record(EventKind::RequestRefused {
                session_id: None,
                client: None,
                op: request.operation.op(),
                resource_name: request.operation.resource_name().cloned(),
                token: request.operation.token(),
                refusal: refusal.clone(),
                request_id: to_request_id(request),
            });
        }
        let reply = Reply { request_seq: request.seq, attempt: request.attempt, status };
        self.reply_within(from, reply, reply_len_max, DropReason::WouldAmplify);
    }

    /// Refuses a request of a live session. Nothing changes, except that the answer may be cached.
    pub(super) fn refuse(&mut self, context: &RequestContext, refusal: Refusal) {
        self.record(EventKind::RequestRefused {
            session_id: Some(context.session_id),
            client: Some(context.client.clone()),
            op: context.op,
            resource_name: context.resource_name.clone(),
            token: context.token,
            refusal: refusal.clone(),
            request_id: context.request_id,
        });
        self.reply_to(context, Status::Refused(refusal));
    }

    /// Replies to a client without a session, in at most `len_max` bytes. If the reply is longer,
    /// the datagram is dropped for `drop_reason`.
    pub(super) fn reply_within(
        &mut self,
        to: Peer,
        reply: Reply,
        len_max: usize,
        drop_reason: DropReason,
    ) {
        if !reply.encode_within(len_max, &mut Vec::new()) {
            self.record(EventKind::DatagramDropped { reason: drop_reason });
            return;
        }
        // The answer to bytes that are not a request depends on no event.
        let send_after = match drop_reason {
            DropReason::NotJson => LogIndex::default(),
            DropReason::WouldAmplify
            | DropReason::IsReply
            | DropReason::NoOperation
            | DropReason::BadKey => self.last_durable_index,
        };
        let datagram = Datagram::new(to, reply, len_max);
        // A request of an ended session may have been executed, so it is never answered with
        // `storage_failed`.
        self.step.replies.push(PendingReply { send_after, datagram, drop_on_failure: true });
    }
}

fn to_request_id(request: &Request) -> RequestId {
    RequestId { seq: request.seq, attempt: request.attempt, digest: request.operation.digest() }
}

fn refusal_reply(request_seq: Seq, attempt: Attempt, refusal: Refusal) -> Reply {
    Reply { request_seq, attempt, status: Status::Refused(refusal) }
}

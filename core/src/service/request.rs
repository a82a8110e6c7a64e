//! One datagram: read, told from its copies, and handed to its operation.

use super::LockServer;
use super::step::{Datagram, Withheld};
use crate::event::{Asked, Fact};
use crate::id::{Attempt, Index, Name, Peer, Seq, SessionId, SessionNo, Token};
use crate::limits::AMPLIFICATION_MAX;
use crate::op::{DropReason, Op};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::state::{Answer, KeptReply};
use crate::time::Span;
use crate::wire::{Malformed, Operation, Reply, Request, Status};

/// A new request of a live session.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) from: Peer,
    pub(super) session_no: SessionNo,
    pub(super) client: Name,
    pub(super) op: Op,
    pub(super) name: Option<Name>,
    pub(super) token: Option<Token>,
    pub(super) asked: Asked,
}

impl LockServer {
    pub(super) fn datagram(&mut self, from: Peer, bytes: &[u8], entropy: u128) {
        let amplified = bytes.len() * AMPLIFICATION_MAX;
        match Request::decode(bytes) {
            Ok(request) => self.request(from, &request, entropy, amplified),
            Err(Malformed::Drop(reason)) => self.record(Fact::DatagramDropped { reason }),
            Err(Malformed::NotJson) => {
                let refusal = Refusal::BadRequest { why: "not a JSON object".to_owned() };
                let reply = refused(Seq::default(), Attempt::default(), refusal);
                self.reply_within(from, reply, bytes.len(), DropReason::NotJson);
            }
            Err(Malformed::Refuse { re, attempt, refusal }) => {
                let reply = refused(re, attempt, refusal);
                self.reply_within(from, reply, amplified, DropReason::WouldAmplify);
            }
        }
    }

    /// `len_max` is how long a reply may be as long as no session is established.
    pub(super) fn request(&mut self, from: Peer, request: &Request, entropy: u128, len_max: usize) {
        let Some(id) = request.session else {
            self.hello(from, request, entropy, len_max);
            return;
        };
        match self.lookup.session(id) {
            Some(session_no) => self.request_in_session(from, session_no, request),
            None => self.request_without_session(from, id, request, len_max),
        }
    }

    fn request_in_session(&mut self, from: Peer, session_no: SessionNo, request: &Request) {
        let session = self.state.session(session_no).expect("it was found by its id");
        let operation = &request.operation;
        let asked = asked_by(request);
        let ask = Ask {
            from,
            session_no,
            client: session.client.clone(),
            op: operation.op(),
            name: operation.name().cloned(),
            token: operation.token(),
            asked,
        };
        if self.protections.dedupe
            && let Some(kept) = session.replies.find(asked.seq)
        {
            let kept = kept.clone();
            self.answered_before(&ask, kept);
        } else if let Some(wait) = session.wait(asked.seq) {
            let lock = self.state.locks().get(&wait.lock).expect("what is waited for is kept");
            let waiter = lock.waiter(wait.ticket).expect("who waits stands in line");
            if waiter.digest == asked.digest {
                self.poll(&ask);
            } else {
                self.refuse(&ask, Refusal::SeqReused);
            }
        } else {
            self.first_time(&ask, operation);
        }
    }

    /// The request has no kept answer. A heartbeat's never is, so it may be a copy all the same.
    fn first_time(&mut self, ask: &Ask, operation: &Operation) {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let dedupe = self.protections.dedupe;
        let stale = dedupe && session.replies.is_stale(ask.asked.seq);
        let used = dedupe && session.beats.has(ask.asked.seq);
        match operation {
            Operation::Heartbeat => self.heartbeat(ask, stale),
            Operation::AppendOutcome { of } => self.append_outcome(ask, *of, stale),
            _ if used => self.refuse(ask, Refusal::SeqReused),
            // The token is looked at before the age of the request.
            Operation::ReleaseLock { lock, token } => self.release(ask, lock, *token, stale),
            Operation::AppendFile { file, token, data } => {
                self.append(ask, file, *token, data, stale);
            }
            _ if stale => self.refuse(ask, Refusal::StaleSeq),
            Operation::AcquireLock { lock, wait, hold } => self.acquire(ask, lock, *wait, *hold),
            Operation::CancelAcquire { lock } => self.cancel(ask, lock),
            Operation::Close => self.close(ask),
            Operation::Hello { .. } => unreachable!("a hello names no session"),
        }
    }

    /// A copy of a request that has its answer: the same answer, and nothing else.
    fn answered_before(&mut self, ask: &Ask, kept: KeptReply) {
        if kept.digest != ask.asked.digest {
            self.refuse(ask, Refusal::SeqReused);
            return;
        }
        self.record_duplicate(ask);
        let attempt = kept.attempt.max(ask.asked.attempt);
        let status = self.status_of(ask.session_no, kept.answer);
        let ask = Ask { asked: Asked { attempt, ..ask.asked }, ..ask.clone() };
        self.answer_copy(&ask, status);
    }

    pub(super) fn record_duplicate(&mut self, ask: &Ask) {
        self.record(Fact::DuplicateAnswered {
            session_no: ask.session_no,
            client: ask.client.clone(),
            op: ask.op,
            asked: ask.asked,
        });
    }

    /// A kept answer in the words of the wire. What is left of a lease is as of now.
    fn status_of(&self, session_no: SessionNo, answer: Answer) -> Status {
        match answer {
            Answer::Granted { lock, token } => {
                let (lease, hold) = self.lease_left(session_no, &lock, token);
                Status::Granted { lock, token, lease, hold }
            }
            Answer::Cancelled { lock } => Status::Cancelled { lock },
            Answer::Released { lock } => Status::Released { lock },
            Answer::Appended { file, offset, len } => Status::Appended { file, offset, len },
            Answer::Refused(refusal) => Status::Refused(refusal),
        }
    }

    /// What is left of a tenure: of the lease it hangs on, and of its own bound if it has one.
    /// Nothing where it is over.
    pub(super) fn lease_left(
        &self,
        session_no: SessionNo,
        lock: &Name,
        token: Token,
    ) -> (Span, Option<Span>) {
        let (Some(session), Some(tenure)) =
            (self.state.session(session_no), self.state.tenure(lock))
        else {
            return (Span::ZERO, None);
        };
        if tenure.token != token {
            return (Span::ZERO, None);
        }
        let hold = tenure.hold_until.map(|until| self.now.until(until));
        let claim =
            tenure.claim_by.filter(|_| !session.has_claimed(tenure)).map(|by| self.now.until(by));
        let lease = self.now.until(session.expires_at);
        let lease = [hold, claim].into_iter().flatten().fold(lease, Ord::min);
        (lease, hold)
    }

    /// The session is not alive. What its old requests came to can still be told.
    fn request_without_session(
        &mut self,
        from: Peer,
        id: Secret<SessionId>,
        request: &Request,
        len_max: usize,
    ) {
        if self.unguarded(from, id, request) {
            return;
        }
        let status = match &request.operation {
            Operation::AppendOutcome { of } => self.lookup.outcome(&self.state, id, *of),
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
            self.record(Fact::RequestRefused {
                session_no: None,
                client: None,
                op: request.operation.op(),
                name: request.operation.name().cloned(),
                token: request.operation.token(),
                refusal: refusal.clone(),
                asked: asked_by(request),
            });
        }
        let reply = Reply { re: request.seq, attempt: request.attempt, status };
        self.reply_within(from, reply, len_max, DropReason::WouldAmplify);
    }

    /// Refuses a request of a live session: nothing changes but that it was answered.
    pub(super) fn refuse(&mut self, ask: &Ask, refusal: Refusal) {
        self.record(Fact::RequestRefused {
            session_no: Some(ask.session_no),
            client: Some(ask.client.clone()),
            op: ask.op,
            name: ask.name.clone(),
            token: ask.token,
            refusal: refusal.clone(),
            asked: ask.asked,
        });
        self.answer(ask, Status::Refused(refusal));
    }

    /// Replies to somebody without a session, in at most `len_max` bytes, or not at all.
    pub(super) fn reply_within(
        &mut self,
        to: Peer,
        reply: Reply,
        len_max: usize,
        too_long: DropReason,
    ) {
        if !reply.encode_within(len_max, &mut Vec::new()) {
            self.record(Fact::DatagramDropped { reason: too_long });
            return;
        }
        // What is said of bytes that are no request rests on nothing.
        let after = match too_long {
            DropReason::NotJson => Index::default(),
            DropReason::WouldAmplify
            | DropReason::IsReply
            | DropReason::NoOperation
            | DropReason::BadKey => self.durable,
        };
        let datagram = Datagram::new(to, reply, len_max);
        // Of an old session's request it can't be said that nothing was done.
        self.step.replies.push(Withheld { after, datagram, cause: None, lapses: true });
    }
}

fn asked_by(request: &Request) -> Asked {
    Asked { seq: request.seq, attempt: request.attempt, digest: request.operation.digest() }
}

fn refused(re: Seq, attempt: Attempt, refusal: Refusal) -> Reply {
    Reply { re, attempt, status: Status::Refused(refusal) }
}

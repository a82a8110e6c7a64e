//! What the server's answers mean for the calls, and how a call ends without one.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "what answers another operation is no answer: one arm for all of those"
)]

use super::belief::HeldLock;
use super::call::{Call, CallId, Kind, Verdict};
use super::session::Phase;
use super::{LockClient, Notice};
use crate::id::{Name, Seq, Token};
use crate::limits::POLL;
use crate::refusal::Refusal;
use crate::time::{Span, Time};
use crate::wire::{Reply, Status};

impl LockClient {
    pub(super) fn take_in(&mut self, now: Time, reply: Reply) {
        if reply.re == Seq::default() {
            self.hello_answered(now, reply.status);
            return;
        }
        if self.beat_answered(now, reply.re, &reply.status) {
            return;
        }
        let found = self
            .calls
            .iter()
            .find(|(_, call)| call.request.is_some_and(|(_, seq)| seq == reply.re) && !call.silent);
        let Some((&id, call)) = found else {
            self.nobody_asked(now, reply.status);
            return;
        };
        let sent_at = call.sending.sent_at(reply.attempt);
        if reply.attempt > call.sending.attempt() {
            // An echo of what was never sent: no answer of this server's to this client.
            return;
        }
        match call.kind.clone() {
            Kind::Acquire { lock, .. } => self.acquire_answered(now, id, &lock, sent_at, reply),
            Kind::Cancel { lock, acquire } => {
                self.cancel_answered(now, id, lock, acquire, reply.status);
            }
            Kind::Release { .. } => self.release_answered(now, id, reply.status),
            Kind::Append { .. } => self.append_answered(now, id, reply.status),
            Kind::Outcome { append, .. } => self.outcome_answered(id, append, reply.status),
            Kind::Close => self.close_answered(now, id, &reply.status),
        }
    }

    fn acquire_answered(
        &mut self,
        now: Time,
        id: CallId,
        lock: &Name,
        sent_at: Option<Time>,
        reply: Reply,
    ) {
        let abandoned = self.calls.get(&id).is_some_and(|call| call.unattended);
        match reply.status {
            Status::Granted { token, lease, hold, .. } => {
                if abandoned {
                    self.finish(id, Verdict::Cancelled);
                    self.give_back(now, lock.clone(), token);
                } else {
                    self.granted(now, id, lock.clone(), token, (sent_at, lease, hold));
                }
            }
            Status::Queued { position, .. } => self.queued(now, id, position, abandoned),
            Status::Refused(Refusal::UnknownSession) => self.session_lost(now),
            Status::Refused(Refusal::AlreadyHeld { token }) => {
                // Nobody in this client knows of that tenure: it was granted and given up.
                self.finish(id, Verdict::Refused(Refusal::AlreadyHeld { token }));
                if !self.held.contains_key(lock) {
                    self.give_back(now, lock.clone(), token);
                }
            }
            Status::Refused(refusal) => self.finish(id, Verdict::Refused(refusal)),
            _ => {}
        }
    }

    fn queued(&mut self, now: Time, id: CallId, position: u64, abandoned: bool) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Kind::Acquire { lock, queued, .. } = &mut call.kind else { return };
        let lock = lock.clone();
        if !std::mem::replace(queued, true) {
            // From its first answer on it asks again at every poll, not ever more rarely.
            let last = call.sending.sent_at(call.sending.attempt()).unwrap_or(now);
            call.sending.set_next((last + POLL).max(now));
        }
        if abandoned {
            self.begin_cancel(now, id, lock);
        } else {
            self.notify(Notice::Queued { call: id, position });
        }
    }

    /// `proof` is when what was answered was sent, what was left of the lease then, and of the
    /// tenure's own bound.
    fn granted(
        &mut self,
        now: Time,
        id: CallId,
        lock: Name,
        token: Token,
        proof: (Option<Time>, Span, Option<Span>),
    ) {
        let (sent_at, lease, hold) = proof;
        let until = sent_at.map_or(Time::ZERO, |sent_at| self.sure_until(now, sent_at, lease));
        if until <= now {
            // It is over, or nothing proves that it isn't. Not to be told as a grant.
            self.finish(id, Verdict::NoAnswer);
            self.give_back(now, lock, token);
            return;
        }
        self.belief.renew(until);
        let hold_until = match (sent_at, hold) {
            (Some(sent_at), Some(hold)) => self.sure_until(now, sent_at, hold),
            (None, _) | (_, None) => Time::NEVER,
        };
        let held = HeldLock { token, learned_at: now, hold_until, claim_until: Some(until) };
        self.held.insert(lock.clone(), held);
        self.finish(id, Verdict::Granted { lock, token });
        // A grant that came out of the queue has to be claimed before its short lease is over.
        self.beat_if_soon(now, until);
    }

    /// Sends a heartbeat at once where the next one would come too late to be of use.
    fn beat_if_soon(&mut self, now: Time, until: Time) {
        let due = self.phase.due();
        let soon = now + now.until(until).part(2);
        if matches!(self.phase, Phase::Open(_)) && due.is_some_and(|due| due > soon) {
            self.beat(now);
        }
    }

    /// A grant that no call waits for: the call was given up, or a copy came late.
    fn nobody_asked(&mut self, now: Time, status: Status) {
        if let Status::Granted { lock, token, lease, .. } = status {
            let known = self.held.get(&lock).is_some_and(|held| held.token == token);
            let releasing = self.calls.values().any(
                |call| matches!(&call.kind, Kind::Release { token: given, .. } if *given == token),
            );
            if !known && !releasing && !lease.is_zero() && self.is_open() {
                self.give_back(now, lock, token);
            }
        }
    }

    pub(super) fn give_back(&mut self, now: Time, lock: Name, token: Token) {
        self.begin_unattended(now, Kind::Release { lock, token });
    }

    /// Turns an acquire into one that nobody waits for, and takes it back.
    pub(super) fn abandon(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Kind::Acquire { lock, .. } = &call.kind else { return };
        let lock = lock.clone();
        if call.request.is_none() {
            // Never sent: there is nothing to take back.
            self.calls.remove(&id);
            return;
        }
        if std::mem::replace(&mut call.unattended, true) {
            return;
        }
        call.deadline = Time::NEVER;
        self.begin_cancel(now, id, lock);
    }

    fn begin_cancel(&mut self, now: Time, acquire: CallId, lock: Name) {
        let under_way = self.calls.values().any(
            |call| matches!(&call.kind, Kind::Cancel { acquire: given, .. } if *given == acquire),
        );
        if !under_way {
            self.begin_unattended(now, Kind::Cancel { lock, acquire });
        }
    }

    fn cancel_answered(
        &mut self,
        now: Time,
        id: CallId,
        lock: Name,
        acquire: CallId,
        status: Status,
    ) {
        match status {
            Status::Cancelled { .. } => {
                self.finish(id, Verdict::Cancelled);
                self.finish(acquire, Verdict::Cancelled);
            }
            Status::Refused(Refusal::AlreadyHeld { token }) => {
                self.finish(id, Verdict::Cancelled);
                if self.calls.contains_key(&acquire) {
                    self.finish(acquire, Verdict::Cancelled);
                    self.give_back(now, lock, token);
                }
            }
            Status::Refused(Refusal::UnknownSession) => self.session_lost(now),
            // `not_waiting`: it may have come before the acquire, which is asked until it is
            // answered, and then taken back again.
            Status::Refused(_) => self.finish(id, Verdict::Cancelled),
            _ => {}
        }
    }

    fn release_answered(&mut self, now: Time, id: CallId, status: Status) {
        match status {
            Status::Released { .. } => self.finish(id, Verdict::Released),
            Status::Refused(Refusal::UnknownSession) => {
                self.session_lost(now);
                self.finish(id, Verdict::Refused(Refusal::UnknownSession));
            }
            Status::Refused(Refusal::StorageFailed) => self.ask_anew(now, id),
            Status::Refused(refusal) => self.finish(id, Verdict::Refused(refusal)),
            _ => {}
        }
    }

    /// A release has to come about, since the session lives on: where it could not be made
    /// durable it is asked again as a new request, whoever was told of that.
    fn ask_anew(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let kind = call.kind.clone();
        self.finish(id, Verdict::Refused(Refusal::StorageFailed));
        let mut call = Call::new(kind, Time::NEVER);
        call.unattended = true;
        call.not_before = now + POLL;
        self.last_call = self.last_call.next();
        self.calls.insert(self.last_call, call);
    }

    fn append_answered(&mut self, now: Time, id: CallId, status: Status) {
        match status {
            Status::Appended { offset, len, .. } => {
                self.finish(id, Verdict::Appended { offset, len });
            }
            // An earlier copy may have been applied in a session that is gone, and its kept
            // reply with it. The server can tell.
            Status::Refused(
                refusal @ (Refusal::StaleToken { .. }
                | Refusal::NotHolder
                | Refusal::UnknownSession
                | Refusal::StaleSeq),
            ) => self.find_out(now, id, refusal),
            Status::Refused(refusal) => self.finish(id, Verdict::Refused(refusal)),
            _ => {}
        }
    }

    fn find_out(&mut self, now: Time, id: CallId, refusal: Refusal) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some((session, seq)) = call.request else { return };
        let deadline = call.deadline;
        if let Kind::Append { refused, .. } = &mut call.kind {
            *refused = Some(refusal);
        }
        call.silent = true;
        let mut question = Call::new(Kind::Outcome { append: id, of: seq }, deadline);
        question.unattended = true;
        question.assign(session, self.next_seq());
        self.last_call = self.last_call.next();
        self.calls.insert(self.last_call, question);
        self.pump(now);
    }

    fn outcome_answered(&mut self, id: CallId, append: CallId, status: Status) {
        let refused = match self.calls.get(&append).map(|call| &call.kind) {
            Some(Kind::Append { refused: Some(refused), .. }) => refused.clone(),
            _ => Refusal::UnknownSession,
        };
        let verdict = match status {
            Status::Applied { offset, len, .. } => Verdict::Appended { offset, len },
            Status::NotApplied => Verdict::Refused(refused),
            Status::Forgotten | Status::Refused(_) => Verdict::Unknown,
            _ => return,
        };
        self.finish(id, Verdict::Cancelled);
        self.finish(append, verdict);
    }

    fn close_answered(&mut self, now: Time, id: CallId, status: &Status) {
        match status {
            Status::Closed { .. } | Status::Refused(Refusal::UnknownSession) => {
                self.phase = Phase::Closed;
                self.finish(id, Verdict::Closed);
                self.calls.retain(|_, call| !call.unattended);
            }
            Status::Refused(Refusal::StorageFailed) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.unassign();
                    call.not_before = now + POLL;
                }
            }
            Status::Refused(refusal) => {
                // It is wanted no more, so nothing may keep it alive.
                self.phase = Phase::Closed;
                self.finish(id, Verdict::Refused(refusal.clone()));
            }
            _ => {}
        }
    }

    /// Ends the calls whose time is over.
    pub(super) fn expire_calls(&mut self, now: Time) {
        let over: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.deadline <= now).map(|(&id, _)| id).collect();
        for id in over {
            self.expire_call(now, id);
        }
    }

    fn expire_call(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match call.kind {
            Kind::Acquire { .. } => {
                self.notify(Notice::Answered { call: id, verdict: Verdict::NoAnswer });
                self.abandon(now, id);
            }
            Kind::Release { .. } => {
                // The session lives on, and would keep the lock: it goes on in the background.
                call.unattended = true;
                call.deadline = Time::NEVER;
                self.notify(Notice::Answered { call: id, verdict: Verdict::NoAnswer });
            }
            Kind::Append { .. } => {
                let verdict =
                    if call.request.is_some() { Verdict::Unknown } else { Verdict::NoAnswer };
                self.finish(id, verdict);
            }
            Kind::Close => {
                self.phase = Phase::Closed;
                self.finish(id, Verdict::NoAnswer);
            }
            Kind::Cancel { .. } | Kind::Outcome { .. } => self.finish(id, Verdict::NoAnswer),
        }
    }

    pub(super) fn finish(&mut self, id: CallId, verdict: Verdict) {
        let Some(call) = self.calls.remove(&id) else { return };
        if !call.unattended {
            self.notify(Notice::Answered { call: id, verdict });
        }
    }
}

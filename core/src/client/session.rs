//! Getting a session, and keeping it with heartbeats.
//!
//! A heartbeat is never transmitted again: each is a request of its own, since a copy renews
//! nothing. Where no answer comes the next one follows sooner.

use std::collections::VecDeque;

use super::call::Kind;
use super::sending::{Pauses, Sending, jittered};
use super::{LockClient, Notice, Verdict};
use crate::id::{Attempt, Nonce, Seq, SessionId};
use crate::limits::{BEATS_PER_LEASE, RETRANSMIT_FIRST, RETRANSMIT_MAX};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::{Span, Time};
use crate::wire::{Cookie, Operation, Status};

/// How far a heartbeat is drawn from its middle, in parts per million.
const BEAT_JITTER_PPM: u64 = 100_000;

/// How many unanswered heartbeats are remembered.
const BEATS_OUTSTANDING_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Closed,
    Opening(Hello),
    Open(OpenSession),
}

#[derive(Clone, Debug)]
pub(super) struct Hello {
    nonce: Secret<Nonce>,
    cookie: Option<Cookie>,
    sending: Sending,
}

#[derive(Clone, Debug)]
pub(super) struct OpenSession {
    pub(super) id: Secret<SessionId>,
    lease: Span,
    beat_at: Time,
    pause: Span,
    beats: VecDeque<(Seq, Time)>,
}

impl Phase {
    pub(super) fn due(&self) -> Option<Time> {
        match self {
            Self::Closed => None,
            Self::Opening(hello) => Some(hello.sending.next_at()),
            Self::Open(session) => Some(session.beat_at),
        }
    }

    pub(super) const fn next_beat(&self) -> Option<Time> {
        match self {
            Self::Open(session) => Some(session.beat_at),
            Self::Closed | Self::Opening(_) => None,
        }
    }
}

impl OpenSession {
    /// The pause after a heartbeat that may have been lost: a quarter of the time until the next
    /// would be due, since an answer may be on a long way.
    fn first_pause(&self) -> Span {
        let soonest = RETRANSMIT_FIRST.min(self.lease.part(2 * BEATS_PER_LEASE));
        self.lease.part(4 * BEATS_PER_LEASE).max(soonest).min(RETRANSMIT_MAX)
    }

    /// Shorter than the pauses of other requests: there is a lease to be lost.
    fn pause_max(&self) -> Span {
        self.lease.part(4 * BEATS_PER_LEASE).clamp(self.first_pause(), RETRANSMIT_MAX)
    }
}

impl LockClient {
    pub(super) fn begin_hello(&mut self, now: Time) {
        let nonce = Secret::new(Nonce::new(self.rng.bits()));
        self.phase = Phase::Opening(Hello { nonce, cookie: None, sending: Sending::default() });
        self.pump(now);
    }

    /// Sends the hello or the heartbeat that is due.
    pub(super) fn pump_session(&mut self, now: Time) {
        let wanted = self.calls.values().any(|call| call.request.is_none());
        if matches!(self.phase, Phase::Closed) && wanted {
            self.begin_hello(now);
            return;
        }
        match &mut self.phase {
            Phase::Closed => {}
            Phase::Opening(hello) => {
                if !hello.sending.is_due(now) {
                    return;
                }
                let pauses = Pauses::Growing { first: self.config.first_pause };
                hello.sending.sent(now, pauses, &mut self.rng);
                let operation = Operation::Hello {
                    client: self.config.name.clone(),
                    nonce: hello.nonce,
                    lease: self.config.lease,
                    cookie: hello.cookie,
                };
                let sending = hello.sending.clone();
                self.send(None, Seq::default(), &sending, operation);
            }
            Phase::Open(session) if session.beat_at <= now => self.beat(now),
            Phase::Open(_) => {}
        }
    }

    /// Sends a heartbeat at once, where there is a session, and sets the moment of the next. For
    /// whoever wants to renew before it is due.
    pub fn beat(&mut self, now: Time) {
        let seq = self.next_seq();
        let Phase::Open(session) = &mut self.phase else { return };
        session.beats.push_back((seq, now));
        if session.beats.len() > BEATS_OUTSTANDING_MAX {
            session.beats.pop_front();
        }
        session.beat_at = now + jittered(session.pause, BEAT_JITTER_PPM, &mut self.rng);
        session.pause = session.pause.times(2).min(session.pause_max());
        let id = session.id;
        self.send(Some(id), seq, &Sending::default(), Operation::Heartbeat);
    }

    /// An answer to the hello.
    pub(super) fn hello_answered(&mut self, now: Time, status: Status) {
        let Phase::Opening(hello) = &mut self.phase else { return };
        match status {
            Status::Welcome { session: id, lease, heartbeat, .. } => {
                // The first transmission may be the one that began the lease.
                let sent_at = hello.sending.sent_at(Attempt::default()).unwrap_or_default();
                // Not a word about the lease: this may be what an earlier life of this program
                // asked for, long ago. The answer to a request of this one tells how it stands.
                self.belief = super::Belief::default();
                let beat_at = sent_at + jittered(heartbeat, BEAT_JITTER_PPM, &mut self.rng);
                let beats = VecDeque::new();
                let mut session = OpenSession { id, lease, beat_at, pause: Span::ZERO, beats };
                session.pause = session.first_pause();
                self.phase = Phase::Open(session);
                self.notify(Notice::Opened { lease });
            }
            Status::Retry { cookie } if hello.cookie != Some(cookie) => {
                hello.cookie = Some(cookie);
                hello.sending.set_next(now);
            }
            Status::Refused(refusal) => {
                self.phase = Phase::Closed;
                self.refuse_all(&refusal);
                self.notify(Notice::NotOpened { refusal });
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

    /// No session is to be had: what waits for one is refused with it.
    fn refuse_all(&mut self, refusal: &Refusal) {
        let waiting: Vec<_> =
            self.calls.iter().filter(|(_, it)| it.request.is_none()).map(|(&id, _)| id).collect();
        for call in waiting {
            self.finish(call, Verdict::Refused(refusal.clone()));
        }
    }

    /// An answer to a heartbeat. Says whether it was one.
    pub(super) fn beat_answered(&mut self, now: Time, seq: Seq, status: &Status) -> bool {
        let Phase::Open(session) = &mut self.phase else { return false };
        let Some(place) = session.beats.iter().position(|(beat, _)| *beat == seq) else {
            return false;
        };
        let (_, sent_at) = session.beats[place];
        match status {
            Status::Alive { lease, .. } => {
                session.beats.drain(..=place);
                session.pause = session.first_pause();
                let third = session.lease.part(BEATS_PER_LEASE);
                let next = sent_at + jittered(third, BEAT_JITTER_PPM, &mut self.rng);
                session.beat_at = next.max(now);
                let until = self.sure_until(now, sent_at, *lease);
                self.belief.renew(until);
                for held in self.held.values_mut().filter(|held| held.learned_at <= sent_at) {
                    held.claim_until = None;
                }
            }
            Status::Refused(Refusal::UnknownSession) => self.session_lost(now),
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

    /// The server does not know the session: nothing of it is held, nothing waited for. What was
    /// not granted is asked for anew; what may have been appended is asked about.
    pub(super) fn session_lost(&mut self, now: Time) {
        let Phase::Open(session) = &self.phase else { return };
        let gone = session.id;
        self.phase = Phase::Closed;
        self.notify(Notice::SessionLost);
        let held: Vec<_> = self.held().map(|(lock, token)| (lock.clone(), token)).collect();
        for (lock, token) in held {
            self.lose(lock, token);
        }
        let calls: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| call.request.is_none_or(|(session, _)| session == gone))
            .map(|(&id, _)| id)
            .collect();
        for id in calls {
            self.outlive_session(now, id);
        }
    }

    fn outlive_session(&mut self, now: Time, id: super::CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match &call.kind {
            Kind::Acquire { .. } if call.unattended => self.finish(id, Verdict::Cancelled),
            Kind::Acquire { .. } => call.unassign(),
            Kind::Cancel { .. } => self.finish(id, Verdict::Cancelled),
            Kind::Close => self.finish(id, Verdict::Closed),
            // Not sent yet, and of no account in any other session.
            Kind::Release { .. } if call.request.is_none() => {
                self.finish(id, Verdict::Refused(Refusal::UnknownSession));
            }
            Kind::Append { .. } if call.request.is_none() => {
                self.finish(id, Verdict::Refused(Refusal::UnknownSession));
            }
            // These go on in the name of the old session: the server can tell.
            Kind::Release { .. } | Kind::Append { .. } | Kind::Outcome { .. } => {
                call.sending.set_next(now);
            }
        }
    }
}

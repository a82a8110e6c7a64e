//! One call: what was asked, its transmissions, and what came of it.

use super::sending::{Pauses, Sending};
use crate::data::Data;
use crate::id::{Attempt, Name, Seq, SessionId, Token};
use crate::limits::POLL;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Span, Time};
use crate::wire::{Operation, Request};

/// Names a call of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The lock is the client's.
    Granted {
        /// Which.
        lock: Name,
        /// The token of the tenure.
        token: Token,
    },
    /// The lock was given back.
    Released,
    /// The bytes are in the file.
    Appended {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        len: u64,
    },
    /// The session is over.
    Closed,
    /// The server refused it: nothing was done.
    Refused(Refusal),
    /// There was no answer in time. What may have been granted is being given back.
    NoAnswer,
    /// An append of which nobody can tell whether it is in the file.
    Unknown,
    /// It was no longer wanted.
    Cancelled,
}

/// A request that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub seq: Seq,
    /// What it asks for.
    pub operation: Operation,
    /// Its last transmission, counted from 0.
    pub attempt: Attempt,
    /// When it is sent again, on the client's own clock.
    pub next_at: Time,
}

/// What a call is about.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Acquire {
        lock: Name,
        wait: Span,
        hold: Option<Span>,
        queued: bool,
    },
    /// Takes the place of an acquire in line back.
    Cancel {
        lock: Name,
        acquire: CallId,
    },
    Release {
        lock: Name,
        token: Token,
    },
    /// `refused` is set while it has to be found out whether an earlier copy was applied.
    Append {
        file: Name,
        token: Token,
        data: Data,
        refused: Option<Refusal>,
    },
    /// What became of an append, asked in the name of the session that sent it.
    Outcome {
        append: CallId,
        of: Seq,
    },
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) deadline: Time,
    /// The session and the number that it has, once it has one.
    pub(super) request: Option<(Secret<SessionId>, Seq)>,
    pub(super) sending: Sending,
    /// When it may have a number at the earliest.
    pub(super) not_before: Time,
    /// Whether nobody waits for it (any more).
    pub(super) unattended: bool,
    /// Whether it has its answer and only waits for another call's.
    pub(super) silent: bool,
}

impl CallId {
    #[must_use]
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Call {
    pub(super) fn new(kind: Kind, deadline: Time) -> Self {
        let sending = Sending::default();
        let not_before = Time::ZERO;
        let request = None;
        Self { kind, deadline, request, sending, not_before, unattended: false, silent: false }
    }

    pub(super) fn assign(&mut self, session: Secret<SessionId>, seq: Seq) {
        self.request = Some((session, seq));
        self.sending = Sending::default();
    }

    /// Takes it out of its session, to be asked anew in another.
    pub(super) fn unassign(&mut self) {
        self.request = None;
        if let Kind::Acquire { queued, .. } = &mut self.kind {
            *queued = false;
        }
    }

    /// The request, where it is to be transmitted by now.
    pub(super) fn transmit(
        &mut self,
        now: Time,
        first_pause: Span,
        backoff: bool,
        rng: &mut Rng,
    ) -> Option<Request> {
        let (session, seq) = self.request?;
        if self.silent || !self.sending.is_due(now) {
            return None;
        }
        let queued = matches!(self.kind, Kind::Acquire { queued: true, .. });
        let growing = Pauses::Growing { first: first_pause };
        if backoff {
            self.sending.sent(now, if queued { Pauses::Equal(POLL) } else { growing }, rng);
        } else {
            self.sending.sent_in_step(now, first_pause);
        }
        let operation = self.operation();
        Some(Request { session: Some(session), seq, attempt: self.sending.attempt(), operation })
    }

    /// When there is something to do for it.
    pub(super) fn due(&self) -> Option<Time> {
        let sending = match self.request {
            Some(_) => (!self.silent).then(|| self.sending.next_at()),
            None => (self.not_before > Time::ZERO).then_some(self.not_before),
        };
        let deadline = (self.deadline < Time::NEVER).then_some(self.deadline);
        [sending, deadline].into_iter().flatten().min()
    }

    /// The lock that somebody waits for by this call.
    pub(super) fn asks_for(&self) -> Option<&Name> {
        let Kind::Acquire { lock, .. } = &self.kind else { return None };
        Some(lock)
    }

    /// The lock that this call is on its way back from.
    pub(super) fn leaves(&self) -> Option<&Name> {
        match &self.kind {
            Kind::Acquire { lock, .. } => self.unattended.then_some(lock),
            Kind::Cancel { lock, .. } | Kind::Release { lock, .. } => Some(lock),
            Kind::Append { .. } | Kind::Outcome { .. } | Kind::Close => None,
        }
    }

    /// For those who look, where it has been sent and has no answer yet.
    pub(super) fn pending(&self) -> Option<Pending> {
        let (_, seq) = self.request.filter(|_| !self.silent)?;
        let (attempt, next_at) = (self.sending.attempt(), self.sending.next_at());
        Some(Pending { seq, operation: self.operation(), attempt, next_at })
    }

    fn operation(&self) -> Operation {
        match &self.kind {
            Kind::Acquire { lock, wait, hold, .. } => {
                Operation::AcquireLock { lock: lock.clone(), wait: *wait, hold: *hold }
            }
            Kind::Cancel { lock, .. } => Operation::CancelAcquire { lock: lock.clone() },
            Kind::Release { lock, token } => {
                Operation::ReleaseLock { lock: lock.clone(), token: *token }
            }
            Kind::Append { file, token, data, .. } => {
                Operation::AppendFile { file: file.clone(), token: *token, data: data.clone() }
            }
            Kind::Outcome { of, .. } => Operation::AppendOutcome { of: *of },
            Kind::Close => Operation::Close,
        }
    }
}

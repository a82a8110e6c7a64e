//! One call: what was asked, its transmissions, and what came of it.

use super::retransmission::{Backoff, Transmissions};
use crate::data::Data;
use crate::id::{Attempt, Name, Seq, SessionKey, Token};
use crate::limits::POLL_INTERVAL;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Millis, Time};
use crate::wire::{Operation, Request};

/// Names a call of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
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
    TimedOut,
    /// An append of which nobody can tell whether it is in the file.
    Unknown,
    /// It was no longer wanted.
    Cancelled,
}

/// A request that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// Its number.
    pub seq: Seq,
    /// What it asks for.
    pub operation: Operation,
    /// Its last transmission, counted from 0.
    pub attempt: Attempt,
    /// When it is sent again, on the client's own clock.
    pub retransmit_at: Time,
}

/// What a call is about.
#[derive(Clone, Debug)]
pub(super) enum CallKind {
    Acquire {
        lock: Name,
        wait: Millis,
        hold: Option<Millis>,
        queued: bool,
    },
    /// Takes the place of an acquire in line back.
    Cancel {
        lock: Name,
        acquire_call: CallId,
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
    AppendOutcome {
        append_call: CallId,
        append_seq: Seq,
    },
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) deadline: Time,
    /// The session and the number that it has, once it has one.
    pub(super) assignment: Option<(Secret<SessionKey>, Seq)>,
    pub(super) transmissions: Transmissions,
    /// When it may have a number at the earliest.
    pub(super) not_before: Time,
    /// Whether nobody waits for it (any more).
    pub(super) detached: bool,
    /// Whether it has its answer and only waits for another call's.
    pub(super) awaiting_outcome: bool,
}

impl CallId {
    #[must_use]
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Call {
    pub(super) fn new(kind: CallKind, deadline: Time) -> Self {
        let transmissions = Transmissions::default();
        let not_before = Time::ZERO;
        let assignment = None;
        Self {
            kind,
            deadline,
            assignment,
            transmissions,
            not_before,
            detached: false,
            awaiting_outcome: false,
        }
    }

    pub(super) fn assign(&mut self, session_key: Secret<SessionKey>, seq: Seq) {
        self.assignment = Some((session_key, seq));
        self.transmissions = Transmissions::default();
    }

    /// Takes it out of its session, to be asked anew in another.
    pub(super) fn unassign(&mut self) {
        self.assignment = None;
        if let CallKind::Acquire { queued, .. } = &mut self.kind {
            *queued = false;
        }
    }

    /// The request, where it is to be transmitted by now.
    pub(super) fn transmit(
        &mut self,
        now: Time,
        retransmit_delay: Millis,
        backoff: bool,
        rng: &mut Rng,
    ) -> Option<Request> {
        let (session_key, seq) = self.assignment?;
        if self.awaiting_outcome || !self.transmissions.is_due(now) {
            return None;
        }
        let queued = matches!(self.kind, CallKind::Acquire { queued: true, .. });
        let exponential = Backoff::Exponential { first: retransmit_delay };
        if backoff {
            self.transmissions.record_sent(
                now,
                if queued { Backoff::Fixed(POLL_INTERVAL) } else { exponential },
                rng,
            );
        } else {
            self.transmissions.record_sent_without_jitter(now, retransmit_delay);
        }
        let operation = self.operation();
        Some(Request {
            session_key: Some(session_key),
            seq,
            attempt: self.transmissions.last_attempt(),
            operation,
        })
    }

    /// When there is something to do for it.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let transmit_at = match self.assignment {
            Some(_) => (!self.awaiting_outcome).then(|| self.transmissions.next_at()),
            None => (self.not_before > Time::ZERO).then_some(self.not_before),
        };
        let deadline = (self.deadline < Time::NEVER).then_some(self.deadline);
        [transmit_at, deadline].into_iter().flatten().min()
    }

    /// The lock that somebody waits for by this call.
    pub(super) fn lock_to_acquire(&self) -> Option<&Name> {
        let CallKind::Acquire { lock, .. } = &self.kind else { return None };
        Some(lock)
    }

    /// The lock that this call is on its way back from.
    pub(super) fn lock_being_released(&self) -> Option<&Name> {
        match &self.kind {
            CallKind::Acquire { lock, .. } => self.detached.then_some(lock),
            CallKind::Cancel { lock, .. } | CallKind::Release { lock, .. } => Some(lock),
            CallKind::Append { .. } | CallKind::AppendOutcome { .. } | CallKind::Close => None,
        }
    }

    /// For those who look, where it has been sent and has no answer yet.
    pub(super) fn pending_request(&self) -> Option<PendingRequest> {
        let (_, seq) = self.assignment.filter(|_| !self.awaiting_outcome)?;
        let (attempt, retransmit_at) =
            (self.transmissions.last_attempt(), self.transmissions.next_at());
        Some(PendingRequest { seq, operation: self.operation(), attempt, retransmit_at })
    }

    fn operation(&self) -> Operation {
        match &self.kind {
            CallKind::Acquire { lock, wait, hold, .. } => {
                Operation::AcquireLock { lock: lock.clone(), wait: *wait, hold: *hold }
            }
            CallKind::Cancel { lock, .. } => Operation::CancelAcquire { lock: lock.clone() },
            CallKind::Release { lock, token } => {
                Operation::ReleaseLock { lock: lock.clone(), token: *token }
            }
            CallKind::Append { file, token, data, .. } => {
                Operation::AppendFile { file: file.clone(), token: *token, data: data.clone() }
            }
            CallKind::AppendOutcome { append_seq, .. } => {
                Operation::AppendOutcome { append_seq: *append_seq }
            }
            CallKind::Close => Operation::Close,
        }
    }
}

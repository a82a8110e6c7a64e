//! One call: its operation, its transmissions and its outcome.

use super::retransmission::{Backoff, Transmissions};
use crate::data::Data;
use crate::id::{Attempt, Name, Seq, SessionKey, Token};
use crate::limits::POLL_INTERVAL;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Millis, Time};
use crate::wire::{Operation, Request};

/// Identifies a call of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The client holds the lock.
    Granted {
        /// The lock.
        lock: Name,
        /// The token of the tenure.
        token: Token,
    },
    /// The lock was released.
    Released,
    /// The bytes are in the file.
    Appended {
        /// The offset of the first byte.
        offset: u64,
        /// The number of bytes.
        len: u64,
    },
    /// The session has ended.
    Closed,
    /// The server refused the request, which had no effect.
    Refused(Refusal),
    /// No final reply arrived before the deadline. If a lock was granted, the client releases it.
    /// If the last reply was `storage_failed`, the outcome is that refusal instead.
    TimedOut,
    /// The append may or may not be in the file.
    Unknown,
    /// The call was cancelled.
    Cancelled,
}

/// A request that has no final reply yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// Its sequence number.
    pub seq: Seq,
    /// Its operation.
    pub operation: Operation,
    /// Its last attempt, counted from 0.
    pub attempt: Attempt,
    /// When it is retransmitted, on the client's clock.
    pub retransmit_at: Time,
}

/// The operation of a call, and its progress.
#[derive(Clone, Debug)]
pub(super) enum CallKind {
    Acquire {
        lock: Name,
        wait: Millis,
        hold: Option<Millis>,
        queued: bool,
    },
    /// Removes an abandoned acquire from the wait queue.
    Cancel {
        lock: Name,
        acquire_call: CallId,
    },
    Release {
        lock: Name,
        token: Token,
    },
    /// `refused` is set while the client queries whether an earlier transmission was applied.
    Append {
        file: Name,
        token: Token,
        data: Data,
        refused: Option<Refusal>,
    },
    /// Queries the outcome of an append, with the key of the session that sent it.
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
    /// The session and the sequence number of the request. Unset until the first transmission.
    pub(super) assignment: Option<(Secret<SessionKey>, Seq)>,
    pub(super) transmissions: Transmissions,
    /// Whether the outcome is not reported: the client began the call itself, or the caller has
    /// given it up.
    pub(super) detached: bool,
    /// Whether the reply has arrived, and the call waits for an outcome query.
    pub(super) awaiting_outcome: bool,
    /// Whether the last reply was `storage_failed`. That answers a transmission and not the
    /// request, so the call continues.
    pub(super) storage_failed: bool,
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
        let assignment = None;
        Self {
            kind,
            deadline,
            assignment,
            transmissions,
            detached: false,
            awaiting_outcome: false,
            storage_failed: false,
        }
    }

    pub(super) fn assign(&mut self, session_key: Secret<SessionKey>, seq: Seq) {
        self.assignment = Some((session_key, seq));
        self.transmissions = Transmissions::default();
    }

    /// Returns the outcome of a call whose deadline passes without a final reply.
    pub(super) const fn outcome_at_deadline(&self) -> CallOutcome {
        if self.storage_failed {
            CallOutcome::Refused(Refusal::StorageFailed)
        } else {
            CallOutcome::TimedOut
        }
    }

    /// Makes the call a new request, for another session.
    pub(super) fn unassign(&mut self) {
        self.assignment = None;
        if let CallKind::Acquire { queued, .. } = &mut self.kind {
            *queued = false;
        }
    }

    /// Returns the request if a transmission is due.
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

    /// Returns when the call next needs a transmission or ends.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let transmit_at = (self.assignment.is_some() && !self.awaiting_outcome)
            .then(|| self.transmissions.next_at());
        let deadline = (self.deadline < Time::NEVER).then_some(self.deadline);
        [transmit_at, deadline].into_iter().flatten().min()
    }

    /// Returns the lock that this call acquires.
    pub(super) fn lock_to_acquire(&self) -> Option<&Name> {
        let CallKind::Acquire { lock, .. } = &self.kind else { return None };
        Some(lock)
    }

    /// Returns the lock that this call cancels the wait for, or releases.
    pub(super) fn lock_being_released(&self) -> Option<&Name> {
        match &self.kind {
            CallKind::Acquire { lock, .. } => self.detached.then_some(lock),
            CallKind::Cancel { lock, .. } | CallKind::Release { lock, .. } => Some(lock),
            CallKind::Append { .. } | CallKind::AppendOutcome { .. } | CallKind::Close => None,
        }
    }

    /// Returns the request, for display, if it was sent and has no final reply.
    pub(super) fn pending_request(&self) -> Option<PendingRequest> {
        let (_, seq) = self.assignment.filter(|_| !self.awaiting_outcome)?;
        let (attempt, retransmit_at) =
            (self.transmissions.last_attempt(), self.transmissions.next_at());
        Some(PendingRequest { seq, operation: self.operation(), attempt, retransmit_at })
    }

    /// Returns the refusal of an append whose outcome is queried.
    pub(super) const fn append_refusal(&self) -> Option<&Refusal> {
        let CallKind::Append { refused, .. } = &self.kind else { return None };
        refused.as_ref()
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

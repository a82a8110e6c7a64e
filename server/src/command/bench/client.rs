//! A client of the bench: the state machine of a real client, and the operation in progress.

use std::collections::VecDeque;
use std::time::Instant;

use leasehold_core::client::{CallId, CallOutcome, Config, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, Token};
use leasehold_core::refusal::Refusal;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

use super::counters::{Counters, RequestKind, SendReason};
use super::mix::Action;
use super::schedule::ClockReading;

/// The time limit of a request with all its retransmissions.
const REPLY_TIMEOUT: Millis = Millis::from_secs(30);

/// The time limit in a wait queue: longer than a run.
const QUEUE_TIMEOUT: Millis = Millis::from_secs(600);

/// The number of heartbeats of an operation that are remembered. There are never as many without a
/// reply.
const HEARTBEATS_MAX: usize = 16;

/// The locks that a client uses.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    /// The lock that it acquires, and the file to which it appends.
    pub(super) own: Name,
    /// The lock that is always held.
    pub(super) held: Name,
}

/// A client of the bench.
pub(super) struct BenchClient {
    name: Name,
    lock_client: LockClient,
    locks: Locks,
    /// The length of the lines that it appends, in bytes.
    line_len: usize,
    lines: u64,
    pending: Option<PendingOperation>,
    /// The sequence numbers of the heartbeats of the current operation.
    heartbeats: VecDeque<Seq>,
}

/// The operation in progress.
#[derive(Debug)]
struct PendingOperation {
    action: Action,
    intended_start: Instant,
    /// When the awaited request was first sent.
    sent_at: Instant,
    step: Step,
    /// The code of the first error.
    error: Option<&'static str>,
}

/// The reply that the operation waits for.
#[derive(Clone, Copy, Debug)]
enum Step {
    Opening,
    Acquiring { call: CallId, queued: bool },
    Appending { call: CallId, token: Token },
    Releasing { call: CallId },
    Renewing,
    Trying { call: CallId },
    Closing { call: CallId },
}

/// An operation that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completed {
    pub(super) intended_start: Instant,
    /// An error is the code of the first one.
    pub(super) outcome: Result<(), &'static str>,
}

impl BenchClient {
    pub(super) fn new(name: Name, locks: Locks, line_len: usize, seed: u64) -> Self {
        let lock_client = LockClient::new(Config::new(name.clone()), seed);
        let heartbeats = VecDeque::new();
        Self { name, lock_client, locks, line_len, lines: 0, pending: None, heartbeats }
    }

    /// Begins an operation whose intended start was `intended_start`.
    pub(super) fn begin(&mut self, now: ClockReading, action: Action, intended_start: Instant) {
        assert!(self.pending.is_none(), "a client has one operation at a time");
        let deadline = now.time + REPLY_TIMEOUT;
        let step = match action {
            Action::OpenSession => self.start_open(now.time),
            Action::LockCycle { .. } | Action::HandOff => {
                let (lock, until) = (self.locks.own.clone(), now.time + QUEUE_TIMEOUT);
                let call = self.lock_client.acquire(now.time, lock, QUEUE_TIMEOUT, None, until);
                Step::Acquiring { call, queued: false }
            }
            Action::HoldLock => {
                let (lock, until) = (self.locks.held.clone(), now.time + QUEUE_TIMEOUT);
                let call = self.lock_client.acquire(now.time, lock, QUEUE_TIMEOUT, None, until);
                Step::Acquiring { call, queued: false }
            }
            Action::TryHeldLock => {
                let lock = self.locks.held.clone();
                let call = self.lock_client.acquire(now.time, lock, Millis::ZERO, None, deadline);
                Step::Trying { call }
            }
            Action::Heartbeat => {
                self.heartbeats.clear();
                self.lock_client.open(now.time);
                Step::Renewing
            }
            Action::ReopenSession | Action::CloseSession => {
                Step::Closing { call: self.lock_client.close(now.time, deadline) }
            }
        };
        let sent_at = now.instant;
        self.pending =
            Some(PendingOperation { action, intended_start, sent_at, step, error: None });
        if matches!(step, Step::Renewing) {
            self.lock_client.send_heartbeat(now.time);
        }
    }

    /// Handles a reply. Returns the operation if it has ended.
    pub(super) fn receive(
        &mut self,
        now: ClockReading,
        reply: Reply,
        counters: &mut Counters,
    ) -> Option<Completed> {
        let is_alive = matches!(reply.status, Status::Alive { .. });
        let is_own = is_alive && self.is_renewing() && self.heartbeats.contains(&reply.request_seq);
        self.lock_client.receive(now.time, reply);
        if is_own {
            self.record_reply(now, RequestKind::Heartbeat, counters);
            return self.complete();
        }
        self.process_notifications(now, counters)
    }

    /// Fires expired timers. Returns the operation if it has ended.
    pub(super) fn handle_timers(
        &mut self,
        now: ClockReading,
        counters: &mut Counters,
    ) -> Option<Completed> {
        self.lock_client.handle_timers(now.time);
        self.process_notifications(now, counters)
    }

    /// Cancels the operation if it waits in a queue.
    pub(super) fn leave_queue(&mut self, now: ClockReading) {
        if let Some(PendingOperation { step: Step::Acquiring { call, queued: true }, .. }) =
            self.pending
        {
            self.lock_client.cancel(now.time, call);
            self.pending = None;
        }
    }

    /// Abandons the current operation. Returns whether there was one.
    pub(super) fn abandon(&mut self) -> bool {
        self.pending.take().is_some()
    }

    /// Returns the next request to send, and why it is sent.
    pub(super) fn next_request(&mut self) -> Option<(SendReason, Request)> {
        let request = self.lock_client.poll_request()?;
        let reason = self.send_reason(&request);
        Some((reason, request))
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.lock_client.next_deadline()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    fn send_reason(&mut self, request: &Request) -> SendReason {
        if matches!(request.operation, Operation::Heartbeat) {
            if !self.is_renewing() {
                return SendReason::Background;
            }
            // A heartbeat is never retransmitted: another one follows, which counts as a
            // retransmission here.
            let reason = if self.heartbeats.is_empty() {
                SendReason::First
            } else {
                SendReason::Retransmission
            };
            self.heartbeats.push_back(request.seq);
            if self.heartbeats.len() > HEARTBEATS_MAX {
                self.heartbeats.pop_front();
            }
            return reason;
        }
        if request.attempt == Attempt::default() {
            return SendReason::First;
        }
        let is_acquire = matches!(request.operation, Operation::AcquireLock { .. });
        if is_acquire && self.is_queued() { SendReason::Poll } else { SendReason::Retransmission }
    }

    fn is_renewing(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| matches!(pending.step, Step::Renewing))
    }

    fn is_queued(&self) -> bool {
        let queued = |pending: &PendingOperation| {
            matches!(pending.step, Step::Acquiring { queued: true, .. })
        };
        self.pending.as_ref().is_some_and(queued)
    }

    fn start_open(&mut self, now: Time) -> Step {
        self.lock_client.open(now);
        Step::Opening
    }

    /// Handles the notifications of the state machine.
    fn process_notifications(
        &mut self,
        now: ClockReading,
        counters: &mut Counters,
    ) -> Option<Completed> {
        while let Some(notification) = self.lock_client.poll_notification() {
            let completed = match notification {
                Notification::SessionOpened { .. } => self.opened(now, counters),
                Notification::SessionRefused { refusal } => self.open_refused(&refusal),
                Notification::Queued { call, .. } => self.queued(call),
                Notification::Completed { call, outcome } => {
                    self.call_completed(now, call, outcome, counters)
                }
                Notification::SessionLost => {
                    counters.sessions_lost += 1;
                    if self.is_renewing() {
                        self.lock_client.open(now.time);
                    }
                    None
                }
                // The next request under this token is refused, which counts as an error.
                Notification::LockLost { .. } => None,
            };
            if completed.is_some() {
                return completed;
            }
        }
        None
    }

    fn opened(&mut self, now: ClockReading, counters: &mut Counters) -> Option<Completed> {
        match self.pending.as_ref()?.step {
            Step::Opening => {
                self.record_reply(now, RequestKind::OpenSession, counters);
                self.complete()
            }
            Step::Renewing => {
                self.lock_client.send_heartbeat(now.time);
                None
            }
            // The session was opened again for a later step.
            Step::Acquiring { .. }
            | Step::Appending { .. }
            | Step::Releasing { .. }
            | Step::Trying { .. }
            | Step::Closing { .. } => None,
        }
    }

    fn open_refused(&mut self, refusal: &Refusal) -> Option<Completed> {
        match self.pending.as_ref()?.step {
            Step::Opening | Step::Renewing => self.fail_with(refusal.code()),
            // A call that waits for the session completes with an error of its own.
            Step::Acquiring { .. }
            | Step::Appending { .. }
            | Step::Releasing { .. }
            | Step::Trying { .. }
            | Step::Closing { .. } => None,
        }
    }

    fn queued(&mut self, queued_call: CallId) -> Option<Completed> {
        let pending = self.pending.as_mut()?;
        let Step::Acquiring { call, queued } = &mut pending.step else { return None };
        *queued |= *call == queued_call;
        // Another bench holds the lock. This client gets it from the queue later.
        if *queued && pending.action == Action::HoldLock { self.complete() } else { None }
    }

    /// Handles the outcome of a call.
    fn call_completed(
        &mut self,
        now: ClockReading,
        id: CallId,
        outcome: CallOutcome,
        counters: &mut Counters,
    ) -> Option<Completed> {
        let pending = self.pending.as_ref()?;
        let action = pending.action;
        match pending.step {
            Step::Acquiring { call, .. } if call == id => {
                self.acquired(now, action, outcome, counters)
            }
            Step::Appending { call, token } if call == id => {
                if let CallOutcome::Appended { len, .. } = outcome {
                    self.record_reply(now, RequestKind::Append, counters);
                    counters.appended_lines += 1;
                    counters.appended_bytes += len;
                } else {
                    self.set_error(code(&outcome));
                }
                self.release(now, token)
            }
            Step::Releasing { call } if call == id => {
                if outcome != CallOutcome::Released {
                    return self.fail_with(code(&outcome));
                }
                self.record_reply(now, RequestKind::Release, counters);
                self.complete()
            }
            Step::Trying { call } if call == id => self.tried(now, outcome, counters),
            Step::Closing { call } if call == id => {
                if outcome != CallOutcome::Closed {
                    return self.fail_with(code(&outcome));
                }
                self.record_reply(now, RequestKind::CloseSession, counters);
                if action == Action::CloseSession {
                    return self.complete();
                }
                let step = self.start_open(now.time);
                self.advance(now, step)
            }
            Step::Opening
            | Step::Renewing
            | Step::Acquiring { .. }
            | Step::Appending { .. }
            | Step::Releasing { .. }
            | Step::Trying { .. }
            | Step::Closing { .. } => None,
        }
    }

    fn acquired(
        &mut self,
        now: ClockReading,
        action: Action,
        outcome: CallOutcome,
        counters: &mut Counters,
    ) -> Option<Completed> {
        let CallOutcome::Granted { lock, token } = outcome else {
            return self.fail_with(code(&outcome));
        };
        self.record_reply(now, RequestKind::Acquire, counters);
        match action {
            Action::HoldLock => self.complete(),
            Action::LockCycle { appends: true } => {
                let line = Data::new(self.line().as_bytes());
                let deadline = now.time + REPLY_TIMEOUT;
                let call = self.lock_client.append(now.time, lock, token, line, deadline);
                self.advance(now, Step::Appending { call, token })
            }
            Action::LockCycle { appends: false } => self.release(now, token),
            Action::HandOff => {
                counters.record_grant(&lock, &self.name, now.instant);
                counters.record_release(&lock, &self.name, now.instant);
                self.release(now, token)
            }
            Action::OpenSession
            | Action::Heartbeat
            | Action::TryHeldLock
            | Action::ReopenSession
            | Action::CloseSession => {
                unreachable!("these operations do not acquire the client's own lock")
            }
        }
    }

    fn tried(
        &mut self,
        now: ClockReading,
        outcome: CallOutcome,
        counters: &mut Counters,
    ) -> Option<Completed> {
        if is_lock_held(&outcome) {
            self.record_reply(now, RequestKind::TryHeldLock, counters);
            return self.complete();
        }
        let CallOutcome::Granted { lock, token } = outcome else {
            return self.fail_with(code(&outcome));
        };
        // The client that holds this lock has lost it. Release it, so that the operation does not
        // change the load.
        let call = self.lock_client.release(now.time, lock, token, now.time + REPLY_TIMEOUT);
        self.set_error("not_held");
        self.advance(now, Step::Releasing { call })
    }

    fn release(&mut self, now: ClockReading, token: Token) -> Option<Completed> {
        let lock = self.locks.own.clone();
        let call = self.lock_client.release(now.time, lock, token, now.time + REPLY_TIMEOUT);
        self.advance(now, Step::Releasing { call })
    }

    fn advance(&mut self, now: ClockReading, step: Step) -> Option<Completed> {
        let pending = self.pending.as_mut()?;
        pending.step = step;
        pending.sent_at = now.instant;
        None
    }

    fn record_reply(&self, now: ClockReading, kind: RequestKind, counters: &mut Counters) {
        if let Some(pending) = &self.pending {
            counters.record_request(kind, pending.sent_at, now.instant);
        }
    }

    fn set_error(&mut self, code: &'static str) {
        if let Some(pending) = &mut self.pending {
            pending.error.get_or_insert(code);
        }
    }

    fn fail_with(&mut self, code: &'static str) -> Option<Completed> {
        self.set_error(code);
        self.complete()
    }

    fn complete(&mut self) -> Option<Completed> {
        let PendingOperation { intended_start, error, .. } = self.pending.take()?;
        Some(Completed { intended_start, outcome: error.map_or(Ok(()), Err) })
    }

    /// Returns a line that is unique: the name of the client, a number, and dots up to the length.
    fn line(&mut self) -> String {
        self.lines += 1;
        let mut line = format!("{} {} ", self.name, self.lines);
        let dots = self.line_len.saturating_sub(line.len() + 1);
        line.extend(std::iter::repeat_n('.', dots));
        line.push('\n');
        line
    }
}

fn is_lock_held(outcome: &CallOutcome) -> bool {
    matches!(outcome, CallOutcome::Refused(Refusal::LockHeld { .. }))
}

/// Returns the code of an error.
fn code(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Refused(refusal) => refusal.code(),
        CallOutcome::TimedOut => "no_answer",
        CallOutcome::Unknown => "unknown",
        CallOutcome::Cancelled => "cancelled",
        CallOutcome::Granted { .. }
        | CallOutcome::Released
        | CallOutcome::Appended { .. }
        | CallOutcome::Closed => {
            unreachable!("the state machine completes each call with an outcome of its kind")
        }
    }
}

#[cfg(test)]
mod tests;

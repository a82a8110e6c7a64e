//! The task of a client: it owns the socket and the state machine, and connects both.
//!
//! - The state machine alone decides what the client may believe. The task passes that on: to
//!   guards through [`Tenure`], to callers through their responses.
//! - The clock is read for every step: a timer may be late, and the machine may have been
//!   suspended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_core::client::{CallId, CallOutcome, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};
use leasehold_core::limits::WAIT_MAX;
use leasehold_core::refusal::Refusal;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::Reply;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{self, now};
use crate::error::Error;
use crate::guard::{Appended, LockGuard, Tenure};
use crate::local_locks::{LocalLocks, LockRequest, LockState};
use crate::transport::Transport;

/// The longest sleep while a lock is held. Timers are paused while the machine is suspended, so a
/// timer for the end of a belief may be late by the time of the suspension.
const HELD_SLEEP_MAX: Millis = Millis::from_millis(100);

/// The delay before a lock is requested again if the server replies that this client holds it: the
/// release has not reached the server yet.
const REACQUIRE_DELAY: Millis = Millis::from_millis(100);

type Responder<T> = oneshot::Sender<Result<T, Error>>;

/// A command from a [`Client`](crate::Client) or a guard.
#[derive(Debug)]
pub(crate) enum Command {
    Acquire(LockRequest),
    /// The caller with this ticket no longer waits.
    Cancel(u64),
    Append {
        tenure: Arc<Tenure>,
        data: Data,
        responder: Responder<Appended>,
    },
    Release {
        tenure: Arc<Tenure>,
        responder: Option<Responder<()>>,
    },
    Close {
        responder: Responder<()>,
    },
}

/// The caller that waits for a call.
enum PendingCall {
    Acquire(Name),
    Append(Responder<Appended>),
    Release(Name, Option<Responder<()>>),
    Close(Option<Responder<()>>),
}

pub(crate) struct Actor {
    lock_client: LockClient,
    transport: Transport,
    command_receiver: mpsc::UnboundedReceiver<Command>,
    /// For the guards. Weak, so that the channel closes, and the task ends, when the last client
    /// and the last guard are dropped.
    commands: mpsc::WeakUnboundedSender<Command>,
    pending_open: Option<PendingOpen>,
    lease: Arc<AtomicU64>,
    request_timeout: Millis,
    locks: LocalLocks,
    pending_calls: BTreeMap<CallId, PendingCall>,
    closing: bool,
    finished: bool,
}

struct PendingOpen {
    responder: Responder<()>,
    deadline: Time,
}

type CommandChannel = (mpsc::WeakUnboundedSender<Command>, mpsc::UnboundedReceiver<Command>);

impl Actor {
    pub(crate) fn new(
        lock_client: LockClient,
        transport: Transport,
        (commands, command_receiver): CommandChannel,
        (responder, lease): (Responder<()>, Arc<AtomicU64>),
        request_timeout: Millis,
    ) -> Self {
        Self {
            lock_client,
            transport,
            command_receiver,
            commands,
            pending_open: Some(PendingOpen { responder, deadline: now() + request_timeout }),
            lease,
            request_timeout,
            locks: LocalLocks::default(),
            pending_calls: BTreeMap::new(),
            closing: false,
            finished: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.lock_client.open(now());
        self.process_outputs().await;
        while !self.finished {
            let sleep_duration = self.sleep_duration();
            tokio::select! {
                command = self.command_receiver.recv(), if !self.closing => match command {
                    Some(command) => self.handle_command(command),
                    None => self.close(None),
                },
                reply = self.transport.receive() => self.handle_reply(reply),
                () = tokio::time::sleep(sleep_duration) => {}
            }
            self.lock_client.handle_timers(now());
            self.process_outputs().await;
        }
    }

    /// Returns the time until the next deadline.
    fn sleep_duration(&self) -> Duration {
        let now = now();
        let open_deadline = self.pending_open.as_ref().map(|pending_open| pending_open.deadline);
        let deadline = self.lock_client.next_deadline().into_iter().chain(open_deadline);
        let deadline = deadline.min().unwrap_or(Time::NEVER).min(self.locks.next_deadline(now));
        let holds_a_lock = self.locks.held_tenures().next().is_some();
        // The timer of the runtime has a limited range.
        let sleep_max = if holds_a_lock { HELD_SLEEP_MAX } else { Millis::from_secs(3_600) };
        clock::duration_from_millis(now.until(deadline).min(sleep_max))
    }

    fn handle_command(&mut self, command: Command) {
        let now = now();
        let deadline = now + self.request_timeout;
        match command {
            Command::Acquire(request) => self.locks.enqueue(request),
            Command::Cancel(ticket) => {
                if let Some(call) = self.locks.cancel(ticket) {
                    self.pending_calls.remove(&call);
                    self.lock_client.cancel(now, call);
                }
            }
            Command::Append { tenure, data, responder } => {
                let Tenure { lock, token, .. } = &*tenure;
                if self.lock_client.believes(now, lock, *token) {
                    let call = self.lock_client.append(now, lock.clone(), *token, data, deadline);
                    self.pending_calls.insert(call, PendingCall::Append(responder));
                } else {
                    let _ = responder.send(Err(Error::LockLost));
                }
            }
            Command::Release { tenure, responder } => {
                let (lock, token) = (tenure.lock.clone(), tenure.token);
                if self.locks.end_tenure(&lock, token, LockState::Releasing) {
                    let call = self.lock_client.release(now, lock.clone(), token, deadline);
                    self.pending_calls.insert(call, PendingCall::Release(lock, responder));
                } else if let Some(responder) = responder {
                    let _ = responder.send(Err(Error::LockLost));
                }
            }
            Command::Close { responder } => self.close(Some(responder)),
        }
    }

    fn close(&mut self, responder: Option<Responder<()>>) {
        let now = now();
        self.closing = true;
        self.locks.close();
        if !self.lock_client.is_open() && self.pending_open.is_none() {
            // The session has ended. A session that is being opened would hold no lock.
            self.finished = true;
            if let Some(responder) = responder {
                let _ = responder.send(Ok(()));
            }
            return;
        }
        let call = self.lock_client.close(now, now + self.request_timeout);
        self.pending_calls.insert(call, PendingCall::Close(responder));
    }

    fn handle_reply(&mut self, reply: Reply) {
        self.lock_client.receive(now(), reply);
    }

    fn handle_open_refused(&mut self, refusal: Refusal) {
        if let Some(pending_open) = self.pending_open.take() {
            let _ = pending_open.responder.send(Err(Error::Refused(refusal)));
            self.finished = true;
        }
    }

    /// Handles the notifications of the last step, and sends its requests.
    async fn process_outputs(&mut self) {
        loop {
            while let Some(notification) = self.lock_client.poll_notification() {
                self.handle_notification(notification);
            }
            let now = now();
            self.locks.expire_requests(now);
            let Some(request) = self.locks.next_ready(now) else { break };
            self.start_acquire(now, request);
            self.send_requests().await;
        }
        self.send_requests().await;
        for tenure in self.locks.held_tenures() {
            // If the state machine no longer believes in the tenure, its loss was reported above.
            if let Some(until) = self.lock_client.believed_until(&tenure.lock, tenure.token) {
                tenure.set_valid_until(until);
            }
        }
        if self.pending_open.as_ref().is_some_and(|opening| opening.deadline <= now())
            && let Some(pending_open) = self.pending_open.take()
        {
            let storage_failed = self.lock_client.is_hello_failing();
            let error = if storage_failed {
                Error::Refused(Refusal::StorageFailed)
            } else {
                Error::NoReply
            };
            let _ = pending_open.responder.send(Err(error));
            self.finished = true;
        }
    }

    async fn send_requests(&mut self) {
        while let Some(request) = self.lock_client.poll_request() {
            self.transport.send(&request).await;
        }
    }

    fn start_acquire(&mut self, now: Time, request: LockRequest) {
        let lock = request.lock.clone();
        let wait_limit = if request.no_wait {
            Millis::ZERO
        } else {
            now.until(request.wait_deadline).min(WAIT_MAX)
        };
        let call = self.lock_client.acquire(
            now,
            lock.clone(),
            wait_limit,
            request.hold_limit,
            request.reply_deadline,
        );
        self.pending_calls.insert(call, PendingCall::Acquire(lock.clone()));
        self.locks.entry(&lock).state = LockState::Acquiring(call, request);
    }

    fn handle_notification(&mut self, notification: Notification) {
        match notification {
            Notification::SessionOpened { lease } => {
                self.lease.store(lease.as_millis(), Ordering::Relaxed);
                if let Some(pending_open) = self.pending_open.take() {
                    let _ = pending_open.responder.send(Ok(()));
                }
            }
            Notification::Queued { call, position } => self.notify_queued(call, position),
            Notification::Completed { call, outcome } => self.complete_call(call, outcome),
            Notification::LockLost { lock, token } => {
                self.locks.end_tenure(&lock, token, LockState::Free);
            }
            Notification::SessionRefused { refusal } => self.handle_open_refused(refusal),
            Notification::SessionLost => {}
        }
    }

    fn notify_queued(&mut self, call: CallId, position: u64) {
        let Some(PendingCall::Acquire(lock)) = self.pending_calls.get(&call) else { return };
        if let LockState::Acquiring(_, request) = &mut self.locks.entry(&lock.clone()).state
            && let Some(on_queued) = &mut request.on_queued
        {
            (on_queued.0)(position);
        }
    }

    fn complete_call(&mut self, call: CallId, outcome: CallOutcome) {
        match self.pending_calls.remove(&call) {
            None => {}
            Some(PendingCall::Acquire(lock)) => self.complete_acquire(&lock, outcome),
            Some(PendingCall::Append(responder)) => {
                let _ = responder.send(append_result(outcome));
            }
            Some(PendingCall::Release(lock, responder)) => {
                let local_lock = self.locks.entry(&lock);
                if matches!(local_lock.state, LockState::Releasing) {
                    local_lock.state = LockState::Free;
                }
                if let Some(responder) = responder {
                    let _ = responder.send(release_result(outcome));
                }
            }
            Some(PendingCall::Close(responder)) => {
                self.finished = true;
                if let Some(responder) = responder {
                    let _ = responder.send(close_result(outcome));
                }
            }
        }
    }

    fn complete_acquire(&mut self, lock: &Name, outcome: CallOutcome) {
        let local_lock = self.locks.entry(lock);
        let LockState::Acquiring(_, request) = std::mem::take(&mut local_lock.state) else {
            return;
        };
        if let CallOutcome::Granted { token, .. } = outcome {
            self.complete_grant(request, token);
        } else if let CallOutcome::Refused(Refusal::AlreadyHeld { .. }) = outcome {
            let not_before = now() + REACQUIRE_DELAY;
            local_lock.queue.push_front(LockRequest { not_before, ..request });
        } else {
            let _ = request.responder.send(Err(call_error(outcome)));
        }
    }

    fn complete_grant(&mut self, request: LockRequest, token: Token) {
        let LockRequest { lock, responder, .. } = request;
        let valid_until = self.lock_client.believed_until(&lock, token).unwrap_or_default();
        let tenure = Arc::new(Tenure::new(lock.clone(), token, valid_until));
        self.locks.entry(&lock).state = LockState::Held(Arc::clone(&tenure));
        // No sender is left: the task is about to close the session.
        let Some(commands) = self.commands.upgrade() else { return };
        // If the caller has gone, the guard is dropped, which releases the lock.
        let _ = responder.send(Ok(LockGuard::new(tenure, commands)));
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.locks.close();
    }
}

fn append_result(outcome: CallOutcome) -> Result<Appended, Error> {
    let CallOutcome::Appended { offset, len } = outcome else { return Err(call_error(outcome)) };
    Ok(Appended { offset, len })
}

fn release_result(outcome: CallOutcome) -> Result<(), Error> {
    if outcome == CallOutcome::Released {
        return Ok(());
    }
    let is_lost = matches!(
        outcome,
        CallOutcome::Refused(
            Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession
        )
    );
    Err(if is_lost { Error::LockLost } else { call_error(outcome) })
}

fn close_result(outcome: CallOutcome) -> Result<(), Error> {
    if outcome == CallOutcome::Closed { Ok(()) } else { Err(call_error(outcome)) }
}

fn call_error(outcome: CallOutcome) -> Error {
    match outcome {
        CallOutcome::Refused(Refusal::LockHeld { .. }) => Error::LockHeld,
        CallOutcome::Refused(Refusal::WaitTimeout) => Error::WaitTimeout,
        CallOutcome::Refused(refusal) => Error::Refused(refusal),
        CallOutcome::Unknown => Error::OutcomeUnknown,
        CallOutcome::TimedOut => Error::NoReply,
        CallOutcome::Cancelled | CallOutcome::Closed => Error::Closed,
        CallOutcome::Granted { .. } | CallOutcome::Released | CallOutcome::Appended { .. } => {
            unreachable!("the state machine completes each call with an outcome of its kind")
        }
    }
}

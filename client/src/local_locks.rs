//! Who of this client's tasks is next for each lock.
//!
//! - At the server the whole client is one holder, so its tasks take turns here: one of them at a
//!   time asks for a lock, holds it, or gives it back.
//! - Turns are taken in the order of asking.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use leasehold_core::client::CallId;
use leasehold_core::id::{Name, Token};
use leasehold_core::time::{Millis, Time};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::guard::{LockGuard, Tenure};

/// A task that wants a lock.
#[derive(Debug)]
pub(crate) struct LockRequest {
    pub(crate) ticket: u64,
    pub(crate) lock: Name,
    /// Whether it would rather hear that the lock is held than wait.
    pub(crate) no_wait: bool,
    /// How long it would stand in line.
    pub(crate) wait_deadline: Time,
    /// When it needs an answer, whatever it is.
    pub(crate) reply_deadline: Time,
    /// When it is worth asking the server.
    pub(crate) not_before: Time,
    pub(crate) hold_limit: Option<Millis>,
    pub(crate) on_queued: Option<QueuedCallback>,
    pub(crate) responder: oneshot::Sender<Result<LockGuard, Error>>,
}

/// Who wants to hear of a place in line.
pub(crate) struct QueuedCallback(pub(crate) Box<dyn FnMut(u64) + Send>);

/// What this client has to do with one lock.
#[derive(Debug, Default)]
pub(crate) struct LocalLock {
    pub(crate) state: LockState,
    pub(crate) queue: VecDeque<LockRequest>,
}

#[derive(Debug, Default)]
pub(crate) enum LockState {
    #[default]
    Free,
    Acquiring(CallId, LockRequest),
    Held(Arc<Tenure>),
    Releasing,
}

#[derive(Debug, Default)]
pub(crate) struct LocalLocks {
    locks: BTreeMap<Name, LocalLock>,
}

impl LocalLocks {
    pub(crate) fn entry(&mut self, lock: &Name) -> &mut LocalLock {
        self.locks.entry(lock.clone()).or_default()
    }

    /// A task asks. Gets its answer at once, or stands in line.
    pub(crate) fn enqueue(&mut self, request: LockRequest) {
        let local_lock = self.entry(&request.lock);
        let is_busy = matches!(local_lock.state, LockState::Acquiring(..) | LockState::Held(_));
        if request.no_wait && (is_busy || !local_lock.queue.is_empty()) {
            let _ = request.responder.send(Err(Error::LockHeld));
        } else {
            local_lock.queue.push_back(request);
        }
    }

    /// A task asks no more. Gives back the call that has to be taken back, if there is one.
    pub(crate) fn cancel(&mut self, ticket: u64) -> Option<CallId> {
        for local_lock in self.locks.values_mut() {
            local_lock.queue.retain(|request| request.ticket != ticket);
            if let LockState::Acquiring(call, request) = &local_lock.state
                && request.ticket == ticket
            {
                let call = *call;
                local_lock.state = LockState::Free;
                return Some(call);
            }
        }
        None
    }

    /// Ends the waits in line whose time is over.
    pub(crate) fn expire_requests(&mut self, now: Time) {
        for local_lock in self.locks.values_mut() {
            while let Some(position) =
                local_lock.queue.iter().position(|request| request.queue_deadline() <= now)
            {
                let Some(request) = local_lock.queue.remove(position) else { break };
                let timed_out = request.wait_deadline <= now && !request.no_wait;
                let error = if timed_out { Error::WaitTimeout } else { Error::NoReply };
                let _ = request.responder.send(Err(error));
            }
        }
    }

    /// The next task that may ask the server. The caller puts the line into another stage.
    pub(crate) fn next_ready(&mut self, now: Time) -> Option<LockRequest> {
        self.locks.retain(|_, local_lock| !local_lock.is_idle());
        self.locks.values_mut().find_map(|local_lock| {
            let is_free = matches!(local_lock.state, LockState::Free);
            let is_ready =
                local_lock.queue.front().is_some_and(|request| request.not_before <= now);
            if is_free && is_ready { local_lock.queue.pop_front() } else { None }
        })
    }

    /// When a wait in line ends or a task may ask.
    pub(crate) fn next_deadline(&self, now: Time) -> Time {
        let requests = self.locks.values().flat_map(|local_lock| &local_lock.queue);
        let deadlines = requests.flat_map(|request| [request.queue_deadline(), request.not_before]);
        deadlines.filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }

    /// Notes that the lock is held no more, where this is the tenure in which it is.
    pub(crate) fn end_tenure(&mut self, lock: &Name, token: Token, next_state: LockState) -> bool {
        let local_lock = self.entry(lock);
        match &local_lock.state {
            LockState::Held(tenure) if tenure.token == token => {
                tenure.end();
                local_lock.state = next_state;
                true
            }
            LockState::Held(_)
            | LockState::Free
            | LockState::Acquiring(..)
            | LockState::Releasing => false,
        }
    }

    /// The tenures that have not ended.
    pub(crate) fn held_tenures(&self) -> impl Iterator<Item = &Arc<Tenure>> {
        self.locks.values().filter_map(|local_lock| match &local_lock.state {
            LockState::Held(tenure) => Some(tenure),
            LockState::Free | LockState::Acquiring(..) | LockState::Releasing => None,
        })
    }

    /// The client ends: nothing is held any more, and whoever asked hears of it.
    pub(crate) fn close(&mut self) {
        self.held_tenures().for_each(|tenure| tenure.end());
        for (_, local_lock) in std::mem::take(&mut self.locks) {
            let pending = match local_lock.state {
                LockState::Acquiring(_, request) => Some(request),
                LockState::Free | LockState::Held(_) | LockState::Releasing => None,
            };
            for request in pending.into_iter().chain(local_lock.queue) {
                let _ = request.responder.send(Err(Error::Closed));
            }
        }
    }
}

impl LocalLock {
    fn is_idle(&self) -> bool {
        matches!(self.state, LockState::Free) && self.queue.is_empty()
    }
}

impl LockRequest {
    /// When it has waited long enough in this line.
    fn queue_deadline(&self) -> Time {
        if self.no_wait { self.reply_deadline } else { self.wait_deadline }
    }
}

impl fmt::Debug for QueuedCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnQueued")
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} under {}", self.lock, self.token)
    }
}

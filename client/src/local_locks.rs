//! The tasks of this client that wait for each lock.
//!
//! - For the server the whole client is one holder, so its tasks take turns: one task at a time
//!   requests, holds or releases a lock.
//! - Tasks are served in the order of their requests.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use leasehold_core::client::CallId;
use leasehold_core::id::{Name, Token};
use leasehold_core::time::{Millis, Time};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::guard::{LockGuard, Tenure};

/// The request of a task.
#[derive(Debug)]
pub(crate) struct LockRequest {
    pub(crate) ticket: u64,
    pub(crate) lock: Name,
    /// Whether the request fails at once if the lock is held.
    pub(crate) no_wait: bool,
    /// The end of the wait in the queue.
    pub(crate) wait_deadline: Time,
    /// When the request fails if there is no reply.
    pub(crate) reply_deadline: Time,
    /// The earliest time to send the request to the server.
    pub(crate) not_before: Time,
    pub(crate) hold_limit: Option<Millis>,
    pub(crate) on_queued: Option<QueuedCallback>,
    pub(crate) responder: oneshot::Sender<Result<LockGuard, Error>>,
}

/// Called with the position in the server's wait queue.
pub(crate) struct QueuedCallback(pub(crate) Box<dyn FnMut(u64) + Send>);

/// The state of one lock and the queue of waiting tasks.
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

    /// Adds a request to the queue, or refuses it at once.
    pub(crate) fn enqueue(&mut self, request: LockRequest) {
        let local_lock = self.entry(&request.lock);
        let is_busy = matches!(local_lock.state, LockState::Acquiring(..) | LockState::Held(_));
        if request.no_wait && (is_busy || !local_lock.queue.is_empty()) {
            let _ = request.responder.send(Err(Error::LockHeld));
        } else {
            local_lock.queue.push_back(request);
        }
    }

    /// Removes a request. Returns the call that has to be cancelled, if there is one.
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

    /// Fails the requests whose wait has timed out.
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

    /// Removes and returns the next request to be sent. The caller then sets the state of its lock.
    pub(crate) fn next_ready(&mut self, now: Time) -> Option<LockRequest> {
        self.locks.retain(|_, local_lock| !local_lock.is_idle());
        self.locks.values_mut().find_map(|local_lock| {
            let is_free = matches!(local_lock.state, LockState::Free);
            let is_ready =
                local_lock.queue.front().is_some_and(|request| request.not_before <= now);
            if is_free && is_ready { local_lock.queue.pop_front() } else { None }
        })
    }

    /// Returns when the next wait times out or the next request may be sent.
    pub(crate) fn next_deadline(&self, now: Time) -> Time {
        let requests = self.locks.values().flat_map(|local_lock| &local_lock.queue);
        let deadlines = requests.flat_map(|request| [request.queue_deadline(), request.not_before]);
        deadlines.filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }

    /// Ends the tenure with this token, if it is the current one. Returns whether it was.
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

    /// Returns the current tenures.
    pub(crate) fn held_tenures(&self) -> impl Iterator<Item = &Arc<Tenure>> {
        self.locks.values().filter_map(|local_lock| match &local_lock.state {
            LockState::Held(tenure) => Some(tenure),
            LockState::Free | LockState::Acquiring(..) | LockState::Releasing => None,
        })
    }

    /// Ends all tenures and fails all requests, because the client ends.
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
    /// Returns when the wait in this queue ends.
    fn queue_deadline(&self) -> Time {
        if self.no_wait { self.reply_deadline } else { self.wait_deadline }
    }
}

impl fmt::Debug for QueuedCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueuedCallback")
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} under token {}", self.lock, self.token)
    }
}

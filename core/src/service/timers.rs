//! The timer queue: leases, hold limits, claims and waits, by deadline.
//!
//! - Finding the next timer takes logarithmic time.
//! - A renewal moves no timer. When a lease timer expires, it is set again if the lease was renewed
//!   since. So a heartbeat is cheap, and each lease has one timer.
//! - A timer is removed as soon as the session, tenure or wait that it belongs to ends, so the
//!   queue is no larger than the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind};
use crate::id::{Name, Seq, SessionId, Token};
use crate::state::State;
use crate::time::Time;

/// A timer, named after what may end when it expires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The lease of a session.
    Lease(SessionId),
    /// A tenure that has reached its hold limit.
    Hold(Name, Token),
    /// A tenure that was granted from the wait queue and is not claimed.
    Claim(Name, Token),
    /// A wait that has timed out.
    Wait(SessionId, Seq),
}

#[derive(Clone, Debug, Default)]
pub(super) struct TimerQueue {
    entries: BTreeSet<(Time, Timer)>,
    lease_deadlines: BTreeMap<SessionId, Time>,
}

impl TimerQueue {
    /// Creates the timers of a state. Claims have none: recovery counts all tenures as claimed.
    pub(super) fn from_state(state: &State) -> Self {
        let mut timers = Self::default();
        for (&session_id, session) in state.sessions() {
            timers.set_lease_timer(session_id, session.expires_at);
        }
        for (name, lock) in state.locks() {
            if let Some(tenure) = lock.tenure()
                && let Some(until) = tenure.hold_until
            {
                timers.entries.insert((until, Timer::Hold(name.clone(), tenure.token)));
            }
            for waiter in lock.wait_queue() {
                timers
                    .entries
                    .insert((waiter.deadline, Timer::Wait(waiter.session_id, waiter.seq)));
            }
        }
        timers
    }

    /// Returns the next timer and its deadline.
    pub(super) fn peek(&self) -> Option<(Time, &Timer)> {
        self.entries.first().map(|(at, timer)| (*at, timer))
    }

    /// Removes and returns the next timer that has expired.
    pub(super) fn pop_expired(&mut self, now: Time) -> Option<Timer> {
        let (at, _) = self.entries.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.entries.pop_first()?;
        if let Timer::Lease(session_id) = timer {
            self.lease_deadlines.remove(&session_id);
        }
        Some(timer)
    }

    /// Sets a session's lease timer.
    pub(super) fn set_lease_timer(&mut self, session_id: SessionId, at: Time) {
        self.lease_deadlines.insert(session_id, at);
        self.entries.insert((at, Timer::Lease(session_id)));
    }

    /// Removes the timers that an event, which is about to be applied, makes needless.
    pub(super) fn before_apply(&mut self, state: &State, kind: &EventKind) {
        match kind {
            EventKind::SessionExpired { session_id, .. }
            | EventKind::SessionClosed { session_id, .. } => {
                if let Some(at) = self.lease_deadlines.remove(session_id) {
                    self.entries.remove(&(at, Timer::Lease(*session_id)));
                }
            }
            EventKind::LockReleased { lock, token, .. } => {
                let Some(tenure) = state.tenure(lock) else { return };
                for (at, timer) in [
                    (tenure.hold_until, Timer::Hold(lock.clone(), *token)),
                    (tenure.claim_by, Timer::Claim(lock.clone(), *token)),
                ] {
                    if let Some(at) = at {
                        self.entries.remove(&(at, timer));
                    }
                }
            }
            EventKind::LockGranted { lock, session_id, request_id, from_queue: true, .. } => {
                self.remove_wait_timer(state, lock, *session_id, request_id.seq);
            }
            EventKind::WaitEnded { lock, session_id, wait_seq, .. } => {
                self.remove_wait_timer(state, lock, *session_id, *wait_seq);
            }
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionOpened { .. }
            | EventKind::LockQueued { .. }
            | EventKind::LockGranted { from_queue: false, .. }
            | EventKind::FileAppended { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => {}
        }
    }

    /// Adds the timers that an event, which was just applied, requires.
    pub(super) fn after_apply(&mut self, state: &State, event: &Event) {
        match &event.kind {
            EventKind::SessionOpened { session_id, lease, .. } => {
                self.set_lease_timer(*session_id, event.at + *lease);
            }
            EventKind::LockQueued { session_id, request_id, wait, .. } => {
                self.entries.insert((event.at + *wait, Timer::Wait(*session_id, request_id.seq)));
            }
            EventKind::LockGranted { lock, token, .. } => {
                let Some(tenure) = state.tenure(lock) else { return };
                if let Some(until) = tenure.hold_until {
                    self.entries.insert((until, Timer::Hold(lock.clone(), *token)));
                }
                if let Some(by) = tenure.claim_by {
                    self.entries.insert((by, Timer::Claim(lock.clone(), *token)));
                }
            }
            EventKind::ServerStarted { .. }
            | EventKind::ServerStopped
            | EventKind::SessionExpired { .. }
            | EventKind::SessionClosed { .. }
            | EventKind::LockReleased { .. }
            | EventKind::WaitEnded { .. }
            | EventKind::FileAppended { .. }
            | EventKind::RequestRefused { .. }
            | EventKind::DuplicateAnswered { .. }
            | EventKind::LeaseRenewed { .. }
            | EventKind::DatagramDropped { .. } => {}
        }
    }

    fn remove_wait_timer(&mut self, state: &State, lock: &Name, session_id: SessionId, seq: Seq) {
        let waiter = state
            .session(session_id)
            .and_then(|session| session.wait_by_seq(seq))
            .and_then(|wait| state.locks().get(lock)?.waiter(wait.ticket));
        if let Some(waiter) = waiter {
            self.entries.remove(&(waiter.deadline, Timer::Wait(session_id, seq)));
        }
    }
}

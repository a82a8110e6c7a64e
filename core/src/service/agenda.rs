//! What falls due, and when.
//!
//! - Finding the next costs as much as looking at one entry, however many there are.
//! - A renewal moves nothing: a session's entry is looked at when it comes up, and set again where
//!   the lease was renewed meanwhile. So a heartbeat is cheap, and each lease costs one look.
//! - What ends early is taken out at once, so the agenda is no larger than what it is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Fact};
use crate::id::{Name, Seq, SessionNo, Token};
use crate::state::State;
use crate::time::Time;

/// What there is to look after at some moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A lease may have run out.
    Lease(SessionNo),
    /// A tenure may have been held for as long as it may be.
    Hold(Name, Token),
    /// A grant that came out of the queue may not have been claimed.
    Claim(Name, Token),
    /// A wait may have lasted for as long as it should.
    Wait(SessionNo, Seq),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeSet<(Time, Due)>,
    leases: BTreeMap<SessionNo, Time>,
}

impl Agenda {
    /// All that falls due in this state.
    pub(super) fn of(state: &State) -> Self {
        let mut agenda = Self::default();
        for (&session_no, session) in state.sessions() {
            agenda.set_lease(session_no, session.expires_at);
        }
        for (name, lock) in state.locks() {
            if let Some(tenure) = lock.tenure()
                && let Some(until) = tenure.hold_until
            {
                agenda.entries.insert((until, Due::Hold(name.clone(), tenure.token)));
            }
            for waiter in lock.line() {
                agenda.entries.insert((waiter.until, Due::Wait(waiter.session_no, waiter.seq)));
            }
        }
        agenda
    }

    /// The next moment at which something may be due, and what.
    pub(super) fn first(&self) -> Option<(Time, &Due)> {
        self.entries.first().map(|(at, due)| (*at, due))
    }

    /// Takes the next thing that is due by `now`.
    pub(super) fn take(&mut self, now: Time) -> Option<Due> {
        let (at, _) = self.entries.first()?;
        if *at > now {
            return None;
        }
        let (_, due) = self.entries.pop_first()?;
        if let Due::Lease(session_no) = due {
            self.leases.remove(&session_no);
        }
        Some(due)
    }

    /// Looks again at a lease when it would run out.
    pub(super) fn set_lease(&mut self, session_no: SessionNo, at: Time) {
        self.leases.insert(session_no, at);
        self.entries.insert((at, Due::Lease(session_no)));
    }

    /// Takes out what an event, not yet applied, brings to its end.
    pub(super) fn before(&mut self, state: &State, fact: &Fact) {
        match fact {
            Fact::SessionExpired { session_no, .. } | Fact::SessionClosed { session_no, .. } => {
                if let Some(at) = self.leases.remove(session_no) {
                    self.entries.remove(&(at, Due::Lease(*session_no)));
                }
            }
            Fact::LockReleased { lock, token, .. } => {
                let Some(tenure) = state.tenure(lock) else { return };
                for (at, due) in [
                    (tenure.hold_until, Due::Hold(lock.clone(), *token)),
                    (tenure.claim_by, Due::Claim(lock.clone(), *token)),
                ] {
                    if let Some(at) = at {
                        self.entries.remove(&(at, due));
                    }
                }
            }
            Fact::LockGranted { lock, session_no, asked, from_queue: true, .. } => {
                self.remove_wait(state, lock, *session_no, asked.seq);
            }
            Fact::WaitEnded { lock, session_no, waited, .. } => {
                self.remove_wait(state, lock, *session_no, *waited);
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionOpened { .. }
            | Fact::LockQueued { .. }
            | Fact::LockGranted { from_queue: false, .. }
            | Fact::FileAppended { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => {}
        }
    }

    /// Puts in what an event, just applied, begins.
    pub(super) fn after(&mut self, state: &State, event: &Event) {
        match &event.fact {
            Fact::SessionOpened { session_no, lease, .. } => {
                self.set_lease(*session_no, event.at + *lease);
            }
            Fact::LockQueued { session_no, asked, wait, .. } => {
                self.entries.insert((event.at + *wait, Due::Wait(*session_no, asked.seq)));
            }
            Fact::LockGranted { lock, token, .. } => {
                let Some(tenure) = state.tenure(lock) else { return };
                if let Some(until) = tenure.hold_until {
                    self.entries.insert((until, Due::Hold(lock.clone(), *token)));
                }
                if let Some(by) = tenure.claim_by {
                    self.entries.insert((by, Due::Claim(lock.clone(), *token)));
                }
            }
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionExpired { .. }
            | Fact::SessionClosed { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. }
            | Fact::FileAppended { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::DatagramDropped { .. } => {}
        }
    }

    fn remove_wait(&mut self, state: &State, lock: &Name, session_no: SessionNo, seq: Seq) {
        let waiter = state
            .session(session_no)
            .and_then(|session| session.wait(seq))
            .and_then(|wait| state.locks().get(lock)?.waiter(wait.ticket));
        if let Some(waiter) = waiter {
            self.entries.remove(&(waiter.until, Due::Wait(session_no, seq)));
        }
    }
}

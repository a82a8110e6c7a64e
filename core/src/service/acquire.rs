//! Getting a lock, waiting for it, and no longer wanting it.

use super::LockServer;
use super::request::Ask;
use super::step::Withheld;
use crate::event::{Asked, Fact, WaitEndCause};
use crate::id::{Name, SessionNo};
use crate::limits::{POLL, SILENCE_MAX, WAIT_MAX, WINDOW};
use crate::refusal::{Bound, Refusal};
use crate::state::Waiter;
use crate::time::Span;
use crate::wire::{Reply, Status};

impl LockServer {
    pub(super) fn acquire(&mut self, ask: &Ask, lock: &Name, wait: Span, hold: Option<Span>) {
        let hold = hold.map(|hold| hold.max(Span::from_millis(1)));
        let tenure = self.state.tenure(lock);
        if let Some(token) = tenure.filter(|it| it.session_no == ask.session_no).map(|it| it.token)
        {
            self.refuse(ask, Refusal::AlreadyHeld { token });
            return;
        }
        let known = self.state.locks().contains_key(lock);
        if !known && self.state.locks().len() >= self.config.bounds.locks_max {
            self.refuse(ask, Refusal::Overloaded { bound: Bound::Locks });
            return;
        }
        if tenure.is_none() {
            self.give_up_older_wait(ask, lock);
            // After a restart there may be somebody in line who has not been heard of since.
            self.hand_off(lock);
        }
        let Some(tenure) = self.state.tenure(lock) else {
            self.grant_directly(ask, lock, hold);
            return;
        };
        if wait.is_zero() {
            let holder = self.state.session(tenure.session_no).expect("S1: a holder is alive");
            let retry_after = self.now.until(holder.expires_at).min(POLL);
            self.refuse(ask, Refusal::LockHeld { retry_after });
            return;
        }
        self.give_up_older_wait(ask, lock);
        if let Some(refusal) = self.line_full(ask) {
            self.refuse(ask, refusal);
            return;
        }
        self.record(Fact::LockQueued {
            lock: lock.clone(),
            session_no: ask.session_no,
            client: ask.client.clone(),
            asked: ask.asked,
            wait: wait.min(WAIT_MAX),
            hold,
        });
        self.waiting_at.insert((ask.session_no, ask.asked.seq), ask.from);
        let (ask, status) = self.queued(ask);
        self.answer(&ask, status);
    }

    /// A client that asks for a lock anew has forgotten that it waits for it.
    fn give_up_older_wait(&mut self, ask: &Ask, lock: &Name) {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let Some(wait) = session.wait_for(lock).cloned() else { return };
        self.waiting_at.remove(&(ask.session_no, wait.seq));
        self.record(Fact::WaitEnded {
            lock: wait.lock,
            session_no: ask.session_no,
            client: ask.client.clone(),
            waited: wait.seq,
            cause: WaitEndCause::Cancelled,
            asked: None,
        });
    }

    fn line_full(&self, ask: &Ask) -> Option<Refusal> {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        if session.waits.len() >= WINDOW {
            return Some(Refusal::WindowFull { window: WINDOW });
        }
        (self.state.waiters() >= self.config.bounds.waiters_max)
            .then_some(Refusal::Overloaded { bound: Bound::Waiters })
    }

    fn grant_directly(&mut self, ask: &Ask, lock: &Name, hold: Option<Span>) {
        let token = self.state.last_token().next();
        self.record(Fact::LockGranted {
            lock: lock.clone(),
            session_no: ask.session_no,
            client: ask.client.clone(),
            token,
            asked: ask.asked,
            hold,
            from_queue: false,
        });
        let (lease, hold) = self.lease_left(ask.session_no, lock, token);
        self.answer(ask, Status::Granted { lock: lock.clone(), token, lease, hold });
    }

    /// The request waits already: it gets what holds now.
    pub(super) fn poll(&mut self, ask: &Ask) {
        self.waiting_at.insert((ask.session_no, ask.asked.seq), ask.from);
        self.record_duplicate(ask);
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let wait = session.wait(ask.asked.seq).expect("it waits").clone();
        // Where all had gone silent the lock is free, and this one has just been heard.
        self.hand_off(&wait.lock);
        let session = self.state.session(ask.session_no).expect("a grant ends no session");
        if session.wait(wait.seq).is_some() {
            let (ask, status) = self.queued(ask);
            self.answer_copy(&ask, status);
        }
    }

    fn queued(&self, ask: &Ask) -> (Ask, Status) {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let wait = session.wait(ask.asked.seq).expect("it waits");
        let lock = self.state.locks().get(&wait.lock).expect("what is waited for is kept");
        let place = lock.place(wait.ticket).expect("who waits stands in line");
        let attempt = lock.line()[place].attempt;
        let status = Status::Queued { lock: wait.lock.clone(), position: place as u64 + 1 };
        (Ask { asked: Asked { attempt, ..ask.asked }, ..ask.clone() }, status)
    }

    /// Gives a lock that is free to the first in line who has not gone silent.
    pub(super) fn hand_off(&mut self, lock: &Name) {
        let Some(line) = self.state.locks().get(lock) else { return };
        if line.tenure().is_some() {
            return;
        }
        let mut heard = line.line().iter().filter(|waiter| !self.is_silent(waiter));
        let next = if self.protections.fifo { heard.next() } else { heard.next_back() };
        let Some(waiter) = next.cloned() else { return };
        let session = self.state.session(waiter.session_no).expect("who waits is alive");
        let asked = Asked { seq: waiter.seq, attempt: waiter.attempt, digest: waiter.digest };
        let token = self.state.last_token().next();
        self.record(Fact::LockGranted {
            lock: lock.clone(),
            session_no: waiter.session_no,
            client: session.client.clone(),
            token,
            asked,
            hold: waiter.hold,
            from_queue: true,
        });
        let (lease, hold) = self.lease_left(waiter.session_no, lock, token);
        let status = Status::Granted { lock: lock.clone(), token, lease, hold };
        self.send_unasked(waiter.session_no, asked, status);
    }

    /// Whether a waiter has said nothing for three polls, and is passed over.
    pub(super) fn is_silent(&self, waiter: &Waiter) -> bool {
        self.now.since(waiter.heard_at) >= SILENCE_MAX
    }

    /// Sends the answer to a wait, where it is known where to.
    pub(super) fn send_unasked(&mut self, session_no: SessionNo, asked: Asked, status: Status) {
        let Some(to) = self.waiting_at.remove(&(session_no, asked.seq)) else { return };
        let reply = Reply { re: asked.seq, attempt: asked.attempt, status };
        let withheld = Withheld::answer(to, reply, self.durable);
        self.step.replies.push(Withheld { lapses: true, ..withheld });
    }

    pub(super) fn cancel(&mut self, ask: &Ask, lock: &Name) {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let Some(wait) = session.wait_for(lock).cloned() else {
            let tenure = self.state.tenure(lock).filter(|it| it.session_no == ask.session_no);
            let refusal = match tenure {
                Some(tenure) => Refusal::AlreadyHeld { token: tenure.token },
                None => Refusal::NotWaiting,
            };
            self.refuse(ask, refusal);
            return;
        };
        self.waiting_at.remove(&(ask.session_no, wait.seq));
        self.record(Fact::WaitEnded {
            lock: wait.lock,
            session_no: ask.session_no,
            client: ask.client.clone(),
            waited: wait.seq,
            cause: WaitEndCause::Cancelled,
            asked: Some(ask.asked),
        });
        self.answer(ask, Status::Cancelled { lock: lock.clone() });
    }
}

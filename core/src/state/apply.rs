//! How an event changes the state. The other end of each assertion that the service makes when it
//! decides: a mistake in either stops the run here, before anybody is told of it.

use std::collections::BTreeSet;

use super::{Answer, Applied, KeptReply, Lock, Session, State, Tenure, Wait, Waiter};
use crate::event::{Asked, Event, Fact, ReleaseCause};
use crate::id::{Index, Name, Seq, SessionNo, Token};
use crate::limits::SILENCE_MAX;
use crate::op::Op;
use crate::refusal::Refusal;

impl State {
    /// Takes in the next event.
    ///
    /// # Panics
    /// Where the event can't have happened in this state: that is a bug in whoever made it, or a
    /// journal of another history.
    pub fn apply(&mut self, event: &Event) {
        assert!(self.index < event.index, "events are applied in order, each once");
        assert!(self.now <= event.at, "the server's clock goes forward");
        self.index = event.index;
        self.now = event.at;
        self.apply_fact(event);
        if event.fact.is_durable()
            && let Some(session_no) = event.fact.session_no()
            && let Some(session) = self.sessions.get_mut(&session_no)
        {
            session.durable = event.index;
        }
    }

    fn apply_fact(&mut self, event: &Event) {
        match &event.fact {
            Fact::ServerStarted { token_floor, .. } => self.start(*token_floor),
            Fact::ServerStopped | Fact::DatagramDropped { .. } => {}
            Fact::SessionOpened { .. } => self.open(event),
            Fact::SessionExpired { session_no, .. } | Fact::SessionClosed { session_no, .. } => {
                self.depart(*session_no);
            }
            Fact::LockQueued { .. } => self.enqueue(event),
            Fact::LockGranted { .. } => self.grant(event),
            Fact::LockReleased { lock, session_no, token, cause, asked, .. } => {
                self.release(lock, *session_no, *token);
                if let (ReleaseCause::Released, Some(asked)) = (cause, asked) {
                    self.answer(*session_no, *asked, Answer::Released { lock: lock.clone() });
                }
            }
            Fact::WaitEnded { lock, session_no, waited, asked, .. } => {
                self.end_wait(*session_no, *waited);
                if let Some(asked) = asked {
                    self.answer(*session_no, *asked, Answer::Cancelled { lock: lock.clone() });
                }
            }
            Fact::FileAppended { .. } => self.append(event),
            Fact::RequestRefused { session_no: Some(session_no), refusal, asked, .. } => {
                self.refuse(*session_no, *asked, refusal);
            }
            Fact::RequestRefused { session_no: None, .. } => {}
            Fact::DuplicateAnswered { session_no, op, asked, .. } => {
                self.hear_again(*session_no, *op, *asked);
            }
            Fact::LeaseRenewed { session_no, asked, .. } => {
                let now = self.now;
                let session = self.hear(*session_no);
                session.beats.note(asked.seq, asked.attempt);
                session.renew(now);
            }
        }
    }

    fn start(&mut self, token_floor: Token) {
        self.last_token = self.last_token.max(token_floor);
        let now = self.now;
        for session in self.sessions.values_mut() {
            session.renew(now);
        }
        for lock in self.locks.values_mut() {
            let (tenure, line) = lock.everyone_mut();
            if let Some(tenure) = tenure {
                // Its holder may have heard of the grant, and could not be heard meanwhile.
                tenure.claim_by = None;
            }
            line.iter_mut().for_each(|waiter| waiter.heard_at = now);
        }
    }

    fn open(&mut self, event: &Event) {
        let Fact::SessionOpened { session_no, client, lease, id, nonce } = &event.fact else {
            unreachable!("called for this fact alone");
        };
        assert!(self.last_session_no < *session_no, "a session's number is given once");
        self.last_session_no = *session_no;
        let session = Session {
            client: client.clone(),
            id: *id,
            nonce: *nonce,
            lease: *lease,
            expires_at: event.at + *lease,
            held: BTreeSet::new(),
            waits: Vec::new(),
            replies: super::Replies::default(),
            beats: super::Beats::default(),
            heard: event.index,
            durable: event.index,
        };
        self.sessions.insert(*session_no, Box::new(session));
    }

    fn depart(&mut self, session_no: SessionNo) {
        let session = self.sessions.remove(&session_no).expect("only a live session ends");
        assert!(session.held.is_empty(), "L1: a session that ends holds nothing any more");
        assert!(session.waits.is_empty(), "a session that ends waits for nothing any more");
        self.departed.add(session_no, session.id);
    }

    fn enqueue(&mut self, event: &Event) {
        let Fact::LockQueued { lock, session_no, asked, wait, hold, .. } = &event.fact else {
            unreachable!("called for this fact alone");
        };
        let waiter = Waiter {
            session_no: *session_no,
            seq: asked.seq,
            ticket: event.index,
            until: event.at + *wait,
            hold: *hold,
            heard_at: event.at,
            attempt: asked.attempt,
            digest: asked.digest,
        };
        self.locks.entry(lock.clone()).or_default().enqueue(waiter);
        self.waiters += 1;
        let session = self.hear(*session_no);
        assert!(session.wait_for(lock).is_none(), "a session stands in a line at most once");
        session.waits.push(Wait { seq: asked.seq, lock: lock.clone(), ticket: event.index });
        session.renew(event.at);
    }

    fn grant(&mut self, event: &Event) {
        let Fact::LockGranted { lock, session_no, token, asked, hold, from_queue, .. } =
            &event.fact
        else {
            unreachable!("called for this fact alone");
        };
        // One counter for all locks: whoever compares two tokens need not ask of which lock.
        assert!(self.last_token < *token, "S2: the fencing token went back");
        self.last_token = *token;
        if *from_queue {
            self.leave_line(*session_no, asked.seq);
        }
        self.locks.entry(lock.clone()).or_default().begin(Tenure {
            session_no: *session_no,
            token: *token,
            since: event.at,
            hold_until: hold.map(|hold| event.at + hold),
            claim_by: from_queue.then(|| event.at + SILENCE_MAX),
            granted: event.index,
        });
        let answer = Answer::Granted { lock: lock.clone(), token: *token };
        let session = self.session_mut(*session_no);
        session.held.insert(lock.clone());
        if *from_queue {
            self.keep(*session_no, *asked, answer);
        } else {
            self.answer(*session_no, *asked, answer);
        }
    }

    fn release(&mut self, name: &Name, session_no: SessionNo, token: Token) {
        let lock = self.locks.get_mut(name).expect("only a held lock is released");
        let tenure = lock.end(token);
        assert_eq!(tenure.session_no, session_no, "S6: a release ends the holder's tenure");
        self.session_mut(session_no).held.remove(name);
        self.drop_if_idle(name);
    }

    /// A wait that ended without a grant is answered so, whoever may ask again.
    fn end_wait(&mut self, session_no: SessionNo, seq: Seq) {
        let waiter = self.leave_line(session_no, seq);
        let asked = Asked { seq, attempt: waiter.attempt, digest: waiter.digest };
        self.keep(session_no, asked, Answer::Refused(Refusal::WaitTimeout));
    }

    fn leave_line(&mut self, session_no: SessionNo, seq: Seq) -> Waiter {
        let session = self.session_mut(session_no);
        let place = session.waits.iter().position(|wait| wait.seq == seq);
        let wait = session.waits.remove(place.expect("only who waits leaves the line"));
        let lock = self.locks.get_mut(&wait.lock).expect("a lock that is waited for is kept");
        let waiter = lock.leave(wait.ticket);
        self.waiters -= 1;
        self.drop_if_idle(&wait.lock);
        waiter
    }

    fn append(&mut self, event: &Event) {
        let Fact::FileAppended { file: name, session_no, token, offset, data, asked, .. } =
            &event.fact
        else {
            unreachable!("called for this fact alone");
        };
        let applied = Applied {
            session_no: *session_no,
            seq: asked.seq,
            token: *token,
            offset: *offset,
            len: data.len(),
        };
        let forgotten = self.files.entry(name.clone()).or_default().append(applied);
        if let Some(forgotten) = forgotten {
            self.forget(forgotten);
        }
        if self.unfenced && !self.sessions.contains_key(session_no) {
            return;
        }
        let answer = Answer::Appended { file: name.clone(), offset: *offset, len: data.len() };
        self.answer(*session_no, *asked, answer);
    }

    fn forget(&mut self, applied: Applied) {
        let Applied { session_no, seq, .. } = applied;
        if self.sessions.contains_key(&session_no) || self.departed.knows(session_no) {
            self.departed.forget(session_no, seq);
        }
    }

    fn refuse(&mut self, session_no: SessionNo, asked: Asked, refusal: &Refusal) {
        self.hear(session_no);
        if refusal.is_kept() {
            self.keep(session_no, asked, Answer::Refused(refusal.clone()));
        }
    }

    fn hear_again(&mut self, session_no: SessionNo, op: Op, asked: Asked) {
        let (now, session) = (self.now, self.hear(session_no));
        match op {
            Op::Hello | Op::Close => {}
            Op::Heartbeat | Op::AppendOutcome => session.beats.note(asked.seq, asked.attempt),
            Op::AcquireLock | Op::CancelAcquire | Op::ReleaseLock | Op::AppendFile => {
                session.replies.heard(asked.seq, asked.attempt);
                let Some(wait) = session.wait(asked.seq).cloned() else { return };
                let lock = self.locks.get_mut(&wait.lock).expect("what is waited for is kept");
                let waiter = lock.waiter_mut(wait.ticket).expect("who waits stands in line");
                waiter.heard_at = now;
                waiter.attempt = waiter.attempt.max(asked.attempt);
            }
        }
    }

    /// A new request of the session was accepted: it is answered, and the lease begins anew.
    fn answer(&mut self, session_no: SessionNo, asked: Asked, answer: Answer) {
        let now = self.now;
        let session = self.hear(session_no);
        session.renew(now);
        session.replies.keep(KeptReply::new(asked, answer));
    }

    fn keep(&mut self, session_no: SessionNo, asked: Asked, answer: Answer) {
        self.session_mut(session_no).replies.keep(KeptReply::new(asked, answer));
    }

    fn hear(&mut self, session_no: SessionNo) -> &mut Session {
        let index: Index = self.index;
        let session = self.session_mut(session_no);
        session.heard = index;
        session
    }

    fn session_mut(&mut self, session_no: SessionNo) -> &mut Session {
        self.sessions.get_mut(&session_no).expect("S4: an event of a session that is gone")
    }

    fn drop_if_idle(&mut self, name: &Name) {
        if self.locks.get(name).is_some_and(Lock::is_idle) {
            self.locks.remove(name);
        }
    }
}

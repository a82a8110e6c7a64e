//! How things end: a session by its client or its lease, a tenure by its own bound or for not
//! being claimed, a wait by its time.

use super::LockServer;
use super::request::Ask;
use crate::event::{Asked, Fact, ReleaseCause, WaitEndCause};
use crate::id::{Name, Seq, SessionNo, Token};
use crate::refusal::Refusal;
use crate::wire::Status;

impl LockServer {
    pub(super) fn close(&mut self, ask: &Ask) {
        let freed = self.end_all(ask.session_no, ReleaseCause::Closed);
        self.record(Fact::SessionClosed {
            session_no: ask.session_no,
            client: ask.client.clone(),
            asked: ask.asked,
        });
        self.answer(ask, Status::Closed { released: freed.len() as u64 });
        freed.iter().for_each(|lock| self.hand_off(lock));
    }

    pub(super) fn lease_due(&mut self, session_no: SessionNo) {
        let Some(session) = self.state.session(session_no) else { return };
        if session.expires_at > self.now {
            self.agenda.set_lease(session_no, session.expires_at);
            return;
        }
        let client = session.client.clone();
        let freed = self.end_all(session_no, ReleaseCause::LeaseExpired);
        self.record(Fact::SessionExpired { session_no, client });
        freed.iter().for_each(|lock| self.hand_off(lock));
    }

    /// Ends whatever a session has and waits for. Gives back the locks that are free now.
    fn end_all(&mut self, session_no: SessionNo, cause: ReleaseCause) -> Vec<Name> {
        let session = self.state.session(session_no).expect("only a live session ends");
        let (client, waits) = (session.client.clone(), session.waits.clone());
        let freed: Vec<Name> = session.held.iter().cloned().collect();
        for lock in &freed {
            let token = self.state.tenure(lock).expect("S1: what is held has a tenure").token;
            self.record_release(lock, session_no, client.clone(), token, cause);
        }
        for wait in waits {
            self.waiting_at.remove(&(session_no, wait.seq));
            self.record(Fact::WaitEnded {
                lock: wait.lock,
                session_no,
                client: client.clone(),
                waited: wait.seq,
                cause: WaitEndCause::SessionEnded,
                asked: None,
            });
        }
        freed
    }

    pub(super) fn hold_due(&mut self, lock: &Name, token: Token) {
        self.end_tenure(lock, token);
    }

    /// A grant that came out of the queue, and not a word from its holder since: it may have died
    /// while it waited. Where somebody else waits, and is heard, the lock goes on to them. The
    /// holder was told of a lease that ends by now, so it does not believe otherwise.
    pub(super) fn claim_due(&mut self, lock: &Name, token: Token) {
        let Some(entry) = self.state.locks().get(lock) else { return };
        let Some(tenure) = entry.tenure().filter(|tenure| tenure.token == token) else { return };
        let holder = self.state.session(tenure.session_no).expect("S1: a holder is alive");
        let claimed = holder.has_claimed(tenure);
        let wanted = entry.line().iter().any(|waiter| !self.is_silent(waiter));
        if !claimed && wanted {
            self.end_tenure(lock, token);
        }
    }

    fn end_tenure(&mut self, lock: &Name, token: Token) {
        let Some(tenure) = self.state.tenure(lock).filter(|it| it.token == token) else { return };
        let session_no = tenure.session_no;
        let holder = self.state.session(session_no).expect("S1: a holder is alive");
        let client = holder.client.clone();
        self.record_release(lock, session_no, client, token, ReleaseCause::HoldExpired);
        self.hand_off(lock);
    }

    fn record_release(
        &mut self,
        lock: &Name,
        session_no: SessionNo,
        client: Name,
        token: Token,
        cause: ReleaseCause,
    ) {
        let lock = lock.clone();
        self.record(Fact::LockReleased { lock, session_no, client, token, cause, asked: None });
    }

    pub(super) fn wait_due(&mut self, session_no: SessionNo, seq: Seq) {
        let Some(session) = self.state.session(session_no) else { return };
        let Some(wait) = session.wait(seq).cloned() else { return };
        let client = session.client.clone();
        let lock = self.state.locks().get(&wait.lock).expect("what is waited for is kept");
        let waiter = lock.waiter(wait.ticket).expect("who waits stands in line");
        let asked = Asked { seq, attempt: waiter.attempt, digest: waiter.digest };
        self.record(Fact::WaitEnded {
            lock: wait.lock,
            session_no,
            client,
            waited: seq,
            cause: WaitEndCause::Timeout,
            asked: None,
        });
        self.send_unasked(session_no, asked, Status::Refused(Refusal::WaitTimeout));
    }
}

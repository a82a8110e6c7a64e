//! Requests that renew a lease and change nothing else. Their answers are not kept: a copy is
//! answered anew, and renews nothing.

use super::LockServer;
use super::request::Ask;
use super::step::{Cause, Withheld};
use crate::event::Fact;
use crate::id::{Index, Seq};
use crate::refusal::Refusal;
use crate::wire::{Reply, Status};

impl LockServer {
    pub(super) fn heartbeat(&mut self, ask: &Ask, stale: bool) {
        if !self.renew(ask, stale) {
            return;
        }
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let lease = self.now.until(session.expires_at);
        let status = Status::Alive { lease, held: session.held.len() as u64 };
        // The hot path: it waits for the disk only where its own session's affairs do.
        self.answer_after(ask, status, session.durable);
    }

    pub(super) fn append_outcome(&mut self, ask: &Ask, of: Seq, stale: bool) {
        if !self.renew(ask, stale) {
            return;
        }
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let id = session.id().expect("the server knows the ids of its sessions");
        let status = self.lookup.outcome(&self.state, id, of);
        self.answer_after(ask, status, self.durable);
    }

    /// Whether the request is one to be answered, be it new or a copy.
    fn renew(&mut self, ask: &Ask, stale: bool) -> bool {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        if session.beats.knows(ask.asked.seq) {
            self.record_duplicate(ask);
            return true;
        }
        if stale {
            self.refuse(ask, Refusal::StaleSeq);
            return false;
        }
        self.record(Fact::LeaseRenewed {
            session_no: ask.session_no,
            client: ask.client.clone(),
            op: ask.op,
            asked: ask.asked,
        });
        true
    }

    fn answer_after(&mut self, ask: &Ask, status: Status, after: Index) {
        let session = self.state.session(ask.session_no).expect("an ask is of a live session");
        let attempt = session.beats.attempt(ask.asked.seq, ask.asked.attempt);
        let reply = Reply { re: ask.asked.seq, attempt, status };
        let cause = Cause {
            session_no: ask.session_no,
            op: ask.op,
            name: ask.name.clone(),
            asked: ask.asked,
        };
        let withheld = Withheld::answer(ask.from, reply, after);
        self.step.replies.push(Withheld { cause: Some(cause), ..withheld });
    }
}

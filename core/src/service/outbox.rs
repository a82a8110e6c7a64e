//! What an input leads to, and how its replies are kept back until they are true for good.

use std::collections::VecDeque;

use crate::event::{Event, RequestId};
use crate::id::{LogIndex, Name, Peer, SessionId};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::Op;
use crate::refusal::Refusal;
use crate::wire::{Reply, Status};

/// What one input leads to.
#[must_use = "a step whose events are not stored never happened"]
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// For the journal and the stream, in order. Those that need not be durable are among them.
    pub events: Vec<Event>,
    /// Not public: a reply is a promise, so it leaves by way of an [`Outbox`] alone.
    pub(super) replies: Vec<PendingReply>,
}

/// The journal's word that all durable events up to this one survive a crash.
///
/// Only what has flushed them may say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable {
    /// The last of them.
    pub through: LogIndex,
}

/// A reply that may be sent.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where to.
    pub to: Peer,
    /// What it says.
    pub reply: Reply,
    len_max: usize,
}

/// A reply, what it rests on, and what it answers.
#[derive(Clone, Debug)]
pub(super) struct PendingReply {
    pub(super) send_after: LogIndex,
    pub(super) datagram: Datagram,
    pub(super) cause: Option<Cause>,
    /// Whether it is dropped, and not said otherwise, where the disk fails: a grant that came out
    /// of the queue, for which nobody asked just then; and the answer to a copy, since what the
    /// request came to may be on disk long since. Who wants to know asks again.
    pub(super) drop_on_failure: bool,
}

/// The request of a session that a reply answers.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) session_id: SessionId,
    pub(super) op: Op,
    pub(super) name: Option<Name>,
    pub(super) request_id: RequestId,
}

/// Requests that were answered `storage_failed`. Nothing was done, and the server has to remember
/// that: see [`super::LockServer::handle_write_failure`].
#[derive(Debug, Default)]
pub struct Failed(pub(super) Vec<Cause>);

/// Replies that wait for the disk.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    pending: VecDeque<PendingReply>,
    durable: Durable,
}

impl Step {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}

impl Datagram {
    pub(super) const fn new(to: Peer, reply: Reply, len_max: usize) -> Self {
        Self { to, reply, len_max }
    }

    /// Writes it onto the end of `out`, without the trailer of a key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.reply.encode_within(self.len_max, out);
    }
}

impl Outbox {
    /// Takes in what a step promises. What rests on nothing that isn't stored yet goes to `out`
    /// at once. Gives back the step's events, for the journal.
    pub fn hold(&mut self, mut step: Step, out: &mut Vec<Datagram>) -> Vec<Event> {
        self.hold_replies(&mut step, out);
        step.events
    }

    /// The same, with the step's events put behind those of the steps before. Gives back the step,
    /// of which only the room is left, for [`super::LockServer::reuse`].
    pub fn hold_into(
        &mut self,
        mut step: Step,
        out: &mut Vec<Datagram>,
        events: &mut Vec<Event>,
    ) -> Step {
        self.hold_replies(&mut step, out);
        events.append(&mut step.events);
        step
    }

    fn hold_replies(&mut self, step: &mut Step, out: &mut Vec<Datagram>) {
        for pending in step.replies.drain(..) {
            if pending.send_after <= self.durable.through {
                out.push(pending.datagram);
            } else {
                self.pending.push_back(pending);
            }
        }
    }

    /// Lets go what is true for good, in the order in which it was promised.
    pub fn release_durable(&mut self, durable: Durable, out: &mut Vec<Datagram>) {
        assert!(self.durable <= durable, "S5: the journal took something back");
        self.durable = durable;
        while self.pending.front().is_some_and(|pending| pending.send_after <= durable.through) {
            out.extend(self.pending.pop_front().map(|pending| pending.datagram));
        }
    }

    /// What to say when the events could not be stored: nothing was done. It is said of what was
    /// asked for the first time alone.
    pub fn fail(&mut self, out: &mut Vec<Datagram>) -> Failed {
        let mut failed = Failed::default();
        for pending in self.pending.drain(..).filter(|pending| !pending.drop_on_failure) {
            let Datagram { to, reply, len_max } = pending.datagram;
            let status = Status::Refused(Refusal::StorageFailed);
            out.push(Datagram { to, reply: Reply { status, ..reply }, len_max });
            failed.0.extend(pending.cause);
        }
        failed
    }

    /// How many replies wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl PendingReply {
    pub(super) fn new(to: Peer, reply: Reply, send_after: LogIndex) -> Self {
        let datagram = Datagram::new(to, reply, DATAGRAM_LEN_MAX);
        Self { send_after, datagram, cause: None, drop_on_failure: false }
    }
}

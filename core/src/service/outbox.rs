//! The outcome of an input, and the queue in which its replies wait for the log.

use std::collections::VecDeque;

use crate::event::Event;
use crate::id::{LogIndex, Peer};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::refusal::Refusal;
use crate::wire::{Reply, Status};

/// The outcome of one input: events to log, and replies that wait for them.
#[must_use = "dropping a step loses its events and replies"]
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Events for the log and the event stream, in order. Some of them need not be durable.
    pub events: Vec<Event>,
    /// Private: a reply is a promise, and may be sent only after its events are durable.
    pub(super) replies: Vec<PendingReply>,
}

/// The log's report that all durable events up to an index survive a crash.
///
/// Only the code that has flushed them may make one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable {
    /// The index of the last of these events.
    pub through: LogIndex,
}

/// A reply that may be sent.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The receiver.
    pub to: Peer,
    /// The reply.
    pub reply: Reply,
    len_max: usize,
}

/// A reply, and the event it depends on.
#[derive(Clone, Debug)]
pub(super) struct PendingReply {
    pub(super) send_after: LogIndex,
    pub(super) datagram: Datagram,
    /// Whether the reply is dropped if the write fails, instead of being replaced by
    /// `storage_failed`. Set for a grant from the wait queue, which answers no current request, and
    /// for the answer to a duplicate, because the effect of its request may be durable already. The
    /// client retransmits.
    pub(super) drop_on_failure: bool,
}

/// The queue of replies that wait for the log.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    pending: VecDeque<PendingReply>,
    durable: Durable,
}

impl Step {
    /// Returns whether the step has no events and no replies.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.replies.is_empty()
    }
}

impl Datagram {
    pub(super) const fn new(to: Peer, reply: Reply, len_max: usize) -> Self {
        Self { to, reply, len_max }
    }

    /// Appends the encoded reply to `out`, without an authentication trailer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.reply.encode_within(self.len_max, out);
    }
}

impl Outbox {
    /// Queues the replies of a step, and returns its events for the log. Replies that depend only
    /// on durable events go to `out` at once.
    pub fn hold(&mut self, mut step: Step, out: &mut Vec<Datagram>) -> Vec<Event> {
        self.hold_replies(&mut step, out);
        step.events
    }

    /// Like [`Outbox::hold`], but appends the step's events to `events`. Returns the empty step,
    /// for [`super::LockServer::reuse`].
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

    /// Moves the replies whose events are covered by `durable` to `out`, oldest first.
    pub fn release_durable(&mut self, durable: Durable, out: &mut Vec<Datagram>) {
        assert!(self.durable <= durable, "S5: the log's durable index decreased");
        self.durable = durable;
        while self.pending.front().is_some_and(|pending| pending.send_after <= durable.through) {
            out.extend(self.pending.pop_front().map(|pending| pending.datagram));
        }
    }

    /// Answers the queued requests with `storage_failed`, after their events could not be written.
    /// Duplicates and grants from the wait queue get no answer.
    ///
    /// The answer is not retained. It concerns this transmission only: the client may send the
    /// request again, and it is executed then.
    pub fn fail(&mut self, out: &mut Vec<Datagram>) {
        for pending in self.pending.drain(..).filter(|pending| !pending.drop_on_failure) {
            let Datagram { to, reply, len_max } = pending.datagram;
            let status = Status::Refused(Refusal::StorageFailed);
            out.push(Datagram { to, reply: Reply { status, ..reply }, len_max });
        }
    }

    /// Returns the number of queued replies.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether no reply is queued.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl PendingReply {
    pub(super) fn new(to: Peer, reply: Reply, send_after: LogIndex) -> Self {
        let datagram = Datagram::new(to, reply, DATAGRAM_LEN_MAX);
        Self { send_after, datagram, drop_on_failure: false }
    }
}

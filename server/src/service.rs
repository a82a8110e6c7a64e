//! The lock server with all that it needs to decide: the time, bits that nobody can guess, a key.
//! What it has decided waits here for the disk, and what may leave for the socket. It does neither.

use std::net::SocketAddr;

use leasehold_core::event::Event;
use leasehold_core::id::{Name, Peer};
use leasehold_core::op::DropReason;
use leasehold_core::service::{Datagram, Input, LockServer, Outbox, Prepared, Step, Stored};
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{self, Key};

use crate::clock::{Clock, unix_millis};
use crate::datagrams::{Incoming, Outgoing};
use crate::entropy::Entropy;

/// What decides, and what is decided.
pub struct Service {
    key: Option<Key>,
    clock: Clock,
    entropy: Entropy,
    server: LockServer,
    outbox: Outbox,
    /// What is decided and not handed on yet.
    batch: Vec<Event>,
    /// Replies that may leave.
    out: Vec<Datagram>,
}

impl Service {
    /// Takes up the service with what its start led to.
    pub fn new(key: Option<Key>, clock: Clock, server: LockServer, step: Step) -> Self {
        let mut this = Self {
            key,
            clock,
            entropy: Entropy::default(),
            server,
            outbox: Outbox::default(),
            batch: Vec::new(),
            out: Vec::new(),
        };
        this.hold(step);
        this
    }

    /// Decides about datagrams that have arrived by now.
    pub fn receive(&mut self, incoming: &Incoming) {
        let now = self.clock.now();
        for (from, bytes) in incoming.iter() {
            self.datagram(now, from, bytes);
        }
    }

    fn datagram(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let body = match &self.key {
            Some(key) => wire::open(key, bytes),
            None => Some(bytes),
        };
        let step = match body {
            Some(bytes) => self.server.receive(now, Peer(from), bytes, self.entropy.bits()),
            None => self.server.step(now, Input::Dropped(DropReason::BadKey)),
        };
        self.hold(step);
    }

    /// Does what is due by now.
    pub fn wake(&mut self) {
        let now = self.clock.now();
        if self.server.next_wake().is_some_and(|(at, _)| at <= now) {
            let step = self.server.step(now, Input::Wake);
            self.hold(step);
        }
    }

    /// Ends the service in good order.
    pub fn stop(&mut self) {
        let step = self.server.step(self.clock.now(), Input::Stop);
        self.hold(step);
    }

    /// How long it is until something falls due.
    pub fn next_wake(&self) -> Option<Span> {
        self.server.next_wake().map(|(at, _)| self.clock.now().until(at))
    }

    /// How many events wait to be handed on.
    pub fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// Whether a reply waits for them, or for those before.
    pub fn is_awaited(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// All events that were decided since this was called last.
    pub fn take_batch(&mut self) -> Vec<Event> {
        let room = Vec::with_capacity(self.batch.len());
        std::mem::replace(&mut self.batch, room)
    }

    /// These events are stored: lets the replies go that rest on them.
    pub fn stored(&mut self, stored: Stored) {
        self.server.stored(stored);
        self.outbox.release(stored, &mut self.out);
    }

    /// Nothing of the last batch was done, nor of what was decided since: everybody is told so.
    pub fn restore(&mut self, prepared: Prepared) {
        let failed = self.outbox.fail(&mut self.out);
        self.batch.clear();
        let step = self.server.restore(prepared, failed, self.clock.now(), unix_millis());
        self.hold(step);
    }

    /// Whether appended bytes can be written to this file has changed.
    pub fn set_writable(&mut self, file: &Name, writable: bool) {
        self.server.set_writable(file, writable);
    }

    /// Puts what may leave behind what is to be sent.
    pub fn give_out(&mut self, outgoing: &mut Outgoing) {
        for datagram in self.out.drain(..) {
            outgoing.add(datagram.to.0, |bytes| {
                let start = bytes.len();
                datagram.encode(bytes);
                if let Some(key) = &self.key {
                    wire::seal_from(key, bytes, start);
                }
            });
        }
    }

    fn hold(&mut self, step: Step) {
        let room = self.outbox.hold_with(step, &mut self.out, &mut self.batch);
        self.server.reuse(room);
    }
}

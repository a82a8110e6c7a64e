//! The lock server with all that it needs to decide: the time, bits that nobody can guess, a key.
//! What it has decided waits here for the disk, and what may leave for the socket. It does neither.

use std::net::SocketAddr;

use leasehold_core::event::Event;
use leasehold_core::id::{Name, Peer};
use leasehold_core::op::DropReason;
use leasehold_core::service::{Datagram, Durable, IndexedState, Input, LockServer, Outbox, Step};
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{self, MacKey};

use crate::clock::{Clock, unix_millis};
use crate::datagrams::{ReceiveBatch, SendBatch};
use crate::entropy::Entropy;

/// What decides, and what is decided.
pub struct ServiceDriver {
    key: Option<MacKey>,
    clock: Clock,
    entropy: Entropy,
    server: LockServer,
    outbox: Outbox,
    /// What is decided and not handed on yet.
    batch: Vec<Event>,
    /// Replies that may leave.
    ready_replies: Vec<Datagram>,
}

impl ServiceDriver {
    /// Takes up the service with what its start led to.
    pub fn new(key: Option<MacKey>, clock: Clock, server: LockServer, step: Step) -> Self {
        let mut driver = Self {
            key,
            clock,
            entropy: Entropy::default(),
            server,
            outbox: Outbox::default(),
            batch: Vec::new(),
            ready_replies: Vec::new(),
        };
        driver.accept_step(step);
        driver
    }

    /// Decides about datagrams that have arrived by now.
    pub fn receive(&mut self, incoming: &ReceiveBatch) {
        let now = self.clock.now();
        for (from, bytes) in incoming.iter() {
            self.handle_datagram(now, from, bytes);
        }
    }

    fn handle_datagram(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let body = match &self.key {
            Some(key) => wire::verify_mac(key, bytes),
            None => Some(bytes),
        };
        let input = match body {
            Some(bytes) => {
                Input::Datagram { from: Peer(from), bytes, entropy: self.entropy.next_u128() }
            }
            None => Input::DatagramDropped { reason: DropReason::BadKey },
        };
        let step = self.server.handle(now, input);
        self.accept_step(step);
    }

    /// Does what is due by now.
    pub fn fire_due_timers(&mut self) {
        let now = self.clock.now();
        if self.server.next_deadline().is_some_and(|(at, _)| at <= now) {
            let step = self.server.handle(now, Input::Timer);
            self.accept_step(step);
        }
    }

    /// Ends the service in good order.
    pub fn stop(&mut self) {
        let step = self.server.handle(self.clock.now(), Input::Stop);
        self.accept_step(step);
    }

    /// How long it is until something falls due.
    pub fn time_to_next_deadline(&self) -> Option<Millis> {
        self.server.next_deadline().map(|(at, _)| self.clock.now().until(at))
    }

    /// How many events wait to be handed on.
    pub fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// Whether a reply waits for them, or for those before.
    pub fn has_pending_replies(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// All events that were decided since this was called last.
    pub fn take_batch(&mut self) -> Vec<Event> {
        let next_batch = Vec::with_capacity(self.batch.len());
        std::mem::replace(&mut self.batch, next_batch)
    }

    /// These events are stored: lets the replies go that rest on them.
    pub fn mark_durable(&mut self, durable: Durable) {
        let step = self.server.handle(self.clock.now(), Input::Durable(durable));
        self.accept_step(step);
        self.outbox.release_durable(durable, &mut self.ready_replies);
    }

    /// Nothing of the last batch was done, nor of what was decided since: everybody is told so.
    pub fn restore(&mut self, state: Box<IndexedState>) {
        let failed = self.outbox.fail(&mut self.ready_replies);
        self.batch.clear();
        let input = Input::WriteFailed { state, failed, unix_ms: unix_millis() };
        let step = self.server.handle(self.clock.now(), input);
        self.accept_step(step);
    }

    /// Whether appended bytes can be written to this file has changed.
    pub fn set_writable(&mut self, file: &Name, writable: bool) {
        let input = Input::FileWritable { file, writable };
        let step = self.server.handle(self.clock.now(), input);
        self.accept_step(step);
    }

    /// Puts what may leave behind what is to be sent.
    pub fn drain_replies(&mut self, outgoing: &mut SendBatch) {
        for datagram in self.ready_replies.drain(..) {
            outgoing.push(datagram.to.0, |bytes| {
                let start = bytes.len();
                datagram.encode(bytes);
                if let Some(key) = &self.key {
                    wire::append_mac_from(key, bytes, start);
                }
            });
        }
    }

    fn accept_step(&mut self, step: Step) {
        let spare_buffers = self.outbox.hold_into(step, &mut self.ready_replies, &mut self.batch);
        self.server.reuse(spare_buffers);
    }
}

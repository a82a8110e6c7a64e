//! Drives the lock server: supplies the time, randomness and the key, and collects its decisions.
//!
//! Events wait here until the service loop submits them to storage; replies wait until their events
//! are durable and the loop sends them. The driver does no I/O.

use leasehold_core::event::Event;
use leasehold_core::id::{Name, Peer};
use leasehold_core::op::DropReason;
use leasehold_core::service::{Datagram, Durable, IndexedState, Input, LockServer, Outbox, Step};
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{self, MacKey};

use crate::clock::{Clock, unix_millis};
use crate::datagrams::{ReceiveBatch, SendBatch};
use crate::entropy::Entropy;

/// A lock server, and its decisions that are not submitted or sent yet.
///
/// Call [`ServiceDriver::receive`], [`ServiceDriver::fire_due_timers`] and [`ServiceDriver::stop`]
/// to make decisions; [`ServiceDriver::take_batch`] to submit events;
/// [`ServiceDriver::mark_durable`] or [`ServiceDriver::restore`] with the outcome; then
/// [`ServiceDriver::drain_replies`].
pub struct ServiceDriver {
    key: Option<MacKey>,
    clock: Clock,
    entropy: Entropy,
    server: LockServer,
    outbox: Outbox,
    /// Events that are not submitted to storage yet.
    batch: Vec<Event>,
    /// The number of these events that must be durable.
    durable_batch_len: usize,
    /// Replies whose events are durable.
    ready_replies: Vec<Datagram>,
}

impl ServiceDriver {
    /// Returns a driver for a server that has just started with `step`.
    pub fn new(key: Option<MacKey>, clock: Clock, server: LockServer, step: Step) -> Self {
        let mut driver = Self {
            key,
            clock,
            entropy: Entropy::default(),
            server,
            outbox: Outbox::default(),
            batch: Vec::new(),
            durable_batch_len: 0,
            ready_replies: Vec::new(),
        };
        driver.accept_step(step);
        driver
    }

    /// Handles the received datagrams.
    pub fn receive(&mut self, incoming: &ReceiveBatch) {
        let now = self.clock.now();
        for (from, bytes) in incoming.iter() {
            self.handle_datagram(now, from, bytes);
        }
    }

    fn handle_datagram(&mut self, now: Time, from: Peer, bytes: &[u8]) {
        let body = match &self.key {
            Some(key) => wire::verify_mac(key, bytes),
            None => Some(bytes),
        };
        let input = match body {
            Some(bytes) => Input::Datagram { from, bytes, entropy: self.entropy.next_u128() },
            None => Input::DatagramDropped { reason: DropReason::BadKey },
        };
        let step = self.server.handle(now, input);
        self.accept_step(step);
    }

    /// Fires the timers whose deadline has passed.
    pub fn fire_due_timers(&mut self) {
        let now = self.clock.now();
        if self.server.next_deadline().is_some_and(|(at, _)| at <= now) {
            let step = self.server.handle(now, Input::Timer);
            self.accept_step(step);
        }
    }

    /// Ends the service gracefully.
    pub fn stop(&mut self) {
        let step = self.server.handle(self.clock.now(), Input::Stop);
        self.accept_step(step);
    }

    /// Returns the time until the next deadline.
    pub fn time_to_next_deadline(&self) -> Option<Millis> {
        self.server.next_deadline().map(|(at, _)| self.clock.now().until(at))
    }

    /// Returns the number of events that are not submitted yet.
    pub fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// Returns the number of events that are not submitted yet and must be durable.
    pub const fn durable_batch_len(&self) -> usize {
        self.durable_batch_len
    }

    /// Returns whether any reply waits for its events to become durable.
    pub fn has_pending_replies(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Removes and returns the events that are not submitted yet.
    pub fn take_batch(&mut self) -> Vec<Event> {
        self.durable_batch_len = 0;
        let next_batch = Vec::with_capacity(self.batch.len());
        std::mem::replace(&mut self.batch, next_batch)
    }

    /// Releases the replies whose events are covered by `durable`.
    pub fn mark_durable(&mut self, durable: Durable) {
        self.outbox.release_durable(durable, &mut self.ready_replies);
    }

    /// Rolls back to the durable `state` after a failed write. Neither the failed batch nor any
    /// later decision takes effect, and every waiting request is answered with an error. Nothing is
    /// retained of these requests.
    pub fn restore(&mut self, state: Box<IndexedState>) {
        self.outbox.fail(&mut self.ready_replies);
        self.batch.clear();
        self.durable_batch_len = 0;
        let input = Input::WriteFailed { state, unix_ms: unix_millis() };
        let step = self.server.handle(self.clock.now(), input);
        self.accept_step(step);
    }

    /// Sets whether appended bytes can be written to this file.
    pub fn set_writable(&mut self, file: &Name, writable: bool) {
        let input = Input::FileWritable { file, writable };
        let step = self.server.handle(self.clock.now(), input);
        self.accept_step(step);
    }

    /// Moves the replies that may be sent to `outgoing`, encoded and signed.
    pub fn drain_replies(&mut self, outgoing: &mut SendBatch) {
        for datagram in self.ready_replies.drain(..) {
            outgoing.push(datagram.to, |bytes| {
                let start = bytes.len();
                datagram.encode(bytes);
                if let Some(key) = &self.key {
                    wire::append_mac_from(key, bytes, start);
                }
            });
        }
    }

    fn accept_step(&mut self, step: Step) {
        self.durable_batch_len += step.events.iter().filter(|it| it.kind.is_durable()).count();
        let spare_buffers = self.outbox.hold_into(step, &mut self.ready_replies, &mut self.batch);
        self.server.reuse(spare_buffers);
    }
}

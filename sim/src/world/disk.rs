//! The journal on a simulated disk: what is written, what is flushed, and what fails.

use std::collections::VecDeque;

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::rng::Rng;
use leasehold_core::service::{Datagram, Stored};
use leasehold_core::state::State;

use super::{Due, Pen, World};
use crate::trace::{Kind, NodeNo, number};

/// What the draws for flushes are keyed by: no link has this.
const FLUSH_KEY: u64 = 0xf1 << 56;

/// The journal, and what of it is safe.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskState {
    /// The fold of what is flushed.
    pub(super) state: State,
    /// The last place in history that anybody may have seen.
    pub(super) after: Index,
    /// What is written, and not flushed.
    pub(super) unflushed: VecDeque<Event>,
    /// Up to where the flush goes that is under way, and its number.
    pub(super) flushing: Option<(Index, u32)>,
    flushes: u32,
    pub(super) slower_us: u64,
    pub(super) failing_writes: u32,
    /// Whether the next flush fails, and whether it does its work all the same.
    pub(super) failing_flush: Option<bool>,
}

impl DiskState {
    pub(super) fn keep(&mut self, event: &Event) {
        if event.fact.is_durable() {
            self.state.apply(event);
        }
    }

    /// Where the journal's last event stands.
    pub(super) fn through(&self) -> u32 {
        number(self.state.index().number())
    }
}

impl World {
    pub(super) fn write(
        &mut self,
        events: Vec<Event>,
        pen: &mut Pen<'_>,
        sent: &mut Vec<Datagram>,
    ) {
        let disk = &mut self.server.disk;
        disk.after = disk.after.max(events.last().map_or(disk.after, |event| event.index));
        if !events.iter().any(|event| event.fact.is_durable()) {
            return;
        }
        if self.server.disk.failing_writes > 0 {
            self.server.disk.failing_writes -= 1;
            self.write_failed(pen, sent);
            return;
        }
        let disk = &mut self.server.disk;
        disk.unflushed.extend(events.into_iter().filter(|event| event.fact.is_durable()));
        self.begin_flush();
    }

    /// Nothing of what was decided since the last flush was done: it is answered so, and forgotten.
    fn write_failed(&mut self, pen: &mut Pen<'_>, sent: &mut Vec<Datagram>) {
        let now = self.server.clock.read(self.now);
        self.chain(pen, NodeNo::SERVER, Kind::WriteFailed);
        let disk = &mut self.server.disk;
        disk.flushing = None;
        disk.unflushed.clear();
        let state = disk.state.clone();
        let through = state.index();
        self.server.ledger.forget_after(through);
        self.record_recovery(pen);
        let failed = self.server.outbox.fail(sent);
        let Some(core) = &mut self.server.core else { return };
        let step = core.restore(state.into(), failed, now, 0);
        for event in &step.events {
            self.record_event(event, NodeNo::SERVER, pen);
        }
        let events = self.server.outbox.hold(step, sent);
        let disk = &mut self.server.disk;
        disk.unflushed.extend(events.into_iter().filter(|event| event.fact.is_durable()));
        self.begin_flush();
    }

    fn begin_flush(&mut self) {
        let disk = &mut self.server.disk;
        let Some(last) = disk.unflushed.back().map(|event| event.index) else { return };
        if disk.flushing.is_some() {
            return;
        }
        disk.flushes += 1;
        let number = disk.flushes;
        disk.flushing = Some((last, number));
        let settings = self.fixed.run.config.disk;
        let mut rng = Rng::keyed(self.fixed.run.seed, FLUSH_KEY | u64::from(number));
        let mut takes = rng.between(settings.flush_min_us, settings.flush_max_us) + disk.slower_us;
        if !self.fixed.guards.durable_replies {
            takes += settings.write_back_ms * 1_000;
        }
        self.schedule(self.now + takes, Due::Flushed(number));
    }

    /// A flush has come to its end.
    pub(super) fn flushed(&mut self, flush: u32, pen: &mut Pen<'_>) {
        let Some((through, number)) = self.server.disk.flushing else { return };
        if number != flush || self.defer(NodeNo::SERVER, Due::Flushed(flush)) {
            return;
        }
        if let Some(keeps) = self.server.disk.failing_flush.take() {
            self.chain(pen, NodeNo::SERVER, Kind::FlushFailed);
            self.crash_server(keeps, pen);
            return;
        }
        let disk = &mut self.server.disk;
        disk.flushing = None;
        while disk.unflushed.front().is_some_and(|event| event.index <= through) {
            if let Some(event) = disk.unflushed.pop_front() {
                disk.keep(&event);
            }
        }
        self.chain(
            pen,
            NodeNo::SERVER,
            Kind::Stored { through: crate::trace::number(through.number()) },
        );
        let mut sent = Vec::new();
        if self.fixed.guards.durable_replies {
            self.server.outbox.release(Stored { through }, &mut sent);
        }
        if let Some(core) = &mut self.server.core {
            core.stored(Stored { through });
        }
        self.send_replies(sent, pen);
        self.begin_flush();
    }
}

//! What is done to the world.

use super::{Due, Pen, World};
use crate::run::Action;
use crate::trace::{DisbeliefCause, Kind, LinkNo, LossCause, NodeNo};

/// After how long a server that ended for a failed flush is started again, in microseconds.
const RESTART_US: u64 = 1_000_000;

/// How many datagrams the buffer of a node's socket holds while the node stands still.
const BUFFER_MAX: usize = 256;

impl World {
    pub(super) fn intervene(&mut self, number: u32, pen: &mut Pen<'_>) {
        let fixed = std::sync::Arc::clone(&self.fixed);
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(intervention) = fixed.run.interventions.get(place) {
            self.do_to_world(&intervention.action, pen);
        }
    }

    fn do_to_world(&mut self, action: &Action, pen: &mut Pen<'_>) {
        match action {
            Action::Crash { node, keeps_unflushed } => self.crash(*node, *keeps_unflushed, pen),
            Action::Restart { node } => self.restart(*node, pen),
            Action::Pause { node, ms } => self.pause(*node, *ms, pen),
            Action::Resume { node } => self.resume(*node, pen),
            Action::Cut { link } => self.cut(*link, true, pen),
            Action::Heal { link } => self.cut(*link, false, pen),
            Action::Isolate { node } => self.isolate(*node, true, pen),
            Action::Rejoin { node } => self.isolate(*node, false, pen),
            Action::Skew { node, ms } => self.skew(*node, *ms, pen),
            Action::Drift { node, ppm } => self.drift(*node, *ppm, pen),
            Action::Degrade { link, loss_ppm, delay_us } => {
                if let Some(state) = self.link_mut(*link) {
                    (state.loss_ppm, state.delay_us) = (*loss_ppm, *delay_us);
                    self.record(pen, link.from, Kind::Degraded { to: link.to });
                }
            }
            Action::Packet { packet, fate } => self.meddle(*packet, *fate, pen),
            Action::FailFlush { keeps } => self.server.disk.failing_flush = Some(*keeps),
            Action::FailWrites { count } => self.server.disk.failing_writes = *count,
            Action::SlowDisk { by_ms } => {
                self.server.disk.slower_us = by_ms * 1_000;
                let by_ms = u32::try_from(*by_ms).unwrap_or(u32::MAX);
                self.record(pen, NodeNo::SERVER, Kind::DiskSlowed { by_ms });
            }
            Action::Calm => self.calm(pen),
        }
    }

    pub(super) fn is_up(&self, node: NodeNo) -> bool {
        match self.client(node) {
            Some(client) => client.core.is_some(),
            None => node.is_server() && self.server.core.is_some(),
        }
    }

    /// Puts off what is due for a node that stands still. Says whether it did.
    pub(super) fn defer(&mut self, node: NodeNo, due: Due) -> bool {
        let (paused, deferred) = match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(client) => (client.paused, &mut client.deferred),
            None => (self.server.paused, &mut self.server.deferred),
        };
        if !paused {
            return false;
        }
        deferred.push(due);
        let full = deferred.iter().filter(|due| matches!(due, Due::Arrive(_))).count() > BUFFER_MAX;
        if full && let Due::Arrive(no) = due {
            deferred.pop();
            if let Some(packet) = self.packets.get_mut(no) {
                packet.lost = Some(LossCause::Overflow);
                self.schedule(self.now, Due::Lose(no));
            }
        }
        true
    }

    fn crash(&mut self, node: NodeNo, keeps_unflushed: bool, pen: &mut Pen<'_>) {
        if !self.is_up(node) {
            return;
        }
        if node.is_server() {
            self.die(keeps_unflushed, pen);
            return;
        }
        self.chain(pen, node, Kind::Crashed { kept: 0 });
        let beliefs = self.client(node).map(|client| client.beliefs.clone()).unwrap_or_default();
        for belief in beliefs {
            let token = leasehold_core::id::Token::new(u64::from(belief.token));
            self.disbelieve(node, belief.lock, token, DisbeliefCause::Crashed, pen);
        }
        if let Some(client) = self.client_mut(node) {
            client.die();
        }
    }

    fn die(&mut self, keeps_unflushed: bool, pen: &mut Pen<'_>) {
        self.server.die(keeps_unflushed);
        let kept = self.server.disk.through();
        self.chain(pen, NodeNo::SERVER, Kind::Crashed { kept });
    }

    /// The server ends because of its disk; whoever watches over it starts it again.
    pub(super) fn crash_server(&mut self, keeps_unflushed: bool, pen: &mut Pen<'_>) {
        self.die(keeps_unflushed, pen);
        let starts = self.server.starts;
        self.schedule(self.now + RESTART_US, Due::Restart(NodeNo::SERVER, starts));
    }

    pub(super) fn restart_after(&mut self, node: NodeNo, starts: u32, pen: &mut Pen<'_>) {
        if self.server.starts == starts {
            self.restart(node, pen);
        }
    }

    fn restart(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let started = match self.client(node) {
            Some(client) => client.starts > 0,
            None => node.is_server(),
        };
        if self.is_up(node) || !started {
            return;
        }
        self.chain(pen, node, Kind::Restarted);
        if node.is_server() {
            self.start_server(pen);
        } else {
            self.start_client(node, pen);
        }
    }

    fn pause(&mut self, node: NodeNo, ms: u64, pen: &mut Pen<'_>) {
        if !self.is_up(node) {
            return;
        }
        let (paused, pauses) = match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(client) => (&mut client.paused, &mut client.pauses),
            None => (&mut self.server.paused, &mut self.server.pauses),
        };
        *paused = true;
        *pauses += 1;
        let number = *pauses;
        self.record(pen, node, Kind::Paused { ms: u32::try_from(ms).unwrap_or(u32::MAX) });
        self.schedule(self.now + ms.saturating_mul(1_000), Due::Resume(node, number));
    }

    pub(super) fn resume_after(&mut self, node: NodeNo, number: u32, pen: &mut Pen<'_>) {
        let pauses = self.client(node).map_or(self.server.pauses, |client| client.pauses);
        if pauses == number {
            self.resume(node, pen);
        }
    }

    fn resume(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        let (paused, deferred) = match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(client) => (&mut client.paused, &mut client.deferred),
            None => (&mut self.server.paused, &mut self.server.deferred),
        };
        if !std::mem::replace(paused, false) {
            return;
        }
        let deferred = std::mem::take(deferred);
        self.record(pen, node, Kind::Resumed);
        for due in deferred {
            if let Due::Arrive(no) = due
                && let Some(packet) = self.packets.get_mut(no)
            {
                packet.arrives = self.now;
            }
            self.schedule(self.now, due);
        }
        if node.is_server() {
            self.catch_up_server();
        } else {
            self.catch_up_client(node);
        }
    }

    fn cut(&mut self, link: LinkNo, cut: bool, pen: &mut Pen<'_>) {
        let Some(state) = self.link_mut(link) else { return };
        if std::mem::replace(&mut state.cut, cut) != cut {
            let LinkNo { from, to } = link;
            self.record(pen, from, if cut { Kind::Cut { to } } else { Kind::Healed { to } });
        }
    }

    fn isolate(&mut self, node: NodeNo, cut: bool, pen: &mut Pen<'_>) {
        let count = u8::try_from(self.clients.len()).unwrap_or(u8::MAX);
        // All packets go to the server or come from it.
        for client in 1..=count {
            let client = NodeNo(client);
            if node.is_server() || node == client {
                self.cut(LinkNo { from: client, to: NodeNo::SERVER }, cut, pen);
                self.cut(LinkNo { from: NodeNo::SERVER, to: client }, cut, pen);
            }
        }
    }

    fn skew(&mut self, node: NodeNo, ms: i64, pen: &mut Pen<'_>) {
        let small = i32::try_from(ms).unwrap_or(i32::MAX);
        self.chain(pen, node, Kind::ClockJumped { ms: small });
        // Somebody has set the wall clock. Leases are measured on another one, unless not.
        if !self.fixed.guards.monotonic_clock {
            let now = self.now;
            self.clock_mut(node).jump(now, ms);
            self.after_clock(node, pen);
        }
    }

    fn drift(&mut self, node: NodeNo, ppm: i64, pen: &mut Pen<'_>) {
        let now = self.now;
        if self.clock(node).rate_ppm() == ppm {
            return;
        }
        self.clock_mut(node).set_rate(now, ppm);
        let ppm = i32::try_from(ppm).unwrap_or(i32::MAX);
        self.chain(pen, node, Kind::ClockDrifted { ppm });
        self.after_clock(node, pen);
    }

    fn clock_mut(&mut self, node: NodeNo) -> &mut crate::clock::Clock {
        match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(client) => &mut client.clock,
            None => &mut self.server.clock,
        }
    }

    fn after_clock(&mut self, node: NodeNo, pen: &mut Pen<'_>) {
        if node.is_server() {
            self.catch_up_server();
        } else {
            self.tell_beliefs_again(node, pen);
            self.catch_up_client(node);
        }
    }

    pub(super) fn calm(&mut self, pen: &mut Pen<'_>) {
        self.chain(pen, NodeNo::SERVER, Kind::Calmed);
        self.calm = true;
        for link in &mut self.links {
            (link.loss_ppm, link.delay_us) = (0, 0);
        }
        let disk = &mut self.server.disk;
        (disk.slower_us, disk.failing_writes, disk.failing_flush) = (0, 0, None);
        let count = u8::try_from(self.clients.len()).unwrap_or(u8::MAX);
        for node in (0..=count).map(NodeNo) {
            self.isolate(node, false, pen);
            self.resume(node, pen);
            self.restart(node, pen);
            self.drift(node, 0, pen);
        }
    }
}

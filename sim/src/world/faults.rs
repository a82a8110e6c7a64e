//! Interventions: crashes, pauses, partitions, clock and disk faults, and their end.
//!
//! An intervention without effect, such as a crash of a node that is not running, adds no record.

use super::clients::ClientNode;
use super::{SimEvent, TraceWriter, World};
use crate::run::Action;
use crate::trace::{BeliefEndCause, LinkId, LossCause, NodeId, Number, RecordKind};

/// The delay before a server that stopped after a failed flush is restarted, in microseconds.
const RESTART_DELAY_US: u64 = 1_000_000;

/// The number of datagrams that the receive buffer of a paused node can contain.
const SOCKET_BUFFER_MAX: usize = 256;

/// The fields of a node that a pause changes.
struct PauseState<'a> {
    paused: &'a mut bool,
    /// The events to schedule again when the node resumes.
    deferred: &'a mut Vec<SimEvent>,
    /// Identifies the current pause, so that the end of an earlier one is ignored.
    pause_count: &'a mut u32,
}

impl World {
    pub(super) fn apply_intervention(&mut self, index: u32, writer: &mut TraceWriter<'_>) {
        let context = std::sync::Arc::clone(&self.context);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(intervention) = context.run.interventions.get(index) {
            self.apply_action(&intervention.action, writer);
        }
    }

    fn apply_action(&mut self, action: &Action, writer: &mut TraceWriter<'_>) {
        match action {
            Action::Crash { node, keeps_unflushed } => self.crash(*node, *keeps_unflushed, writer),
            Action::Restart { node } => self.restart(*node, writer),
            Action::Pause { node, ms } => self.pause(*node, *ms, writer),
            Action::Resume { node } => self.resume(*node, writer),
            Action::Cut { link } => self.set_link_cut(*link, true, writer),
            Action::Heal { link } => self.set_link_cut(*link, false, writer),
            Action::Isolate { node } => self.set_isolated(*node, true, writer),
            Action::Rejoin { node } => self.set_isolated(*node, false, writer),
            Action::Skew { node, ms } => self.jump_clock(*node, *ms, writer),
            Action::Drift { node, ppm } => self.set_clock_rate(*node, *ppm, writer),
            Action::Degrade { link, loss_ppm, delay_us } => {
                self.degrade_link(*link, (*loss_ppm, *delay_us), writer);
            }
            Action::Packet { packet, packet_action } => {
                self.apply_packet_action(*packet, *packet_action, writer);
            }
            Action::FailFlush { keeps_unflushed } => {
                self.server.disk.flush_failure = Some(*keeps_unflushed);
            }
            Action::FailWrites { count } => self.server.disk.writes_to_fail = *count,
            Action::SlowDisk { by_ms } => {
                self.server.disk.extra_delay_us = by_ms.saturating_mul(1_000);
                let by_ms = (*by_ms).into();
                self.record(writer, NodeId::SERVER, RecordKind::DiskSlowed { by_ms });
            }
            Action::EndFaults => self.end_faults(writer),
        }
    }

    pub(super) fn is_up(&self, node: NodeId) -> bool {
        match self.client(node) {
            Some(client) => client.process.is_some(),
            None => node.is_server() && self.server.process.is_some(),
        }
    }

    /// Defers an event until its node is resumed. Returns false if the node is not paused.
    pub(super) fn defer(&mut self, node: NodeId, event: SimEvent) -> bool {
        let PauseState { paused, deferred, .. } = self.pause_state(node);
        if !*paused {
            return false;
        }
        deferred.push(event);
        let is_full =
            deferred.iter().filter(|event| matches!(event, SimEvent::PacketArrives(_))).count()
                > SOCKET_BUFFER_MAX;
        if is_full && let SimEvent::PacketArrives(packet_id) = event {
            deferred.pop();
            if let Some(packet) = self.packets.get_mut(packet_id) {
                packet.loss = Some(LossCause::Overflow);
                self.schedule(self.now, SimEvent::PacketLost(packet_id));
            }
        }
        true
    }

    fn crash(&mut self, node: NodeId, keeps_unflushed: bool, writer: &mut TraceWriter<'_>) {
        if !self.is_up(node) {
            return;
        }
        if node.is_server() {
            self.kill_server(keeps_unflushed, writer);
            return;
        }
        self.record_as_cause(writer, node, RecordKind::Crashed { durable_through: Number::ZERO });
        let beliefs = self.client(node).map(|client| client.beliefs.clone()).unwrap_or_default();
        for belief in beliefs {
            self.end_belief(node, belief.lock, belief.token, BeliefEndCause::Crashed, writer);
        }
        if let Some(client) = self.client_mut(node) {
            client.crash();
        }
    }

    fn kill_server(&mut self, keeps_unflushed: bool, writer: &mut TraceWriter<'_>) {
        self.server.crash(keeps_unflushed);
        let durable_through = self.server.disk.durable_through();
        self.record_as_cause(writer, NodeId::SERVER, RecordKind::Crashed { durable_through });
    }

    /// Stops the server because of its disk. A supervisor restarts it after a delay.
    pub(super) fn crash_and_restart_server(
        &mut self,
        keeps_unflushed: bool,
        writer: &mut TraceWriter<'_>,
    ) {
        self.kill_server(keeps_unflushed, writer);
        let start_count = self.server.start_count;
        self.schedule(self.now + RESTART_DELAY_US, SimEvent::Restart(NodeId::SERVER, start_count));
    }

    pub(super) fn restart_if_not_restarted(
        &mut self,
        node: NodeId,
        start_count: u32,
        writer: &mut TraceWriter<'_>,
    ) {
        if self.server.start_count == start_count {
            self.restart(node, writer);
        }
    }

    fn restart(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let started = match self.client(node) {
            Some(client) => client.start_count > 0,
            None => node.is_server(),
        };
        if self.is_up(node) || !started {
            return;
        }
        self.record_as_cause(writer, node, RecordKind::Restarted);
        if node.is_server() {
            self.start_server(writer);
        } else {
            self.start_client(node, writer);
        }
    }

    fn pause(&mut self, node: NodeId, ms: u64, writer: &mut TraceWriter<'_>) {
        if !self.is_up(node) {
            return;
        }
        let PauseState { paused, pause_count, .. } = self.pause_state(node);
        *paused = true;
        *pause_count += 1;
        let pause_id = *pause_count;
        self.record(writer, node, RecordKind::Paused { ms: ms.into() });
        self.schedule(self.now + ms.saturating_mul(1_000), SimEvent::Resume(node, pause_id));
    }

    pub(super) fn resume_if_still_paused(
        &mut self,
        node: NodeId,
        pause_id: u32,
        writer: &mut TraceWriter<'_>,
    ) {
        if *self.pause_state(node).pause_count == pause_id {
            self.resume(node, writer);
        }
    }

    fn resume(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        let PauseState { paused, deferred, .. } = self.pause_state(node);
        if !std::mem::replace(paused, false) {
            return;
        }
        let deferred = std::mem::take(deferred);
        self.record(writer, node, RecordKind::Resumed);
        for event in deferred {
            if let SimEvent::PacketArrives(packet_id) = event
                && let Some(packet) = self.packets.get_mut(packet_id)
            {
                packet.arrives_at = self.now;
            }
            self.schedule(self.now, event);
        }
        if node.is_server() {
            self.reschedule_server_timer();
        } else {
            self.reschedule_client_timer(node);
        }
    }

    fn pause_state(&mut self, node: NodeId) -> PauseState<'_> {
        match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(ClientNode { paused, deferred, pause_count, .. }) => {
                PauseState { paused, deferred, pause_count }
            }
            None => PauseState {
                paused: &mut self.server.paused,
                deferred: &mut self.server.deferred,
                pause_count: &mut self.server.pause_count,
            },
        }
    }

    fn set_link_cut(&mut self, link: LinkId, cut: bool, writer: &mut TraceWriter<'_>) {
        let Some(state) = self.link_mut(link) else { return };
        if std::mem::replace(&mut state.cut, cut) != cut {
            let LinkId { from, to } = link;
            self.record(
                writer,
                from,
                if cut { RecordKind::Cut { to } } else { RecordKind::Healed { to } },
            );
        }
    }

    fn degrade_link(
        &mut self,
        link: LinkId,
        (loss_ppm, delay_us): (u64, u64),
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(state) = self.link_mut(link) else { return };
        let was_healthy = (state.loss_ppm, state.delay_us) == (0, 0);
        (state.loss_ppm, state.delay_us) = (loss_ppm, delay_us);
        let is_restored = !was_healthy && (loss_ppm, delay_us) == (0, 0);
        let LinkId { from, to } = link;
        let kind =
            if is_restored { RecordKind::Healed { to } } else { RecordKind::Degraded { to } };
        self.record(writer, from, kind);
    }

    fn set_isolated(&mut self, node: NodeId, cut: bool, writer: &mut TraceWriter<'_>) {
        let count = u8::try_from(self.clients.len()).unwrap_or(u8::MAX);
        // All packets go to the server or come from it.
        for client in 1..=count {
            let client = NodeId(client);
            if node.is_server() || node == client {
                self.set_link_cut(LinkId { from: client, to: NodeId::SERVER }, cut, writer);
                self.set_link_cut(LinkId { from: NodeId::SERVER, to: client }, cut, writer);
            }
        }
    }

    fn jump_clock(&mut self, node: NodeId, ms: i64, writer: &mut TraceWriter<'_>) {
        self.record_as_cause(writer, node, RecordKind::ClockJumped { ms: clamp_to_i32(ms.into()) });
        // Leases are measured on the monotonic clock, unless that protection is disabled.
        if !self.context.protections.monotonic_clock {
            let now = self.now;
            self.clock_mut(node).jump(now, ms);
            self.handle_clock_change(node, writer);
        }
    }

    fn set_clock_rate(&mut self, node: NodeId, ppm: i64, writer: &mut TraceWriter<'_>) {
        let now = self.now;
        if self.clock(node).rate_ppm() == ppm {
            return;
        }
        self.clock_mut(node).set_rate(now, ppm);
        let ppm = clamp_to_i32(ppm.into());
        self.record_as_cause(writer, node, RecordKind::ClockDrifted { ppm });
        self.handle_clock_change(node, writer);
    }

    fn clock_mut(&mut self, node: NodeId) -> &mut crate::clock::Clock {
        match self.clients.get_mut(usize::from(node.0).wrapping_sub(1)) {
            Some(client) => &mut client.clock,
            None => &mut self.server.clock,
        }
    }

    fn handle_clock_change(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) {
        if node.is_server() {
            self.reschedule_server_timer();
        } else {
            self.record_beliefs_again(node, writer);
            self.reschedule_client_timer(node);
        }
    }

    pub(super) fn end_faults(&mut self, writer: &mut TraceWriter<'_>) {
        self.record_as_cause(writer, NodeId::SERVER, RecordKind::FaultsEnded);
        self.faults_ended = true;
        for link in &mut self.links {
            (link.loss_ppm, link.delay_us) = (0, 0);
        }
        let disk = &mut self.server.disk;
        (disk.extra_delay_us, disk.writes_to_fail, disk.flush_failure) = (0, 0, None);
        let count = u8::try_from(self.clients.len()).unwrap_or(u8::MAX);
        for node in (0..=count).map(NodeId) {
            self.set_isolated(node, false, writer);
            self.resume(node, writer);
            self.restart(node, writer);
            self.set_clock_rate(node, 0, writer);
        }
    }
}

/// Returns the nearest number with 32 bits. A valid run has no others: see [`Run::validate`].
///
/// [`Run::validate`]: crate::run::Run::validate
pub(super) fn clamp_to_i32(number: i128) -> i32 {
    let limit = if number < 0 { i32::MIN } else { i32::MAX };
    i32::try_from(number).unwrap_or(limit)
}

//! The network: links, and the packets in flight.

use leasehold_core::id::Token;
use leasehold_core::rng::Rng;
use leasehold_core::service::Datagram;
use leasehold_core::wire::Status;

use super::faults::clamp_to_i32;
use super::payload::{Outgoing, Payload};
use super::{SimEvent, TraceWriter, World};
use crate::message::{Message, RefusalCode};
use crate::run::{PacketAction, PacketSelector};
use crate::trace::{
    LinkId, LockId, LossCause, NodeId, PacketId, PacketSummary, RecordId, RecordKind,
};
use crate::virtual_time::VirtualTime;

/// A packet in flight.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) selector: PacketSelector,
    pub(super) payload: Payload,
    pub(super) summary: PacketSummary,
    pub(super) sent_record: RecordId,
    pub(super) sent_at: VirtualTime,
    pub(super) arrives_at: VirtualTime,
    pub(super) loss: Option<LossCause>,
}

/// One direction between two nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) packets_sent: u64,
    /// The number of packets sent, per kind of message.
    message_counts: [u32; Message::ALL.len()],
    pub(super) cut: bool,
    pub(super) loss_ppm: u64,
    pub(super) delay_us: u64,
}

/// The transmission of one packet. All random numbers are generated for every packet, so that one
/// outcome does not change the others.
struct Transit {
    latency: u64,
    loss: Option<LossCause>,
    copy_delay: Option<u64>,
}

impl World {
    pub(super) fn link_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        let nodes = self.clients.len() + 1;
        self.links.get_mut(usize::from(link.from.0) * nodes + usize::from(link.to.0))
    }

    /// Sends a packet.
    pub(super) fn send(
        &mut self,
        from: NodeId,
        to: NodeId,
        message: Outgoing,
        writer: &mut TraceWriter<'_>,
    ) {
        let summary = self.summarize(to, &message);
        let link = LinkId { from, to };
        let mut network = self.context.run.config.network;
        if self.faults_ended {
            (network.loss_ppm, network.duplicate_ppm, network.late_ppm) = (0, 0, 0);
        }
        let seed = self.context.run.seed;
        let Some(state) = self.link_mut(link) else { return };
        state.packets_sent += 1;
        let count = &mut state.message_counts[summary.message as usize];
        *count += 1;
        let selector = PacketSelector { link, message: summary.message, nth: *count };
        let key = u64::from(from.0) << 56 | u64::from(to.0) << 48 | state.packets_sent;
        let mut rng = Rng::with_stream(seed, key);
        let mut transit = Transit {
            latency: rng.between(network.latency_min_us, network.latency_max_us),
            loss: rng.chance(network.loss_ppm.max(state.loss_ppm)).then_some(LossCause::Network),
            copy_delay: None,
        };
        let is_duplicated = rng.chance(network.duplicate_ppm);
        let copy_delay = rng.between(network.latency_min_us, network.latency_max_us);
        transit.copy_delay = is_duplicated.then_some(copy_delay);
        let (is_late, late_us) = (rng.chance(network.late_ppm), rng.below(network.late_max_us + 1));
        transit.latency += if is_late { late_us } else { 0 } + state.delay_us;
        if state.cut {
            transit.loss = Some(LossCause::Cut);
        }
        self.apply_planned_actions(selector, &mut transit);
        let payload = self.context.encoding.encode(message);
        self.transmit(selector, payload, summary, &transit, writer);
    }

    /// Applies the interventions that select this packet.
    fn apply_planned_actions(&self, selector: PacketSelector, transit: &mut Transit) {
        for action in self.context.on_send.get(&selector).into_iter().flatten() {
            match action {
                PacketAction::Drop => transit.loss = Some(LossCause::Dropped),
                PacketAction::Duplicate { after_ms } => {
                    transit.copy_delay = Some(after_ms.saturating_mul(1_000));
                }
                PacketAction::Delay { by_ms } => {
                    transit.latency = transit.latency.saturating_add(by_ms.saturating_mul(1_000));
                }
                PacketAction::Deliver => (transit.latency, transit.loss) = (0, None),
            }
        }
    }

    fn transmit(
        &mut self,
        selector: PacketSelector,
        payload: Payload,
        summary: PacketSummary,
        transit: &Transit,
        writer: &mut TraceWriter<'_>,
    ) {
        let sent_record = self.record(writer, selector.link.from, RecordKind::Sent(summary));
        let arrives_at = self.now + transit.latency;
        let packet = Packet {
            selector,
            payload,
            summary,
            sent_record,
            sent_at: self.now,
            arrives_at,
            loss: transit.loss,
        };
        if let Some(copy_delay) = transit.copy_delay {
            let copy_id = PacketId(self.packet_count);
            let cause = std::mem::replace(&mut writer.cause, sent_record);
            self.record(
                writer,
                selector.link.from,
                RecordKind::Duplicated { packet: summary, copy: copy_id },
            );
            writer.cause = cause;
            let summary = PacketSummary { id: copy_id, ..summary };
            let lost = transit.loss.filter(|cause| *cause == LossCause::Cut);
            self.schedule_packet(Packet {
                summary,
                arrives_at: arrives_at + copy_delay,
                loss: lost,
                ..packet.clone()
            });
        }
        self.schedule_packet(packet);
    }

    fn schedule_packet(&mut self, packet: Packet) {
        let id = packet.summary.id;
        self.packet_count = self.packet_count.max(id.0 + 1);
        if packet.loss.is_some() {
            let transit = packet.arrives_at.as_micros() - packet.sent_at.as_micros();
            self.schedule(packet.sent_at + transit / 2, SimEvent::PacketLost(id));
        } else {
            self.schedule(packet.arrives_at, SimEvent::PacketArrives(id));
        }
        self.packets.insert(packet);
    }

    fn summarize(&mut self, peer: NodeId, message: &Outgoing) -> PacketSummary {
        let packet = PacketId(self.packet_count);
        self.packet_count += 1;
        let (message, lock, number, seq, refusal) = match message {
            Outgoing::Request(request) => {
                let operation = &request.operation;
                let lock =
                    operation.resource_name().map_or(LockId::NONE, |name| self.lock_id(name));
                let token = operation.token().map_or(0, Token::number);
                (Message::from_operation(operation), lock, token, request.seq, None)
            }
            Outgoing::Reply(Datagram { reply, .. }) => {
                let (lock, number) = self.summarize_status(&reply.status);
                let refusal = if let Status::Refused(refusal) = &reply.status {
                    Some(RefusalCode::from_refusal(refusal))
                } else {
                    None
                };
                (Message::from_status(&reply.status), lock, number, reply.request_seq, refusal)
            }
        };
        let (value, seq) = (number.into(), seq.into());
        PacketSummary { id: packet, peer, message, lock, value, seq, refusal }
    }

    fn summarize_status(&self, status: &Status) -> (LockId, u64) {
        match status {
            Status::Welcome { session_key: session, .. } => {
                (LockId::NONE, self.session_id_for_key(*session))
            }
            Status::Granted { lock, token, .. } => (self.lock_id(lock), token.number()),
            Status::Queued { lock, .. }
            | Status::Cancelled { lock }
            | Status::Released { lock } => (self.lock_id(lock), 0),
            Status::Appended { file, offset, .. } | Status::Applied { file, offset, .. } => {
                let lock = self.lock_id(file);
                (lock, self.line_number_at(lock, *offset))
            }
            Status::Retry { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. }
            | Status::Refused(_) => (LockId::NONE, 0),
        }
    }

    /// Delivers a packet to its receiver.
    pub(super) fn deliver_packet(&mut self, id: PacketId, writer: &mut TraceWriter<'_>) {
        let Some(index) = self.packets.index_of(id) else { return };
        let packet = self.packets.get_at(index);
        if packet.arrives_at != self.now || packet.loss.is_some() {
            // The packet was rescheduled or lost after this event was scheduled.
            return;
        }
        let LinkId { from, to } = packet.selector.link;
        if self.defer(to, SimEvent::PacketArrives(id)) {
            return;
        }
        let Some(packet) = self.packets.remove_at(index) else { return };
        writer.cause = packet.sent_record;
        let summary = PacketSummary { peer: from, ..packet.summary };
        if !self.is_up(to) {
            self.record(
                writer,
                to,
                RecordKind::Lost { packet: summary, cause: LossCause::NodeDown },
            );
            return;
        }
        self.record_as_cause(writer, to, RecordKind::Arrived(summary));
        if to.is_server() {
            self.server_receives(from, &packet.payload, writer);
        } else {
            self.client_receives(to, packet.payload, writer);
        }
    }

    pub(super) fn lose_packet(&mut self, id: PacketId, writer: &mut TraceWriter<'_>) {
        let Some(packet) = self.packets.get(id) else { return };
        let Some(cause) = packet.loss else { return };
        let (summary, from, sent_record) =
            (packet.summary, packet.selector.link.from, packet.sent_record);
        self.packets.remove(id);
        writer.cause = sent_record;
        self.record(writer, from, RecordKind::Lost { packet: summary, cause });
    }

    /// Applies an action to a packet in flight.
    pub(super) fn apply_packet_action(
        &mut self,
        selector: PacketSelector,
        action: PacketAction,
        writer: &mut TraceWriter<'_>,
    ) {
        let found = self.packets.iter().find(|packet| packet.selector == selector);
        let Some(packet) = found.cloned() else { return };
        let id = packet.summary.id;
        writer.cause = packet.sent_record;
        match action {
            PacketAction::Drop => {
                if let Some(packet) = self.packets.get_mut(id) {
                    packet.loss = Some(LossCause::Dropped);
                }
                self.lose_packet(id, writer);
            }
            PacketAction::Duplicate { after_ms } => {
                let copy_id = PacketId(self.packet_count);
                self.record(
                    writer,
                    selector.link.from,
                    RecordKind::Duplicated { packet: packet.summary, copy: copy_id },
                );
                let summary = PacketSummary { id: copy_id, ..packet.summary };
                let arrives_at = packet.arrives_at + after_ms.saturating_mul(1_000);
                self.schedule_packet(Packet { summary, arrives_at, ..packet });
            }
            PacketAction::Delay { by_ms } => {
                self.reschedule_packet(id, packet.arrives_at + by_ms.saturating_mul(1_000), writer);
            }
            PacketAction::Deliver => self.reschedule_packet(id, self.now, writer),
        }
    }

    fn reschedule_packet(
        &mut self,
        id: PacketId,
        arrives_at: VirtualTime,
        writer: &mut TraceWriter<'_>,
    ) {
        let Some(packet) = self.packets.get_mut(id) else { return };
        let (summary, from) = (packet.summary, packet.selector.link.from);
        let extra = i128::from(arrives_at.as_millis()) - i128::from(packet.arrives_at.as_millis());
        packet.arrives_at = arrives_at;
        packet.loss = None;
        let by_ms = clamp_to_i32(extra);
        self.record(writer, from, RecordKind::Rescheduled { packet: summary, by_ms });
        self.schedule(arrives_at, SimEvent::PacketArrives(id));
    }
}

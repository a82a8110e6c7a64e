//! Packets on their way.

use leasehold_core::id::Token;
use leasehold_core::rng::Rng;
use leasehold_core::wire::{Reply, Request, Status};

use super::{Due, Pen, World};
use crate::message::{Code, Message};
use crate::moment::Moment;
use crate::run::{Fate, PacketName};
use crate::trace::{About, Kind, LinkNo, LockNo, LossCause, NodeNo, PacketNo, RecordNo};

/// What a packet carries.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Request(Request),
    Reply(Reply),
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) name: PacketName,
    pub(super) payload: Payload,
    pub(super) about: About,
    pub(super) sent: RecordNo,
    pub(super) sent_at: Moment,
    pub(super) arrives: Moment,
    pub(super) lost: Option<LossCause>,
}

/// One way between two nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) sent: u64,
    /// How many there were of each message.
    counts: [u32; Message::ALL.len()],
    pub(super) cut: bool,
    pub(super) loss_ppm: u64,
    pub(super) delay_us: u64,
}

/// What becomes of one packet. Drawn as a whole, so that one fate never shifts another.
struct Way {
    latency: u64,
    lost: Option<LossCause>,
    copy: Option<u64>,
}

impl World {
    pub(super) fn link_mut(&mut self, link: LinkNo) -> Option<&mut Link> {
        let nodes = self.clients.len() + 1;
        self.links.get_mut(usize::from(link.from.0) * nodes + usize::from(link.to.0))
    }

    /// Puts a packet on its way.
    pub(super) fn send(&mut self, from: NodeNo, to: NodeNo, payload: Payload, pen: &mut Pen<'_>) {
        let about = self.about(to, &payload);
        let link = LinkNo { from, to };
        let mut network = self.fixed.run.config.network;
        if self.calm {
            (network.loss_ppm, network.duplicate_ppm, network.late_ppm) = (0, 0, 0);
        }
        let seed = self.fixed.run.seed;
        let Some(state) = self.link_mut(link) else { return };
        state.sent += 1;
        let count = &mut state.counts[about.message as usize];
        *count += 1;
        let name = PacketName { link, message: about.message, nth: *count };
        let key = u64::from(from.0) << 56 | u64::from(to.0) << 48 | state.sent;
        let mut rng = Rng::keyed(seed, key);
        let mut way = Way {
            latency: rng.between(network.latency_min_us, network.latency_max_us),
            lost: rng.happens(network.loss_ppm.max(state.loss_ppm)).then_some(LossCause::Network),
            copy: None,
        };
        let copied = rng.happens(network.duplicate_ppm);
        let apart = rng.between(network.latency_min_us, network.latency_max_us);
        way.copy = copied.then_some(apart);
        let (late, by) = (rng.happens(network.late_ppm), rng.below(network.late_max_us + 1));
        way.latency += if late { by } else { 0 } + state.delay_us;
        if state.cut {
            way.lost = Some(LossCause::Cut);
        }
        self.adjust(name, &mut way);
        self.dispatch(name, payload, about, &way, pen);
    }

    /// What was decided about this very packet before it was sent.
    fn adjust(&self, name: PacketName, way: &mut Way) {
        for fate in self.fixed.on_sending.get(&name).into_iter().flatten() {
            match fate {
                Fate::Drop => way.lost = Some(LossCause::Dropped),
                Fate::Duplicate { after_ms } => way.copy = Some(after_ms * 1_000),
                Fate::Delay { by_ms } => way.latency += by_ms * 1_000,
                Fate::Deliver => (way.latency, way.lost) = (0, None),
            }
        }
    }

    fn dispatch(
        &mut self,
        name: PacketName,
        payload: Payload,
        about: About,
        way: &Way,
        pen: &mut Pen<'_>,
    ) {
        let sent = self.record(pen, name.link.from, Kind::Sent(about));
        let arrives = self.now + way.latency;
        let packet =
            Packet { name, payload, about, sent, sent_at: self.now, arrives, lost: way.lost };
        if let Some(apart) = way.copy {
            let copy = PacketNo(self.packet_count);
            let cause = std::mem::replace(&mut pen.cause, sent);
            self.record(pen, name.link.from, Kind::Doubled { about, copy });
            pen.cause = cause;
            let about = About { packet: copy, ..about };
            let lost = way.lost.filter(|cause| *cause == LossCause::Cut);
            self.launch(Packet { about, arrives: arrives + apart, lost, ..packet.clone() });
        }
        self.launch(packet);
    }

    fn launch(&mut self, packet: Packet) {
        let no = packet.about.packet;
        self.packet_count = self.packet_count.max(no.0 + 1);
        if packet.lost.is_some() {
            let way = packet.arrives.as_micros() - packet.sent_at.as_micros();
            self.schedule(packet.sent_at + way / 2, Due::Lose(no));
        } else {
            self.schedule(packet.arrives, Due::Arrive(no));
        }
        self.packets.insert(packet);
    }

    fn about(&mut self, peer: NodeNo, payload: &Payload) -> About {
        let packet = PacketNo(self.packet_count);
        self.packet_count += 1;
        let (message, lock, number, seq, refusal) = match payload {
            Payload::Request(request) => {
                let operation = &request.operation;
                let lock = operation.name().map_or(LockNo::NONE, |name| self.lock_no(name));
                let token = operation.token().map_or(0, Token::number);
                (Message::of_operation(operation), lock, token, request.seq, None)
            }
            Payload::Reply(reply) => {
                let (lock, number) = self.about_status(&reply.status);
                let refusal = if let Status::Refused(refusal) = &reply.status {
                    Some(Code::of(refusal))
                } else {
                    None
                };
                (Message::of_status(&reply.status), lock, number, reply.re, refusal)
            }
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let seq = u32::try_from(seq.number()).unwrap_or(u32::MAX);
        About { packet, peer, message, lock, number, seq, refusal }
    }

    fn about_status(&self, status: &Status) -> (LockNo, u64) {
        match status {
            Status::Welcome { session, .. } => (LockNo::NONE, self.session_number(*session)),
            Status::Granted { lock, token, .. } => (self.lock_no(lock), token.number()),
            Status::Queued { lock, .. }
            | Status::Cancelled { lock }
            | Status::Released { lock } => (self.lock_no(lock), 0),
            Status::Appended { file, offset, .. } | Status::Applied { file, offset, .. } => {
                let lock = self.lock_no(file);
                (lock, self.line_at(lock, *offset))
            }
            Status::Retry { .. }
            | Status::NotApplied
            | Status::Forgotten
            | Status::Alive { .. }
            | Status::Closed { .. }
            | Status::Refused(_) => (LockNo::NONE, 0),
        }
    }

    /// A packet is where it was sent to.
    pub(super) fn arrive(&mut self, no: PacketNo, pen: &mut Pen<'_>) {
        let Some(place) = self.packets.place(no) else { return };
        let packet = self.packets.at(place);
        if packet.arrives != self.now || packet.lost.is_some() {
            // It was moved, or lost, after this was set.
            return;
        }
        let LinkNo { from, to } = packet.name.link;
        if self.defer(to, Due::Arrive(no)) {
            return;
        }
        let Some(packet) = self.packets.take(place) else { return };
        pen.cause = packet.sent;
        let about = About { peer: from, ..packet.about };
        if !self.is_up(to) {
            self.record(pen, to, Kind::Lost { about, why: LossCause::Dead });
            return;
        }
        self.chain(pen, to, Kind::Arrived(about));
        match packet.payload {
            Payload::Request(request) => self.server_receives(from, &request, pen),
            Payload::Reply(reply) => self.client_receives(to, reply, pen),
        }
    }

    pub(super) fn lose(&mut self, no: PacketNo, pen: &mut Pen<'_>) {
        let Some(packet) = self.packets.get(no) else { return };
        let Some(why) = packet.lost else { return };
        let (about, from, sent) = (packet.about, packet.name.link.from, packet.sent);
        self.packets.remove(no);
        pen.cause = sent;
        self.record(pen, from, Kind::Lost { about, why });
    }

    /// Does something to a packet that is on its way.
    pub(super) fn meddle(&mut self, name: PacketName, fate: Fate, pen: &mut Pen<'_>) {
        let found = self.packets.iter().find(|packet| packet.name == name);
        let Some(packet) = found.cloned() else { return };
        let no = packet.about.packet;
        pen.cause = packet.sent;
        match fate {
            Fate::Drop => {
                if let Some(packet) = self.packets.get_mut(no) {
                    packet.lost = Some(LossCause::Dropped);
                }
                self.lose(no, pen);
            }
            Fate::Duplicate { after_ms } => {
                let copy = PacketNo(self.packet_count);
                self.record(pen, name.link.from, Kind::Doubled { about: packet.about, copy });
                let about = About { packet: copy, ..packet.about };
                let arrives = packet.arrives + after_ms * 1_000;
                self.launch(Packet { about, arrives, ..packet });
            }
            Fate::Delay { by_ms } => self.move_to(no, packet.arrives + by_ms * 1_000, pen),
            Fate::Deliver => self.move_to(no, self.now, pen),
        }
    }

    fn move_to(&mut self, no: PacketNo, arrives: Moment, pen: &mut Pen<'_>) {
        let Some(packet) = self.packets.get_mut(no) else { return };
        let (about, from) = (packet.about, packet.name.link.from);
        let by = i128::from(arrives.as_millis()) - i128::from(packet.arrives.as_millis());
        packet.arrives = arrives;
        packet.lost = None;
        let by_ms = i32::try_from(by).unwrap_or(i32::MAX);
        self.record(pen, from, Kind::Moved { about, by_ms });
        self.schedule(arrives, Due::Arrive(no));
    }
}

//! The faults that a search injects at each step of a run.
//!
//! - Times are not random: a fault of a node is injected right after a step of that node, and a
//!   fault of a packet when the packet is sent.
//! - The duration of a fault is one of a few values, shorter and longer than a lease.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::run::{Action, Config, Intervention, PacketAction, PacketSelector};
use crate::trace::{LinkId, NodeId, Record, RecordKind};
use crate::world::World;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A node crashes, with or without a restart.
    Crash,
    /// A node is paused.
    Pause,
    /// A node is cut off in one or both directions, temporarily or permanently.
    Partition,
    /// A clock jumps or drifts.
    Clock,
    /// A packet is lost, duplicated or delayed.
    Packet,
    /// The disk fails, or is slow.
    Disk,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Crash, Self::Pause, Self::Partition, Self::Clock, Self::Packet, Self::Disk];

    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::Clock => "clock",
            Self::Packet => "packet",
            Self::Disk => "disk",
        }
    }

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One fault, with its end if it has one.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Whether it must be injected before the step that it concerns.
    pub(super) before_step: bool,
    pub(super) interventions: Vec<Intervention>,
}

/// Lists the faults that can be injected at each step of a run.
#[derive(Clone, Debug)]
pub(super) struct FaultCatalog {
    kinds: Vec<FaultKind>,
    lease_ms: u64,
    retransmit_ms: u64,
    drift_ppm: i64,
    /// The number of packets sent so far, per link and message.
    sent: BTreeMap<(LinkId, Message), u32>,
}

impl FaultCatalog {
    pub(super) fn new(config: &Config, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
            lease_ms: config.lease_ms,
            retransmit_ms: config.retransmit_ms,
            drift_ppm: i64::try_from(config.drift_ppm / 2).unwrap_or(i64::MAX),
            sent: BTreeMap::new(),
        }
    }

    /// Returns the faults to inject at a step that produced these records; `after` is the world
    /// after it. Call it for every step in order, because it counts packets.
    pub(super) fn candidates(&mut self, after: &World, records: &[Record]) -> Vec<Fault> {
        let mut faults = Vec::new();
        // The next whole millisecond: interventions have this precision, and must not be in the
        // past.
        let at_ms = after.now().as_millis() + 1;
        let mut nodes: Vec<NodeId> = records.iter().map(|record| record.node).collect();
        nodes.dedup();
        for node in nodes {
            self.add_node_faults(node, at_ms, &mut faults);
        }
        for record in records {
            if let RecordKind::Sent(summary) = record.kind {
                let link = LinkId { from: record.node, to: summary.peer };
                let nth = self.sent.entry((link, summary.message)).or_default();
                *nth += 1;
                let selector = PacketSelector { link, message: summary.message, nth: *nth };
                self.add_packet_faults(selector, &mut faults);
            }
        }
        faults
    }

    fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Longer than a lease, so that other clients make progress meanwhile.
    const fn long_ms(&self) -> u64 {
        self.lease_ms + self.lease_ms * 2 / 5
    }

    fn add_node_faults(&self, node: NodeId, at_ms: u64, faults: &mut Vec<Fault>) {
        let mut add = |actions: &[(u64, Action)]| {
            let interventions = actions
                .iter()
                .map(|(later, action)| Intervention::at(at_ms + later, action.clone()))
                .collect();
            faults.push(Fault { before_step: false, interventions });
        };
        let (half, long) = (self.lease_ms / 2, self.long_ms());
        if self.has(FaultKind::Crash) {
            let crash = Action::Crash { node, keeps_unflushed: false };
            for after in [self.retransmit_ms, self.lease_ms / 5, long] {
                add(&[(0, crash.clone()), (after, Action::Restart { node })]);
            }
            if !node.is_server() {
                add(&[(0, crash)]);
            }
        }
        if self.has(FaultKind::Pause) {
            for ms in [half, long] {
                add(&[(0, Action::Pause { node, ms })]);
            }
        }
        if self.has(FaultKind::Partition) {
            add(&[(0, Action::Isolate { node })]);
            for after in [half, long] {
                add(&[(0, Action::Isolate { node }), (after, Action::Rejoin { node })]);
            }
            if !node.is_server() {
                let to = LinkId { from: node, to: NodeId::SERVER };
                let from = LinkId { from: NodeId::SERVER, to: node };
                for link in [to, from] {
                    add(&[(0, Action::Cut { link })]);
                    add(&[(0, Action::Cut { link }), (long, Action::Heal { link })]);
                }
            }
        }
        if self.has(FaultKind::Clock) {
            let ms = i64::try_from(long).unwrap_or(i64::MAX);
            add(&[(0, Action::Skew { node, ms })]);
            add(&[(0, Action::Skew { node, ms: -ms })]);
            add(&[(0, Action::Drift { node, ppm: self.drift_ppm })]);
            add(&[(0, Action::Drift { node, ppm: -self.drift_ppm })]);
        }
        if self.has(FaultKind::Disk) && node.is_server() {
            add(&[(0, Action::FailFlush { keeps_unflushed: false })]);
            add(&[(0, Action::FailFlush { keeps_unflushed: true })]);
            add(&[(0, Action::FailWrites { count: 1 })]);
            add(&[(0, Action::SlowDisk { by_ms: half })]);
        }
    }

    fn add_packet_faults(&self, selector: PacketSelector, faults: &mut Vec<Fault>) {
        if !self.has(FaultKind::Packet) {
            return;
        }
        let (half, long) = (self.lease_ms / 2, self.long_ms());
        let actions = [
            PacketAction::Drop,
            PacketAction::Duplicate { after_ms: half },
            PacketAction::Duplicate { after_ms: long },
            PacketAction::Delay { by_ms: half },
            PacketAction::Delay { by_ms: long },
        ];
        for action in actions {
            let intervention =
                Intervention::on_send(Action::Packet { packet: selector, packet_action: action });
            faults.push(Fault { before_step: true, interventions: vec![intervention] });
        }
    }
}

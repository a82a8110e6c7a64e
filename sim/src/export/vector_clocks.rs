//! Vector clocks, made of the packets of a trace.
//!
//! Every node counts its own records; whoever gets a packet knows all that its sender knew when it
//! was sent. Source: Fidge, "Timestamps in message-passing systems that preserve the partial
//! ordering", ACSC 1988; Mattern, "Virtual time and global states of distributed systems", 1988.

use std::collections::BTreeMap;

use crate::trace::{PacketId, Record, RecordKind};

/// Goes through a trace, and keeps the clock of every node.
#[derive(Clone, Debug)]
pub(super) struct VectorClocks {
    nodes: Vec<Vec<u32>>,
    /// What senders knew, of each packet on its way.
    in_flight: BTreeMap<PacketId, Vec<u32>>,
}

impl VectorClocks {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes: vec![vec![0; nodes]; nodes], in_flight: BTreeMap::new() }
    }

    /// The clock of the record's node, behind it.
    pub(super) fn observe(&mut self, record: &Record) -> &[u32] {
        let node = usize::from(record.node.0);
        self.nodes[node][node] += 1;
        if let RecordKind::Arrived(packet) = record.kind
            && let Some(known) = self.in_flight.remove(&packet.id)
        {
            for (own, other) in self.nodes[node].iter_mut().zip(known) {
                *own = other.max(*own);
            }
        }
        #[allow(clippy::wildcard_enum_match_arm, reason = "only what is sent is known of")]
        let packet_id = match record.kind {
            RecordKind::Sent(packet) => Some(packet.id),
            RecordKind::Duplicated { copy, .. } => Some(copy),
            _ => None,
        };
        if let Some(packet_id) = packet_id {
            self.in_flight.insert(packet_id, self.nodes[node].clone());
        }
        &self.nodes[node]
    }
}

//! Vector clocks, computed from the packets of a trace.
//!
//! Each node counts its own records. A node that receives a packet merges the clock that the sender
//! had when it sent the packet. Source: Fidge, "Timestamps in message-passing systems that preserve
//! the partial ordering", ACSC 1988; Mattern, "Virtual time and global states of distributed
//! systems", 1988.

use std::collections::BTreeMap;

use crate::trace::{PacketId, PacketSummary, Record, RecordKind};

/// The clock of each node after the records so far.
#[derive(Clone, Debug)]
pub(super) struct VectorClocks {
    nodes: Vec<Vec<u32>>,
    /// The sender's clock, for each packet in transit.
    in_flight: BTreeMap<PacketId, Vec<u32>>,
}

impl VectorClocks {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes: vec![vec![0; nodes]; nodes], in_flight: BTreeMap::new() }
    }

    /// Applies a record, and returns the clock of its node after it.
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
        if let RecordKind::Sent(PacketSummary { id, .. })
        | RecordKind::Duplicated { copy: id, .. } = record.kind
        {
            self.in_flight.insert(id, self.nodes[node].clone());
        }
        &self.nodes[node]
    }
}

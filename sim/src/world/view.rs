//! Read-only views of a world: packets in flight, links, and clocks.

use leasehold_core::time::Time;

use super::World;
use crate::run::PacketSelector;
use crate::trace::{LinkId, NodeId, PacketSummary, RecordId};
use crate::virtual_time::VirtualTime;

/// A packet in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketView {
    /// Identifies the packet within its run.
    pub selector: PacketSelector,
    /// The packet's content.
    pub summary: PacketSummary,
    /// The record that it was sent.
    pub sent_record: RecordId,
    /// When it was sent.
    pub sent_at: VirtualTime,
    /// When it arrives, or would arrive if it is lost.
    pub arrives_at: VirtualTime,
    /// Whether it will be lost halfway. This reveals the future: do not show it before a
    /// prediction.
    pub will_be_lost: bool,
}

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkView {
    /// Whether every packet is lost.
    pub is_cut: bool,
    /// The loss rate of this link, in parts per million. The higher of this and the network's
    /// applies.
    pub loss_ppm: u64,
    /// The additional latency of this link, in microseconds.
    pub delay_us: u64,
}

/// The deviation of a node's clock from a correct clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockView {
    /// How far the clock is ahead, in milliseconds; negative if it is behind.
    pub ahead_ms: i64,
    /// The clock's rate relative to virtual time, in parts per million.
    pub rate_ppm: i64,
}

impl World {
    /// Iterates over the packets in flight, in the order in which they were sent.
    pub fn packets(&self) -> impl Iterator<Item = PacketView> + '_ {
        self.packets.iter().map(|packet| PacketView {
            selector: packet.selector,
            summary: packet.summary,
            sent_record: packet.sent_record,
            sent_at: packet.sent_at,
            arrives_at: packet.arrives_at,
            will_be_lost: packet.loss.is_some(),
        })
    }

    /// Returns the state of a link; a healthy link if one of the nodes does not exist.
    pub fn link(&self, link: LinkId) -> LinkView {
        let nodes = self.clients.len() + 1;
        let state = self.links.get(usize::from(link.from.0) * nodes + usize::from(link.to.0));
        state.map_or_else(LinkView::default, |state| LinkView {
            is_cut: state.cut,
            loss_ppm: state.loss_ppm,
            delay_us: state.delay_us,
        })
    }

    /// Returns the deviation of a node's clock.
    pub fn clock_view(&self, node: NodeId) -> ClockView {
        let clock = self.clock(node);
        let nominal = self.now.as_millis() + super::clients::clock_offset_ms(node);
        let ahead_ms = i128::from(clock.read(self.now).as_millis()) - i128::from(nominal);
        let ahead_ms = i64::try_from(ahead_ms).unwrap_or(i64::MAX);
        ClockView { ahead_ms, rate_ppm: clock.rate_ppm() }
    }

    /// Returns when a node's clock will show `reading` at its current rate; now if it already has.
    pub fn time_of_reading(&self, node: NodeId, reading: Time) -> VirtualTime {
        self.clock(node).time_of_reading(self.now, reading)
    }
}

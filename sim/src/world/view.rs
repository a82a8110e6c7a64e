//! What a world is like, for those who look at it and change nothing: packets on their way, links,
//! and clocks.

use leasehold_core::time::Time;

use super::World;
use crate::run::PacketSelector;
use crate::trace::{LinkId, NodeId, PacketSummary, RecordId};
use crate::virtual_time::VirtualTime;

/// A packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketView {
    /// How it is named among those of its run.
    pub selector: PacketSelector,
    /// What it says.
    pub summary: PacketSummary,
    /// The record of its sending.
    pub sent_record: RecordId,
    /// When that was.
    pub sent_at: VirtualTime,
    /// When it arrives, or would.
    pub arrives_at: VirtualTime,
    /// Whether it will be lost half the way. Whoever wants others to guess must not tell.
    pub will_be_lost: bool,
}

/// One way between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkView {
    /// Nothing gets through.
    pub is_cut: bool,
    /// How many packets it loses beyond what all links lose, in parts per million.
    pub loss_ppm: u64,
    /// How much longer it takes, in microseconds.
    pub delay_us: u64,
}

/// A node's clock against a right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockView {
    /// By how much it is ahead, in milliseconds; behind where that is negative.
    pub ahead_ms: i64,
    /// How much faster than the world it runs, in parts per million.
    pub rate_ppm: i64,
}

impl World {
    /// The packets on their way, in the order of being sent.
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

    /// One way between two nodes; as if it were whole where there is none.
    pub fn link(&self, link: LinkId) -> LinkView {
        let nodes = self.clients.len() + 1;
        let state = self.links.get(usize::from(link.from.0) * nodes + usize::from(link.to.0));
        state.map_or_else(LinkView::default, |state| LinkView {
            is_cut: state.cut,
            loss_ppm: state.loss_ppm,
            delay_us: state.delay_us,
        })
    }

    /// A node's clock.
    pub fn clock_view(&self, node: NodeId) -> ClockView {
        let clock = self.clock(node);
        let nominal = self.now.as_millis() + super::clients::clock_offset_ms(node);
        let ahead_ms = i128::from(clock.read(self.now).as_millis()) - i128::from(nominal);
        let ahead_ms = i64::try_from(ahead_ms).unwrap_or(i64::MAX);
        ClockView { ahead_ms, rate_ppm: clock.rate_ppm() }
    }

    /// When a node's clock, as it runs now, will show this; now, where it has shown it already.
    pub fn time_of_reading(&self, node: NodeId, reading: Time) -> VirtualTime {
        self.clock(node).time_of_reading(self.now, reading)
    }
}

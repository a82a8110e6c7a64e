//! The packets in flight, sorted by id.
//!
//! Ids increase, and packets leave in roughly the order in which they were sent. A sorted queue
//! with binary search is therefore faster than a tree. The boxes keep insertions and removals
//! cheap.

use std::collections::VecDeque;

use super::network::Packet;
use crate::trace::PacketId;

#[derive(Clone, Debug, Default)]
pub(super) struct InFlightPackets(VecDeque<(PacketId, Box<Packet>)>);

impl InFlightPackets {
    pub(super) fn insert(&mut self, packet: Packet) {
        let id = packet.summary.id;
        // Only a duplicate that is scheduled before its original arrives out of order.
        let later = self.0.iter().rev().take_while(|(other, _)| *other > id).count();
        self.0.insert(self.0.len() - later, (id, Box::new(packet)));
    }

    pub(super) fn remove(&mut self, id: PacketId) -> Option<Box<Packet>> {
        self.0.remove(self.index_of(id)?).map(|(_, packet)| packet)
    }

    pub(super) fn get(&self, id: PacketId) -> Option<&Packet> {
        Some(&self.0[self.index_of(id)?].1)
    }

    pub(super) fn get_mut(&mut self, id: PacketId) -> Option<&mut Packet> {
        let index = self.index_of(id)?;
        Some(&mut self.0[index].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Packet> {
        self.0.iter().map(|(_, packet)| packet.as_ref())
    }

    pub(super) fn get_at(&self, index: usize) -> &Packet {
        &self.0[index].1
    }

    pub(super) fn remove_at(&mut self, index: usize) -> Option<Box<Packet>> {
        self.0.remove(index).map(|(_, packet)| packet)
    }

    pub(super) fn index_of(&self, id: PacketId) -> Option<usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}

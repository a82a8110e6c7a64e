//! The packets on their way, in the order of their numbers.
//!
//! They come with rising numbers and go about as they came. So a queue in order, halved to find
//! one, is quicker than a tree, and no packet is moved in memory while others come and go.

use std::collections::VecDeque;

use super::network::Packet;
use crate::trace::PacketNo;

#[derive(Clone, Debug, Default)]
pub(super) struct Packets(VecDeque<(PacketNo, Box<Packet>)>);

impl Packets {
    pub(super) fn insert(&mut self, packet: Packet) {
        let no = packet.about.packet;
        // Only a copy that is sent along with its original comes with a number out of turn.
        let behind = self.0.iter().rev().take_while(|(other, _)| *other > no).count();
        self.0.insert(self.0.len() - behind, (no, Box::new(packet)));
    }

    pub(super) fn remove(&mut self, no: PacketNo) -> Option<Box<Packet>> {
        self.0.remove(self.place(no)?).map(|(_, packet)| packet)
    }

    pub(super) fn get(&self, no: PacketNo) -> Option<&Packet> {
        Some(&self.0[self.place(no)?].1)
    }

    pub(super) fn get_mut(&mut self, no: PacketNo) -> Option<&mut Packet> {
        let place = self.place(no)?;
        Some(&mut self.0[place].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Packet> {
        self.0.iter().map(|(_, packet)| packet.as_ref())
    }

    pub(super) fn at(&self, place: usize) -> &Packet {
        &self.0[place].1
    }

    pub(super) fn take(&mut self, place: usize) -> Option<Box<Packet>> {
        self.0.remove(place).map(|(_, packet)| packet)
    }

    pub(super) fn place(&self, no: PacketNo) -> Option<usize> {
        self.0.binary_search_by_key(&no, |(no, _)| *no).ok()
    }
}

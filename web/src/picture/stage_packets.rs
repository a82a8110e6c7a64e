//! The packets on the stage, at their current positions.

use leasehold_sim::{LockId, VirtualTime};

use super::shape::{Group, Shape, circle};
use super::stage::{StageOptions, selectable_class};
use super::stage_layout::Layout;
use crate::model::event_category::EventCategory;
use crate::model::scene::{Packet, Scene};
use crate::model::target::Target;

/// More packets than this are drawn without letters, and each moves only in every second frame.
pub(crate) const PACKETS_CROWDED: usize = 300;

/// Draws a packet at its current position. Returns `None` if its link is not on the stage.
pub(super) fn packet_shape(
    layout: &Layout,
    packet: &Packet,
    scene: &Scene,
    now: VirtualTime,
    StageOptions { selected, marks_doomed_packets, reduced_motion }: StageOptions,
    symbols: &mut SymbolCache,
) -> Option<Shape> {
    let link = packet.selector.link;
    let progress = packet.progress(now);
    let progress = if reduced_motion { (progress * 4.0).floor() / 4.0 } else { progress };
    let at = layout.position_on_link(link.from, link.to, progress)?;
    let target = Target::Packet(packet.id);
    let symbol = symbols.shapes_for(packet, layout.packet_radius);
    let is_crowded = scene.packets.len() > PACKETS_CROWDED;
    let mut shapes = Vec::new();
    if !is_crowded {
        shapes.push(circle("hit-area", (0.0, 0.0), layout.packet_radius.max(12.0)));
    }
    if selected == Some(target) {
        shapes.push(circle("halo", (0.0, 0.0), layout.packet_radius + 5.0));
    }
    // Letters are unreadable in a crowd.
    let shapes_shown = if is_crowded { 1 } else { usize::MAX };
    shapes.extend(symbol.iter().take(shapes_shown).cloned());
    if marks_doomed_packets && packet.will_be_lost {
        shapes.push(circle("will-be-lost", (0.0, 0.0), layout.packet_radius + 3.0));
    }
    let label = if is_crowded { String::new() } else { packet_label(packet, scene) };
    Some(Shape::Group(Group {
        class: selectable_class("packet", target, selected),
        at,
        target: Some(target),
        label,
        shapes,
    }))
}

/// The symbols of packets, created once for all packets that look the same.
#[derive(Default)]
pub(super) struct SymbolCache(Vec<(EventCategory, bool, Vec<Shape>)>);

impl SymbolCache {
    fn shapes_for(&mut self, packet: &Packet, r: f64) -> &[Shape] {
        let (category, is_routine) =
            (EventCategory::from_message(packet.message), packet.is_routine);
        let known = self.0.iter().position(|it| (it.0, it.1) == (category, is_routine));
        let index = known.unwrap_or_else(|| {
            let r = if is_routine { r * 0.75 } else { r };
            self.0.push((category, is_routine, category.shapes((0.0, 0.0), r)));
            self.0.len() - 1
        });
        &self.0[index].2
    }
}

fn packet_label(packet: &Packet, scene: &Scene) -> String {
    let link = packet.selector.link;
    let lock = scene.locks.get(usize::from(packet.lock.0)).filter(|_| packet.lock != LockId::NONE);
    let lock = lock.map_or_else(String::new, |lock| format!(" {}", lock.name));
    let client_name = scene.client(if link.from.is_server() { link.to } else { link.from });
    let client_name = client_name.map_or_else(String::new, |client| client.name.to_string());
    let direction = if link.from.is_server() { "to" } else { "from" };
    format!("packet {}{lock} {direction} {client_name}", packet.message.code())
}

//! The packets on the stage, each where it is on its way.

use leasehold_sim::{LockNo, Moment};

use super::glyph::Sign;
use super::shape::{Group, Shape, Target, circle};
use super::stage::{Look, class};
use super::stage_layout::Layout;
use crate::model::scene::{Packet, Scene};

/// More packets than this are drawn without their letters, and moved by turns.
pub(crate) const PACKETS_MANY: usize = 300;

/// A packet where it is by now; nothing where it is on no way.
pub(super) fn packet(
    layout: &Layout,
    packet: &Packet,
    scene: &Scene,
    now: Moment,
    Look { selected, shows_fates, is_still }: Look,
    signs: &mut Signs,
) -> Option<Shape> {
    let link = packet.name.link;
    let progress = packet.progress(now);
    let progress = if is_still { (progress * 4.0).floor() / 4.0 } else { progress };
    let at = layout.on_way(link.from, link.to, progress)?;
    let target = Target::Packet(packet.no);
    let sign = signs.of(packet, layout.packet_r);
    let is_crowded = scene.packets.len() > PACKETS_MANY;
    let mut shapes = Vec::new();
    if !is_crowded {
        shapes.push(circle("reach", (0.0, 0.0), layout.packet_r.max(12.0)));
    }
    if selected == Some(target) {
        shapes.push(circle("halo", (0.0, 0.0), layout.packet_r + 5.0));
    }
    // In such a crowd nobody reads letters.
    let letters = if is_crowded { 1 } else { usize::MAX };
    shapes.extend(sign.iter().take(letters).cloned());
    if shows_fates && packet.is_doomed {
        shapes.push(circle("doomed", (0.0, 0.0), layout.packet_r + 3.0));
    }
    let label = if is_crowded { String::new() } else { packet_label(packet, scene) };
    Some(Shape::Group(Group {
        class: class("packet", target, selected),
        at,
        target: Some(target),
        label,
        shapes,
    }))
}

/// The signs of the packets, each drawn once for all that look the same.
#[derive(Default)]
pub(super) struct Signs(Vec<(Sign, bool, Vec<Shape>)>);

impl Signs {
    fn of(&mut self, packet: &Packet, r: f64) -> &[Shape] {
        let (sign, is_small) = (Sign::of_message(packet.message), packet.is_routine);
        let known = self.0.iter().position(|it| (it.0, it.1) == (sign, is_small));
        let place = known.unwrap_or_else(|| {
            let r = if is_small { r * 0.75 } else { r };
            self.0.push((sign, is_small, sign.shapes((0.0, 0.0), r)));
            self.0.len() - 1
        });
        &self.0[place].2
    }
}

fn packet_label(packet: &Packet, scene: &Scene) -> String {
    let link = packet.name.link;
    let lock = scene.locks.get(usize::from(packet.lock.0)).filter(|_| packet.lock != LockNo::NONE);
    let lock = lock.map_or_else(String::new, |lock| format!(" {}", lock.name));
    let who = scene.client(if link.from.is_server() { link.to } else { link.from });
    let who = who.map_or_else(String::new, |client| client.name.to_string());
    let way = if link.from.is_server() { "to" } else { "from" };
    format!("packet {}{lock} {way} {who}", packet.message.word())
}

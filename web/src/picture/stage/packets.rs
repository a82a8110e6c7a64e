//! The packets on the stage, at their current positions. Packets that would cover each other are
//! drawn as one, with their number.

use leasehold_sim::{LockId, NodeId};

use super::layout::{Arrangement, Layout, LinkPlace};
use super::{StageInput, selectable_class};
use crate::model::event_category::EventCategory;
use crate::model::scene::{Packet, Scene};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, circle, rounded, text};
use crate::picture::text_width::bold_width;

/// More packets than this are drawn without letters, and each moves only in every second frame.
pub(crate) const PACKETS_CROWDED: usize = 300;

/// Packets of a lane that are drawn as one.
struct Bundle<'a> {
    place: LinkPlace,
    /// The first one stands for all.
    first: &'a Packet,
    category: EventCategory,
    count: usize,
    is_selected: bool,
    will_be_lost: bool,
    is_routine: bool,
}

/// Draws all packets in flight.
pub(super) fn packet_shapes(input: &StageInput<'_>, layout: &Layout) -> Vec<Shape> {
    let mut symbols = SymbolCache::default();
    let is_crowded = input.scene.packets.len() > PACKETS_CROWDED;
    let bundles = bundles(input, layout);
    bundles.iter().map(|it| bundle_shape(input, layout, it, is_crowded, &mut symbols)).collect()
}

/// Places the packets, and bundles those of a lane that are closer than their size.
fn bundles<'a>(input: &StageInput<'a>, layout: &Layout) -> Vec<Bundle<'a>> {
    let mut placed: Vec<(LinkPlace, &Packet)> = Vec::new();
    for packet in &input.scene.packets {
        let link = packet.selector.link;
        let progress = packet.progress(input.now);
        let progress = if input.reduced_motion { (progress * 4.0).floor() / 4.0 } else { progress };
        if let Some(place) = layout.place_on_link(link.from, link.to, progress) {
            placed.push((place, packet));
        }
    }
    // By lane, and along it. Packets at the same place are in the order of their ids.
    placed.sort_by(|(a, _), (b, _)| {
        a.lane.cmp(&b.lane).then(a.at.0.total_cmp(&b.at.0)).then(a.at.1.total_cmp(&b.at.1))
    });
    // In a crowd, the number needs its own room.
    let is_column = matches!(layout.arrangement, Arrangement::Column | Arrangement::NarrowColumn);
    let reach = layout.packet_radius * if is_column { 2.1 } else { 4.5 };
    let mut bundles: Vec<Bundle<'a>> = Vec::new();
    for (place, packet) in placed {
        let is_selected = input.selected == Some(Target::Packet(packet.id));
        let category = EventCategory::from_message(packet.message);
        let will_be_lost = input.marks_doomed_packets && packet.will_be_lost;
        match bundles.last_mut() {
            Some(last)
                if last.place.lane == place.lane && distance(last.place.at, place.at) < reach =>
            {
                last.count += 1;
                last.is_selected |= is_selected;
                last.will_be_lost |= will_be_lost;
                // A heartbeat says least.
                if last.is_routine && !packet.is_routine {
                    (last.category, last.is_routine) = (category, false);
                }
                if packet.id < last.first.id {
                    last.first = packet;
                }
            }
            Some(_) | None => bundles.push(Bundle {
                place,
                first: packet,
                category,
                count: 1,
                is_selected,
                will_be_lost,
                is_routine: packet.is_routine,
            }),
        }
    }
    // The painter reuses elements best if they keep their order.
    bundles.sort_by_cached_key(|bundle| u64::from(bundle.first.id.0));
    bundles
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

fn bundle_shape(
    input: &StageInput<'_>,
    layout: &Layout,
    bundle: &Bundle<'_>,
    is_crowded: bool,
    symbols: &mut SymbolCache,
) -> Shape {
    let r = layout.packet_radius;
    let target = Target::Packet(bundle.first.id);
    let mut shapes = Vec::new();
    if !is_crowded {
        shapes.push(circle("hit-area", (0.0, 0.0), r.max(12.0)));
    }
    if bundle.is_selected {
        shapes.push(circle("halo", (0.0, 0.0), r + 5.0));
    }
    if bundle.count > 1 {
        shapes.extend(counted_symbol(bundle.category, bundle.count, r));
    } else {
        // Letters are unreadable in a crowd.
        let shapes_shown = if is_crowded { 1 } else { usize::MAX };
        let symbol = symbols.shapes_for(bundle.category, bundle.is_routine, r);
        shapes.extend(symbol.iter().take(shapes_shown).cloned());
    }
    if bundle.will_be_lost {
        shapes.push(circle("will-be-lost", (0.0, 0.0), r + 3.0));
    }
    let label = match bundle.count {
        _ if is_crowded => String::new(),
        1 => packet_label(bundle.first, input.scene),
        count => format!("{count} packets, {}", packet_label(bundle.first, input.scene)),
    };
    Shape::Group(Group {
        class: if bundle.is_selected {
            "packet selected".into()
        } else {
            selectable_class("packet", target, input.selected)
        },
        at: bundle.place.at,
        target: Some(target),
        label,
        shapes,
    })
}

/// Draws the symbol of a bundle with the number of its packets instead of a letter.
fn counted_symbol(category: EventCategory, count: usize, r: f64) -> Vec<Shape> {
    let label = count.to_string();
    let size = (r * 1.25).max(8.0);
    let number = text("letter", (0.0, size * 0.36), Anchor::Middle, size, label.clone());
    let is_large =
        matches!(category, EventCategory::Grant | EventCategory::Append | EventCategory::Release);
    if is_large && count < 100 {
        return vec![category.outline((0.0, 0.0), size * 1.05, "symbol"), number];
    }
    // The number needs more room than the symbol has.
    let (width, height) = (bold_width(&label, size) + size * 0.5, size * 1.15);
    let at = (-width / 2.0, -height / 2.0);
    vec![
        category.outline((0.0, 0.0), size * 1.1, "symbol"),
        rounded("count-badge", at, (width, height), height / 2.0),
        number,
    ]
}

/// Draws the packets that were lost recently, and the decisions of a live server whose packets are
/// not visible. Each lane shows one at a place.
pub(super) fn trace_shapes(input: &StageInput<'_>, layout: &Layout) -> Vec<Shape> {
    let scene = input.scene;
    let r = layout.packet_radius;
    let mut taken: Vec<LinkPlace> = Vec::new();
    let mut is_free = |place: LinkPlace| {
        let is_taken =
            |it: &LinkPlace| it.lane == place.lane && distance(it.at, place.at) < r * 2.0;
        let is_free = !taken.iter().any(is_taken);
        taken.push(place);
        is_free
    };
    let mut shapes = Vec::new();
    for loss in &scene.losses {
        let fraction = if loss.is_at_receiver { 1.0 } else { 0.5 };
        let place = layout.place_on_link(loss.link.from, loss.link.to, fraction);
        if let Some(place) = place.filter(|place| is_free(*place)) {
            shapes.extend(EventCategory::cross(place.at, r * 0.8, "loss-mark"));
        }
    }
    for decision in &scene.decisions {
        // At the server's end of the link: the client may not know of the decision yet.
        let place = layout.place_on_link(decision.client, NodeId::SERVER, 0.92);
        if let Some(place) = place.filter(|place| is_free(*place)) {
            shapes.push(Shape::Group(Group {
                class: "decision".into(),
                at: place.at,
                target: None,
                label: String::new(),
                shapes: decision.category.shapes((0.0, 0.0), r),
            }));
        }
    }
    shapes
}

/// The symbols of packets, created once for all packets that look the same.
#[derive(Default)]
struct SymbolCache(Vec<(EventCategory, bool, Vec<Shape>)>);

impl SymbolCache {
    fn shapes_for(&mut self, category: EventCategory, is_routine: bool, r: f64) -> &[Shape] {
        let known = self.0.iter().position(|it| (it.0, it.1) == (category, is_routine));
        let index = known.unwrap_or_else(|| {
            let r = if is_routine { r * 0.75 } else { r };
            self.0.push((category, is_routine, category.shapes((0.0, 0.0), r)));
            self.0.len() - 1
        });
        &self.0[index].2
    }
}

pub(super) fn packet_label(packet: &Packet, scene: &Scene) -> String {
    let link = packet.selector.link;
    let lock = scene.locks.get(usize::from(packet.lock.0)).filter(|_| packet.lock != LockId::NONE);
    let lock = lock.map_or_else(String::new, |lock| format!(" {}", lock.name));
    let client_name = scene.client(if link.from.is_server() { link.to } else { link.from });
    let client_name = client_name.map_or_else(String::new, |client| client.name.to_string());
    let direction = if link.from.is_server() { "to" } else { "from" };
    let message = packet.message.code().replace('_', " ");
    format!("packet {message}{lock} {direction} {client_name}")
}

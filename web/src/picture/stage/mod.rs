//! The stage: the clients, the server, the files, and the packets between them. Two arcs around
//! each client count down: its remaining lease according to the server, and its own belief.

mod clients;
mod cycle;
mod heat;
mod layout;
pub(crate) mod packets;
mod server;
#[cfg(test)]
mod tests;

use leasehold_sim::{LockId, NodeId, VirtualTime};

use super::card::Card;
use super::shape::{Anchor, Area, Class, Group, Picture, Shape, line, text};
use crate::model::client_color::{NEUTRAL, node_color};
use crate::model::event_category::EventCategory;
use crate::model::scene::{Client, Scene};
use crate::model::target::Target;
use layout::{Arrangement, Grid, Layout};

#[derive(Clone, Copy)]
pub(crate) struct StageInput<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) now: VirtualTime,
    pub(crate) selected: Option<Target>,
    /// Whether to mark packets that will be lost.
    pub(crate) marks_doomed_packets: bool,
    /// Whether packets move in four steps, because the user prefers reduced motion.
    pub(crate) reduced_motion: bool,
    /// A deadlock: each client waits for the lock, which the next client of the list holds. The
    /// last one waits for the first.
    pub(crate) wait_cycle: &'a [(NodeId, LockId)],
}

impl<'a> StageInput<'a> {
    /// Returns the input for a scene, with nothing selected.
    pub(crate) fn new(scene: &'a Scene, now: VirtualTime) -> Self {
        Self {
            scene,
            now,
            selected: None,
            marks_doomed_packets: false,
            reduced_motion: false,
            wait_cycle: scene.wait_cycles.first().map_or(&[], Vec::as_slice),
        }
    }
}

/// Draws the stage.
pub(crate) fn stage(input: &StageInput<'_>, area: Area) -> Picture {
    let scene = input.scene;
    let layout = Layout::new(area, scene);
    let mut shapes = Vec::new();
    if let Arrangement::Heat(rows) = &layout.arrangement {
        shapes.extend(heat::heat_shapes(input, &layout, rows));
    } else {
        if let Arrangement::Grid(grid) = &layout.arrangement {
            shapes.extend(bus_lines(&layout, grid));
        }
        shapes.extend(scene.clients.iter().map(|it| link_shape(&layout, it, input.selected)));
        shapes.push(server::server_shape(input, &layout));
        let files = scene.locks.iter().enumerate();
        shapes
            .extend(files.filter_map(|(index, it)| server::file_sheet(input, &layout, index, it)));
        for (index, it) in scene.clients.iter().enumerate() {
            shapes.push(clients::client_shape(input, &layout, index, it));
        }
        if scene.more_clients > 0 {
            let more = format!("and {} more clients", scene.more_clients);
            let at = (area.em * 0.6, area.height - area.em * 0.5);
            shapes.push(text("small", at, Anchor::Start, layout.em * 0.85, more));
        }
    }
    shapes.extend(cycle::cycle_shapes(input, &layout));
    shapes.extend(packets::trace_shapes(input, &layout));
    shapes.extend(packets::packet_shapes(input, &layout));
    Picture { width: area.width, height: area.height, label: stage_label(input), shapes }
}

fn stage_label(input: &StageInput<'_>) -> String {
    let (clients, packets) = (input.scene.clients.len(), input.scene.packets.len());
    let label = format!("Server, {clients} clients, {packets} packets in flight");
    if input.wait_cycle.is_empty() {
        label
    } else {
        format!("{label}; {}", cycle::cycle_text(input))
    }
}

/// Describes a target of the stage, for a card beside it.
pub(crate) fn card_for(input: &StageInput<'_>, target: Target) -> Option<Card> {
    let scene = input.scene;
    Some(match target {
        Target::Node(NodeId::SERVER) => {
            let (_, state) = server::server_state(&scene.server);
            let held = scene.locks.iter().filter(|lock| lock.holder.is_some()).count();
            let lines = vec![state, format!("{held} of {} locks held", scene.locks.len())];
            Card::new("Server", None, lines)
        }
        Target::Node(node) => {
            let client = scene.client(node)?;
            let lines = clients::client_lines(client, input.now);
            Card::new(client.name.as_str(), Some(node), lines)
        }
        Target::Lock(id) => {
            let lock = scene.locks.iter().find(|lock| lock.id == id)?;
            Card::new(lock.name.as_str(), None, vec![server::lock_label(lock)])
        }
        Target::Link(node) => {
            let client = scene.client(node)?;
            Card::new("Link", Some(node), vec![link_label(client)])
        }
        Target::Packet(id) => {
            let packet = scene.packets.iter().find(|packet| packet.id == id)?;
            let link = packet.selector.link;
            let client = if link.from.is_server() { link.to } else { link.from };
            let lines = vec![format!("sent at {}", packet.sent_at)];
            Card::new(&packets::packet_label(packet, scene), Some(client), lines)
        }
        Target::Record(_) => return None,
    })
}

fn selectable_class(base: &'static str, target: Target, selected: Option<Target>) -> Class {
    if selected == Some(target) { format!("{base} selected").into() } else { base.into() }
}

/// Returns the class of the colour of the client with this name.
fn client_class(scene: &Scene, name: &str) -> &'static str {
    let client = scene.clients.iter().find(|client| client.name.as_str() == name);
    client.map_or(NEUTRAL, |client| node_color(client.node))
}

fn link_label(client: &Client) -> String {
    let link_state = match client.is_cut_off {
        (false, false) => "connected",
        (true, true) => "partitioned in both directions",
        (true, false) => "partitioned towards the server",
        (false, true) => "partitioned towards the client",
    };
    format!("link between {} and the server: {link_state}", client.name)
}

/// Draws the lanes of the rows of a grid.
fn bus_lines(layout: &Layout, grid: &Grid) -> Vec<Shape> {
    let firsts = (0..layout.clients.len()).step_by(grid.columns.max(1));
    let lines = firsts.flat_map(|index| {
        let (left, right) = (layout.clients[index].0, layout.server.left);
        [false, true].map(|is_from_server| {
            let y = layout.bus_y(grid, index, is_from_server);
            line("lane", (left, y), (right, y))
        })
    });
    lines.collect()
}

fn link_shape(layout: &Layout, client: &Client, selected: Option<Target>) -> Shape {
    let target = Target::Link(client.node);
    let mut shapes = Vec::new();
    let index = layout.index_of(client.node).unwrap_or(0);
    for (is_from_server, is_cut) in [(false, client.is_cut_off.0), (true, client.is_cut_off.1)] {
        let corners = layout.own_link(index, is_from_server);
        let class = if is_cut { "lane cut" } else { "lane" };
        shapes.extend(corners.windows(2).map(|pair| line("hit-area", pair[0], pair[1])));
        shapes.extend(corners.windows(2).map(|pair| line(class, pair[0], pair[1])));
        if let (true, [a, b, ..]) = (is_cut, corners.as_slice()) {
            let middle = (f64::midpoint(a.0, b.0), f64::midpoint(a.1, b.1));
            shapes.extend(EventCategory::cross(middle, layout.packet_radius * 0.55, "cut-mark"));
        }
    }
    Shape::Group(Group {
        class: selectable_class("link", target, selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: link_label(client),
        shapes,
    })
}

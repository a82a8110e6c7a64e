//! The stage: the clients, the server, and the packets between them. Two arcs around each client
//! count down: its remaining lease according to the server, and its own belief.

use std::f64::consts::PI;

use leasehold_sim::{NodeId, VirtualTime};

use super::shape::{
    Anchor, Area, Class, Group, Picture, Shape, arc_path, circle, fill_numbers, line, path, rect,
    rounded, text, text_width, to_f64, truncated_to_width,
};
use super::stage_layout::{COUNT_ROW_EM, Layout};
use super::stage_packets::{SymbolCache, packet_shape};
use crate::model::event_category::EventCategory;
use crate::model::file_views::line_count_text;
use crate::model::scene::{Client, Condition, Lock, Scene, Server, clock_fault_text};
use crate::model::target::Target;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StageOptions {
    pub(crate) selected: Option<Target>,
    /// Whether to mark packets that will be lost.
    pub(crate) marks_doomed_packets: bool,
    /// Whether packets move in four steps, because the user prefers reduced motion.
    pub(crate) reduced_motion: bool,
}

/// Draws the stage at the time `now`.
pub(crate) fn stage(scene: &Scene, now: VirtualTime, area: Area, options: StageOptions) -> Picture {
    let selected = options.selected;
    let nodes = scene.clients.iter().map(|client| client.node).collect();
    let layout = Layout::new(area, nodes, scene.locks.len());
    let mut shapes = Vec::new();
    shapes.extend(scene.clients.iter().map(|it| link_shape(&layout, it, selected)));
    shapes.push(server_shape(scene, &layout, selected));
    if layout.files.is_some() {
        shapes.extend(
            scene.locks.iter().enumerate().filter_map(|(index, it)| file_sheet(&layout, index, it)),
        );
    }
    for (index, it) in scene.clients.iter().enumerate() {
        shapes.push(client_shape(&layout, index, it, now, selected));
    }
    for loss in &scene.losses {
        let fraction = if loss.is_at_receiver { 1.0 } else { 0.5 };
        if let Some(at) = layout.position_on_link(loss.link.from, loss.link.to, fraction) {
            shapes.extend(EventCategory::Reject.shapes(at, layout.packet_radius * 0.8));
        }
    }
    for it in &scene.decisions {
        // At the server's end of the link: the client may not know of the decision yet.
        if let Some(at) = layout.position_on_link(it.client, NodeId::SERVER, 0.94) {
            let symbol = it.category.shapes((0.0, 0.0), layout.packet_radius);
            shapes.push(Shape::Group(Group {
                class: "decision".into(),
                at,
                target: None,
                label: String::new(),
                shapes: symbol,
            }));
        }
    }
    if scene.more_clients > 0 {
        let more = format!("and {} more clients", scene.more_clients);
        let at = (area.em * 0.6, area.height - area.em * 0.6);
        shapes.push(text("small", at, Anchor::Start, area.em * 0.85, more));
    }
    let mut symbols = SymbolCache::default();
    for it in &scene.packets {
        shapes.extend(packet_shape(&layout, it, scene, now, options, &mut symbols));
    }
    Picture { width: area.width, height: area.height, label: stage_label(scene), shapes }
}

fn stage_label(scene: &Scene) -> String {
    let packets = scene.packets.len();
    format!("Server, {} clients, {packets} packets in flight", scene.clients.len())
}

pub(super) fn selectable_class(
    base: &'static str,
    target: Target,
    selected: Option<Target>,
) -> Class {
    if selected == Some(target) { format!("{base} selected").into() } else { base.into() }
}

fn link_shape(layout: &Layout, client: &Client, selected: Option<Target>) -> Shape {
    let target = Target::Link(client.node);
    let mut shapes = Vec::new();
    let lanes = [(NodeId::SERVER, client.is_cut_off.0), (client.node, client.is_cut_off.1)];
    for (to, is_cut) in lanes {
        let from = if to.is_server() { client.node } else { NodeId::SERVER };
        let (Some(a), Some(b)) =
            (layout.position_on_link(from, to, 0.0), layout.position_on_link(from, to, 1.0))
        else {
            continue;
        };
        shapes.push(line("hit-area", a, b));
        shapes.push(line(if is_cut { "lane cut" } else { "lane" }, a, b));
        if is_cut && let Some(middle) = layout.position_on_link(from, to, 0.5) {
            shapes.extend(EventCategory::Reject.shapes(middle, layout.packet_radius * 0.55));
        }
    }
    let link_state = match client.is_cut_off {
        (false, false) => "connected",
        (true, true) => "partitioned in both directions",
        (true, false) => "partitioned towards the server",
        (false, true) => "partitioned towards the client",
    };
    Shape::Group(Group {
        class: selectable_class("link", target, selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("link between {} and the server: {link_state}", client.name),
        shapes,
    })
}

fn server_shape(scene: &Scene, layout: &Layout, selected: Option<Target>) -> Shape {
    let Server { condition, clock, unflushed_events: unflushed, .. } = scene.server;
    let (em, (width, height)) = (layout.em, layout.server_size);
    let (left, top) = (layout.server.0 - width / 2.0, layout.server.1 - height / 2.0);
    let body = match condition {
        Condition::Crashed => "server crashed",
        Condition::NotStarted => "server not-started",
        Condition::Paused => "server paused",
        Condition::Running | Condition::Finished => "server",
    };
    let mut shapes = vec![rounded(body, (left, top), (width, height), 8.0)];
    let inner_left = left + em * 0.8;
    let mut y = top + em * 1.45;
    shapes.push(text("title", (inner_left, y), Anchor::Start, em, "server"));
    let state = match condition {
        Condition::Crashed => "crashed".to_owned(),
        Condition::NotStarted => "not started yet".to_owned(),
        Condition::Paused => "paused".to_owned(),
        Condition::Running | Condition::Finished => {
            let flush_text = if unflushed == 0 { String::new() } else { "flushing…".to_owned() };
            clock_fault_text(clock.ahead_ms, clock.rate_ppm).unwrap_or(flush_text)
        }
    };
    let right = left + width - em * 0.8;
    shapes.push(text("small", (right, y), Anchor::End, em * 0.85, state.clone()));
    let rows = layout.server_rows.min(scene.locks.len());
    for lock in &scene.locks[..rows] {
        y += em * 1.55;
        shapes.push(line("rule", (left, y - em * 1.1), (left + width, y - em * 1.1)));
        shapes.extend(lock_row_shapes(lock, (inner_left, right), y, em));
        if layout.names_below {
            // Without file sheets, the row shows the number of lines.
            y += em * COUNT_ROW_EM;
            let count = line_count_text(lock.line_count, lock.is_partial_count);
            shapes.push(text("small", (right, y), Anchor::End, em * 0.8, count));
        }
    }
    if rows < scene.locks.len() {
        let more = format!("and {} more locks", scene.locks.len() - rows);
        y += em * 1.4;
        shapes.push(text("small", (inner_left, y), Anchor::Start, em * 0.85, more));
    }
    if condition == Condition::Crashed {
        shapes.extend(EventCategory::Reject.shapes((left + width - em, top + em * 0.2), em * 0.6));
    }
    let target = Target::Node(NodeId::SERVER);
    let held = scene.locks.iter().filter(|lock| lock.holder.is_some()).count();
    Shape::Group(Group {
        class: selectable_class("node", target, selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("server {state}; {held} of {} locks held", scene.locks.len()),
        shapes,
    })
}

fn lock_row_shapes(lock: &Lock, (left, right): (f64, f64), y: f64, em: f64) -> Vec<Shape> {
    // The holder gets the width that the name leaves.
    let name_width = (text_width(lock.name.as_str(), em * 0.9) + em).min((right - left) * 0.5);
    let name = truncated_to_width(lock.name.as_str(), em * 0.9, name_width);
    let mut shapes = vec![text("name", (left, y), Anchor::Start, em * 0.9, name)];
    let waiting = if lock.wait_queue.is_empty() {
        String::new()
    } else {
        format!(" +{}", lock.wait_queue.len())
    };
    let (class, holder) = match &lock.holder {
        Some(holder) => ("held", format!("#{} {}{waiting}", holder.token, holder.client)),
        None => ("small", format!("free{waiting}")),
    };
    let holder = truncated_to_width(&holder, em * 0.9, right - left - name_width);
    shapes.push(text(class, (right, y), Anchor::End, em * 0.9, holder));
    shapes
}

/// Draws a file beside the server: its last lines, each with its token.
fn file_sheet(layout: &Layout, index: usize, lock: &Lock) -> Option<Shape> {
    let (x, width) = layout.files?;
    let em = layout.em;
    let rows = layout.sheet_rows;
    let height = layout.sheet_height();
    let top = layout.sheet_top(index, height)?;
    let fold = em * 0.7;
    let (right, bottom) = (x + width, top + height);
    let outline =
        fill_numbers("M_ _H_L_ _V_H_Z", &[x, top, right - fold, right, top + fold, bottom, x]);
    let mut shapes = vec![path("sheet", outline)];
    let inner_left = x + em * 0.6;
    let mut y = top + em * 1.2;
    let title = truncated_to_width(lock.name.as_str(), em * 0.9, width * 0.6);
    shapes.push(text("name", (inner_left, y), Anchor::Start, em * 0.9, title));
    let plus = if lock.is_partial_count { "+" } else { "" };
    let count = format!("{plus}{}", lock.line_count);
    shapes.push(text("small", (right - em * 1.1, y), Anchor::End, em * 0.8, count));
    let skipped = lock.last_lines.len().saturating_sub(rows);
    for line in &lock.last_lines[skipped..] {
        y += em * 1.15;
        let token = line.token.map_or_else(|| "·".to_owned(), |token| format!("#{token}"));
        let written = truncated_to_width(&format!("{token} {}", line.text), em * 0.8, width - em);
        shapes.push(text("written", (inner_left, y), Anchor::Start, em * 0.8, written));
    }
    let target = Target::Lock(lock.id);
    Some(Shape::Group(Group {
        class: "file".into(),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!(
            "file {}: {}",
            lock.name,
            line_count_text(lock.line_count, lock.is_partial_count)
        ),
        shapes,
    }))
}

fn client_shape(
    layout: &Layout,
    index: usize,
    client: &Client,
    now: VirtualTime,
    selected: Option<Target>,
) -> Shape {
    let r = layout.client_radius;
    let target = Target::Node(client.node);
    let body = match client.condition {
        Condition::NotStarted => "client not-started",
        Condition::Crashed => "client crashed",
        Condition::Paused => "client paused",
        Condition::Finished => "client finished",
        Condition::Running if client.holds_lock => "client holds",
        Condition::Running => "client",
    };
    let mut shapes = vec![circle("hit-area", (0.0, 0.0), r + 8.0), circle(body, (0.0, 0.0), r)];
    shapes.extend(lease_arcs(client, r, now));
    shapes.extend(client_face(client, r));
    let clock_fault = clock_fault_text(client.clock.ahead_ms, client.clock.rate_ppm);
    let activity = clock_fault
        .map_or_else(|| client.activity.clone(), |it| format!("{} · {it}", client.activity));
    let em = layout.name_em;
    if layout.names_beside {
        let x = -r - 14.0;
        let width = layout.name_width;
        shapes.push(rect("hit-area", (x - width, -em * 1.1), (width + 14.0, em * 2.4)));
        let name = truncated_to_width(client.name.as_str(), em, width);
        shapes.push(text("name", (x, -em * 0.15), Anchor::End, em, name));
        let activity = truncated_to_width(&activity, em * 0.85, width);
        shapes.push(text("small", (x, em * 0.95), Anchor::End, em * 0.85, activity));
    } else if layout.names_below {
        // The name and the activity are below the client, aligned to the picture's edge.
        let (left, y) = (4.0 - layout.clients[index].0, r + em * 1.5);
        let name = truncated_to_width(client.name.as_str(), em * 0.85, layout.name_width);
        let text_left = left + text_width(&name, em * 0.85) * 1.12 + em * 0.4;
        shapes.push(text("name outlined-text", (left, y), Anchor::Start, em * 0.85, name));
        let width = layout.server.0 - layout.server_size.0 / 2.0 - 60.0;
        let activity = truncated_to_width(&activity, em * 0.85, width);
        let at = (text_left, y);
        shapes.push(text("small outlined-text", at, Anchor::Start, em * 0.85, activity));
    }
    Shape::Group(Group {
        class: selectable_class("node", target, selected),
        at: layout.clients[index],
        target: Some(target),
        label: client_label(client, now),
        shapes,
    })
}

/// Draws the server's view as the outer arc and the belief as the inner one. If the belief is
/// longer, the difference is marked.
fn lease_arcs(client: &Client, r: f64, now: VirtualTime) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let (outer, inner) = (r + 6.5, r + 2.5);
    let server_fraction = client.server_lease.map_or(0.0, |lease| lease.remaining_fraction(now));
    let belief_fraction = client.belief.map_or(0.0, |belief| belief.term.remaining_fraction(now));
    let center = (0.0, 0.0);
    if server_fraction > 0.0 {
        let class = if client.holds_lock { "arc server-lease" } else { "arc server-lease idle" };
        shapes.push(path(class, arc_path(center, outer, 0.0, quantized(server_fraction, outer))));
    }
    if belief_fraction > 0.0 {
        let inferred = client.belief.is_some_and(|belief| belief.is_inferred);
        let class = if inferred { "arc belief inferred" } else { "arc belief" };
        shapes.push(path(class, arc_path(center, inner, 0.0, quantized(belief_fraction, inner))));
        if belief_fraction > server_fraction + 0.002 {
            let (from, to) = (quantized(server_fraction, outer), quantized(belief_fraction, outer));
            shapes.push(path("arc gap", arc_path(center, outer, from, to - from)));
        }
    }
    shapes
}

/// Rounds a fraction of a circle up to half a pixel: smaller changes are invisible.
fn quantized(fraction: f64, r: f64) -> f64 {
    let steps = r * 4.0 * PI;
    (fraction * steps).ceil() / steps
}

/// Draws the inside of a client's circle: its short name, or its condition.
fn client_face(client: &Client, r: f64) -> Vec<Shape> {
    if r < 7.0 {
        return Vec::new();
    }
    match client.condition {
        Condition::Crashed => EventCategory::Reject.shapes((0.0, 0.0), r * 0.5),
        Condition::Paused => {
            let (width, height) = (r * 0.24, r * 0.9);
            [-r * 0.34, r * 0.1].map(|x| rect("pause", (x, -height / 2.0), (width, height))).into()
        }
        Condition::NotStarted | Condition::Running | Condition::Finished => {
            let short = short_name(client.name.as_str());
            let size = if short.len() > 2 { r * 0.7 } else { r * 0.95 };
            vec![text("node-number", (0.0, size * 0.36), Anchor::Middle, size, short)]
        }
    }
}

/// Returns the number at the end of a name, or its first two letters.
pub(crate) fn short_name(name: &str) -> String {
    let digits = name.chars().rev().take_while(char::is_ascii_digit).count();
    if (1..=3).contains(&digits) {
        name[name.len() - digits..].to_owned()
    } else {
        name.chars().take(2).collect()
    }
}

fn client_label(client: &Client, now: VirtualTime) -> String {
    let server_lease = client.server_lease.map(|lease| lease.remaining_text(now));
    let belief_remaining = client.belief.map(|belief| belief.term.remaining_text(now));
    let lease = match (server_lease, belief_remaining) {
        (server_lease, Some(belief)) => {
            let server_lease = server_lease.unwrap_or_else(|| "none".to_owned());
            Some(format!("remaining lease: {server_lease} on the server, {belief} on the client"))
        }
        (Some(server_lease), None) => Some(format!("remaining lease: {server_lease}")),
        (None, None) => None,
    };
    let cut = (client.is_cut_off != (false, false)).then(|| "partitioned".to_owned());
    let clock = clock_fault_text(client.clock.ahead_ms, client.clock.rate_ppm);
    let mut label = format!("{}, {}", client.name, client.activity);
    for more in [lease, cut, clock].into_iter().flatten() {
        label.push_str("; ");
        label.push_str(&more);
    }
    label
}

/// Whether there are too many clients for a column with names.
pub(crate) const fn is_crowded(clients: usize) -> bool {
    clients > 9
}

/// Returns the centre of one of `count` equal parts of a length.
pub(crate) fn evenly_spaced(index: usize, count: usize, length: f64) -> f64 {
    length * (to_f64(index) + 0.5) / to_f64(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    const AREA: Area = Area { width: 760.0, height: 300.0, em: 13.0 };

    fn picture(scenario: &str, at_ms: u64, selected: Option<Target>) -> Picture {
        let mut timeline = Timeline::new(Scenario::from_name(scenario).unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(at_ms));
        let scene = timeline.scene();
        stage(
            &scene,
            timeline.now(),
            AREA,
            StageOptions { selected, marks_doomed_packets: true, reduced_motion: false },
        )
    }

    #[test]
    fn every_node_file_and_packet_is_drawn_and_labelled() {
        let picture = picture("five-clients", 650, None);
        let labels = picture.labels();
        for name in ["client_1, ", "client_5, ", "server ", "file file_3", "link between client_2"]
        {
            assert!(labels.iter().any(|label| label.starts_with(name)), "{name}: {labels:#?}");
        }
        assert!(labels.iter().any(|label| label.starts_with("packet ")), "{labels:#?}");
    }

    #[test]
    fn shapes_are_inside_the_picture() {
        for (scenario, at_ms) in [("five-clients", 900), ("thundering-herd", 4_000)] {
            for area in [
                AREA,
                Area { width: 340.0, height: 250.0, em: 12.0 },
                Area { width: 1_264.0, height: 330.0, em: 27.0 },
            ] {
                let mut timeline =
                    Timeline::new(Scenario::from_name(scenario).unwrap().resolve_run());
                timeline.go_to(VirtualTime::from_millis(at_ms));
                let scene = timeline.scene();
                let picture = stage(&scene, timeline.now(), area, StageOptions::default());
                for shape in &picture.shapes {
                    if let Shape::Group(group) = shape {
                        let (x, y) = group.at;
                        assert!((0.0..=area.width).contains(&x), "{scenario} {area:?} {x}");
                        assert!((0.0..=area.height).contains(&y), "{scenario} {area:?} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn belief_that_outlives_the_lease_is_marked() {
        let contains = |picture: &Picture, class: &str| format!("{picture:?}").contains(class);
        assert!(!contains(&picture("gc-pause", 5_000, None), "arc gap"));
        let scenario = Scenario::from_name("slow-clock").unwrap();
        let without = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
        let mut timeline = Timeline::new(scenario.run_without(&without.without));
        let mut marked = false;
        for ms in (0..timeline.end().as_millis()).step_by(50) {
            timeline.go_to(VirtualTime::from_millis(ms));
            let scene = timeline.scene();
            marked |=
                contains(&stage(&scene, timeline.now(), AREA, StageOptions::default()), "arc gap");
        }
        assert!(marked);
    }

    #[test]
    fn names_are_shortened() {
        assert_eq!((short_name("client_12"), short_name("ann")), ("12".into(), "an".into()));
    }
}

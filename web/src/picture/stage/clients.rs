//! The clients on the stage: a face in the client's colour, its name, and two arcs that count down:
//! the remaining lease according to the server, and the client's own belief.

use std::f64::consts::PI;

use leasehold_sim::VirtualTime;

use super::layout::{Arrangement, EXTENT, Grid, Layout};
use super::{StageInput, selectable_class};
use crate::model::client_color::{node_color, short_name};
use crate::model::event_category::EventCategory;
use crate::model::scene::{Client, Condition, clock_fault_text};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, arc_path, circle, path, rect, text, to_f64};
use crate::picture::text_width::{Weight, bold_width, text_width};

/// Draws a client.
pub(super) fn client_shape(
    input: &StageInput<'_>,
    layout: &Layout,
    index: usize,
    client: &Client,
) -> Shape {
    let r = layout.client_radius;
    let target = Target::Node(client.node);
    let body = match client.condition {
        Condition::NotStarted => "client not-started",
        Condition::Crashed => "client crashed",
        Condition::Paused => "client paused",
        Condition::Finished => "client finished",
        Condition::Running => "client",
    };
    let mut shapes =
        vec![circle("hit-area", (0.0, 0.0), r * EXTENT), circle(body, (0.0, 0.0), r * 0.94)];
    shapes.extend(lease_arcs(client, r, input.now));
    shapes.extend(client_face(client, r));
    shapes.extend(match &layout.arrangement {
        Arrangement::Column => text_beside(client, layout),
        Arrangement::NarrowColumn => text_below(client, layout, index),
        Arrangement::Grid(grid) => text_in_cell(client, layout, grid),
        Arrangement::Heat(_) => Vec::new(),
    });
    let class = selectable_class("node", target, input.selected);
    Shape::Group(Group {
        class: format!("{class} {}", node_color(client.node)).into(),
        at: layout.clients[index],
        target: Some(target),
        label: client_label(client, input.now),
        shapes,
    })
}

fn full_activity(client: &Client) -> String {
    let clock_fault = clock_fault_text(client.clock.ahead_ms, client.clock.rate_ppm);
    clock_fault.map_or_else(|| client.activity.clone(), |it| format!("{} · {it}", client.activity))
}

/// Returns the activity in at most `lines_max` lines of this width.
fn activity_lines(client: &Client, size: f64, width: f64, lines_max: usize) -> Vec<String> {
    let activity = full_activity(client);
    let mut lines: Vec<String> = Vec::new();
    for word in activity.split(' ') {
        let is_last = lines.len() == lines_max;
        match lines.last_mut() {
            Some(line) if is_last || text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| Weight::Regular.fit(line, size, width)).collect()
}

/// Draws the name and the activity at the left of the client.
fn text_beside(client: &Client, layout: &Layout) -> Vec<Shape> {
    let (em, width) = (layout.em, layout.name_width);
    let x = -layout.client_radius * EXTENT - em * 0.5;
    let name = Weight::Bold.fit(client.name.as_str(), em, width);
    let size = em * 0.85;
    let step = layout.height / to_f64(layout.clients.len().max(1));
    let lines_max = if step >= em * 3.5 { 2 } else { 1 };
    let activity = activity_lines(client, size, width, lines_max);
    let top = if activity.len() > 1 { -em * 0.62 } else { -em * 0.12 };
    let mut shapes = vec![
        rect("hit-area", (x - width, -em * 1.1), (width, em * 2.3)),
        text("name", (x, top), Anchor::End, em, name),
    ];
    let mut y = top + em * 1.08;
    for line in activity {
        shapes.push(text("small", (x, y), Anchor::End, size, line));
        y += size * 1.2;
    }
    shapes
}

/// Draws the name and the activity below the client, at the picture's edge.
fn text_below(client: &Client, layout: &Layout, index: usize) -> Vec<Shape> {
    let size = layout.em * 0.85;
    let (left, y) = (4.0 - layout.clients[index].0, layout.client_radius * EXTENT + size * 0.98);
    let name = Weight::Bold.fit(client.name.as_str(), size, layout.name_width * 0.6);
    let activity_left = left + bold_width(&name, size) + size * 0.5;
    let width = layout.name_width - (activity_left - left);
    let activity = Weight::Regular.fit_words(&full_activity(client), size, width);
    vec![
        text("name outlined-text", (left, y), Anchor::Start, size, name),
        text("small outlined-text", (activity_left, y), Anchor::Start, size, activity),
    ]
}

/// Draws the name at the right of the client, and its activity below if there is room.
fn text_in_cell(client: &Client, layout: &Layout, grid: &Grid) -> Vec<Shape> {
    let (size, width) = (grid.text_size, layout.name_width);
    let x = layout.client_radius * EXTENT + size * 0.4;
    let name = Weight::Bold.fit(client.name.as_str(), size, width);
    if !grid.has_activity {
        return vec![text("name", (x, size * 0.35), Anchor::Start, size, name)];
    }
    let small = size * 0.85;
    let activity = Weight::Regular.fit(&brief_activity(client), small, width);
    vec![
        text("name", (x, -size * 0.12), Anchor::Start, size, name),
        text("small", (x, size * 0.95), Anchor::Start, small, activity),
    ]
}

/// Shortens the activity for a cell. The server lists its locks with their queues.
fn brief_activity(client: &Client) -> String {
    let activity = full_activity(client);
    match activity.split_once(", position ") {
        Some((_, position)) if activity.starts_with("queued for ") => {
            format!("waits, no. {position}")
        }
        Some(_) | None => activity,
    }
}

/// Draws the server's view as the outer arc and the belief as the inner one. If the belief is
/// longer, the difference is marked.
fn lease_arcs(client: &Client, r: f64, now: VirtualTime) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let (inner, outer) = arc_radii(r);
    let server_fraction = client.server_lease.map_or(0.0, |lease| lease.remaining_fraction(now));
    let belief_fraction = client.belief.map_or(0.0, |belief| belief.term.remaining_fraction(now));
    let center = (0.0, 0.0);
    let width = if r < 11.0 {
        " thin"
    } else if r > 24.0 {
        " thick"
    } else {
        ""
    };
    if server_fraction > 0.0 {
        let idle = if client.holds_lock { "" } else { " idle" };
        let class = format!("arc server-lease{idle}{width}");
        shapes.push(path(class, arc_path(center, outer, 0.0, quantized(server_fraction, outer))));
    }
    if belief_fraction > 0.0 {
        let inferred = client.belief.is_some_and(|belief| belief.is_inferred);
        let class = format!("arc belief{}{width}", if inferred { " inferred" } else { "" });
        shapes.push(path(class, arc_path(center, inner, 0.0, quantized(belief_fraction, inner))));
        if belief_fraction > server_fraction + 0.002 {
            let (from, to) = (quantized(server_fraction, outer), quantized(belief_fraction, outer));
            let class = format!("arc gap{width}");
            shapes.push(path(class, arc_path(center, outer, from, to - from)));
        }
    }
    shapes
}

/// Returns the radius of the arc of the belief, and of that of the server's lease.
pub(super) fn arc_radii(r: f64) -> (f64, f64) {
    (r * 1.22, r * 1.48)
}

/// Rounds a fraction of a circle up to half a pixel: smaller changes are invisible.
fn quantized(fraction: f64, r: f64) -> f64 {
    let steps = (r * 4.0 * PI).floor();
    (fraction * steps).ceil() / steps
}

/// Draws the inside of a client's circle: its number, or its condition.
fn client_face(client: &Client, r: f64) -> Vec<Shape> {
    match client.condition {
        Condition::Crashed => EventCategory::cross((0.0, 0.0), r * 0.45, "face-mark"),
        Condition::Paused => {
            let (width, height) = (r * 0.24, r * 0.9);
            [-r * 0.34, r * 0.1].map(|x| rect("pause", (x, -height / 2.0), (width, height))).into()
        }
        Condition::NotStarted | Condition::Running | Condition::Finished => {
            let short = short_name(client.name.as_str());
            let size = (r * 1.05).min(r * 1.7 / bold_width(&short, 1.0).max(0.1));
            let class = if client.condition == Condition::Running {
                "node-number on-fill"
            } else {
                "node-number who-text"
            };
            vec![text(class, (0.0, size * 0.36), Anchor::Middle, size, short)]
        }
    }
}

pub(super) fn client_label(client: &Client, now: VirtualTime) -> String {
    let lines = client_lines(client, now);
    format!("{}, {}", client.name, lines.join("; "))
}

/// Describes a client, line by line.
pub(super) fn client_lines(client: &Client, now: VirtualTime) -> Vec<String> {
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
    let mut lines = vec![client.activity.clone()];
    lines.extend([lease, cut, clock].into_iter().flatten());
    lines
}

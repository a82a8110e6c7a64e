//! A deadlock on the stage: which client waits for which lock, and which client holds it.

use leasehold_sim::LockId;

use super::StageInput;
use super::layout::{Arrangement, EXTENT, Layout};
use super::server::lock_row_y;
use crate::model::target::Target;
use crate::picture::shape::{Group, Shape, arrow_head, circle, line};

/// Draws the wait-for cycle, if there is one.
pub(super) fn cycle_shapes(input: &StageInput<'_>, layout: &Layout) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let cycle = input.wait_cycle;
    let ring = (layout.client_radius * EXTENT + 1.5).max(layout.em * 0.3);
    for (position, (client, lock)) in cycle.iter().enumerate() {
        let Some(index) = layout.index_of(*client) else { continue };
        let at = layout.clients.get(index).copied().unwrap_or_default();
        shapes.push(circle("cycle-ring", at, ring));
        let is_column =
            matches!(layout.arrangement, Arrangement::Column | Arrangement::NarrowColumn);
        let (waiting, holder) = (at, cycle[(position + 1) % cycle.len()].0);
        let Some(lock_y) = lock_row_y(layout, usize::from(lock.0)).filter(|_| is_column) else {
            continue;
        };
        let holder = layout.index_of(holder).and_then(|it| layout.clients.get(it)).copied();
        let lock_at = (layout.server.left, lock_y);
        shapes.extend(arrow("wait-arrow", waiting, lock_at, (ring, 1.0), layout.em));
        if let Some(holder) = holder {
            shapes.extend(arrow("hold-arrow", lock_at, holder, (1.0, ring), layout.em));
        }
    }
    if shapes.is_empty() {
        return shapes;
    }
    let target = cycle.first().map(|(_, lock)| Target::Lock(*lock));
    vec![Shape::Group(Group {
        class: "wait-cycle".into(),
        at: (0.0, 0.0),
        target: None,
        label: target.map_or_else(String::new, |_| cycle_text(input)),
        shapes,
    })]
}

/// Draws an arrow that leaves out these distances at its ends.
fn arrow(
    class: &'static str,
    from: (f64, f64),
    to: (f64, f64),
    (skip_from, skip_to): (f64, f64),
    em: f64,
) -> [Shape; 2] {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let from = (from.0 + ux * skip_from, from.1 + uy * skip_from);
    let to = (to.0 - ux * skip_to, to.1 - uy * skip_to);
    [line(class, from, to), arrow_head(class, from, to, em * 0.6)]
}

/// Describes the cycle: "deadlock: client_1 waits for file_1, held by client_2; …".
pub(super) fn cycle_text(input: &StageInput<'_>) -> String {
    let cycle = input.wait_cycle;
    let name = |node| input.scene.client(node).map_or_else(String::new, |it| it.name.to_string());
    let lock_name = |lock: LockId| {
        let lock = input.scene.locks.iter().find(|it| it.id == lock);
        lock.map_or_else(String::new, |it| it.name.to_string())
    };
    let waits = cycle.iter().enumerate().map(|(position, (client, lock))| {
        let holder = cycle[(position + 1) % cycle.len()].0;
        format!("{} waits for {}, held by {}", name(*client), lock_name(*lock), name(holder))
    });
    let waits: Vec<String> = waits.collect();
    format!("deadlock: {}", waits.join("; "))
}

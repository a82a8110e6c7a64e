//! Checks pictures as a viewer would, for tests: every shape is finite, visible and inside its
//! picture, and no text covers another.

use std::f64::consts::TAU;

use leasehold_sim::{Protection, VirtualTime, library};

use super::gantt::{GanttInput, gantt};
use super::labels::{Bounds, overlap, text_bounds};
use super::path_bounds::{path_arcs, path_points};
use super::shape::{Area, Group, Picture, Shape};
use super::stage::{StageInput, stage};
use super::text_width::Weight;
use crate::model::lease_view::LeaseView;
use crate::model::scene::Scene;
use crate::model::target::Target;
use crate::model::timeline::Timeline;

/// A shape with its place in the picture.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) class: String,
    pub(crate) bounds: Bounds,
    /// The text, if it is one.
    pub(crate) text: Option<String>,
}

/// Returns all shapes except groups, in the coordinates of the picture.
pub(crate) fn placed(shapes: &[Shape]) -> Vec<Placed> {
    let mut found = Vec::new();
    place_all(shapes, (0.0, 0.0), &mut found);
    found
}

fn place_all(shapes: &[Shape], (dx, dy): (f64, f64), found: &mut Vec<Placed>) {
    for shape in shapes {
        let (class, bounds, text) = match shape {
            Shape::Rect { class, x, y, width, height, .. } => {
                (class, (*x, *y, x + width, y + height), None)
            }
            Shape::Circle { class, x, y, r } => (class, (x - r, y - r, x + r, y + r), None),
            Shape::Line { class, from, to } => {
                let bounds =
                    (from.0.min(to.0), from.1.min(to.1), from.0.max(to.0), from.1.max(to.1));
                (class, bounds, None)
            }
            Shape::Path { class, d } => {
                let empty = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
                let bounds = path_points(d)
                    .into_iter()
                    .fold(empty, |it, (x, y)| (it.0.min(x), it.1.min(y), it.2.max(x), it.3.max(y)));
                (class, bounds, None)
            }
            Shape::Text { class, x, y, anchor, size, text } => {
                let width = Weight::of_class(class).width(text, *size);
                (class, text_bounds((*x, *y), *anchor, *size, width), Some(text.clone()))
            }
            Shape::Group(group) => {
                place_all(&group.shapes, (dx + group.at.0, dy + group.at.1), found);
                continue;
            }
        };
        let bounds = (bounds.0 + dx, bounds.1 + dy, bounds.2 + dx, bounds.3 + dy);
        found.push(Placed { class: class.to_string(), bounds, text });
    }
}

/// How far a line or an invisible area may be outside of a picture.
const MARGIN: f64 = 1.5;

/// Returns what is wrong with a picture.
pub(crate) fn complaints(picture: &Picture) -> Vec<String> {
    let mut complaints = Vec::new();
    let placed = placed(&picture.shapes);
    for it in &placed {
        let (left, top, right, bottom) = it.bounds;
        let what = || format!("{} {:?} at {:?}", it.class, it.text, it.bounds);
        if ![left, top, right, bottom].into_iter().all(f64::is_finite) {
            complaints.push(format!("not finite: {}", what()));
        }
        if it.class.starts_with("hit-area") {
            continue;
        }
        if right - left <= 0.0 && bottom - top <= 0.0 {
            complaints.push(format!("empty: {}", what()));
        }
        if it.text.as_ref().is_some_and(String::is_empty) {
            continue;
        }
        // A text must not be clipped by a tenth of a pixel.
        let margin = if it.text.is_some() { 0.1 } else { MARGIN };
        let is_inside = left >= -margin
            && top >= -margin
            && right <= picture.width + margin
            && bottom <= picture.height + margin;
        if !is_inside {
            complaints.push(format!("outside: {}", what()));
        }
    }
    let texts: Vec<&Placed> =
        placed.iter().filter(|it| it.text.as_ref().is_some_and(|it| !it.is_empty())).collect();
    for (index, one) in texts.iter().enumerate() {
        for other in &texts[..index] {
            // Packets of different links may meet.
            if one.class == "letter" && other.class == "letter" {
                continue;
            }
            if overlap(shrunk(one.bounds), shrunk(other.bounds)) {
                let (a, b) = (&one.text, &other.text);
                complaints
                    .push(format!("overlap: {a:?} {b:?} at {:?} {:?}", one.bounds, other.bounds));
            }
        }
    }
    complaints
}

/// Texts may touch.
fn shrunk((left, top, right, bottom): Bounds) -> Bounds {
    let height = (bottom - top) * 0.04;
    (left + 0.1, top + height, right - 0.1, bottom - height)
}

#[track_caller]
pub(crate) fn expect_none(what: &str, picture: &Picture) {
    let found = complaints(picture);
    let shown = found.iter().take(8).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(found.is_empty(), "{what}: {} complaints:\n  {shown}", found.len());
}

/// The areas of the stage and of the leases: laptop, full HD, 4K, phone; and presenting.
pub(crate) const AREAS: [((f64, f64), bool); 7] = [
    ((824.0, 238.0), false),
    ((1_236.0, 400.0), false),
    ((2_480.0, 860.0), false),
    ((360.0, 250.0), false),
    ((790.0, 267.0), true),
    ((1_232.0, 280.0), true),
    ((1_848.0, 420.0), true),
];

/// Calls `check` at every step of every scenario, with all protections and without its own.
fn for_each_step(mut check: impl FnMut(&str, &Timeline)) {
    for scenario in library() {
        let mut positions: Vec<Vec<Protection>> = vec![Vec::new()];
        positions.extend(scenario.switches.first().map(|first| vec![*first]));
        for without in positions {
            let run = scenario.run_without(&without.iter().copied().collect());
            let what = format!("{} without {without:?}", scenario.name);
            let mut timeline = Timeline::new(run);
            for position in 0..=timeline.last_position() {
                timeline.go_to_position(position);
                check(&format!("{what}, step {position}"), &timeline);
            }
        }
    }
}

/// The lease rings are as long as the model says, whatever the rounding of coordinates.
#[test]
fn rings_of_every_step_have_the_size_of_their_lease() {
    for_each_step(|what, timeline| {
        let scene = timeline.scene();
        let picture =
            stage(&StageInput::new(&scene, timeline.now()), Area::new((824.0, 238.0), false));
        for client in &scene.clients {
            let target = Some(Target::Node(client.node));
            let group = picture.shapes.iter().find_map(|shape| {
                if let Shape::Group(group) = shape { Some(group) } else { None }
                    .filter(|group| group.target == target)
            });
            let group = group.unwrap_or_else(|| panic!("{what}: {} is missing", client.name));
            let now = timeline.now();
            let server = client.server_lease.map_or(0.0, |lease| lease.remaining_fraction(now));
            let belief = client.belief.map_or(0.0, |it| it.term.remaining_fraction(now));
            check_ring(what, group, "arc server-lease", server);
            check_ring(what, group, "arc belief", belief);
        }
    });
}

#[track_caller]
fn check_ring(what: &str, group: &Group, class_prefix: &str, fraction: f64) {
    let ring = group.shapes.iter().find_map(|shape| {
        let Shape::Path { class, d } = shape else { return None };
        class.starts_with(class_prefix).then_some(d)
    });
    let Some(data) = ring else {
        assert!(fraction <= 0.0, "{what}: {class_prefix} is missing, {fraction} remains");
        return;
    };
    let arcs = path_arcs(data);
    let radius = arcs[0].radius;
    let length: f64 = arcs.iter().map(|arc| arc.radius * arc.sweep).sum();
    let expected = fraction * TAU * radius;
    assert!((length - expected).abs() <= 1.0, "{what}: {class_prefix} {length} for {expected}");
    for (x, y) in path_points(data) {
        assert!((x.hypot(y) - radius).abs() < 0.5, "{what}: {class_prefix} is off its centre");
    }
}

#[test]
fn every_shape_of_every_step_is_visible_and_inside() {
    for_each_step(|what, timeline| {
        let scene = timeline.scene();
        let view = LeaseView::new(timeline);
        let range = (VirtualTime::START, timeline.end());
        let area = Area::new((824.0, 238.0), false);
        expect_none(what, &stage(&StageInput::new(&scene, view.now), area));
        expect_none(what, &gantt(&GanttInput::new(&view), range, area, None));
    });
}

/// At the stops and in between, in the areas of all screens.
#[test]
fn nothing_overlaps_in_any_area() {
    for scenario in library() {
        let mut positions: Vec<Vec<Protection>> = vec![Vec::new()];
        positions.extend(scenario.switches.first().map(|first| vec![*first]));
        for without in positions {
            let mut timeline =
                Timeline::new(scenario.run_without(&without.iter().copied().collect()));
            let end = timeline.end();
            for tenth in 1..=10 {
                timeline.go_to(VirtualTime::from_micros(end.as_micros() * tenth / 10));
                for (size, is_presenting) in AREAS {
                    let what = format!("{} {without:?} {tenth} {size:?}", scenario.name);
                    let area = Area::new(size, is_presenting);
                    let scene: Scene = timeline.scene();
                    expect_none(&what, &stage(&StageInput::new(&scene, timeline.now()), area));
                    let view = LeaseView::new(&timeline);
                    let input = GanttInput { must_fit: is_presenting, ..GanttInput::new(&view) };
                    let range = (VirtualTime::START, end);
                    expect_none(&what, &gantt(&input, range, area, None));
                }
            }
        }
    }
}

#[test]
fn defects_are_detected() {
    use super::shape::{Anchor, circle, line, text};
    let check = |shapes: Vec<Shape>| {
        let picture = Picture { width: 100.0, height: 50.0, label: String::new(), shapes };
        complaints(&picture).join("; ")
    };
    let at = |x: f64| text("name", (x, 20.0), Anchor::Start, 10.0, "name");
    assert_eq!(check(vec![at(5.0), at(60.0), line("x", (0.0, 0.0), (9.0, 9.0))]), "");
    assert!(check(vec![at(5.0), at(20.0)]).starts_with("overlap"));
    assert!(check(vec![at(90.0)]).starts_with("outside"));
    assert!(check(vec![circle("x", (f64::NAN, 1.0), 2.0)]).contains("not finite"));
    assert!(check(vec![line("x", (9.0, 9.0), (9.0, 9.0))]).starts_with("empty"));
}

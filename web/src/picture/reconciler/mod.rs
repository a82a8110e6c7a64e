//! A keyed reconciler: computes what must change in a tree of elements so that it shows the next
//! picture instead of the previous one.
//!
//! - **Keys.** The key of a shape is its target. Most shapes have none; their kind and their place
//!   among the shapes without keys stand in for one.
//! - **Reused.** A shape with a key reuses the element with the same key and the same parent. A
//!   shape without a key reuses the element at its place if that has no key either and is of the
//!   same kind. Only attributes that differ visibly, by a tenth of a pixel, are set again.
//! - **Moved.** An element with a key whose place has changed is inserted again at its new place,
//!   with everything inside it. Elements without keys are never moved.
//! - **Removed.** An element whose key is gone is removed before anything else, so that the others
//!   rarely have to move. What is left at the end is removed last.
//! - **Complexity.** Linear in the number of shapes if the retained keys keep their order, which is
//!   nearly always the case; quadratic in the number of siblings if their order is reversed.
//!
//! Operations are passed to a function as they are found, and refer to elements by numbers. So this
//! is pure, nothing is allocated for an operation, and the elements can be those of a document or
//! of a test.

#[cfg(test)]
mod tests;

use super::shape::{Class, Group, Shape};
use super::stage::packets::PACKETS_CROWDED;
use crate::model::target::Target;

/// The number of an element. Numbers of removed elements are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ElementId(pub(crate) u32);

impl ElementId {
    /// The element that contains the picture.
    pub(crate) const ROOT: Self = Self(0);
}

/// A change of the tree of elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operation<'a> {
    /// Creates an element that is in no tree yet.
    Create {
        element: ElementId,
        tag: &'static str,
    },
    /// Inserts an element, or moves it if it is in the tree already: before a child of the parent,
    /// or as its last child.
    Insert {
        element: ElementId,
        parent: ElementId,
        before: Option<ElementId>,
    },
    /// Removes an element with everything inside it.
    Remove {
        element: ElementId,
    },
    /// Sets an attribute. An empty value removes it.
    SetAttribute {
        element: ElementId,
        name: &'static str,
        value: &'a str,
    },
    /// Sets an attribute to a number with at most one decimal place.
    SetNumber {
        element: ElementId,
        name: &'static str,
        value: f64,
    },
    SetText {
        element: ElementId,
        text: &'a str,
    },
    /// Moves an element to this position in its parent. `is_first` is set for a new element.
    Translate {
        element: ElementId,
        to: (f64, f64),
        is_first: bool,
    },
}

/// Compares pictures with the one that the tree shows.
#[derive(Default)]
pub(crate) struct Reconciler {
    painted: Vec<PaintedShape>,
    ids: ElementIds,
    picture_count: u32,
}

/// A shape that the tree shows.
struct PaintedShape {
    element: ElementId,
    /// The shape, without the children of a group.
    shape: Shape,
    children: Vec<PaintedShape>,
    /// Whether the Tab key reaches this shape.
    is_tab_stop: bool,
}

#[derive(Default)]
struct ElementIds {
    last: u32,
    unused: Vec<ElementId>,
}

impl ElementIds {
    fn allocate(&mut self) -> ElementId {
        self.unused.pop().unwrap_or_else(|| {
            self.last += 1;
            ElementId(self.last)
        })
    }

    /// Releases the ids of a shape and of everything inside it.
    fn release(&mut self, shape: &PaintedShape) {
        self.unused.push(shape.element);
        shape.children.iter().for_each(|child| self.release(child));
    }
}

/// Passes operations on, with what they depend on.
struct Pass<'a, F> {
    emit: F,
    ids: &'a mut ElementIds,
    /// The target that the Tab key reaches.
    tab_stop: Option<Target>,
    /// The parity of the packet ids that are not moved this time. In a crowd, each packet moves in
    /// every second frame, which halves the work and still looks smooth.
    skipped_parity: Option<u32>,
}

impl Reconciler {
    /// Emits the operations that make the tree show the shapes of a picture. The Tab key reaches
    /// `focus`, or else the first node or the first target. If `is_animating`, the next picture
    /// follows soon.
    pub(crate) fn reconcile(
        &mut self,
        shapes: Vec<Shape>,
        focus: Option<Target>,
        is_animating: bool,
        emit: impl FnMut(Operation<'_>),
    ) {
        let tab_stop = focus.or_else(|| first_target(&shapes));
        let is_packet = |it: &&Shape| matches!(target_of(it), Some(Target::Packet(_)));
        let is_crowded = || shapes.iter().filter(is_packet).count() > PACKETS_CROWDED;
        self.picture_count = self.picture_count.wrapping_add(1);
        let skipped_parity = (is_animating && is_crowded()).then_some(self.picture_count % 2);
        let mut pass = Pass { emit, ids: &mut self.ids, tab_stop, skipped_parity };
        pass.update_children(ElementId::ROOT, &mut self.painted, shapes);
    }
}

/// Returns the first node, or the first target if there is no node.
fn first_target(shapes: &[Shape]) -> Option<Target> {
    let targets = || shapes.iter().filter_map(target_of);
    targets().find(|target| matches!(target, Target::Node(_))).or_else(|| targets().next())
}

const fn target_of(shape: &Shape) -> Option<Target> {
    match shape {
        Shape::Group(group) => group.target,
        Shape::Rect { .. }
        | Shape::Circle { .. }
        | Shape::Line { .. }
        | Shape::Path { .. }
        | Shape::Text { .. } => None,
    }
}

const fn tag_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Rect { .. } => "rect",
        Shape::Circle { .. } => "circle",
        Shape::Line { .. } => "line",
        Shape::Path { .. } => "path",
        Shape::Text { .. } => "text",
        Shape::Group(_) => "g",
    }
}

impl<F: FnMut(Operation<'_>)> Pass<'_, F> {
    fn update_children(
        &mut self,
        parent: ElementId,
        painted: &mut Vec<PaintedShape>,
        shapes: Vec<Shape>,
    ) {
        self.remove_lost_keys(painted, &shapes);
        let count = shapes.len();
        for (at, shape) in shapes.into_iter().enumerate() {
            match find_reusable(painted, at, &shape) {
                Some(index) if index == at => {}
                Some(index) => {
                    let moved = painted.remove(index);
                    self.insert(parent, moved, painted, at);
                }
                None => {
                    let created = self.create(&shape);
                    // The label of a group says what its texts show.
                    if parent != ElementId::ROOT && matches!(shape, Shape::Text { .. }) {
                        self.set(created.element, "aria-hidden", "true");
                    }
                    self.insert(parent, created, painted, at);
                }
            }
            self.update(&mut painted[at], shape);
        }
        for removed in painted.drain(count..) {
            self.remove(&removed);
        }
    }

    /// Removes the shapes with keys that the new shapes don't have.
    fn remove_lost_keys(&mut self, painted: &mut Vec<PaintedShape>, shapes: &[Shape]) {
        // Retained shapes are nearly always in the same order, so each search starts at the
        // previous match.
        let mut last_index = 0;
        let mut is_retained = |target: Target| {
            let has_target = |shape: &Shape| target_of(shape) == Some(target);
            let next =
                shapes[last_index..].iter().position(has_target).map(|index| last_index + index);
            let index = next.or_else(|| shapes[..last_index].iter().position(has_target));
            last_index = index.unwrap_or(last_index);
            index.is_some()
        };
        painted.retain(|it| {
            let is_retained = target_of(&it.shape).is_none_or(&mut is_retained);
            if !is_retained {
                self.remove(it);
            }
            is_retained
        });
    }

    /// Creates an element for this kind of shape, without the attributes of the shape.
    fn create(&mut self, shape: &Shape) -> PaintedShape {
        let element = self.ids.allocate();
        (self.emit)(Operation::Create { element, tag: tag_name(shape) });
        if let Some(target) = target_of(shape) {
            self.set(element, "data-target", &target.key());
            self.set(element, "role", "button");
            self.set(element, "tabindex", "-1");
        }
        PaintedShape {
            element,
            shape: blank_shape(shape),
            children: Vec::new(),
            is_tab_stop: false,
        }
    }

    fn insert(
        &mut self,
        parent: ElementId,
        shape: PaintedShape,
        painted: &mut Vec<PaintedShape>,
        at: usize,
    ) {
        let before = painted.get(at).map(|it| it.element);
        (self.emit)(Operation::Insert { element: shape.element, parent, before });
        painted.insert(at, shape);
    }

    fn remove(&mut self, shape: &PaintedShape) {
        (self.emit)(Operation::Remove { element: shape.element });
        self.ids.release(shape);
    }

    fn set(&mut self, element: ElementId, name: &'static str, value: &str) {
        (self.emit)(Operation::SetAttribute { element, name, value });
    }

    fn set_if_changed(&mut self, element: ElementId, name: &'static str, (old, new): (&str, &str)) {
        if old != new {
            self.set(element, name, new);
        }
    }

    fn update(&mut self, painted: &mut PaintedShape, mut shape: Shape) {
        let element = painted.element;
        let mut children = Vec::new();
        if let Shape::Group(group) = &mut shape {
            children = std::mem::take(&mut group.shapes);
            if let Shape::Group(old) = &painted.shape
                && self.skips(group.target)
                && !old.at.0.is_nan()
            {
                group.at = old.at;
            }
        }
        if shape != painted.shape {
            self.update_attributes(element, &painted.shape, &shape);
            painted.shape = shape;
        }
        let target = target_of(&painted.shape);
        let is_tab_stop = target.is_some() && target == self.tab_stop;
        if is_tab_stop != painted.is_tab_stop {
            self.set(element, "tabindex", if is_tab_stop { "0" } else { "-1" });
            painted.is_tab_stop = is_tab_stop;
        }
        if !children.is_empty() || !painted.children.is_empty() {
            self.update_children(element, &mut painted.children, children);
        }
    }

    fn skips(&self, target: Option<Target>) -> bool {
        matches!(target, Some(Target::Packet(id)) if self.skipped_parity == Some(id.0 % 2))
    }

    /// Sets the attributes that differ.
    fn update_attributes(&mut self, element: ElementId, old: &Shape, new: &Shape) {
        self.set_if_changed(element, "class", (class_of(old), class_of(new)));
        match (old, new) {
            (Shape::Path { d, .. }, Shape::Path { d: new_d, .. }) => {
                self.set_if_changed(element, "d", (d, new_d));
            }
            (Shape::Text { text, anchor, x, .. }, Shape::Text { text: to, anchor: new, .. }) => {
                if anchor != new || x.is_nan() {
                    self.set(element, "text-anchor", new.as_str());
                }
                if text != to {
                    (self.emit)(Operation::SetText { element, text: to });
                }
            }
            (Shape::Group(old), Shape::Group(new)) => self.update_group(element, old, new),
            _ => {}
        }
        let (old, new) = (numbers(old), numbers(new));
        for ((name, old), (_, value)) in old.into_iter().zip(new) {
            if !name.is_empty() && differs(old, value) {
                (self.emit)(Operation::SetNumber { element, name, value });
            }
        }
    }

    fn update_group(&mut self, element: ElementId, old: &Group, new: &Group) {
        let is_first = old.at.0.is_nan();
        if differs(old.at.0, new.at.0) || differs(old.at.1, new.at.1) {
            (self.emit)(Operation::Translate { element, to: new.at, is_first });
        }
        if old.label != new.label {
            if new.target.is_none() {
                self.set(element, "role", if new.label.is_empty() { "" } else { "img" });
            }
            self.set(element, "aria-label", &new.label);
        }
    }
}

/// Returns the index of a painted shape that can be updated to this shape.
fn find_reusable(painted: &[PaintedShape], at: usize, shape: &Shape) -> Option<usize> {
    let target = target_of(shape);
    if target.is_some() {
        let index = painted[at..].iter().position(|it| target_of(&it.shape) == target)?;
        return Some(at + index);
    }
    let next = painted.get(at)?;
    let is_reusable = target_of(&next.shape).is_none() && tag_name(&next.shape) == tag_name(shape);
    is_reusable.then_some(at)
}

fn class_of(shape: &Shape) -> &Class {
    match shape {
        Shape::Rect { class, .. }
        | Shape::Circle { class, .. }
        | Shape::Line { class, .. }
        | Shape::Path { class, .. }
        | Shape::Text { class, .. } => class,
        Shape::Group(group) => &group.class,
    }
}

/// The greatest number of numeric attributes of a shape.
const NUMBERS: usize = 5;

/// Returns the numeric attributes of a shape. Unused places have empty names.
const fn numbers(shape: &Shape) -> [(&'static str, f64); NUMBERS] {
    const NONE: (&str, f64) = ("", 0.0);
    match shape {
        Shape::Rect { x, y, width, height, corner_radius, .. } => {
            [("x", *x), ("y", *y), ("width", *width), ("height", *height), ("rx", *corner_radius)]
        }
        Shape::Circle { x, y, r, .. } => [("cx", *x), ("cy", *y), ("r", *r), NONE, NONE],
        Shape::Line { from, to, .. } => {
            [("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1), NONE]
        }
        Shape::Text { x, y, size, .. } => [("x", *x), ("y", *y), ("font-size", *size), NONE, NONE],
        Shape::Path { .. } | Shape::Group(_) => [NONE; NUMBERS],
    }
}

/// Whether two numbers differ visibly, by a tenth.
fn differs(old: f64, new: f64) -> bool {
    old.is_nan() || rounded_tenths(old) != rounded_tenths(new)
}

#[allow(clippy::cast_possible_truncation, reason = "a coordinate")]
fn rounded_tenths(number: f64) -> i32 {
    (number * 10.0).round() as i32
}

/// Rounds a coordinate to tenths.
pub(crate) fn to_tenth(number: f64) -> f64 {
    f64::from(rounded_tenths(number)) / 10.0
}

/// Returns a shape of the same kind that differs from it in every attribute that is not empty.
fn blank_shape(shape: &Shape) -> Shape {
    let (class, nan, text) = (Class::Borrowed(""), f64::NAN, String::new());
    match shape {
        Shape::Rect { .. } => {
            Shape::Rect { class, x: nan, y: nan, width: nan, height: nan, corner_radius: nan }
        }
        Shape::Circle { .. } => Shape::Circle { class, x: nan, y: nan, r: nan },
        Shape::Line { .. } => Shape::Line { class, from: (nan, nan), to: (nan, nan) },
        Shape::Path { .. } => Shape::Path { class, d: text },
        Shape::Text { anchor, .. } => {
            Shape::Text { class, x: nan, y: nan, anchor: *anchor, size: nan, text }
        }
        Shape::Group(group) => Shape::Group(Group {
            class,
            at: (nan, nan),
            target: group.target,
            label: text,
            shapes: Vec::new(),
        }),
    }
}

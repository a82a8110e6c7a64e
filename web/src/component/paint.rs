//! Pictures on the page: each is a list of shapes, and what has changed since the last one is
//! changed in the document, nothing else. They move too often to be put together anew like the
//! panels.

use wasm_bindgen::JsCast as _;
use web_sys::{Document, Element, SvgGraphicsElement, SvgTransform};

use crate::browser;
use crate::picture::shape::{Class, Group, Picture, Shape, Target, tenths};
use crate::picture::stage_packets::PACKETS_MANY;

const SVG: &str = "http://www.w3.org/2000/svg";

/// What paints one picture, and what it has painted.
#[derive(Default)]
pub(crate) struct Painter {
    svg: Option<Element>,
    size: (String, String),
    label: String,
    painted: Vec<Painted>,
    /// How often it was painted.
    times: u32,
}

/// How one goes about a picture.
#[derive(Clone, Copy)]
struct Way {
    /// To what one comes by the tabulator.
    stop: Option<Target>,
    /// Which packets stay where they are this time: each second one, if any. A crowd that moves
    /// thirty times a second moves well enough, for half of the work.
    resting: Option<u32>,
}

impl Way {
    fn rests(self, target: Option<Target>) -> bool {
        matches!(target, Some(Target::Packet(no)) if self.resting == Some(no.0 % 2))
    }
}

/// A shape in the document.
struct Painted {
    element: Element,
    /// Without what is inside.
    shape: Shape,
    inside: Vec<Painted>,
    /// Whether one comes here by the tabulator.
    is_stop: bool,
    /// By what a group that moves is moved: numbers, which nobody has to write and read again.
    shift: Option<SvgTransform>,
}

impl Painter {
    /// Makes the element show the picture. By the tabulator one comes to `focus`, or to the first
    /// node; to all else by the arrows from there. Where it `moves`, the next one will come soon.
    pub(crate) fn paint(
        &mut self,
        svg: &Element,
        picture: Picture,
        focus: Option<Target>,
        moves: bool,
    ) {
        let Some(document) = browser::document() else { return };
        if self.svg.as_ref() != Some(svg) {
            // Another element: nothing of it was painted here.
            svg.set_inner_html("");
            *self = Self { svg: Some(svg.clone()), ..Self::default() };
        }
        let Picture { width, height, label, shapes } = picture;
        let size = (tenths(width.round()), tenths(height.round()));
        if size != self.size {
            set(svg, "viewBox", &format!("0 0 {} {}", size.0, size.1));
            set(svg, "width", &size.0);
            set(svg, "height", &size.1);
            self.size = size;
        }
        if label != self.label {
            set(svg, "aria-label", &label);
            self.label = label;
        }
        let stop = focus.or_else(|| first_node(&shapes));
        let is_packet = |it: &&Shape| matches!(key(it), Some(Target::Packet(_)));
        let is_crowded = || shapes.iter().filter(is_packet).count() > PACKETS_MANY;
        self.times = self.times.wrapping_add(1);
        let resting = (moves && is_crowded()).then_some(self.times % 2);
        update(&document, svg, &mut self.painted, shapes, Way { stop, resting });
    }
}

fn first_node(shapes: &[Shape]) -> Option<Target> {
    shapes.iter().filter_map(key).find(|target| matches!(target, Target::Node(_)))
}

fn key(shape: &Shape) -> Option<Target> {
    if let Shape::Group(group) = shape { group.target } else { None }
}

fn update(
    document: &Document,
    parent: &Element,
    painted: &mut Vec<Painted>,
    shapes: Vec<Shape>,
    way: Way,
) {
    // What stays is nearly always in the order in which it was, so each is looked for from the one
    // before it on.
    let mut before = 0;
    let mut stays = |target: Target| {
        let is_it = |shape: &Shape| key(shape) == Some(target);
        let next = shapes[before..].iter().position(is_it).map(|place| before + place);
        let place = next.or_else(|| shapes[..before].iter().position(is_it));
        before = place.unwrap_or(before);
        place.is_some()
    };
    painted.retain(|it| {
        let stays = key(&it.shape).is_none_or(&mut stays);
        if !stays {
            it.element.remove();
        }
        stays
    });
    let count = shapes.len();
    for (at, shape) in shapes.into_iter().enumerate() {
        match found(painted, at, &shape) {
            Some(place) if place == at => {}
            Some(place) => {
                let moved = painted.remove(place);
                insert(parent, &moved.element, painted.get(at));
                painted.insert(at, moved);
            }
            None => {
                let Some(new) = Painted::new(document, &shape) else { continue };
                insert(parent, &new.element, painted.get(at));
                painted.insert(at, new);
            }
        }
        painted[at].become_shape(document, shape, way);
    }
    painted.drain(count.min(painted.len())..).for_each(|gone| gone.element.remove());
}

/// Where something is painted already that can become this shape.
fn found(painted: &[Painted], at: usize, shape: &Shape) -> Option<usize> {
    let key_wanted = key(shape);
    if key_wanted.is_some() {
        let place = painted[at..].iter().position(|it| key(&it.shape) == key_wanted)?;
        return Some(at + place);
    }
    let next = painted.get(at)?;
    let fits = key(&next.shape).is_none() && name(&next.shape) == name(shape);
    fits.then_some(at)
}

fn insert(parent: &Element, element: &Element, before: Option<&Painted>) {
    // What was found in this parent is in it, so this can't fail.
    parent.insert_before(element, before.map(|it| &*it.element)).ok();
}

const fn name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Rect { .. } => "rect",
        Shape::Circle { .. } => "circle",
        Shape::Line { .. } => "line",
        Shape::Path { .. } => "path",
        Shape::Text { .. } => "text",
        Shape::Group(_) => "g",
    }
}

/// Names of attributes are well formed, so this can't fail.
fn set(element: &Element, name: &str, value: &str) {
    element.set_attribute(name, value).ok();
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

impl Painted {
    /// An element for this kind of shape, which has no attributes yet.
    fn new(document: &Document, shape: &Shape) -> Option<Self> {
        let element = document.create_element_ns(Some(SVG), name(shape)).ok()?;
        let blank = blank(shape);
        if let Some(target) = key(shape) {
            set(&element, "data-target", &target.key());
            set(&element, "role", "img");
            set(&element, "tabindex", "-1");
        }
        Some(Self { element, shape: blank, inside: Vec::new(), is_stop: false, shift: None })
    }

    fn become_shape(&mut self, document: &Document, mut shape: Shape, way: Way) {
        let inside = match &mut shape {
            Shape::Group(group) => std::mem::take(&mut group.shapes),
            Shape::Rect { .. }
            | Shape::Circle { .. }
            | Shape::Line { .. }
            | Shape::Path { .. }
            | Shape::Text { .. } => Vec::new(),
        };
        if let (Shape::Group(old), Shape::Group(new)) = (&self.shape, &mut shape)
            && way.rests(new.target)
            && !old.at.0.is_nan()
        {
            new.at = old.at;
        }
        if shape != self.shape {
            if let (Shape::Group(old), Shape::Group(new)) = (&self.shape, &shape)
                && is_other(old.at.0, new.at.0) | is_other(old.at.1, new.at.1)
            {
                self.shift = shifted(&self.element, self.shift.take(), old.at, new.at);
            }
            self.attributes(&shape);
            self.shape = shape;
        }
        let target = key(&self.shape);
        let is_stop = target.is_some() && target == way.stop;
        if is_stop != self.is_stop {
            set(&self.element, "tabindex", if is_stop { "0" } else { "-1" });
            self.is_stop = is_stop;
        }
        if !inside.is_empty() || !self.inside.is_empty() {
            update(document, &self.element, &mut self.inside, inside, way);
        }
    }

    /// Sets what differs.
    fn attributes(&self, to: &Shape) {
        let element = &self.element;
        if class_of(&self.shape) != class_of(to) {
            set(element, "class", class_of(to));
        }
        let number = |name: &str, old: f64, new: f64| {
            if is_other(old, new) {
                set(element, name, &tenths(new));
            }
        };
        match (&self.shape, to) {
            (
                Shape::Rect { x, y, width, height, round, .. },
                Shape::Rect { x: x2, y: y2, width: width2, height: height2, round: round2, .. },
            ) => {
                number("x", *x, *x2);
                number("y", *y, *y2);
                number("width", *width, *width2);
                number("height", *height, *height2);
                number("rx", *round, *round2);
            }
            (Shape::Circle { x, y, r, .. }, Shape::Circle { x: x2, y: y2, r: r2, .. }) => {
                number("cx", *x, *x2);
                number("cy", *y, *y2);
                number("r", *r, *r2);
            }
            (Shape::Line { from, to, .. }, Shape::Line { from: from2, to: to2, .. }) => {
                number("x1", from.0, from2.0);
                number("y1", from.1, from2.1);
                number("x2", to.0, to2.0);
                number("y2", to.1, to2.1);
            }
            (Shape::Path { d, .. }, Shape::Path { d: d2, .. }) if d != d2 => set(element, "d", d2),
            (
                Shape::Text { x, y, anchor, size, text, .. },
                Shape::Text { x: x2, y: y2, anchor: anchor2, size: size2, text: text2, .. },
            ) => {
                number("x", *x, *x2);
                number("y", *y, *y2);
                number("font-size", *size, *size2);
                if anchor != anchor2 || x.is_nan() {
                    set(element, "text-anchor", anchor2.word());
                }
                if text != text2 {
                    element.set_text_content(Some(text2));
                }
            }
            (Shape::Group(old), Shape::Group(new)) if old.label != new.label => {
                if new.target.is_none() {
                    set(element, "role", "img");
                }
                set(element, "aria-label", &new.label);
            }
            _ => {}
        }
    }
}

/// Whether it is to be seen that a number has changed: by a tenth.
fn is_other(old: f64, new: f64) -> bool {
    old.is_nan() || in_tenths(old) != in_tenths(new)
}

#[allow(clippy::cast_possible_truncation, reason = "a place in a picture")]
fn in_tenths(number: f64) -> i32 {
    (number * 10.0).round() as i32
}

/// Moves a group. Gives back by what it is moved the next time.
fn shifted(
    group: &Element,
    shift: Option<SvgTransform>,
    (old, _): (f64, f64),
    (x, y): (f64, f64),
) -> Option<SvgTransform> {
    // What never moves is written once.
    let shift = shift.or_else(|| {
        let shifts = group.dyn_ref::<SvgGraphicsElement>().filter(|_| !old.is_nan())?;
        shifts.transform().base_val().get_item(0).ok()
    });
    match &shift {
        Some(shift) => shift.set_translate(tenth(x), tenth(y)).ok()?,
        None => set(group, "transform", &format!("translate({} {})", tenths(x), tenths(y))),
    }
    shift
}

/// A number as it is drawn.
#[allow(clippy::cast_possible_truncation, reason = "a place in a picture")]
fn tenth(number: f64) -> f32 {
    (f64::from(in_tenths(number)) / 10.0) as f32
}

/// A shape of this kind of which nothing is so yet, so that all of it will differ.
fn blank(shape: &Shape) -> Shape {
    let (class, no, text) = (Class::Borrowed(""), f64::NAN, String::new());
    match shape {
        Shape::Rect { .. } => Shape::Rect { class, x: no, y: no, width: no, height: no, round: no },
        Shape::Circle { .. } => Shape::Circle { class, x: no, y: no, r: no },
        Shape::Line { .. } => Shape::Line { class, from: (no, no), to: (no, no) },
        Shape::Path { .. } => Shape::Path { class, d: text },
        Shape::Text { anchor, .. } => {
            Shape::Text { class, x: no, y: no, anchor: *anchor, size: no, text }
        }
        Shape::Group(group) => Shape::Group(Group {
            class,
            at: (no, no),
            target: group.target,
            label: text,
            shapes: Vec::new(),
        }),
    }
}

//! Paints pictures into SVG elements. Only the differences to the previous picture are applied to
//! the document, because pictures change too often to be rendered like the panels.

use wasm_bindgen::JsCast as _;
use web_sys::{Document, Element, SvgGraphicsElement, SvgTransform};

use crate::browser;
use crate::model::target::Target;
use crate::picture::shape::{Class, Group, Picture, Shape, format_tenths};
use crate::picture::stage_packets::PACKETS_CROWDED;

const SVG: &str = "http://www.w3.org/2000/svg";

/// The painter of one picture, with the shapes that it has painted.
#[derive(Default)]
pub(crate) struct Painter {
    svg: Option<Element>,
    size: (String, String),
    label: String,
    painted: Vec<PaintedShape>,
    paint_count: u32,
}

#[derive(Clone, Copy)]
struct PaintContext {
    /// The target that the Tab key reaches.
    tab_stop: Option<Target>,
    /// The parity of the packet ids that are not moved this time. In a crowd, each packet moves in
    /// every second frame, which halves the work and still looks smooth.
    skipped_parity: Option<u32>,
}

impl PaintContext {
    fn skips(self, target: Option<Target>) -> bool {
        matches!(target, Some(Target::Packet(id)) if self.skipped_parity == Some(id.0 % 2))
    }
}

/// A shape in the document.
struct PaintedShape {
    element: Element,
    /// The shape, without the children of a group.
    shape: Shape,
    children: Vec<PaintedShape>,
    /// Whether the Tab key reaches this shape.
    is_tab_stop: bool,
    /// The transform of a group that moves. Setting its numbers avoids formatting and parsing text.
    transform: Option<SvgTransform>,
}

impl Painter {
    /// Makes the element show the picture. The Tab key reaches `focus`, or else the first node;
    /// arrow keys reach the rest from there. If `is_animating`, the next picture follows soon.
    pub(crate) fn paint(
        &mut self,
        svg: &Element,
        picture: Picture,
        focus: Option<Target>,
        is_animating: bool,
    ) {
        let Some(document) = browser::document() else { return };
        if self.svg.as_ref() != Some(svg) {
            // A new element, which this painter has not painted yet.
            svg.set_inner_html("");
            *self = Self { svg: Some(svg.clone()), ..Self::default() };
        }
        let Picture { width, height, label, shapes } = picture;
        let size = (format_tenths(width.round()), format_tenths(height.round()));
        if size != self.size {
            set_attribute(svg, "viewBox", &format!("0 0 {} {}", size.0, size.1));
            set_attribute(svg, "width", &size.0);
            set_attribute(svg, "height", &size.1);
            self.size = size;
        }
        if label != self.label {
            set_attribute(svg, "aria-label", &label);
            self.label = label;
        }
        let tab_stop = focus.or_else(|| first_node(&shapes));
        let is_packet = |it: &&Shape| matches!(target_of(it), Some(Target::Packet(_)));
        let is_crowded = || shapes.iter().filter(is_packet).count() > PACKETS_CROWDED;
        self.paint_count = self.paint_count.wrapping_add(1);
        let skipped_parity = (is_animating && is_crowded()).then_some(self.paint_count % 2);
        update_children(
            &document,
            svg,
            &mut self.painted,
            shapes,
            PaintContext { tab_stop, skipped_parity },
        );
    }
}

fn first_node(shapes: &[Shape]) -> Option<Target> {
    shapes.iter().filter_map(target_of).find(|target| matches!(target, Target::Node(_)))
}

fn target_of(shape: &Shape) -> Option<Target> {
    if let Shape::Group(group) = shape { group.target } else { None }
}

fn update_children(
    document: &Document,
    parent: &Element,
    painted: &mut Vec<PaintedShape>,
    shapes: Vec<Shape>,
    context: PaintContext,
) {
    // Retained shapes are nearly always in the same order, so each search starts at the previous
    // match.
    let mut last_index = 0;
    let mut is_retained = |target: Target| {
        let has_target = |shape: &Shape| target_of(shape) == Some(target);
        let next = shapes[last_index..].iter().position(has_target).map(|index| last_index + index);
        let index = next.or_else(|| shapes[..last_index].iter().position(has_target));
        last_index = index.unwrap_or(last_index);
        index.is_some()
    };
    painted.retain(|it| {
        let is_retained = target_of(&it.shape).is_none_or(&mut is_retained);
        if !is_retained {
            it.element.remove();
        }
        is_retained
    });
    let count = shapes.len();
    for (at, shape) in shapes.into_iter().enumerate() {
        match find_reusable(painted, at, &shape) {
            Some(index) if index == at => {}
            Some(index) => {
                let moved = painted.remove(index);
                insert(parent, &moved.element, painted.get(at));
                painted.insert(at, moved);
            }
            None => {
                let Some(new) = PaintedShape::new(document, &shape) else { continue };
                insert(parent, &new.element, painted.get(at));
                painted.insert(at, new);
            }
        }
        painted[at].update_to(document, shape, context);
    }
    painted.drain(count.min(painted.len())..).for_each(|removed| removed.element.remove());
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

fn insert(parent: &Element, element: &Element, before: Option<&PaintedShape>) {
    // Cannot fail: `before` is a child of this parent.
    parent.insert_before(element, before.map(|it| &*it.element)).ok();
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

/// Sets an attribute. The names are well formed, so this cannot fail.
fn set_attribute(element: &Element, name: &str, value: &str) {
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

impl PaintedShape {
    /// Creates an element for this kind of shape, without the attributes of the shape.
    fn new(document: &Document, shape: &Shape) -> Option<Self> {
        let element = document.create_element_ns(Some(SVG), tag_name(shape)).ok()?;
        let blank = blank_shape(shape);
        if let Some(target) = target_of(shape) {
            set_attribute(&element, "data-target", &target.key());
            set_attribute(&element, "role", "img");
            set_attribute(&element, "tabindex", "-1");
        }
        Some(Self {
            element,
            shape: blank,
            children: Vec::new(),
            is_tab_stop: false,
            transform: None,
        })
    }

    fn update_to(&mut self, document: &Document, mut shape: Shape, context: PaintContext) {
        let children = match &mut shape {
            Shape::Group(group) => std::mem::take(&mut group.shapes),
            Shape::Rect { .. }
            | Shape::Circle { .. }
            | Shape::Line { .. }
            | Shape::Path { .. }
            | Shape::Text { .. } => Vec::new(),
        };
        if let (Shape::Group(old), Shape::Group(new)) = (&self.shape, &mut shape)
            && context.skips(new.target)
            && !old.at.0.is_nan()
        {
            new.at = old.at;
        }
        if shape != self.shape {
            if let (Shape::Group(old), Shape::Group(new)) = (&self.shape, &shape)
                && differs(old.at.0, new.at.0) | differs(old.at.1, new.at.1)
            {
                self.transform = translate(&self.element, self.transform.take(), old.at, new.at);
            }
            self.update_attributes(&shape);
            self.shape = shape;
        }
        let target = target_of(&self.shape);
        let is_tab_stop = target.is_some() && target == context.tab_stop;
        if is_tab_stop != self.is_tab_stop {
            set_attribute(&self.element, "tabindex", if is_tab_stop { "0" } else { "-1" });
            self.is_tab_stop = is_tab_stop;
        }
        if !children.is_empty() || !self.children.is_empty() {
            update_children(document, &self.element, &mut self.children, children, context);
        }
    }

    /// Sets the attributes that differ.
    fn update_attributes(&self, to: &Shape) {
        let element = &self.element;
        if class_of(&self.shape) != class_of(to) {
            set_attribute(element, "class", class_of(to));
        }
        let number = |name: &str, old: f64, new: f64| {
            if differs(old, new) {
                set_attribute(element, name, &format_tenths(new));
            }
        };
        match (&self.shape, to) {
            (
                Shape::Rect { x, y, width, height, corner_radius, .. },
                Shape::Rect {
                    x: x2,
                    y: y2,
                    width: width2,
                    height: height2,
                    corner_radius: corner_radius2,
                    ..
                },
            ) => {
                number("x", *x, *x2);
                number("y", *y, *y2);
                number("width", *width, *width2);
                number("height", *height, *height2);
                number("rx", *corner_radius, *corner_radius2);
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
            (Shape::Path { d, .. }, Shape::Path { d: d2, .. }) if d != d2 => {
                set_attribute(element, "d", d2);
            }
            (
                Shape::Text { x, y, anchor, size, text, .. },
                Shape::Text { x: x2, y: y2, anchor: anchor2, size: size2, text: text2, .. },
            ) => {
                number("x", *x, *x2);
                number("y", *y, *y2);
                number("font-size", *size, *size2);
                if anchor != anchor2 || x.is_nan() {
                    set_attribute(element, "text-anchor", anchor2.as_str());
                }
                if text != text2 {
                    element.set_text_content(Some(text2));
                }
            }
            (Shape::Group(old), Shape::Group(new)) if old.label != new.label => {
                if new.target.is_none() {
                    set_attribute(element, "role", "img");
                }
                set_attribute(element, "aria-label", &new.label);
            }
            _ => {}
        }
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

/// Moves a group. Returns the transform with which to move it the next time.
fn translate(
    group: &Element,
    transform: Option<SvgTransform>,
    (old, _): (f64, f64),
    (x, y): (f64, f64),
) -> Option<SvgTransform> {
    // The first position is set as an attribute: most groups never move again.
    let transform = transform.or_else(|| {
        let graphics = group.dyn_ref::<SvgGraphicsElement>().filter(|_| !old.is_nan())?;
        graphics.transform().base_val().get_item(0).ok()
    });
    match &transform {
        Some(transform) => transform.set_translate(to_tenth(x), to_tenth(y)).ok()?,
        None => set_attribute(
            group,
            "transform",
            &format!("translate({} {})", format_tenths(x), format_tenths(y)),
        ),
    }
    transform
}

/// Rounds a coordinate to tenths.
#[allow(clippy::cast_possible_truncation, reason = "a coordinate")]
fn to_tenth(number: f64) -> f32 {
    (f64::from(rounded_tenths(number)) / 10.0) as f32
}

/// Returns a shape of the same kind that differs from it in every attribute.
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
